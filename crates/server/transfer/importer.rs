//! Owns one account on its way in: rows are kept as they come, and the account itself at the end, so that there is
//! none before everything of it is there.

use accounts::{AccountError, Accounts};
use archive::Ids;
use auth::{Account, Credentials};
use meter::clock;
use serde::{Deserialize, Serialize};
use store::{Batch, Write};
use user::portable::import::Incoming;
use xmpp::{BareJid, Element};

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The address.
    pub(crate) jid: String,
    /// Rows that were kept, its archive aside.
    pub(crate) rows: usize,
    /// Messages of its archive.
    pub(crate) archived: u64,
    /// There are no credentials that can be used: it waits, disabled, for a new password.
    pub(crate) needs_password: bool,
    /// What was not understood, and left out.
    pub(crate) left_out: Vec<String>,
}

/// Kept together at most.
const BATCH_BYTES: usize = 1 << 20;

/// An account on its way in.
pub(crate) struct Importer {
    accounts: Accounts,
    jid: BareJid,
    incoming: Incoming,
    waiting: Vec<Write>,
    /// Of what waits.
    bytes: usize,
    rows: usize,
}

impl Importer {
    /// Begins; what is left of an import that broke off is removed.
    ///
    /// # Errors
    /// The account is there already.
    pub(crate) async fn begin(
        accounts: Accounts,
        ids: Ids,
        jid: BareJid,
    ) -> Result<Self, AccountError> {
        match accounts.is_enabled(&jid).await {
            Err(AccountError::Missing(_)) => {}
            Ok(_) => return Err(AccountError::Exists(jid)),
            Err(error) => return Err(error),
        }
        accounts.store.erase(accounts.fence(&jid)?, jid.clone()).await?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| AccountError::Password)?;
        let incoming =
            Incoming::new(jid.clone(), clock::unix_micros(), u64::from_ne_bytes(random), ids);
        Ok(Self { accounts, jid, incoming, waiting: Vec::new(), bytes: 0, rows: 0 })
    }

    /// Takes a child of its `<user/>`, or a message of its archive.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) async fn take(&mut self, child: &Element) -> Result<(), AccountError> {
        let writes = self.incoming.take(child);
        self.bytes += writes.iter().map(Write::len).sum::<usize>();
        self.waiting.extend(writes);
        if self.bytes > BATCH_BYTES { self.keep().await } else { Ok(()) }
    }

    async fn keep(&mut self) -> Result<(), AccountError> {
        let writes = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        self.rows += writes.iter().filter(|write| !matches!(write, Write::Append(..))).count();
        let batch = Batch { fence: self.accounts.fence(&self.jid)?, writes };
        let kept: Result<(), store::Error> =
            self.accounts.store.commit(vec![batch]).await.into_iter().collect();
        Ok(kept?)
    }

    /// All is there: makes the account.
    ///
    /// # Errors
    /// Somebody else has made it meanwhile, or the store fails.
    pub(crate) async fn finish(mut self, password: Option<&str>) -> Result<Report, AccountError> {
        self.keep().await?;
        let whole = self.incoming.finish();
        let of_file = match password {
            Some(password) => self.accounts.credentials(password).await.ok(),
            None => None,
        };
        let credentials = whole.credentials.or(of_file);
        let needs_password = credentials.is_none();
        let nobodys = || Credentials::decoy(b"", self.jid.as_str(), self.accounts.iterations);
        let account = Account::new(credentials.unwrap_or_else(nobodys));
        let account = Account { enabled: whole.enabled && !needs_password, ..account };
        let rows = self.rows + whole.writes.len() + 1;
        self.accounts.make(&self.jid, &account, whole.writes).await?;
        Ok(Report {
            jid: self.jid.to_string(),
            rows,
            archived: whole.archived,
            needs_password,
            left_out: whole.unknown,
        })
    }
}

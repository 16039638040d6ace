//! Owns what may be done to accounts: add, remove, list, new password, enable, disable.

use std::sync::Arc;

use auth::{Account, Credentials};
use proto::Hosts;
use serde::{Deserialize, Serialize};
use store::{Batch, Fence, Key, Kind, SharedStore, Write};
use xmpp::{BareJid, prep};

/// Administration of accounts.
#[derive(Clone)]
pub struct Accounts {
    /// Where accounts are kept.
    pub store: SharedStore,
    /// By what right an account is written; none: it may not be.
    pub fence: FenceOf,
    /// The served domains.
    pub hosts: Hosts,
    /// Iterations of new SCRAM verifiers.
    pub iterations: u32,
}

/// By what right an account is written.
pub type FenceOf = Arc<dyn Fn(&BareJid) -> Option<Fence> + Send + Sync>;

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The address.
    pub jid: String,
    /// Whether it may be used.
    pub enabled: bool,
}

/// Why something could not be done; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The address is no account's.
    #[error("{0:?} is not the address of an account: write it as name@domain")]
    Address(String),
    /// The domain is not served.
    #[error("{0} is not served here; served are: {1}")]
    Domain(String, String),
    /// The name is not allowed for a new account.
    #[error("{0:?} cannot be the name of a new account: other servers could read it differently")]
    Name(String),
    /// The password cannot be prepared, or is empty.
    #[error("the password cannot be used: it is empty or has characters that are not allowed")]
    Password,
    /// It is there already.
    #[error("{0} exists already")]
    Exists(BareJid),
    /// It is not there.
    #[error("there is no account {0}")]
    Missing(BareJid),
    /// No member owns it.
    #[error("no member serves {0} right now; try again")]
    NoOwner(BareJid),
    /// What is stored cannot be read.
    #[error("the stored account {0} cannot be read")]
    Unreadable(BareJid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Accounts {
    /// Reads an address of a served domain.
    ///
    /// # Errors
    /// It is none.
    pub fn address(&self, text: &str) -> Result<BareJid, AccountError> {
        let wrong = || AccountError::Address(text.to_owned());
        let jid = BareJid::parse(text).map_err(|_| wrong())?;
        if jid.localpart().is_none() {
            return Err(wrong());
        }
        if !self.hosts.serves(jid.domainpart()) {
            let served: Vec<&str> = self.hosts.domains().iter().map(|it| it.as_str()).collect();
            return Err(AccountError::Domain(jid.domainpart().to_owned(), served.join(", ")));
        }
        Ok(jid)
    }

    /// Makes an account. Derives keys: takes some milliseconds of CPU, so not for an arbiter.
    ///
    /// # Errors
    /// The address, the name or the password is refused, or the account exists.
    pub async fn add(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        let name = jid.localpart().unwrap_or_default();
        prep::new_localpart(name).map_err(|_| AccountError::Name(name.to_owned()))?;
        let account = self.account(password)?;
        if self.load(jid).await?.is_some() {
            return Err(AccountError::Exists(jid.clone()));
        }
        self.keep(jid, &account).await
    }

    /// Sets another password.
    ///
    /// # Errors
    /// There is no such account, or the password is refused.
    pub async fn set_password(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        let mut account = self.account(password)?;
        account.enabled = self.existing(jid).await?.enabled;
        self.keep(jid, &account).await
    }

    /// Allows or forbids to use an account.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn set_enabled(&self, jid: &BareJid, enabled: bool) -> Result<(), AccountError> {
        let account = Account { enabled, ..self.existing(jid).await? };
        self.keep(jid, &account).await
    }

    /// Removes an account with everything that is kept of it.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn delete(&self, jid: &BareJid) -> Result<(), AccountError> {
        self.existing(jid).await?;
        Ok(self.store.erase(self.fence(jid)?, jid.clone()).await?)
    }

    /// Accounts behind `after`, in order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(
        &self,
        after: Option<BareJid>,
        limit: usize,
    ) -> Result<Vec<Line>, AccountError> {
        let mut lines = Vec::new();
        for jid in self.store.owners(Kind::Account, after, limit).await? {
            let Some(row) = self.load(&jid).await? else { continue };
            let enabled = Account::is_enabled(&row).unwrap_or(false);
            lines.push(Line { jid: jid.to_string(), enabled });
        }
        Ok(lines)
    }

    fn account(&self, password: &str) -> Result<Account, AccountError> {
        let mut salts = [[0; 16]; 3];
        for salt in &mut salts {
            getrandom::fill(salt).map_err(|_| AccountError::Password)?;
        }
        Credentials::derive(password, self.iterations, salts)
            .map(Account::new)
            .map_err(|_| AccountError::Password)
    }

    async fn existing(&self, jid: &BareJid) -> Result<Account, AccountError> {
        let row = self.load(jid).await?.ok_or_else(|| AccountError::Missing(jid.clone()))?;
        Account::decode(&row).map_err(|_| AccountError::Unreadable(jid.clone()))
    }

    async fn load(&self, jid: &BareJid) -> Result<Option<Vec<u8>>, AccountError> {
        let row =
            self.store.get(self.fence(jid)?, Key::new(jid.clone(), Kind::Account, "")).await?;
        Ok(row.map(|row| row.to_vec()))
    }

    async fn keep(&self, jid: &BareJid, account: &Account) -> Result<(), AccountError> {
        let key = Key::new(jid.clone(), Kind::Account, "");
        let batch = Batch::new(self.fence(jid)?).with(Write::Put(key, account.encode().into()));
        self.store.commit(vec![batch]).await.into_iter().collect::<Result<(), _>>()?;
        Ok(())
    }

    fn fence(&self, jid: &BareJid) -> Result<Fence, AccountError> {
        (self.fence)(jid).ok_or_else(|| AccountError::NoOwner(jid.clone()))
    }
}

//! Owns what may be done to accounts: add, remove, list, new password, enable, disable.

use std::sync::Arc;
use std::time::Duration;

use auth::{Account, Credentials, saslprep};
use meter::clock::unix_seconds;
use proto::Hosts;
use proto::session::UserEvent;
use serde::{Deserialize, Serialize};
use store::{Batch, Fence, Key, Kind, SharedStore, Write};
use tokio::sync::Semaphore;
use xmpp::{BareJid, prep};

use crate::claim::{Name, commit};
use crate::notice::NoticeCache;
use crate::policy;

/// Passwords turned into keys at a time by one process; more wait.
const DERIVED_AT_A_TIME: usize = 2;
static DERIVES: Semaphore = Semaphore::const_new(DERIVED_AT_A_TIME);

/// How long is waited for an account to leave, and how often it is looked for.
const LEAVES_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

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
    /// How accounts are told that something has changed; none while no server runs.
    pub tell: Option<Tell>,
    /// What domains told their people a moment ago.
    pub notice_cache: Arc<NoticeCache>,
}

/// Tells an account something.
pub type Tell = Arc<dyn Fn(&BareJid, UserEvent) + Send + Sync>;

/// By what right an account is written.
pub type FenceOf = Arc<dyn Fn(&BareJid) -> Option<Fence> + Send + Sync>;

/// An account in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
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
    /// Somebody else adds an account of this name.
    #[error("{0} is being added by somebody else; try again")]
    Busy(BareJid),
    /// It does not go.
    #[error("{0} cannot be used any more, but is not gone yet; try again")]
    Leaving(BareJid),
    /// What is stored cannot be read.
    #[error("the stored account {0} cannot be read")]
    Unreadable(BareJid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Reads an address of a served domain.
    ///
    /// # Errors
    /// `text` is not the address of an account of a served domain.
    pub fn address(&self, text: &str) -> Result<BareJid, AccountError> {
        address(&self.hosts, text)
    }

    /// Makes an account. Derives keys, which takes some milliseconds of CPU.
    ///
    /// # Errors
    /// The address, the name or the password is refused, or the account exists.
    pub async fn add(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        check_name(jid)?;
        let credentials = self.credentials(password).await?;
        self.make(jid, &Account::new(credentials), Vec::new()).await
    }

    /// Makes an account of these credentials, and keeps more rows with it; not where there is one of its name, or
    /// where somebody else makes one.
    ///
    /// # Errors
    /// The account exists, or the store fails.
    pub async fn make(
        &self,
        jid: &BareJid,
        account: &Account,
        more: Vec<Write>,
    ) -> Result<(), AccountError> {
        let name = Name { owner: jid.clone(), kind: Kind::Claim, prefix: Vec::new() };
        let fence = self.fence(jid)?;
        let claim = name.take(&self.store, fence, 1, unix_seconds()).await?;
        let claim = claim.ok_or_else(|| AccountError::Busy(jid.clone()))?;
        let is_there = self.load(jid).await?.is_some();
        let mut batch = Batch::new(fence).with(claim.release());
        if !is_there {
            batch.writes.push(Write::Put(key(jid), account.encode().into()));
            batch.writes.extend(more);
        }
        commit(&self.store, batch).await?;
        if is_there {
            return Err(AccountError::Exists(jid.clone()));
        }
        self.tell(jid, UserEvent::AccountChanged);
        Ok(())
    }

    /// Sets another password.
    ///
    /// # Errors
    /// There is no such account, or the password is refused.
    pub async fn set_password(&self, jid: &BareJid, password: &str) -> Result<(), AccountError> {
        let credentials = self.credentials(password).await?;
        let account = Account { credentials, ..self.existing(jid).await? };
        self.keep(jid, &account).await
    }

    /// Allows or forbids to use an account.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn set_enabled(&self, jid: &BareJid, enabled: bool) -> Result<(), AccountError> {
        let account = Account { enabled, ..self.existing(jid).await? };
        self.keep(jid, &account).await?;
        self.tell(jid, UserEvent::AccountChanged);
        Ok(())
    }

    /// Removes an account with everything that is kept of it. It is marked first; where a server runs, the account
    /// itself takes leave of its contacts and sessions then, and removes its rows.
    ///
    /// # Errors
    /// There is no such account, or it does not go in time.
    pub async fn delete(&self, jid: &BareJid) -> Result<(), AccountError> {
        let account = self.existing(jid).await?;
        if self.tell.is_none() {
            return Ok(self.store.erase(self.fence(jid)?, jid.clone()).await?);
        }
        self.keep(jid, &Account { leaving: true, ..account }).await?;
        self.tell(jid, UserEvent::AccountChanged);
        let gone = async {
            while self.load(jid).await?.is_some() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        let gone = tokio::time::timeout(LEAVES_WITHIN, gone).await;
        gone.unwrap_or_else(|_| Err(AccountError::Leaving(jid.clone())))
    }

    /// Whether there is an account, and whether it may be used.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn is_enabled(&self, jid: &BareJid) -> Result<bool, AccountError> {
        self.existing(jid).await.map(|account| account.may_be_used())
    }

    /// Accounts behind `after`, in order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(
        &self,
        after: Option<BareJid>,
        limit: usize,
    ) -> Result<Vec<AccountRow>, AccountError> {
        let mut rows = Vec::new();
        for jid in self.store.owners(Kind::Account, after, limit).await? {
            let Some(row) = self.load(&jid).await? else { continue };
            let enabled = Account::is_enabled(&row).unwrap_or(false);
            rows.push(AccountRow { jid: jid.to_string(), enabled });
        }
        Ok(rows)
    }

    /// The keys of a password.
    ///
    /// # Errors
    /// It cannot be used.
    pub async fn credentials(&self, password: &str) -> Result<Credentials, AccountError> {
        derive(password.to_owned(), self.iterations).await.ok_or(AccountError::Password)
    }

    /// Says something to an account, where a server runs.
    pub fn tell(&self, jid: &BareJid, event: UserEvent) {
        if let Some(tell) = &self.tell {
            tell(jid, event);
        }
    }

    async fn existing(&self, jid: &BareJid) -> Result<Account, AccountError> {
        let row = self.load(jid).await?.ok_or_else(|| AccountError::Missing(jid.clone()))?;
        Account::decode(&row).map_err(|_| AccountError::Unreadable(jid.clone()))
    }

    async fn load(&self, jid: &BareJid) -> Result<Option<Vec<u8>>, AccountError> {
        let row = self.store.get(self.fence(jid)?, key(jid)).await?;
        Ok(row.map(|row| row.to_vec()))
    }

    async fn keep(&self, jid: &BareJid, account: &Account) -> Result<(), AccountError> {
        let write = Write::Put(key(jid), account.encode().into());
        Ok(commit(&self.store, Batch::new(self.fence(jid)?).with(write)).await?)
    }

    /// By what right rows of this owner are written.
    ///
    /// # Errors
    /// No member owns it.
    pub fn fence(&self, jid: &BareJid) -> Result<Fence, AccountError> {
        (self.fence)(jid).ok_or_else(|| AccountError::NoOwner(jid.clone()))
    }
}

/// Whether an account could be made, as far as can be said before it is looked for: of many, all are judged before the
/// first is made.
///
/// # Errors
/// The address, the name or the password is refused.
pub fn may_be_made(hosts: &Hosts, jid: &str, password: &str) -> Result<(), AccountError> {
    check_name(&address(hosts, jid)?)?;
    match saslprep::stored(password) {
        Ok(prepared) if !prepared.is_empty() => Ok(()),
        _ => Err(AccountError::Password),
    }
}

fn address(hosts: &Hosts, text: &str) -> Result<BareJid, AccountError> {
    let wrong = || AccountError::Address(text.to_owned());
    let jid = BareJid::parse(text).map_err(|_| wrong())?;
    if jid.localpart().is_none() {
        return Err(wrong());
    }
    if !hosts.serves(jid.domainpart()) {
        let served: Vec<&str> = hosts.domains().iter().map(|it| it.as_str()).collect();
        return Err(AccountError::Domain(jid.domainpart().to_owned(), served.join(", ")));
    }
    Ok(jid)
}

fn check_name(jid: &BareJid) -> Result<(), AccountError> {
    let name = jid.localpart().unwrap_or_default();
    prep::new_localpart(name).map(drop).map_err(|_| AccountError::Name(name.to_owned()))
}

/// The keys of a password; none where it cannot be used. On a thread where that may take its time; a few at a time.
pub async fn derive(password: String, iterations: u32) -> Option<Credentials> {
    let _place = DERIVES.acquire().await;
    let derive = move || policy::credentials(&password, iterations);
    tokio::task::spawn_blocking(derive).await.ok().flatten()
}

fn key(jid: &BareJid) -> Key {
    Key::new(jid.clone(), Kind::Account, "")
}

#[cfg(test)]
pub(crate) mod tests {
    use store::contract::block_on;
    use store::{Bucket, Epoch, Memory};

    use super::*;

    pub(crate) fn accounts() -> Accounts {
        let fence = Fence { bucket: Bucket::new(0).unwrap(), epoch: Epoch(1) };
        Accounts {
            store: Arc::new(Memory::new()),
            fence: Arc::new(move |_| Some(fence)),
            hosts: Hosts::new([BareJid::parse("capulet.example").unwrap()], []),
            iterations: auth::credentials::DEFAULT_ITERATIONS,
            tell: None,
            notice_cache: Arc::default(),
        }
    }

    fn juliet() -> BareJid {
        BareJid::parse("juliet@capulet.example").unwrap()
    }

    #[tokio::test]
    async fn an_account_is_there_from_its_making_to_its_end() {
        let accounts = accounts();
        accounts.add(&juliet(), "r0m30myr0m30").await.unwrap();
        assert!(accounts.is_enabled(&juliet()).await.unwrap());
        let twice = accounts.add(&juliet(), "another").await;
        assert!(matches!(twice, Err(AccountError::Exists(_))), "{twice:?}");
        accounts.set_enabled(&juliet(), false).await.unwrap();
        accounts.set_password(&juliet(), "another").await.unwrap();
        assert!(!accounts.is_enabled(&juliet()).await.unwrap(), "a password does not enable");
        accounts.delete(&juliet()).await.unwrap();
        let gone = accounts.is_enabled(&juliet()).await;
        assert!(matches!(gone, Err(AccountError::Missing(_))), "{gone:?}");
    }

    #[test]
    fn of_two_who_make_the_same_account_at_once_one_is_refused() {
        let accounts = accounts();
        let name = Name { owner: juliet(), kind: Kind::Claim, prefix: Vec::new() };
        let fence = accounts.fence(&juliet()).unwrap();
        block_on(name.take(&accounts.store, fence, 1, unix_seconds()))
            .unwrap()
            .expect("nobody else is there");
        let account = Account::new(Credentials::decoy(b"secret", "juliet", 10_000));
        let second = block_on(accounts.make(&juliet(), &account, Vec::new()));
        assert!(matches!(second, Err(AccountError::Busy(_))), "{second:?}");
    }
}

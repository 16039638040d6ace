//! Owns the question who may sign in: an account by its address, wherever it is kept.

use std::sync::Arc;

use auth::Account;
use auth::account::AccountError;
use futures_util::future::BoxFuture;
use router::Router;
use store::{Fence, Key, Kind, SharedStore};
use xmpp::BareJid;

/// Where accounts are looked up. Shared by all threads.
pub trait Accounts: Send + Sync + 'static {
    /// The account of this address; none where there is none.
    fn account(&self, jid: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>>;
}

/// Why an account cannot be looked up now. The client is told to try again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The store failed.
    #[error("the account could not be loaded")]
    Store(#[source] store::Error),
    /// What the store has of it is no account.
    #[error("the account's row cannot be read")]
    Row(#[source] AccountError),
}

/// Accounts in the store: the row of [`Kind::Account`], in the form of [`auth::account`].
#[derive(Clone)]
pub struct StoredAccounts {
    store: SharedStore,
    router: Router,
}

impl StoredAccounts {
    /// Reads from this store. The router knows the epochs.
    pub fn new(store: SharedStore, router: Router) -> Self {
        Self { store, router }
    }
}

impl Accounts for StoredAccounts {
    fn account(&self, jid: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>> {
        let store = Arc::clone(&self.store);
        let bucket = self.router.bucket(&jid);
        let fence = Fence { bucket, epoch: self.router.epoch(&jid) };
        Box::pin(async move {
            let key = Key::new(jid, Kind::Account, "");
            let row = match store.get(fence, key.clone()).await {
                // Another member owns the account. Reading by its epoch is no claim.
                Err(store::Error::Fenced { current, .. }) => {
                    let fence = Fence { bucket, epoch: store::Epoch(current) };
                    store.get(fence, key).await
                }
                row => row,
            };
            let row = row.map_err(LookupError::Store)?;
            row.map(|row| Account::decode(&row).map_err(LookupError::Row)).transpose()
        })
    }
}

//! Owns the question who may sign in: an account by its address, wherever it is kept.

use std::sync::Arc;

use auth::account::AccountError;
use auth::credentials::DEFAULT_ITERATIONS;
use auth::{Account, Credentials};
use futures_util::future::BoxFuture;
use router::Router;
use store::{Batch, Fence, Key, Kind, SharedStore, Write};
use xmpp::BareJid;

use crate::tokens::DEVICES;

/// Where accounts are looked up. Shared by all threads.
pub trait Accounts: Send + Sync + 'static {
    /// The account of this address; none where there is none.
    fn account(&self, jid: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>>;

    /// What is kept of the tokens of its clients. Default: nothing.
    fn tokens(&self, jid: BareJid) -> BoxFuture<'static, Result<Vec<TokenRow>, LookupError>> {
        drop(jid);
        Box::pin(async { Ok(Vec::new()) })
    }

    /// Keeps an account with more verifiers (XEP-0480), if it is still as it was. Default: it is not kept.
    fn upgrade(
        &self,
        jid: BareJid,
        before: Account,
        after: Account,
    ) -> BoxFuture<'static, Result<(), LookupError>> {
        drop((jid, before, after));
        Box::pin(async { Err(LookupError::Store(store::Error::Closed)) })
    }

    /// Keeps rows of tokens, or removes them. Default: nothing is kept, and the client is not told of a token.
    fn keep_tokens(
        &self,
        jid: BareJid,
        rows: Vec<(String, Option<Vec<u8>>)>,
    ) -> BoxFuture<'static, Result<(), LookupError>> {
        drop((jid, rows));
        Box::pin(async { Err(LookupError::Store(store::Error::Closed)) })
    }
}

/// What is kept of the tokens of a client: the name of its row, and the row.
pub type TokenRow = (String, Vec<u8>);

/// Why an account cannot be looked up now. The client is told to try again later.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The store failed.
    #[error("the account could not be loaded")]
    Store(#[source] store::Error),
    /// It was changed meanwhile.
    #[error("the account was changed meanwhile")]
    Changed,
    /// What the store has of it is no account.
    #[error("the account's row cannot be read")]
    Row(#[source] AccountError),
}

/// Accounts in the store: the row of [`Kind::Account`], in the form of [`auth::account`].
#[derive(Clone)]
pub struct StoredAccounts {
    store: SharedStore,
    router: Router,
    /// A row that is nobody's: an account that is not there costs as much as one that is.
    nobody: Arc<[u8]>,
}

impl StoredAccounts {
    /// Reads from this store. The router knows the epochs.
    pub fn new(store: SharedStore, router: Router) -> Self {
        let nobody = Account::new(Credentials::decoy(b"", "", DEFAULT_ITERATIONS)).encode();
        Self { store, router, nobody: nobody.into() }
    }

    /// By what right rows of an account are read.
    fn fence(&self, jid: &BareJid) -> Fence {
        Fence { bucket: self.router.bucket(jid), epoch: self.router.epoch(jid) }
    }

    /// By what right rows are written that gates alone write, on whichever member.
    fn owners_fence(&self, jid: &BareJid) -> Fence {
        self.router.owners_fence(jid).unwrap_or_else(|| self.fence(jid))
    }
}

impl Accounts for StoredAccounts {
    fn account(&self, jid: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>> {
        let (store, nobody) = (Arc::clone(&self.store), Arc::clone(&self.nobody));
        let fence = self.fence(&jid);
        Box::pin(async move {
            let key = Key::new(jid, Kind::Account, "");
            let row = match store.get(fence, key.clone()).await {
                // Another member owns the account. Reading by its epoch is no claim.
                Err(store::Error::Fenced { current, .. }) => {
                    let fence = Fence { epoch: store::Epoch(current), ..fence };
                    store.get(fence, key).await
                }
                row => row,
            };
            let Some(row) = row.map_err(LookupError::Store)? else {
                drop(std::hint::black_box(Account::decode(&nobody)));
                return Ok(None);
            };
            Account::decode(&row).map(Some).map_err(LookupError::Row)
        })
    }

    fn tokens(&self, jid: BareJid) -> BoxFuture<'static, Result<Vec<TokenRow>, LookupError>> {
        let fence = self.owners_fence(&jid);
        let rows = self.store.scan(fence, jid, Kind::Token, None, 2 * DEVICES);
        Box::pin(async move {
            let rows = rows.await.map_err(LookupError::Store)?;
            let row = |row: store::Row| {
                (String::from_utf8_lossy(&row.item).into_owned(), row.value.to_vec())
            };
            Ok(rows.into_iter().map(row).collect())
        })
    }

    fn upgrade(
        &self,
        jid: BareJid,
        before: Account,
        after: Account,
    ) -> BoxFuture<'static, Result<(), LookupError>> {
        let (store, fence) = (Arc::clone(&self.store), self.owners_fence(&jid));
        let key = Key::new(jid, Kind::Account, "");
        Box::pin(async move {
            let row = store.get(fence, key.clone()).await.map_err(LookupError::Store)?;
            if row.is_none_or(|row| row != before.encode()) {
                return Err(LookupError::Changed);
            }
            let batch = Batch::new(fence).with(Write::Put(key, after.encode().into()));
            let kept = store.commit(vec![batch]).await;
            kept.into_iter().collect::<Result<(), _>>().map_err(LookupError::Store)
        })
    }

    fn keep_tokens(
        &self,
        jid: BareJid,
        rows: Vec<(String, Option<Vec<u8>>)>,
    ) -> BoxFuture<'static, Result<(), LookupError>> {
        let mut batch = Batch::new(self.owners_fence(&jid));
        for (item, row) in rows {
            let key = Key::new(jid.clone(), Kind::Token, item);
            batch = batch.with(match row {
                Some(row) => Write::Put(key, row.into()),
                None => Write::Delete(key),
            });
        }
        let kept = self.store.commit(vec![batch]);
        Box::pin(async move {
            kept.await.pop().unwrap_or(Err(store::Error::Closed)).map_err(LookupError::Store)
        })
    }
}

#[cfg(test)]
mod tests {
    use cluster::{HashKey, Lease, Plan, PlanHandle};
    use proto::{Hosts, MemberId};
    use store::contract::block_on;
    use store::{Epoch, Memory};

    use super::*;

    fn account() -> Account {
        Account::new(Credentials::decoy(b"secret", "juliet", 10_000))
    }

    /// A store with one row, and a router that believes that it owns everything.
    fn stored(jid: &BareJid, row: Vec<u8>, epoch: u64) -> StoredAccounts {
        let plan = PlanHandle::fixed(Plan::single(MemberId(1), HashKey::new([7; 16])));
        let router = Router::new(MemberId(1), plan, Lease::always(), Hosts::default(), Vec::new());
        let store: SharedStore = Arc::new(Memory::new());
        let own = router.epoch(jid).0;
        let fence = Fence { bucket: router.bucket(jid), epoch: Epoch(own + epoch) };
        let key = Key::new(jid.clone(), Kind::Account, "");
        let batch = Batch::new(fence).with(Write::Put(key, row.into()));
        for answer in block_on(store.commit(vec![batch])) {
            answer.unwrap();
        }
        StoredAccounts::new(store, router)
    }

    #[test]
    fn an_account_is_found_by_its_address_and_no_other() {
        let jid = BareJid::parse("juliet@capulet.example").unwrap();
        let accounts = stored(&jid, account().encode(), 0);
        assert_eq!(block_on(accounts.account(jid)).unwrap(), Some(account()));
        let other = BareJid::parse("nurse@capulet.example").unwrap();
        assert_eq!(block_on(accounts.account(other)).unwrap(), None);
    }

    #[test]
    fn an_account_of_another_member_is_read_by_that_members_epoch() {
        let jid = BareJid::parse("juliet@capulet.example").unwrap();
        let accounts = stored(&jid, account().encode(), 5);
        assert_eq!(block_on(accounts.account(jid)).unwrap(), Some(account()));
    }

    #[test]
    fn a_row_that_is_no_account_lets_nobody_in() {
        let jid = BareJid::parse("juliet@capulet.example").unwrap();
        let accounts = stored(&jid, b"broken".to_vec(), 0);
        assert!(matches!(block_on(accounts.account(jid)), Err(LookupError::Row(_))));
    }
}

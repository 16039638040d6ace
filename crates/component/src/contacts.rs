//! Owns how a component that has come hears of people's contacts at other servers (XEP-0356 §8 rule 1): every account of the
//! cluster is told, in turn, and asks them itself unless somebody is there (`user/src/extensions/privilege.rs`).
//!
//! The member that the component has come to goes over all accounts, whoever owns their shards: the router finds who that is
//! when each is told. So a shard that moves meanwhile, or is taken over, is neither forgotten nor asked twice.
//!
//! It begins with the first stream to this member, and anew where one of several ends: what that one was told, or a process
//! that was there before it, the others may not have heard. It ends with the last one.
//!
//! Bound: one page of names; one page in a second for each component, however often it comes and goes.

use std::sync::Arc;
use std::time::Duration;

use proto::{Body, Route};
use store::{Cursor, Kind, SharedStore};
use tokio::time::sleep;
use xmpp::BareJid;
use xmpp::privilege::Presence;

use crate::config::Component;
use crate::registry::{Registered, Registry};

/// Accounts that are told in a second, for each thread of this member. Each of them may ask many, and other servers let us
/// say no more than so much at a time.
pub(crate) const A_SECOND: usize = 20;

const SECOND: Duration = Duration::from_secs(1);
/// Before a store that has failed is asked again.
const PAUSE: Duration = Duration::from_secs(10);

impl Registry {
    /// Begins, in the place of what has begun before.
    pub(crate) fn ask_contacts(&self, registered: &Registered) {
        registered.ask_no_more();
        let Component { domain, privileges, .. } = &registered.component;
        if privileges.presence != Presence::Roster {
            return;
        }
        let (router, about) = (self.router.clone(), domain.clone());
        let tell = move |account| {
            router.order(Route::User(account), Body::AskContacts(about.clone()));
        };
        let in_a_second = A_SECOND * self.router.waiting().len().max(1);
        let telling = tell_all(Arc::clone(&self.store), domain.clone(), in_a_second, tell);
        *registered.telling.borrow_mut() = Some(actix_rt::spawn(telling));
    }
}

impl Registered {
    /// Ends what has begun.
    pub(crate) fn ask_no_more(&self) {
        if let Some(telling) = self.telling.take() {
            telling.abort();
        }
    }
}

/// Tells every account once, at most so many in a second.
async fn tell_all(
    store: SharedStore,
    component: BareJid,
    in_a_second: usize,
    tell: impl Fn(BareJid),
) {
    let mut next = Some(Cursor::default());
    while let Some(from) = next {
        sleep(SECOND).await;
        match store.walk(Kind::Account, from.clone(), in_a_second).await {
            Ok(walked) => {
                walked.owners.into_iter().for_each(&tell);
                next = walked.next;
            }
            Err(error) => {
                tracing::warn!(jid = %component, %error, "accounts cannot be told of a component");
                next = Some(from);
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    use store::{Batch, Key, Memory, Store as _, Write};
    use tokio::time::{Instant, timeout};
    use xmpp::{Bucket, Epoch, Fence};

    use super::*;

    /// With so many accounts.
    pub(crate) async fn store(accounts: usize) -> Arc<Memory> {
        let memory = Memory::new();
        let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) };
        for number in 0..accounts {
            let jid = BareJid::parse(&format!("a{number}@x.org")).unwrap();
            let write = Write::Put(Key::new(jid, Kind::Account, ""), "".into());
            memory.commit(vec![Batch::new(fence).with(write)]).await.remove(0).unwrap();
        }
        Arc::new(memory)
    }

    fn component() -> BareJid {
        BareJid::parse("irc.x.org").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_account_is_told_once_and_no_more_than_so_many_in_a_second() {
        for (accounts, in_each) in [(0, &[][..]), (1, &[1]), (20, &[20]), (45, &[20, 20, 5])] {
            let (begun, told) = (Instant::now(), RefCell::new(Vec::new()));
            let tell = |jid| told.borrow_mut().push((begun.elapsed().as_secs(), jid));
            tell_all(store(accounts).await, component(), 20, tell).await;
            let told = told.into_inner();
            let of = |page| told.iter().filter(|(at, _)| *at == page + 1).count();
            let counts: Vec<usize> = (0..in_each.len() as u64).map(of).collect();
            assert_eq!(counts, in_each);
            let mut all: Vec<_> = told.into_iter().map(|(_, jid)| jid).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), accounts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_where_it_was_when_a_store_that_has_failed_answers_again() {
        let (memory, told) = (store(30).await, RefCell::new(0));
        let tell = |_| *told.borrow_mut() += 1;
        let mut telling = std::pin::pin!(tell_all(memory.clone(), component(), 20, tell));
        assert!(timeout(SECOND * 3 / 2, &mut telling).await.is_err());
        memory.refuse_lists(Some(store::Error::Closed));
        assert!(timeout(PAUSE, &mut telling).await.is_err());
        assert_eq!(*told.borrow(), 20);
        memory.refuse_lists(None);
        telling.await;
        assert_eq!(*told.borrow(), 30);
    }
}

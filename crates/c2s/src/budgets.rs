//! Owns what all connections of one account together may send, so that many connections are no way around the limits
//! of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket::rate::{Spent, Traffic};
use tokio::time::Instant;
use xmpp::BareJid;

use crate::config::Limits;

/// The accounts with a session whose connection is here. Bounded by the number of connections.
#[derive(Debug)]
pub(crate) struct Budgets {
    begun: Instant,
    accounts: Mutex<HashMap<BareJid, Arc<Mutex<Spent>>>>,
}

/// One connection's part in the budget of its account; given back when dropped.
#[derive(Debug)]
pub(crate) struct Budget {
    budgets: Arc<Budgets>,
    account: BareJid,
    rate: Arc<Mutex<Spent>>,
}

impl Budgets {
    pub(crate) fn new(now: Instant) -> Arc<Self> {
        Arc::new(Self { begun: now, accounts: Mutex::default() })
    }

    /// One more connection of this account.
    pub(crate) fn join(self: &Arc<Self>, account: &BareJid) -> Budget {
        let rate = Arc::clone(lock(&self.accounts).entry(account.clone()).or_default());
        Budget { budgets: Arc::clone(self), account: account.clone(), rate }
    }
}

impl Budget {
    /// Counts what one connection has read; answers how long it is not to read, if at all.
    pub(crate) fn count(&self, now: Instant, read: Traffic, limits: &Limits) -> Option<Duration> {
        lock(&self.rate).count(now - self.budgets.begun, read, limits.of_account())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        let mut accounts = lock(&self.budgets.accounts);
        // Its own and the list's; nobody joins while the list is locked.
        if Arc::strong_count(&self.rate) == 2 {
            accounts.remove(&self.account);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn all_connections_of_an_account_have_one_budget_and_those_of_others_have_theirs() {
        let limits = Limits {
            stanzas_per_second: 10,
            stanzas_burst: 20,
            account_connections: 2,
            ..Limits::default()
        };
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let budgets = Budgets::new(now);
        let [one, two] = [(); 2].map(|()| budgets.join(&jid("romeo@localhost")));
        let other = budgets.join(&jid("juliet@localhost"));
        assert_eq!(one.count(now, Traffic { bytes: 0, stanzas: 20 }, &limits), None);
        assert_eq!(two.count(now, Traffic { bytes: 0, stanzas: 20 }, &limits), None);
        assert_eq!(two.count(now, Traffic { bytes: 0, stanzas: 20 }, &limits), Some(second));
        assert_eq!(one.count(now, Traffic { bytes: 0, stanzas: 20 }, &limits), Some(2 * second));
        assert_eq!(other.count(now, Traffic { bytes: 0, stanzas: 20 }, &limits), None);
        assert_eq!(one.count(now + 10 * second, Traffic { bytes: 0, stanzas: 40 }, &limits), None);
    }

    #[test]
    fn a_budget_ends_with_the_last_connection_of_its_account() {
        let budgets = Budgets::new(Instant::now());
        let [one, two] = [(); 2].map(|()| budgets.join(&jid("romeo@localhost")));
        drop(one);
        assert_eq!(lock(&budgets.accounts).len(), 1);
        drop(two);
        assert_eq!(lock(&budgets.accounts).len(), 0);
    }
}

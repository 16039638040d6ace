//! Owns how a component that has connected hears who is here (XEP-0356 §8 rule 1): every account of this thread that has a
//! session is told of it, a few at a time, so that neither the component nor anybody else is flooded. The account says
//! itself what the component may see.

use std::collections::btree_map::Entry;
use std::rc::Weak;
use std::time::Duration;

use proto::{Body, Route};
use xmpp::BareJid;

use super::Host;

/// Accounts that are told at a time.
const AT_ONCE: usize = 20;
/// Between one time and the next.
const PAUSE: Duration = Duration::from_millis(100);

impl Host {
    /// Begins to tell of a component. One that comes again meanwhile is told of from the start.
    pub(super) fn tell_of(&self, domain: &BareJid) {
        let accounts = self.accounts_with_sessions();
        match self.connected.borrow_mut().entry(domain.clone()) {
            Entry::Occupied(mut told) => {
                told.insert(accounts);
            }
            Entry::Vacant(place) => {
                place.insert(accounts);
                let host = self.arbiter.host.borrow().clone();
                actix_rt::spawn(tell(host, domain.clone()));
            }
        }
    }

    fn accounts_with_sessions(&self) -> Vec<BareJid> {
        let table = self.table.borrow();
        let account = |route: &Route| match route {
            Route::Session(session) => Some(session.account.clone()),
            _ => None,
        };
        let mut accounts: Vec<BareJid> = table.routes().filter_map(account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Some of those that are left; none where all are told.
    fn next_to_tell(&self, domain: &BareJid) -> Option<Vec<BareJid>> {
        let mut connected = self.connected.borrow_mut();
        let left = connected.get_mut(domain)?;
        let some = left.split_off(left.len().saturating_sub(AT_ONCE));
        if some.is_empty() {
            connected.remove(domain);
            return None;
        }
        Some(some)
    }
}

/// Tells until all are told.
async fn tell(host: Weak<Host>, domain: BareJid) {
    loop {
        let Some(host) = host.upgrade() else { return };
        let Some(accounts) = host.next_to_tell(&domain) else { return };
        for account in accounts {
            // By the plan of this moment: it may have moved.
            host.arbiter
                .router
                .order(Route::User(account), Body::ComponentConnected(domain.clone()));
        }
        drop(host);
        tokio::time::sleep(PAUSE).await;
    }
}

//! Owns the list of sessions whose connection is on this member, for administration. Nothing on the way of
//! a stanza asks it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meter::clock;
use proto::SessionId;
use xmpp::FullJid;

/// Who is here.
#[derive(Debug, Default)]
pub struct Directory {
    next: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Seen>>,
}

/// What is known of a session with a connection here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The session.
    pub id: SessionId,
    /// Its address.
    pub jid: FullJid,
    /// The client's network address.
    pub address: String,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// Its client has said that nobody looks at it (XEP-0352).
    pub idle: bool,
    /// Until when it waits to be resumed, in the same seconds, where it has no connection (XEP-0198).
    pub until: Option<u64>,
}

/// A session's line in the directory; dropping it strikes the line out.
#[derive(Debug)]
pub struct Entered {
    directory: Arc<Directory>,
    number: u64,
}

impl Directory {
    /// A session has a connection here, as long as the answer lives.
    pub fn enter(self: &Arc<Self>, id: SessionId, jid: FullJid, address: String) -> Entered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let since = clock::unix_seconds();
        self.lock().insert(number, Seen { id, jid, address, since, idle: false, until: None });
        Entered { directory: Arc::clone(self), number }
    }

    /// Every session with a connection here; of one full or bare address where one is named.
    pub fn list(&self, jid: Option<&str>) -> Vec<Seen> {
        let is = |seen: &&Seen| jid.is_none_or(|jid| seen.jid == *jid || seen.id.account == *jid);
        self.lock().values().filter(is).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Seen>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// The client says whether anybody looks at it.
    pub fn set_idle(&self, idle: bool) {
        if let Some(seen) = self.directory.lock().get_mut(&self.number) {
            seen.idle = idle;
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.directory.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_listed_while_its_connection_lives_and_found_by_both_addresses() {
        let directory = Arc::new(Directory::default());
        let jid = FullJid::parse("a@x/r").unwrap();
        let id = SessionId { account: jid.bare(), uid: 7 };
        let first = directory.enter(id.clone(), jid.clone(), "127.0.0.1:1".to_owned());
        let second = directory.enter(id.clone(), jid, "127.0.0.1:2".to_owned());
        let ids = |jid: Option<&str>| -> Vec<_> {
            directory.list(jid).into_iter().map(|seen| seen.id).collect()
        };
        drop(first);
        assert_eq!(
            directory.list(None)[0].address,
            "127.0.0.1:2",
            "a resumed session stays listed"
        );
        for address in ["a@x", "a@x/r"] {
            assert_eq!(ids(Some(address)), std::slice::from_ref(&id));
        }
        assert!(ids(Some("a@x/other")).is_empty());
        second.set_idle(true);
        assert!(directory.list(None)[0].idle);
        drop(second);
        assert!(ids(None).is_empty());
    }
}

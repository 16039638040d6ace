//! Owns the list of sessions whose connection is on this member, for administration. Nothing on the way of
//! a stanza asks it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::SessionId;
use xmpp::FullJid;

/// Who is here.
#[derive(Debug, Default)]
pub struct Directory {
    sessions: Mutex<BTreeMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    id: SessionId,
    jid: FullJid,
    seen: Seen,
}

/// What is known of a session's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The client's network address.
    pub address: String,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since: u64,
}

impl Directory {
    /// A session has a connection here.
    pub fn enter(&self, id: SessionId, jid: FullJid, seen: Seen) {
        self.lock().insert(id.uid, Entry { id, jid, seen });
    }

    /// Its connection is gone.
    pub fn leave(&self, id: &SessionId) {
        self.lock().remove(&id.uid);
    }

    /// Every session with a connection here, by address.
    pub fn list(&self) -> Vec<(FullJid, Seen)> {
        let mut list: Vec<_> =
            self.lock().values().map(|entry| (entry.jid.clone(), entry.seen.clone())).collect();
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        list
    }

    /// The sessions of a full or bare address.
    pub fn matching(&self, jid: &str) -> Vec<SessionId> {
        let is = |entry: &&Entry| entry.jid == *jid || entry.id.account == *jid;
        self.lock().values().filter(is).map(|entry| entry.id.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Owns the list of sessions of this member that wait to be resumed, for administration. Nothing on the way of a stanza
//! asks it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::SessionId;
use xmpp::FullJid;

/// Who waits.
#[derive(Debug, Default)]
pub struct Waiting {
    next: AtomicU64,
    sessions: Mutex<BTreeMap<u64, Detached>>,
}

/// A session that nobody holds, or whose client has come and is to hear how far it had got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// Which.
    pub id: SessionId,
    /// Its address.
    pub jid: FullJid,
    /// Since when, in seconds since 1970-01-01 UTC.
    pub since: u64,
    /// Until when, in the same seconds.
    pub until: u64,
}

/// A session's line in the list; dropping it strikes the line out.
#[derive(Debug)]
pub(crate) struct Entered {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Waiting {
    /// A session waits as long as the answer lives.
    pub(crate) fn enter(self: &Arc<Self>, detached: Detached) -> Entered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, detached);
        Entered { waiting: Arc::clone(self), number }
    }

    /// Every session that waits; of one full or bare address where one is named.
    pub fn list(&self, jid: Option<&str>) -> Vec<Detached> {
        let is = |it: &&Detached| jid.is_none_or(|jid| it.jid == *jid || it.id.account == *jid);
        self.lock().values().filter(is).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Detached>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

//! Owns the list of other servers' streams, for operators.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::BareJid;

/// Who is here.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    next: u64,
    by_number: HashMap<u64, (SocketAddr, Vec<BareJid>)>,
}

/// One stream's line in the list; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Arc<Guests>,
    number: u64,
}

impl Guests {
    /// Another stream, of nobody yet.
    pub(crate) fn enter(self: &Arc<Self>, address: SocketAddr) -> Guest {
        let mut all = self.lock();
        let number = all.next;
        all.next += 1;
        all.by_number.insert(number, (address, Vec::new()));
        Guest { guests: Arc::clone(self), number }
    }

    /// Each stream, and the domains that it speaks for.
    pub(crate) fn list(&self) -> Vec<(SocketAddr, Vec<BareJid>)> {
        self.lock().by_number.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// It speaks for these domains.
    pub(crate) fn is<'a>(&self, domains: impl Iterator<Item = &'a BareJid>) {
        if let Some((_, known)) = self.guests.lock().by_number.get_mut(&self.number) {
            *known = domains.cloned().collect();
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.lock().by_number.remove(&self.number);
    }
}

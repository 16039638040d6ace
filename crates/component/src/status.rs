//! Owns the list of components' streams to this member, for operators.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::BareJid;

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStatus {
    /// The component's domain.
    pub domain: BareJid,
    /// Where it comes from.
    pub address: SocketAddr,
    /// Stanzas that wait.
    pub waiting: usize,
}

/// Who is connected.
#[derive(Debug, Default)]
pub struct Status {
    all: Mutex<HashMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    domain: BareJid,
    address: SocketAddr,
    waiting: Arc<AtomicUsize>,
}

impl Status {
    /// All streams, by name and address.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamStatus> {
        let stream = |entry: &Entry| StreamStatus {
            domain: entry.domain.clone(),
            address: entry.address,
            waiting: entry.waiting.load(Ordering::Relaxed),
        };
        let mut streams: Vec<StreamStatus> = self.lock().values().map(stream).collect();
        streams.sort_by(|a, b| (&a.domain, a.address).cmp(&(&b.domain, b.address)));
        streams
    }

    /// A stream is there; what is given counts what waits for it.
    pub(crate) fn enter(
        &self,
        number: u64,
        domain: BareJid,
        address: SocketAddr,
    ) -> Arc<AtomicUsize> {
        let waiting = Arc::<AtomicUsize>::default();
        let entry = Entry { domain, address, waiting: Arc::clone(&waiting) };
        self.lock().insert(number, entry);
        waiting
    }

    /// It has gone.
    pub(crate) fn leave(&self, number: u64) {
        self.lock().remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

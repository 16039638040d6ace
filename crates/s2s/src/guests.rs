//! Owns the list of other servers' streams: for operators, and so that no domain has more than its share of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xmpp::BareJid;

/// Who is here.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: Mutex<Listed>,
}

/// A stream, and the domains that it speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) address: SocketAddr,
    pub(crate) domains: Vec<BareJid>,
}

#[derive(Debug, Default)]
struct Listed {
    next: u64,
    by_number: HashMap<u64, Entry>,
    /// How many streams speak for each domain.
    counts: HashMap<BareJid, usize>,
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
        all.by_number.insert(number, Entry { address, domains: Vec::new() });
        Guest { guests: Arc::clone(self), number }
    }

    /// All streams.
    pub(crate) fn list(&self) -> Vec<Entry> {
        self.lock().by_number.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// It speaks for one more domain; false where as many streams as may do so already.
    pub(crate) fn joins(&self, domain: &BareJid, most: usize) -> bool {
        let mut all = self.guests.lock();
        let Listed { by_number, counts, .. } = &mut *all;
        let count = counts.entry(domain.clone()).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        if let Some(entry) = by_number.get_mut(&self.number) {
            entry.domains.push(domain.clone());
        }
        true
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.guests.lock();
        let Some(entry) = all.by_number.remove(&self.number) else { return };
        for domain in entry.domains {
            if let Some(count) = all.counts.get_mut(&domain) {
                *count -= 1;
                if *count == 0 {
                    all.counts.remove(&domain);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_streams_speak_for_one_domain_and_no_more() {
        let guests = Arc::<Guests>::default();
        let [a, b] = ["a.example", "b.example"].map(|name| BareJid::parse(name).unwrap());
        let enter = || guests.enter("192.0.2.1:5269".parse().unwrap());
        let (first, second, third) = (enter(), enter(), enter());
        assert!(first.joins(&a, 2) && second.joins(&a, 2) && second.joins(&b, 2));
        assert!(!third.joins(&a, 2) && third.joins(&b, 2));
        drop(first);
        assert!(third.joins(&a, 2), "a place is free again");
        drop((second, third));
        assert!(guests.list().is_empty() && guests.lock().counts.is_empty());
    }
}

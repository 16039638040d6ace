//! Owns the list of other servers' streams: for operators, and so that no domain has more than its share of them; and why
//! some of late did not come to speak for their domains.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xmpp::BareJid;

use crate::past::{Fault, Past};

/// Domains of one stream of which it is shown why they are not believed.
const DOUBTS_MAX: usize = 8;

/// Who is here.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: Mutex<Listed>,
    past: Mutex<Past>,
}

/// A stream, and the domains that it speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) address: SocketAddr,
    pub(crate) domains: Vec<BareJid>,
    pub(crate) doubts: Vec<Doubt>,
}

/// Why the other end is not believed to be a domain's server, or not by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub(crate) domain: BareJid,
    /// In plain words.
    pub(crate) why: String,
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
        let entry = Entry { address, domains: Vec::new(), doubts: Vec::new() };
        all.by_number.insert(number, entry);
        Guest { guests: Arc::clone(self), number }
    }

    /// All streams.
    pub(crate) fn list(&self) -> Vec<Entry> {
        self.lock().by_number.values().cloned().collect()
    }

    /// This is why a stream of a domain's server was of no use, or ended.
    pub(crate) fn note(&self, domain: &BareJid, reason: &str, now: Duration) {
        self.past().note(domain, reason, now);
    }

    /// What was noted of late.
    pub(crate) fn faults(&self, now: Duration) -> Vec<Fault> {
        self.past().list(now)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// It is doubted that it is a domain's server; false where that is known, or too many others are.
    pub(crate) fn doubt(&self, domain: &BareJid, why: &str) -> bool {
        let mut all = self.guests.lock();
        let Some(entry) = all.by_number.get_mut(&self.number) else { return false };
        let doubt = Doubt { domain: domain.clone(), why: why.to_owned() };
        let is_new = entry.doubts.len() < DOUBTS_MAX && !entry.doubts.contains(&doubt);
        if is_new {
            entry.doubts.push(doubt);
        }
        is_new
    }

    /// What is doubted.
    pub(crate) fn doubts(&self) -> Vec<Doubt> {
        let all = self.guests.lock();
        all.by_number.get(&self.number).map(|entry| entry.doubts.clone()).unwrap_or_default()
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
    fn what_is_doubted_of_a_stream_is_listed_once_and_bounded() {
        let guests = Arc::<Guests>::default();
        let guest = guests.enter("192.0.2.1:5269".parse().unwrap());
        let domain = |number| BareJid::parse(&format!("d{number}.example")).unwrap();
        assert!(guest.doubt(&domain(0), "expired") && !guest.doubt(&domain(0), "expired"));
        assert!(guest.doubt(&domain(0), "its key is wrong"), "another reason");
        let new = (1..100).filter(|number| guest.doubt(&domain(*number), "expired")).count();
        assert_eq!(new, DOUBTS_MAX - 2);
        assert_eq!(guests.list()[0].doubts, guest.doubts());
        assert_eq!(guest.doubts()[0], Doubt { domain: domain(0), why: "expired".to_owned() });
    }

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

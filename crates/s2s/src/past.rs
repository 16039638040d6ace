//! Owns why other servers could not be spoken with of late: for operators who ask when nothing is tried any more. Pure: time
//! is handed in.
//!
//! Bound: for each domain the last failure, for an hour; 1,024 domains. With more, the oldest is forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use xmpp::BareJid;

/// For how long a failure is remembered.
const KEPT: Duration = Duration::from_secs(3_600);
/// Of so many domains.
const DOMAINS_MAX: usize = 1_024;
/// Characters of a reason, some of which another server has said.
const REASON_MAX: usize = 400;

/// The last failure of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) domain: BareJid,
    /// In plain words.
    pub(crate) reason: String,
    pub(crate) at: Duration,
}

/// The last failure of each domain; the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past(VecDeque<Fault>);

impl Past {
    /// This is why, now.
    pub(crate) fn note(&mut self, domain: &BareJid, reason: &str, now: Duration) {
        self.0.retain(|it| it.domain != *domain);
        if self.0.len() >= DOMAINS_MAX {
            self.0.pop_front();
        }
        let reason = reason.chars().take(REASON_MAX).collect();
        self.0.push_back(Fault { domain: domain.clone(), reason, at: now });
    }

    /// What is remembered still.
    pub(crate) fn list(&mut self, now: Duration) -> Vec<Fault> {
        self.0.retain(|it| it.at + KEPT > now);
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_last_failure_of_a_domain_is_remembered_for_an_hour() {
        let mut past = Past::default();
        past.note(&bare("a.example"), "first", at(1));
        past.note(&bare("b.example"), "other", at(2));
        past.note(&bare("a.example"), "last", at(3));
        let said = |past: &mut Past, seconds| -> Vec<String> {
            past.list(at(seconds)).into_iter().map(|it| it.reason).collect()
        };
        assert_eq!(said(&mut past, 3), ["other", "last"]);
        assert_eq!(said(&mut past, 3_602), ["last"]);
        assert!(said(&mut past, 3_603).is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_the_bound_and_the_oldest_goes_first() {
        let mut past = Past::default();
        for number in 0..=DOMAINS_MAX {
            past.note(&bare(&format!("d{number}.example")), &"x".repeat(9_999), at(1));
        }
        let all = past.list(at(1));
        assert_eq!((all.len(), all[0].domain.as_str()), (DOMAINS_MAX, "d1.example"));
        assert!(all.iter().all(|it| it.reason.len() == REASON_MAX));
    }
}

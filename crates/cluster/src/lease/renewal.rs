//! Owns the member's side of its lease: which grant counts, and until when. Pure.

use super::{Grant, Terms};
use crate::clock::BootTime;

/// What a member has been granted.
#[derive(Debug)]
pub(crate) struct Renewal {
    terms: Terms,
    /// The latest grant whose entry the plan does not have yet.
    waiting: Option<Grant>,
    end: BootTime,
}

impl Renewal {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms, waiting: None, end: BootTime(0) }
    }

    /// Takes the leader's answer to a heartbeat of this process; gives the end of the lease. An answer that
    /// comes late or out of order never shortens it: each grant is safe by itself.
    pub(crate) fn granted(&mut self, grant: Grant, applied: u64) -> BootTime {
        self.waiting = match self.waiting {
            Some(waiting) if waiting.sent > grant.sent => Some(waiting),
            _ => Some(grant),
        };
        self.applied(applied)
    }

    /// Notes how far the plan is; gives the end of the lease.
    pub(crate) fn applied(&mut self, applied: u64) -> BootTime {
        if let Some(grant) = self.waiting.take_if(|grant| applied >= grant.min_index) {
            self.end = self.end.max(self.terms.end(&grant));
        }
        self.end
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn grant(sent_ms: u64, min_index: u64) -> Grant {
        Grant { sent: BootTime(sent_ms * 1_000_000), ttl: Duration::from_secs(1), min_index }
    }

    fn end(sent_ms: u64) -> BootTime {
        BootTime((sent_ms + 950) * 1_000_000)
    }

    #[test]
    fn a_grant_counts_once_the_plan_has_its_entry() {
        let mut renewal = Renewal::new(Terms::default());
        assert_eq!(renewal.granted(grant(100, 7), 6), BootTime(0));
        assert_eq!(renewal.applied(6), BootTime(0));
        assert_eq!(renewal.applied(7), end(100));
    }

    #[test]
    fn what_was_granted_before_lasts_while_a_newer_grant_waits_for_the_plan() {
        let mut renewal = Renewal::new(Terms::default());
        assert_eq!(renewal.granted(grant(100, 7), 7), end(100));
        assert_eq!(renewal.granted(grant(300, 9), 8), end(100));
        assert_eq!(renewal.granted(grant(500, 9), 8), end(100));
        assert_eq!(renewal.applied(9), end(500));
    }

    #[test]
    fn an_answer_out_of_order_never_shortens_the_lease() {
        let mut renewal = Renewal::new(Terms::default());
        assert_eq!(renewal.granted(grant(500, 1), 1), end(500));
        assert_eq!(renewal.granted(grant(300, 1), 1), end(500));
        assert_eq!(renewal.granted(grant(900, 2), 1), end(500));
        assert_eq!(renewal.granted(grant(700, 1), 1), end(500));
        assert_eq!(renewal.applied(2), end(900));
    }
}

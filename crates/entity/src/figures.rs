//! Owns what is counted of entities, whatever kind they are.

use meter::{By, Counter, Peak};
use proto::session::ConnectionEvent;
use proto::{Body, Envelope, Route};
use router::Refusal;

use crate::refuse::Fault;

const REFUSALS: [&str; 7] = [
    "mailbox_full",
    "inbox_full",
    "no_owner",
    "no_remote",
    "too_many_hops",
    "load_failed",
    "panic",
];

/// Figures of all arbiters.
#[derive(Debug)]
pub struct Figures {
    /// Entities in memory, now, by kind.
    pub entities: By<{ Route::NAMES.len() }>,
    /// Turns that panicked.
    pub panics: Counter,
    /// Envelopes that no entity acts on, by reason.
    pub refused: By<{ REFUSALS.len() }>,
    /// Attempts to resume a session that did not get to where it would be.
    pub resumes_unreachable: Counter,
    /// Envelopes that had come over a link before, and were not acted on again.
    pub repeats: Counter,
    /// The most envelopes that waited for one entity.
    pub mailbox_peak: Peak,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            entities: By::new(Route::NAMES),
            panics: Counter::default(),
            refused: By::new(REFUSALS),
            resumes_unreachable: Counter::default(),
            repeats: Counter::default(),
            mailbox_peak: Peak::default(),
        }
    }
}

impl Figures {
    pub(crate) fn refuse(&self, envelope: &Envelope, fault: Fault) {
        self.refused.of(reason(fault)).add_one();
        if matches!(envelope.body, Body::FromConnection(_, ConnectionEvent::Resume { .. })) {
            self.resumes_unreachable.add_one();
        }
    }
}

fn reason(fault: Fault) -> &'static str {
    match fault {
        Fault::Mailbox => "mailbox_full",
        Fault::Way(Refusal::Full) => "inbox_full",
        Fault::Way(Refusal::NoOwner) => "no_owner",
        Fault::Way(Refusal::NoRemote) => "no_remote",
        Fault::Way(Refusal::TooManyHops) => "too_many_hops",
        Fault::Load => "load_failed",
        Fault::Panic => "panic",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_label_of_its_own() {
        let faults = [
            Fault::Mailbox,
            Fault::Way(Refusal::Full),
            Fault::Way(Refusal::NoOwner),
            Fault::Way(Refusal::NoRemote),
            Fault::Way(Refusal::TooManyHops),
            Fault::Load,
            Fault::Panic,
        ];
        assert_eq!(faults.map(reason), REFUSALS);
    }
}

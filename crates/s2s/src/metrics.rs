//! Owns what the gate counts. Names on the page of metrics are given elsewhere.

use meter::{By, Counter};

use crate::failure::Failure;

/// Figures of federation.
#[derive(Debug)]
pub struct Metrics {
    /// Stanzas of other servers.
    pub stanzas_in: Counter,
    /// Stanzas written to other servers.
    pub stanzas_out: Counter,
    /// Streams of other servers that were taken.
    pub accepted: Counter,
    /// Streams of other servers that were refused, by why.
    pub turned_away: By<4>,
    /// Attempts to open a stream that failed, by why.
    pub failures: By<11>,
    /// Stanzas that came back, by why.
    pub bounced: By<11>,
    /// Answers that no inbox had room for.
    pub refused: Counter,
    /// Stanzas of other servers that were not taken, by why.
    pub not_taken: By<3>,
    /// Keys that were looked at, by the verdict.
    pub verified: By<3>,
    /// Streams now: ours to others, theirs to us.
    pub streams: [Counter; 2],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            stanzas_in: Counter::default(),
            stanzas_out: Counter::default(),
            accepted: Counter::default(),
            turned_away: By::new(["all", "address", "memory", "late"]),
            failures: By::new(Failure::WORDS),
            bounced: By::new(Failure::WORDS),
            refused: Counter::default(),
            not_taken: By::new(["address", "malformed", "full"]),
            verified: By::new(["valid", "invalid", "error"]),
            streams: Default::default(),
        }
    }
}

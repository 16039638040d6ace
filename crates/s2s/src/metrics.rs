//! Owns what the gate counts. Names on the page of metrics are given elsewhere.

use meter::{By, Counter};
use xmpp::StanzaCondition;

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
    pub turned_away: By<5>,
    /// Attempts to open a stream that failed, by why.
    pub failures: By<11>,
    /// Stanzas that came back, by why.
    pub bounced: By<11>,
    /// Stanzas for other servers that came again, and had left or wait.
    pub repeats: Counter,
    /// Answers that no inbox had room for.
    pub refused: Counter,
    /// Stanzas of other servers that were not taken, by why.
    pub not_taken: By<3>,
    /// Keys that were looked at, by the verdict.
    pub verified: By<3>,
    /// Streams now: ours to others, theirs to us.
    pub streams: [Counter; 2],
}

impl Metrics {
    /// One more stanza of another server is answered with this error, and not handed on.
    pub(crate) fn refuse(&self, condition: StanzaCondition) {
        let why = match condition {
            StanzaCondition::RemoteServerNotFound | StanzaCondition::NotAllowed => "address",
            _ => "malformed",
        };
        self.not_taken.of(why).add_one();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            stanzas_in: Counter::default(),
            stanzas_out: Counter::default(),
            accepted: Counter::default(),
            turned_away: By::new(["all", "address", "memory", "late", "domain"]),
            failures: By::new(Failure::WORDS),
            bounced: By::new(Failure::WORDS),
            repeats: Counter::default(),
            refused: Counter::default(),
            not_taken: By::new(["address", "malformed", "full"]),
            verified: By::new(["valid", "invalid", "error"]),
            streams: Default::default(),
        }
    }
}

//! Owns what the gate counts. Names on the page of metrics are given elsewhere.

use meter::{By, Counter};

/// Figures of components.
#[derive(Debug)]
pub struct Metrics {
    /// Streams now.
    pub streams: Counter,
    /// Stanzas of components.
    pub stanzas_in: Counter,
    /// Stanzas written to components.
    pub stanzas_out: Counter,
    /// Connections that did not become streams, by why.
    pub turned_away: By<7>,
    /// Stanzas that came back, by why.
    pub bounced: By<3>,
    /// Stanzas for components that came again, and had left or wait.
    pub repeats: Counter,
    /// Stanzas of components that were not taken, by why.
    pub not_taken: By<2>,
    /// Answers that no inbox had room for.
    pub refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            streams: Counter::default(),
            stanzas_in: Counter::default(),
            stanzas_out: Counter::default(),
            turned_away: By::new([
                "all", "memory", "address", "late", "domain", "secret", "conflict",
            ]),
            bounced: By::new(["away", "full", "stopped"]),
            repeats: Counter::default(),
            not_taken: By::new(["malformed", "full"]),
            refused: Counter::default(),
        }
    }
}

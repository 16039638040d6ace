//! Owns what is counted of accounts and sessions. Nothing is decided by it.

use std::sync::Arc;

use meter::{By, Counter};

const RESUMES: [&str; 6] = ["ok", "no_session", "expired", "wrong_secret", "stale", "too_high"];

const DROPS: [&str; 10] = [
    "offline_full",
    "blocked",
    "nobody_there",
    "not_inside",
    "superseded",
    "given_before",
    "session_queue_full",
    "not_archived",
    "not_stored",
    "unreadable",
];

/// Figures of all accounts and sessions of this member.
#[derive(Debug)]
pub struct Figures {
    /// Attempts to resume a session (XEP-0198 §5), by how they went.
    pub resumes: By<{ RESUMES.len() }>,
    /// What could not be delivered, kept or stored, by reason.
    pub drops: By<{ DROPS.len() }>,
    /// Streams that ended because responsibility for a stanza was lost.
    pub receipt_faults: Counter,
    /// Messages that were acknowledged and that the store did not take in time.
    pub messages_lost: Counter,
    /// Messages stored for accounts whose clients are away (XEP-0160).
    pub offline_stored: Counter,
    /// Sessions that wait to be resumed, now.
    pub detached: Arc<Counter>,
    /// Stanzas that clients with stream management have been given and not acknowledged, now.
    pub unacknowledged: Arc<Counter>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            resumes: By::new(RESUMES),
            drops: By::new(DROPS),
            receipt_faults: Counter::default(),
            messages_lost: Counter::default(),
            offline_stored: Counter::default(),
            detached: Arc::default(),
            unacknowledged: Arc::default(),
        }
    }
}

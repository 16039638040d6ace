//! Owns the settings of accounts and sessions, with their defaults.

use std::time::Duration;

/// Settings of accounts and sessions. Shared by all of them, never changed while they live.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most sessions of one account at a time.
    pub sessions_per_account: usize,
    /// Most items of a roster.
    pub roster_items: usize,
    /// Most messages kept for an account whose clients are all away.
    pub offline_messages: usize,
    /// Most bytes of them.
    pub offline_bytes: usize,
    /// Whether messages are archived where the account's owner has not said (XEP-0441).
    pub archive_default: ArchiveDefault,
    /// How long a session with a lost connection waits to be resumed (XEP-0198 §5).
    pub resume: Duration,
    /// Most stanzas of a session that its client has not acknowledged.
    pub queue_stanzas: usize,
    /// Most bytes of them.
    pub queue_bytes: usize,
}

/// What is archived of an account whose owner has not said (XEP-0441).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveDefault {
    /// Everything.
    Always,
    /// Conversations with contacts of the roster.
    Roster,
    /// Nothing.
    Never,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sessions_per_account: 20,
            roster_items: 2_000,
            offline_messages: 1_000,
            offline_bytes: 16 << 20,
            archive_default: ArchiveDefault::Always,
            resume: Duration::from_secs(600),
            queue_stanzas: 1_000,
            queue_bytes: 1 << 20,
        }
    }
}

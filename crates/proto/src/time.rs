//! Owns points in time. The pure crates read no clock: the shell hands them this.

use std::time::Duration;

/// The time of one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock: microseconds since 1970-01-01 UTC. For stamps that people see.
    pub unix_micros: u64,
    /// Monotonic time since the process started. For durations and timers.
    pub elapsed: Duration,
}

impl Now {
    /// Wall clock in whole seconds since 1970-01-01 UTC.
    pub fn unix_seconds(self) -> u64 {
        self.unix_micros / 1_000_000
    }
}

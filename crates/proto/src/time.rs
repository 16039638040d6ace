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

    /// A point of monotonic time as wall clock: microseconds since 1970-01-01 UTC. What is measured by
    /// one process goes on in another by this.
    pub fn to_unix(self, elapsed: Duration) -> u64 {
        let (ahead, ago) =
            (elapsed.saturating_sub(self.elapsed), self.elapsed.saturating_sub(elapsed));
        self.unix_micros.saturating_add(micros(ahead)).saturating_sub(micros(ago))
    }

    /// A point of wall clock as monotonic time of this process; before its start: 0.
    pub fn from_unix(self, unix_micros: u64) -> Duration {
        let ahead = Duration::from_micros(unix_micros.saturating_sub(self.unix_micros));
        let ago = Duration::from_micros(self.unix_micros.saturating_sub(unix_micros));
        self.elapsed.saturating_add(ahead).saturating_sub(ago)
    }
}

/// A duration in whole microseconds; what is too long, as long as can be.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_the_same_for_another_process() {
        let now = Now { unix_micros: 5_000_000, elapsed: Duration::from_secs(3) };
        let later = Now { unix_micros: 6_000_000, elapsed: Duration::from_secs(1) };
        for (seconds, there) in [(4, 1), (3, 0), (7, 4), (0, 0)] {
            let unix = now.to_unix(Duration::from_secs(seconds));
            assert_eq!(later.from_unix(unix), Duration::from_secs(there), "{seconds}");
        }
    }
}

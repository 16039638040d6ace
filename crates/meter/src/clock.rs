//! Owns the reading of the wall clock. For shells alone: what decides is handed the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970-01-01 UTC.
#[must_use]
pub fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds since 1970-01-01 UTC.
#[must_use]
pub fn unix_seconds() -> u64 {
    since_epoch().as_secs()
}

/// Whole microseconds since 1970-01-01 UTC.
#[must_use]
pub fn unix_micros() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}

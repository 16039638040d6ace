//! Owns the clock that leases count on. `std::time::Instant` stops while a machine is suspended, this one
//! does not: a member that slept through its lease must know.

use std::ops::Add;
use std::time::Duration;

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since this machine started, its sleep included (CLOCK_BOOTTIME). Never compared with
/// another machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootTime(pub u64);

impl BootTime {
    /// A point in time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The present. Where the clock cannot be read, [`BootTime::NEVER`]: no lease is valid then.
    pub fn now() -> Self {
        let read = clock_gettime(ClockId::CLOCK_BOOTTIME).ok();
        let nanos = read.and_then(|time| u64::try_from(time.num_nanoseconds()).ok());
        nanos.map_or(Self::NEVER, Self)
    }

    /// How long ago `earlier` was; nothing if it is to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The present by the wall clock, in milliseconds since 1970; 0 where it cannot be read. It may be wrong, and jump.
pub(crate) fn wall_millis() -> u64 {
    let read = clock_gettime(ClockId::CLOCK_REALTIME).ok();
    read.and_then(|time| u64::try_from(time.num_milliseconds()).ok()).unwrap_or(0)
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        let nanos = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

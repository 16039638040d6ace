//! Owns the token bucket that tells a connection when it may read again. Pure: time is handed in.

use std::time::Duration;

use crate::config::Limits;

/// What one connection has sent of late, in bytes and stanzas. Each is one instant: when all of it will be
/// paid back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    bytes_paid_at: Duration,
    stanzas_paid_at: Duration,
}

impl Rate {
    /// Counts what was read at `now`; answers how long not to read, if at all.
    pub(crate) fn count(
        &mut self,
        now: Duration,
        read: (usize, usize),
        limits: &Limits,
    ) -> Option<Duration> {
        let (bytes, stanzas) = read;
        let bytes = spend(
            &mut self.bytes_paid_at,
            now,
            bytes,
            (limits.bytes_per_second, limits.bytes_burst),
        );
        let stanzas = spend(
            &mut self.stanzas_paid_at,
            now,
            stanzas,
            (limits.stanzas_per_second, limits.stanzas_burst),
        );
        Some(bytes.max(stanzas)).filter(|wait| !wait.is_zero())
    }
}

fn spend(
    paid_at: &mut Duration,
    now: Duration,
    count: usize,
    (per_second, burst): (u32, u32),
) -> Duration {
    let cost = |count: f64| Duration::from_secs_f64(count / f64::from(per_second.max(1)));
    // A read has at most 64 KiB, so that the conversion is exact.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    *paid_at = (*paid_at).max(now) + cost(f64::from(count));
    paid_at.saturating_sub(now + cost(f64::from(burst)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            bytes_per_second: 1_000,
            bytes_burst: 5_000,
            stanzas_per_second: 10,
            stanzas_burst: 20,
            ..Limits::default()
        }
    }

    #[test]
    fn a_burst_passes_and_what_is_above_waits_for_the_average() {
        let (mut rate, limits) = (Rate::default(), limits());
        let now = Duration::from_secs(100);
        assert_eq!(rate.count(now, (5_000, 1), &limits), None);
        assert_eq!(rate.count(now, (2_000, 1), &limits), Some(Duration::from_secs(2)));
        let later = now + Duration::from_secs(7);
        assert_eq!(rate.count(later, (5_000, 1), &limits), None);
    }

    #[test]
    fn small_stanzas_are_counted_too() {
        let (mut rate, limits) = (Rate::default(), limits());
        assert_eq!(rate.count(Duration::ZERO, (30, 30), &limits), Some(Duration::from_secs(1)));
    }

    #[test]
    fn however_fast_it_comes_no_more_than_burst_and_average_pass() {
        let (mut rate, limits) = (Rate::default(), limits());
        let (mut now, mut passed) = (Duration::ZERO, 0);
        while now < Duration::from_secs(60) {
            now += rate.count(now, (700, 1), &limits).unwrap_or_default();
            passed += 700;
        }
        assert!((60_000..=66_400).contains(&passed), "{passed}");
    }
}

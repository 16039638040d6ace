//! Owns the token bucket that tells when a connection may read again. Pure: time is handed in.

use std::time::Duration;

use crate::config::Allowance;

/// What was sent of late, in bytes and stanzas. Each is one instant: when all of it will be
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
        allowance: Allowance,
    ) -> Option<Duration> {
        let (bytes, stanzas) = read;
        let bytes = spend(&mut self.bytes_paid_at, now, bytes, allowance.bytes);
        let stanzas = spend(&mut self.stanzas_paid_at, now, stanzas, allowance.stanzas);
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

    const SOME: Allowance = Allowance { bytes: (1_000, 5_000), stanzas: (10, 20) };

    #[test]
    fn a_burst_passes_and_what_is_above_waits_for_the_average() {
        let mut rate = Rate::default();
        let now = Duration::from_secs(100);
        assert_eq!(rate.count(now, (5_000, 1), SOME), None);
        assert_eq!(rate.count(now, (2_000, 1), SOME), Some(Duration::from_secs(2)));
        let later = now + Duration::from_secs(7);
        assert_eq!(rate.count(later, (5_000, 1), SOME), None);
    }

    #[test]
    fn small_stanzas_are_counted_too() {
        let mut rate = Rate::default();
        assert_eq!(rate.count(Duration::ZERO, (30, 30), SOME), Some(Duration::from_secs(1)));
    }

    #[test]
    fn however_fast_it_comes_no_more_than_burst_and_average_pass() {
        let mut rate = Rate::default();
        let (mut now, mut passed) = (Duration::ZERO, 0);
        while now < Duration::from_secs(60) {
            now += rate.count(now, (700, 1), SOME).unwrap_or_default();
            passed += 700;
        }
        assert!((60_000..=66_400).contains(&passed), "{passed}");
    }
}

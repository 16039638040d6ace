//! Owns the token buckets that tell when a peer or a client may be read again. Pure: time is handed in.

use std::time::Duration;

/// A second's worth may come from a peer at once, this many times over.
const BURST: u32 = 5;

/// How much may come: a second on average, and at once above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes.
    pub bytes: (u32, u32),
    /// Stanzas.
    pub stanzas: (u32, u32),
}

/// What was sent of late, in bytes and stanzas. Each is one instant: when all of it will be paid back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    bytes: Duration,
    stanzas: Duration,
}

impl Spent {
    /// Counts what was read at `now`, in bytes and stanzas; answers how long not to read, if at all.
    pub fn count(
        &mut self,
        now: Duration,
        (bytes, stanzas): (usize, usize),
        allowance: Allowance,
    ) -> Option<Duration> {
        let bytes = spend(&mut self.bytes, now, bytes, allowance.bytes);
        let stanzas = spend(&mut self.stanzas, now, stanzas, allowance.stanzas);
        Some(bytes.max(stanzas)).filter(|wait| !wait.is_zero())
    }
}

/// How fast a peer may send, and what it has sent of late.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    allowance: Option<Allowance>,
    spent: Spent,
}

impl Rate {
    /// So many bytes and stanzas a second; none for no limit.
    #[must_use]
    pub fn new(limits: Option<(u32, u32)>) -> Self {
        let with_burst = |most: u32| (most, most.saturating_mul(BURST));
        let allowance = limits.map(|(bytes, stanzas)| Allowance {
            bytes: with_burst(bytes),
            stanzas: with_burst(stanzas),
        });
        Self { allowance, spent: Spent::default() }
    }

    /// Counts what was read at `now`; answers how long not to read, if at all.
    pub fn count(&mut self, now: Duration, bytes: usize, stanzas: usize) -> Option<Duration> {
        self.spent.count(now, (bytes, stanzas), self.allowance?)
    }
}

fn spend(
    paid_at: &mut Duration,
    now: Duration,
    count: usize,
    (per_second, burst): (u32, u32),
) -> Duration {
    let cost =
        |count: u32| Duration::from_secs_f64(f64::from(count) / f64::from(per_second.max(1)));
    *paid_at = (*paid_at).max(now) + cost(u32::try_from(count).unwrap_or(u32::MAX));
    paid_at.saturating_sub(now + cost(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Allowance = Allowance { bytes: (1_000, 5_000), stanzas: (10, 20) };

    #[test]
    fn a_burst_passes_and_what_is_above_waits_for_the_average() {
        let mut spent = Spent::default();
        let now = Duration::from_secs(100);
        assert_eq!(spent.count(now, (5_000, 1), SOME), None);
        assert_eq!(spent.count(now, (2_000, 1), SOME), Some(Duration::from_secs(2)));
        assert_eq!(spent.count(now + Duration::from_secs(7), (5_000, 1), SOME), None);
    }

    #[test]
    fn small_stanzas_are_counted_too() {
        let mut spent = Spent::default();
        assert_eq!(spent.count(Duration::ZERO, (30, 30), SOME), Some(Duration::from_secs(1)));
    }

    #[test]
    fn however_fast_it_comes_no_more_than_burst_and_average_pass() {
        let mut spent = Spent::default();
        let (mut now, mut passed) = (Duration::ZERO, 0);
        while now < Duration::from_secs(60) {
            now += spent.count(now, (700, 1), SOME).unwrap_or_default();
            passed += 700;
        }
        assert!((60_000..=66_400).contains(&passed), "{passed}");
    }

    #[test]
    fn a_peer_may_send_some_seconds_worth_at_once() {
        let mut rate = Rate::new(Some((1_000_000, 10)));
        assert_eq!(rate.count(Duration::ZERO, 60, 60), Some(Duration::from_secs(1)));
        assert_eq!(Rate::new(None).count(Duration::ZERO, usize::MAX, usize::MAX), None);
    }
}

//! Owns the token buckets that tell when a peer or a client may be read again. Pure: time is handed in.

use std::time::Duration;

/// A second's worth may come from a peer at once, this many times over.
const BURST: u32 = 5;

/// How much of one kind may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// A second, on average.
    pub per_second: u32,
    /// At once, above the average.
    pub burst: u32,
}

/// How much may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes.
    pub bytes: Limit,
    /// Stanzas.
    pub stanzas: Limit,
}

impl Allowance {
    /// So many bytes and stanzas a second, and some seconds' worth at once.
    #[must_use]
    pub fn per_second(bytes: u32, stanzas: u32) -> Self {
        let limit = |most: u32| Limit { per_second: most, burst: most.saturating_mul(BURST) };
        Self { bytes: limit(bytes), stanzas: limit(stanzas) }
    }
}

/// What was read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: usize,
    /// Stanzas.
    pub stanzas: usize,
}

/// What was sent of late, in bytes and stanzas. Each is one instant: when all of it will be paid back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    bytes: Duration,
    stanzas: Duration,
}

impl Spent {
    /// Counts what was read at `now`; answers how long not to read, if at all.
    pub fn count(
        &mut self,
        now: Duration,
        read: Traffic,
        allowance: Allowance,
    ) -> Option<Duration> {
        let bytes = spend(&mut self.bytes, now, read.bytes, allowance.bytes);
        let stanzas = spend(&mut self.stanzas, now, read.stanzas, allowance.stanzas);
        Some(bytes.max(stanzas)).filter(|wait| !wait.is_zero())
    }

    /// How long it takes until all of it is paid back.
    #[must_use]
    pub fn owes(&self, now: Duration) -> Duration {
        self.bytes.max(self.stanzas).saturating_sub(now)
    }
}

/// How fast a peer may send, and what it has sent of late.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    allowance: Option<Allowance>,
    spent: Spent,
}

impl Rate {
    /// Of a peer that may send so much; none for no limit.
    #[must_use]
    pub fn new(allowance: Option<Allowance>) -> Self {
        Self { allowance, spent: Spent::default() }
    }

    /// Counts what was read at `now`; answers how long not to read, if at all.
    pub fn count(&mut self, now: Duration, bytes: usize, stanzas: usize) -> Option<Duration> {
        self.spent.count(now, Traffic { bytes, stanzas }, self.allowance?)
    }

    /// How long it takes until the peer may send as much at once as one that has sent nothing.
    #[must_use]
    pub fn owes(&self, now: Duration) -> Duration {
        self.spent.owes(now)
    }
}

fn spend(paid_at: &mut Duration, now: Duration, count: usize, limit: Limit) -> Duration {
    let per_second = f64::from(limit.per_second.max(1));
    let cost = |count: u32| Duration::from_secs_f64(f64::from(count) / per_second);
    *paid_at = (*paid_at).max(now) + cost(u32::try_from(count).unwrap_or(u32::MAX));
    paid_at.saturating_sub(now + cost(limit.burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Allowance = Allowance {
        bytes: Limit { per_second: 1_000, burst: 5_000 },
        stanzas: Limit { per_second: 10, burst: 20 },
    };

    fn read(bytes: usize, stanzas: usize) -> Traffic {
        Traffic { bytes, stanzas }
    }

    #[test]
    fn a_burst_passes_and_what_is_above_waits_for_the_average() {
        let mut spent = Spent::default();
        let now = Duration::from_secs(100);
        assert_eq!(spent.count(now, read(5_000, 1), SOME), None);
        assert_eq!(spent.count(now, read(2_000, 1), SOME), Some(Duration::from_secs(2)));
        assert_eq!(spent.count(now + Duration::from_secs(7), read(5_000, 1), SOME), None);
    }

    #[test]
    fn small_stanzas_are_counted_too() {
        let mut spent = Spent::default();
        assert_eq!(spent.count(Duration::ZERO, read(30, 30), SOME), Some(Duration::from_secs(1)));
    }

    #[test]
    fn however_fast_it_comes_no_more_than_burst_and_average_pass() {
        let mut spent = Spent::default();
        let (mut now, mut passed) = (Duration::ZERO, 0);
        while now < Duration::from_secs(60) {
            now += spent.count(now, read(700, 1), SOME).unwrap_or_default();
            passed += 700;
        }
        assert!((60_000..=66_400).contains(&passed), "{passed}");
    }

    #[test]
    fn a_peer_may_send_some_seconds_worth_at_once() {
        let mut rate = Rate::new(Some(Allowance::per_second(1_000_000, 10)));
        assert_eq!(rate.owes(Duration::ZERO), Duration::ZERO);
        assert_eq!(rate.count(Duration::ZERO, 60, 60), Some(Duration::from_secs(1)));
        assert_eq!(rate.owes(Duration::from_secs(2)), Duration::from_secs(4));
        assert_eq!(rate.owes(Duration::from_secs(7)), Duration::ZERO);
        assert_eq!(Rate::new(None).count(Duration::ZERO, usize::MAX, usize::MAX), None);
    }
}

//! Owns how fast a peer may send. Pure: time is handed in.

use std::time::Duration;

/// A second's worth may come at once, this many times over.
const BURST: u32 = 5;

/// What a stream has sent of late: for bytes and for stanzas, the instant at which all of it will be paid back.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    limits: Option<(u32, u32)>,
    bytes: Duration,
    stanzas: Duration,
}

impl Rate {
    /// So many bytes and stanzas a second; none for no limit.
    #[must_use]
    pub fn new(limits: Option<(u32, u32)>) -> Self {
        Self { limits, bytes: Duration::ZERO, stanzas: Duration::ZERO }
    }

    /// Counts what was read at `now`; answers how long not to read, if at all.
    pub fn count(&mut self, now: Duration, bytes: usize, stanzas: usize) -> Option<Duration> {
        let (most_bytes, most_stanzas) = self.limits?;
        let bytes = spend(&mut self.bytes, now, bytes, most_bytes);
        let stanzas = spend(&mut self.stanzas, now, stanzas, most_stanzas);
        Some(bytes.max(stanzas)).filter(|wait| !wait.is_zero())
    }
}

fn spend(paid_at: &mut Duration, now: Duration, count: usize, per_second: u32) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let cost = Duration::from_secs_f64(f64::from(count) / f64::from(per_second.max(1)));
    *paid_at = (*paid_at).max(now) + cost;
    paid_at.saturating_sub(now + Duration::from_secs(BURST.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_what_is_above_waits_for_the_average() {
        let mut rate = Rate::new(Some((1_000, 10)));
        let now = Duration::from_secs(100);
        assert_eq!(rate.count(now, 5_000, 1), None);
        assert_eq!(rate.count(now, 2_000, 1), Some(Duration::from_secs(2)));
        assert_eq!(rate.count(now + Duration::from_secs(7), 5_000, 1), None);
        let mut small = Rate::new(Some((1_000_000, 10)));
        assert_eq!(small.count(Duration::ZERO, 60, 60), Some(Duration::from_secs(1)));
        assert_eq!(Rate::new(None).count(now, usize::MAX, usize::MAX), None);
    }
}

//! Latencies in a fixed-size histogram, and what may be said of them.

use serde::Serialize;
use std::time::Duration;

/// Buckets per doubling: quantiles are right to one part in 64.
const STEPS: u64 = 64;
const STEP_BITS: u32 = 6;
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) << STEP_BITS;

/// Counts durations in buckets whose width grows with their size.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
    sum: u128,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: vec![0; BUCKETS], total: 0, longest: 0, sum: 0 }
    }
}

/// The quantiles that are reported, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half of all were this fast.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// The arithmetic mean.
    pub mean_ms: f64,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.sum += u128::from(nanos);
        self.longest = self.longest.max(nanos);
    }

    /// How many were counted.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The smallest duration that `share` (0 to 1) of all do not pass, to one part in 64.
    pub fn quantile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a count is a count"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_edge(index).min(self.longest));
            }
        }
        Duration::from_nanos(self.longest)
    }

    /// The reported quantiles; all zero if nothing was counted.
    pub fn quantiles(&self) -> Quantiles {
        let ms = |share| self.quantile(share).as_secs_f64() * 1e3;
        #[expect(clippy::cast_precision_loss, reason = "a mean is inexact anyway")]
        let mean = self.sum as f64 / self.total.max(1) as f64;
        Quantiles {
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: Duration::from_nanos(self.longest).as_secs_f64() * 1e3,
            mean_ms: mean / 1e6,
        }
    }
}

/// Values below `STEPS` have a bucket each; above, each doubling has `STEPS` of them.
fn bucket(value: u64) -> usize {
    let doubling = value.max(STEPS).ilog2() - STEP_BITS;
    let step = value >> doubling;
    usize::try_from(u64::from(doubling) * STEPS + step).unwrap_or(BUCKETS)
}

/// The largest value that falls into a bucket.
fn upper_edge(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let doubling = index / STEPS - 1;
    let step = index % STEPS + STEPS;
    (((u128::from(step) + 1) << doubling) - 1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_reaches_it_within_one_part_in_64() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) | 1, (1u64 << shift).wrapping_sub(1)] {
                let edge = upper_edge(bucket(value));
                assert!(edge >= value, "{value} lies above its edge {edge}");
                assert!(edge - value <= value / 64, "{value} is far from its edge {edge}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_a_plain_row_are_its_ranks() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000 {
            histogram.add(Duration::from_millis(ms));
        }
        let q = histogram.quantiles();
        for (got, want) in
            [(q.p50_ms, 500.0), (q.p90_ms, 900.0), (q.p99_ms, 990.0), (q.p999_ms, 999.0)]
        {
            assert!((got - want).abs() <= want / 50.0, "{got} is not {want}");
        }
        assert!((q.max_ms - 1000.0).abs() < 1e-9);
        assert!((q.mean_ms - 500.5).abs() < 1e-9);
        assert_eq!(histogram.len(), 1000);
    }

    #[test]
    fn nothing_counted_is_all_zero() {
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }
}

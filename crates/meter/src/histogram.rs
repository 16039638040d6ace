//! Owns the histogram: how often a quantity was how large, in buckets whose bounds never change.

use std::time::Duration;

use crate::Counter;

/// How often a quantity was how large.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is larger.
    buckets: Box<[Counter]>,
    /// In millionths, since counters count whole numbers.
    sum_millionths: Counter,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Upper bounds, each with how many quantities were not above it.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// All of them together.
    pub sum: f64,
}

/// Bounds in seconds for what takes from a tenth of a millisecond to ten seconds.
pub const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
];

/// Bounds for how many there are of something.
pub const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0, 4_096.0];

impl Histogram {
    /// Nothing yet. `bounds` grow.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| Counter::default()).collect();
        Self { bounds, buckets, sum_millionths: Counter::default() }
    }

    /// It took so long; the bounds are seconds.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.note(time.as_secs_f64(), micros);
    }

    /// There were so many.
    pub fn counted(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.note(f64::from(count), u64::from(count) * 1_000_000);
    }

    fn note(&self, quantity: f64, millionths: u64) {
        let index = self.bounds.partition_point(|bound| *bound < quantity);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.add_one();
        }
        self.sum_millionths.add(millionths);
    }

    /// How it stands now.
    pub fn read(&self) -> Reading {
        let mut count = 0;
        let counts = self.buckets.iter().map(Counter::get);
        let up_to: Vec<u64> = counts
            .map(|bucket| {
                count += bucket;
                count
            })
            .collect();
        let buckets = self.bounds.iter().copied().zip(up_to).collect();
        #[expect(clippy::cast_precision_loss, reason = "a sum for people, good to 15 digits")]
        let sum = self.sum_millionths.get() as f64 / 1e6;
        Reading { buckets, count, sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_everything_up_to_their_bound() {
        let histogram = Histogram::new(&[0.001, 0.01, 0.1]);
        for millis in [1, 2, 10, 11, 5_000] {
            histogram.took(Duration::from_millis(millis));
        }
        let reading = histogram.read();
        assert_eq!(reading.buckets, [(0.001, 1), (0.01, 3), (0.1, 4)]);
        assert_eq!(reading.count, 5);
        assert!((reading.sum - 5.024).abs() < 1e-9, "{}", reading.sum);
    }

    #[test]
    fn counts_go_into_buckets_like_times() {
        let histogram = Histogram::new(COUNTS);
        [1, 3, 3, 100_000].into_iter().for_each(|count| histogram.counted(count));
        let reading = histogram.read();
        assert_eq!((reading.buckets[0], reading.buckets[2]), ((1.0, 1), (4.0, 3)));
        assert_eq!((reading.count, reading.buckets.last()), (4, Some(&(4_096.0, 3))));
    }
}

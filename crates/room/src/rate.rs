//! Owns the bucket: how much may be sent on average, and at once above that. Pure.

use std::time::Duration;

/// A bucket that fills with time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    /// A full one. `burst`: how much fits.
    #[must_use]
    pub fn full((_, burst): (u32, u32), now: Duration) -> Self {
        Self { left: f64::from(burst), at: now }
    }

    /// One with so much in it.
    #[must_use]
    pub fn with(left: f64, (_, burst): (u32, u32), now: Duration) -> Self {
        Self { left: left.clamp(0.0, f64::from(burst)), at: now }
    }

    /// What is in it.
    #[must_use]
    pub fn left(&self, (per_second, burst): (u32, u32), now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        (self.left + passed * f64::from(per_second)).min(f64::from(burst))
    }

    /// Takes one out; false where there is none. `per_second` and `burst` may change between calls.
    pub fn take(&mut self, rate: (u32, u32), now: Duration) -> bool {
        self.left = self.left(rate, now);
        self.at = now;
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_what_time_brings() {
        let second = Duration::from_secs;
        let mut bucket = Bucket::full((2, 5), second(0));
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(0))).count(), 5);
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(1))).count(), 2);
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(99))).count(), 5);
    }
}

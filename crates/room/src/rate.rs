//! Owns the bucket: how much may be sent on average, and at once above that; and the buckets of those who have
//! left, so that nobody gets a full one by coming back. Pure.

use std::collections::HashMap;
use std::time::Duration;

use xmpp::BareJid;

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

/// The buckets of people who are not there, as long as they are not full.
#[derive(Clone, Debug, Default)]
pub struct Absent(HashMap<BareJid, Bucket>);

/// So many are remembered.
const REMEMBERED: usize = 1_000;

impl Absent {
    /// The bucket of somebody who comes; a full one where nothing is remembered.
    pub fn take(&mut self, who: &BareJid, rate: (u32, u32), now: Duration) -> Bucket {
        self.0.remove(who).unwrap_or_else(|| Bucket::full(rate, now))
    }

    /// Remembers the bucket of somebody who is not there.
    pub fn put(&mut self, who: BareJid, bucket: Bucket, rate: (u32, u32), now: Duration) {
        let is_full = |bucket: &Bucket| bucket.left(rate, now) >= f64::from(rate.1);
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, bucket| !is_full(bucket));
        }
        if self.0.len() < REMEMBERED && !is_full(&bucket) {
            self.0.insert(who, bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_finds_what_he_has_left() {
        let (who, rate, now) = (BareJid::parse("a@x").unwrap(), (1, 3), Duration::ZERO);
        let mut absent = Absent::default();
        let mut bucket = absent.take(&who, rate, now);
        assert!(bucket.take(rate, now) && bucket.take(rate, now));
        absent.put(who.clone(), bucket, rate, now);
        let mut bucket = absent.take(&who, rate, now);
        assert!(bucket.take(rate, now) && !bucket.take(rate, now));
        absent.put(who.clone(), bucket, rate, Duration::from_secs(9));
        assert!(absent.0.is_empty(), "what is full again is not remembered");
        for number in 0..REMEMBERED + 9 {
            let who = BareJid::parse(&format!("{number}@x")).unwrap();
            absent.put(who, bucket, rate, now);
        }
        assert_eq!(absent.0.len(), REMEMBERED);
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_what_time_brings() {
        let second = Duration::from_secs;
        let mut bucket = Bucket::full((2, 5), second(0));
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(0))).count(), 5);
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(1))).count(), 2);
        assert_eq!((0..9).filter(|_| bucket.take((2, 5), second(99))).count(), 5);
    }
}

//! Owns the bucket: how much may be sent on average, and at once above that; the buckets of those who have left, so that
//! nobody gets a full one by coming back; and what is taken out of those of a room and its people.

use std::collections::HashMap;
use std::time::Duration;

use entity::Context;
use xmpp::{BareJid, ErrorType, StanzaCondition, StanzaError};

use crate::Room;
use crate::config::Pace;

/// A bucket that fills with time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub(crate) fn full(pace: Pace, now: Duration) -> Self {
        Self { left: f64::from(pace.burst), at: now }
    }

    /// One with so much in it.
    #[must_use]
    pub(crate) fn with(left: f64, pace: Pace, now: Duration) -> Self {
        Self { left: left.clamp(0.0, f64::from(pace.burst)), at: now }
    }

    /// What is in it.
    #[must_use]
    pub(crate) fn left(&self, pace: Pace, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        (self.left + passed * f64::from(pace.per_second)).min(f64::from(pace.burst))
    }

    /// Takes one out; false where there is none. The pace may change between calls.
    pub(crate) fn take(&mut self, pace: Pace, now: Duration) -> bool {
        self.left = self.left(pace, now);
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
pub(crate) struct Absent(HashMap<BareJid, Bucket>);

/// So many are remembered.
const REMEMBERED: usize = 1_000;

impl Absent {
    /// The bucket of somebody who comes; a full one where nothing is remembered.
    pub(crate) fn take(&mut self, who: &BareJid, pace: Pace, now: Duration) -> Bucket {
        self.0.remove(who).unwrap_or_else(|| Bucket::full(pace, now))
    }

    /// Remembers the bucket of somebody who is not there.
    pub(crate) fn put(&mut self, who: BareJid, bucket: Bucket, pace: Pace, now: Duration) {
        let is_full = |bucket: &Bucket| bucket.left(pace, now) >= f64::from(pace.burst);
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, bucket| !is_full(bucket));
        }
        if self.0.len() < REMEMBERED && !is_full(&bucket) {
            self.0.insert(who, bucket);
        }
    }
}

/// How somebody is told that it was too much.
pub(crate) fn too_many(what: &str) -> StanzaError {
    let error = StanzaError::from(StanzaCondition::PolicyViolation);
    error.with_type(ErrorType::Wait).with_text(format!("too many {what}"))
}

impl Room {
    /// Takes one stanza of an occupant out of what they and the room may send; false where it is too much.
    pub(crate) fn may_send(&mut self, number: u64, cx: &Context<'_, Self>) -> bool {
        let rates = self.shared.config.rates;
        if !rates.enabled {
            return true;
        }
        let now = cx.now.elapsed;
        let own = self.occupants.rate_of(number);
        own.is_some_and(|own| own.take(rates.occupant, now)) && self.rate.take(rates.room, now)
    }

    /// Takes one message of somebody who need not be inside out of what they and the room may send; false where it is too
    /// much.
    pub(crate) fn may_say(&mut self, who: &BareJid, cx: &Context<'_, Self>) -> bool {
        let rates = self.shared.config.rates;
        !rates.enabled || (self.may_ask(who, cx) && self.rate.take(rates.room, cx.now.elapsed))
    }

    /// Takes one request of somebody who need not be inside out of what they may send; false where it is too much.
    pub(crate) fn may_ask(&mut self, who: &BareJid, cx: &Context<'_, Self>) -> bool {
        let (rates, now) = (self.shared.config.rates, cx.now.elapsed);
        if !rates.enabled {
            return true;
        }
        let inside = self.occupants.of_account(who).next().map(|it| it.number);
        if let Some(own) = inside.and_then(|number| self.occupants.rate_of(number)) {
            return own.take(rates.occupant, now);
        }
        let mut bucket = self.absent.take(who, rates.occupant, now);
        let may = bucket.take(rates.occupant, now);
        self.absent.put(who.clone(), bucket, rates.occupant, now);
        may
    }

    /// Takes one request that changes something out of what who asks may send; false where it is too much. It counts
    /// once, however many people it names: a list is one decision, and is never taken in part. Nothing is taken out of
    /// what the whole room may send, since one that is flooded must be ruled all the same. Who administers the service
    /// is bound to nothing.
    pub(crate) fn may_order(&mut self, who: &BareJid, cx: &Context<'_, Self>) -> bool {
        self.is_served_by(who) || self.may_ask(who, cx)
    }

    /// Somebody is not inside any more.
    pub(crate) fn remove_occupant(&mut self, number: u64, cx: &Context<'_, Self>) {
        if let Some(gone) = self.occupants.remove(number) {
            let rate = self.shared.config.rates.occupant;
            self.absent.put(gone.who, gone.rate, rate, cx.now.elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(per_second: u32, burst: u32) -> Pace {
        Pace { per_second, burst }
    }

    #[test]
    fn who_comes_back_finds_what_was_left() {
        let (who, rate, now) = (BareJid::parse("a@x").unwrap(), pace(1, 3), Duration::ZERO);
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
        let mut bucket = Bucket::full(pace(2, 5), second(0));
        assert_eq!((0..9).filter(|_| bucket.take(pace(2, 5), second(0))).count(), 5);
        assert_eq!((0..9).filter(|_| bucket.take(pace(2, 5), second(1))).count(), 2);
        assert_eq!((0..9).filter(|_| bucket.take(pace(2, 5), second(99))).count(), 5);
    }
}

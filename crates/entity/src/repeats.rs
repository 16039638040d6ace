//! Owns the question whether an envelope that came over a link has come before: at least once between members, once
//! for the entity. Pure.
//!
//! An envelope is known by its origin and its sender. For each pair of a cause and a sender there is a window: the
//! highest number seen, and which of those before it. A receipt that is dropped takes the mark back, since what
//! failed must be done when it comes again.
//!
//! Bounds: [`Repeats::WINDOWS`] windows of [`Repeats::WIDTH`] numbers, each for [`Repeats::MEMORY`] after its last
//! use. What is older than its window is new, unless it says itself that it was sent before.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::receipt::Settle;
use proto::{Body, Envelope, Receipt};
use xmpp::Origin;

const WORDS: usize = 5;

/// What came over links for one entity of late.
#[derive(Default)]
pub(crate) struct Repeats {
    windows: Vec<Window>,
    /// Marks to take back.
    failed: Arc<Mutex<Vec<Mark>>>,
    /// Whether it knows what a former owner has archived.
    pub(crate) is_seeded: bool,
}

struct Window {
    key: Key,
    last: u64,
    /// Bit n: `last - n` was seen.
    seen: [u64; WORDS],
    used: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    cause: (u64, u64),
    part: u16,
    sender: u64,
}

/// One envelope, as it is known again.
#[derive(Clone, Copy)]
struct Mark {
    key: Key,
    number: u64,
}

impl Repeats {
    /// Most windows. More senders at once, and the one that was used longest ago is forgotten.
    pub(crate) const WINDOWS: usize = 256;
    /// Numbers that a window tells apart: more than a client may have unacknowledged.
    pub(crate) const WIDTH: u64 = 64 * WORDS as u64;
    /// How long a window lasts unused.
    pub(crate) const MEMORY: Duration = Duration::from_secs(600);

    /// Whether the envelope has come before; if not, it is marked, and the mark is taken back if its receipt
    /// turns out to be dropped.
    pub(crate) fn has(&mut self, envelope: &mut Envelope, now: Duration) -> bool {
        self.take_back();
        let mark = Mark::of(envelope);
        if self.see(mark, envelope.again, now) {
            return true;
        }
        if let Some(receipt) = envelope.receipt.take() {
            let watch = Watch {
                receipt: Mutex::new(Some(receipt)),
                failed: Arc::clone(&self.failed),
                mark,
            };
            envelope.receipt = Some(Receipt::new(0, Arc::new(watch)));
        }
        false
    }

    /// Marks what the archive has: a former owner has acted on it.
    pub(crate) fn seed(&mut self, rows: impl Iterator<Item = (Origin, String)>, now: Duration) {
        self.is_seeded = true;
        for (origin, sender) in rows {
            self.see(Mark::new(origin, Some(&sender)), false, now);
        }
    }

    fn see(&mut self, Mark { key, number }: Mark, again: bool, now: Duration) -> bool {
        match self.windows.iter_mut().find(|window| window.key == key) {
            Some(window) => window.see(number, again, now),
            None => {
                self.make_room(now);
                let seen = std::array::from_fn(|word| u64::from(word == 0));
                self.windows.push(Window { key, last: number, seen, used: now });
                false
            }
        }
    }

    fn make_room(&mut self, now: Duration) {
        if self.windows.len() < Self::WINDOWS {
            return;
        }
        self.windows.retain(|window| now.saturating_sub(window.used) < Self::MEMORY);
        if self.windows.len() >= Self::WINDOWS {
            let oldest = (0..self.windows.len()).min_by_key(|index| self.windows[*index].used);
            if let Some(oldest) = oldest {
                self.windows.swap_remove(oldest);
            }
        }
    }

    fn take_back(&mut self) {
        let failed =
            std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner));
        for Mark { key, number } in failed {
            if let Some(window) = self.windows.iter_mut().find(|window| window.key == key) {
                window.forget(number);
            }
        }
    }
}

impl Window {
    /// Whether the number was seen; if not, it is from now on.
    fn see(&mut self, number: u64, again: bool, now: Duration) -> bool {
        if now.saturating_sub(self.used) >= Repeats::MEMORY {
            (self.last, self.seen) = (number, [0; WORDS]);
        }
        self.used = now;
        if number > self.last {
            self.shift(number - self.last);
            self.last = number;
        }
        match self.bit(number) {
            Some((word, bit)) => {
                let known = self.seen[word] & bit != 0;
                self.seen[word] |= bit;
                known
            }
            None => again,
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some((word, bit)) = self.bit(number) {
            self.seen[word] &= !bit;
        }
    }

    fn bit(&self, number: u64) -> Option<(usize, u64)> {
        let back = self.last.checked_sub(number).filter(|back| *back < Repeats::WIDTH)?;
        Some((usize::try_from(back / 64).ok()?, 1 << (back % 64)))
    }

    /// The numbers are further back now.
    fn shift(&mut self, by: u64) {
        let (words, bits) = (usize::try_from(by / 64).unwrap_or(WORDS), by % 64);
        let old = self.seen;
        let word = |index: usize| if index < WORDS { old[index] } else { 0 };
        self.seen = std::array::from_fn(|index| {
            let Some(from) = index.checked_sub(words) else { return 0 };
            let carried = match (bits, from.checked_sub(1)) {
                (0, _) | (_, None) => 0,
                (_, Some(below)) => word(below) >> (64 - bits),
            };
            word(from) << bits | carried
        });
    }
}

impl Mark {
    fn of(envelope: &Envelope) -> Self {
        let sender = match &envelope.body {
            Body::Stanza(stanza) => stanza.head().from.as_ref().map(|from| from.bare_str()),
            _ => None,
        };
        Self::new(envelope.origin, sender)
    }

    fn new(origin: Origin, sender: Option<&str>) -> Self {
        let sender =
            sender.map_or(0, |it| BuildHasherDefault::<DefaultHasher>::default().hash_one(it));
        match origin {
            Origin::Client { session, seq, part } => {
                Self { key: Key { cause: (session, 0), part, sender }, number: seq }
            }
            // A shard counts turns, and in the lowest bits the parts of each.
            Origin::Shard { shard, epoch, counter } => {
                let part = u16::try_from(counter & 0xffff).unwrap_or(0);
                let cause = (epoch.0, u64::from(shard.number()) + 1);
                Self { key: Key { cause, part, sender }, number: counter >> 16 }
            }
        }
    }
}

/// Sees what becomes of an envelope's receipt.
struct Watch {
    receipt: Mutex<Option<Receipt>>,
    failed: Arc<Mutex<Vec<Mark>>>,
    mark: Mark,
}

impl Settle for Watch {
    fn settle(&self, _: u64, faulty: bool) {
        let receipt = self.receipt.lock().unwrap_or_else(PoisonError::into_inner).take();
        if faulty {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(self.mark);
            drop(receipt);
        } else if let Some(receipt) = receipt {
            receipt.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::{Ledger, Route};
    use xmpp::{BareJid, Epoch, Head, Jid, Kind, MessageType, Stanza};

    use super::*;

    fn message(seq: u64, part: u16, from: &str) -> Envelope {
        let from = Some(Jid::parse(from).unwrap());
        let kind = Kind::Message(MessageType::Chat);
        let stanza = Stanza::new(Head { kind, id: None, from, to: None, lang: None }, "");
        let to = Route::User(BareJid::parse("b@x").unwrap());
        let origin = Origin::Client { session: 7, seq, part };
        Envelope::new(to, Body::Stanza(stanza), origin, Epoch(1))
    }

    fn has(repeats: &mut Repeats, seq: u64) -> bool {
        repeats.has(&mut message(seq, 0, "a@x/r"), Duration::ZERO)
    }

    #[test]
    fn each_number_is_new_once_in_whatever_order_they_come() {
        let mut repeats = Repeats::default();
        let order = [5, 3, 4, 70, 1, 69, 200, 6, 319, 135, 2];
        for number in order {
            assert!(!has(&mut repeats, number), "{number}");
        }
        for number in order {
            assert!(has(&mut repeats, number), "{number}");
        }
        assert!(!has(&mut repeats, 1_000) && has(&mut repeats, 1_000));
    }

    #[test]
    fn what_is_older_than_its_window_is_new_unless_it_was_sent_before() {
        let mut repeats = Repeats::default();
        assert!(!has(&mut repeats, 1) && !has(&mut repeats, 1_000));
        assert!(!has(&mut repeats, 1));
        let mut again = Envelope { again: true, ..message(1, 0, "a@x/r") };
        assert!(repeats.has(&mut again, Duration::ZERO));
    }

    #[test]
    fn another_part_and_another_sender_are_no_repeat() {
        let mut repeats = Repeats::default();
        for mut envelope in [message(1, 0, "a@x/r"), message(1, 1, "a@x/r"), message(1, 0, "c@x/r")]
        {
            assert!(!repeats.has(&mut envelope, Duration::ZERO));
        }
    }

    #[test]
    fn what_failed_is_done_when_it_comes_again_and_what_did_not_is_not() {
        let mut repeats = Repeats::default();
        for (faulty, known) in [(true, false), (false, true)] {
            let ledger = Ledger::new(0, || {});
            let seq = if faulty { 1 } else { 2 };
            let mut envelope = message(seq, 0, "a@x/r").with_receipt(Some(ledger.open()));
            assert!(!repeats.has(&mut envelope, Duration::ZERO));
            let receipt = envelope.receipt.unwrap();
            if faulty {
                drop(receipt)
            } else {
                receipt.release()
            }
            assert_eq!(ledger.standing().faulty, faulty);
            assert_eq!(ledger.standing().handled, u64::from(!faulty));
            assert_eq!(has(&mut repeats, seq), known);
        }
    }

    #[test]
    fn windows_are_bounded_and_forgotten_in_time() {
        let mut repeats = Repeats::default();
        for sender in 0..2 * Repeats::WINDOWS as u64 {
            let mut envelope = message(1, 0, &format!("s{sender}@x/r"));
            assert!(!repeats.has(&mut envelope, Duration::from_secs(sender)));
        }
        assert_eq!(repeats.windows.len(), Repeats::WINDOWS);
        let mut last = message(1, 0, "s511@x/r");
        assert!(repeats.has(&mut last, Duration::from_secs(512)));
        assert!(!repeats.has(&mut last, Duration::from_secs(512) + Repeats::MEMORY));
    }

    #[test]
    fn what_a_former_owner_has_archived_is_a_repeat() {
        let mut repeats = Repeats::default();
        let origin = Origin::Client { session: 7, seq: 3, part: 0 };
        repeats.seed([(origin, "a@x".to_owned())].into_iter(), Duration::ZERO);
        assert!(has(&mut repeats, 3) && !has(&mut repeats, 4));
    }
}

//! Owns what is known of stanzas that have come before: for each cause and sender the highest number that was seen, and
//! which of those before it. Pure; small enough to go along with a snapshot.
//!
//! Bounds: so many windows as whoever keeps them allows, of [`Seen::WIDTH`] numbers each; the window that was used
//! longest ago is forgotten first. What is older than its window is new, unless it says itself that it comes again.

use xmpp::{Origin, Stanza};

const WORDS: usize = 5;

/// What has come.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    windows: Vec<Window>,
    uses: u64,
}

/// What has come of one cause and sender.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) key: Key,
    pub(crate) numbers: Numbers,
    used: u64,
}

/// Numbers that have come: the highest one, and which of those shortly before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub(crate) last: u64,
    /// Bit n: `last - n` has come.
    pub(crate) bits: [u64; WORDS],
}

/// When something was used does not count.
impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.windows == other.windows
    }
}

impl Eq for Seen {}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        (self.key, &self.numbers) == (other.key, &other.numbers)
    }
}

impl Eq for Window {}

/// What tells the numbers of one cause and sender from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) cause: (u64, u64),
    pub(crate) part: u16,
    pub(crate) sender: u64,
}

/// One stanza, as it is known again: by what caused it, and by who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    key: Key,
    number: u64,
}

impl Mark {
    /// Of what has this origin and comes from this bare address.
    #[must_use]
    pub fn new(origin: Origin, sender: Option<&str>) -> Self {
        let sender = sender.map_or(0, hash);
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

    /// Of a stanza with this origin.
    #[must_use]
    pub fn of(origin: Origin, stanza: &Stanza) -> Self {
        Self::new(origin, stanza.head().from.as_ref().map(|from| from.bare_str()))
    }

    /// Whose number it is.
    #[must_use]
    pub fn key(self) -> Key {
        self.key
    }

    /// Greater than all that the same cause and sender had before.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }
}

/// FNV-1a: every build of every member must come to the same number, and nobody gains by a collision but that a stanza
/// of theirs is taken for another one of theirs.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Seen {
    /// Numbers that a window tells apart: more than a client may have unacknowledged.
    pub const WIDTH: u64 = 64 * WORDS as u64;

    /// Whether this has come before; it has from now on. `again`: it says so itself. `most` windows are kept.
    pub fn see(&mut self, mark: Mark, again: bool, most: usize) -> bool {
        self.uses += 1;
        let Mark { key, number } = mark;
        if let Some(window) = self.windows.iter_mut().rev().find(|window| window.key == key) {
            window.used = self.uses;
            return window.numbers.see(number, again);
        }
        self.make_room(most);
        self.windows.push(Window { key, numbers: Numbers::of(number), used: self.uses });
        false
    }

    /// This has not come after all.
    pub fn forget(&mut self, Mark { key, number }: Mark) {
        if let Some(window) = self.windows.iter_mut().find(|window| window.key == key) {
            window.numbers.forget(number);
        }
    }

    /// What another one has seen, this one has seen too.
    pub fn join(&mut self, other: &Self, most: usize) {
        for window in &other.windows {
            self.uses += 1;
            match self.windows.iter_mut().find(|known| known.key == window.key) {
                Some(known) => known.numbers.join(&window.numbers),
                None => {
                    self.make_room(most);
                    self.windows.push(Window { used: self.uses, ..window.clone() });
                }
            }
        }
    }

    /// Whether nothing has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    pub(crate) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter()
    }

    /// As it was written down.
    pub(crate) fn restored(windows: impl Iterator<Item = (Key, u64, [u64; WORDS])>) -> Self {
        let windows = windows.map(|(key, last, bits)| {
            let numbers = Numbers { last, bits };
            Window { key, numbers, used: 0 }
        });
        Self { windows: windows.collect(), uses: 0 }
    }

    fn make_room(&mut self, most: usize) {
        if self.windows.len() >= most {
            let oldest = (0..self.windows.len()).min_by_key(|index| self.windows[*index].used);
            if let Some(oldest) = oldest {
                self.windows.swap_remove(oldest);
            }
        }
    }
}

impl Numbers {
    /// This one alone.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self { last: number, bits: std::array::from_fn(|word| u64::from(word == 0)) }
    }

    /// Whether the number has come; it has from now on. Of one that is too old to know, it is what it says itself.
    pub fn see(&mut self, number: u64, again: bool) -> bool {
        if number > self.last {
            self.shift(number - self.last);
            self.last = number;
        }
        match self.bit(number) {
            Some((word, bit)) => {
                let known = self.bits[word] & bit != 0;
                self.bits[word] |= bit;
                known
            }
            None => again,
        }
    }

    /// The number has not come after all.
    pub fn forget(&mut self, number: u64) {
        if let Some((word, bit)) = self.bit(number) {
            self.bits[word] &= !bit;
        }
    }

    fn join(&mut self, other: &Self) {
        let mut other = other.clone();
        match self.last.checked_sub(other.last) {
            Some(behind) => other.shift(behind),
            None => {
                self.shift(other.last - self.last);
                self.last = other.last;
            }
        }
        for (own, more) in self.bits.iter_mut().zip(other.bits) {
            *own |= more;
        }
    }

    fn bit(&self, number: u64) -> Option<(usize, u64)> {
        let back = self.last.checked_sub(number).filter(|back| *back < Seen::WIDTH)?;
        Some((usize::try_from(back / 64).ok()?, 1 << (back % 64)))
    }

    /// The numbers are further back now.
    fn shift(&mut self, by: u64) {
        let (words, bits) = (usize::try_from(by / 64).unwrap_or(WORDS), by % 64);
        let old = self.bits;
        let word = |index: usize| if index < WORDS { old[index] } else { 0 };
        self.bits = std::array::from_fn(|index| {
            let Some(from) = index.checked_sub(words) else { return 0 };
            let carried = match (bits, from.checked_sub(1)) {
                (0, _) | (_, None) => 0,
                (_, Some(below)) => word(below) >> (64 - bits),
            };
            word(from) << bits | carried
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;

    fn mark(seq: u64, part: u16, from: &str) -> Mark {
        Mark::new(Origin::Client { session: 7, seq, part }, Some(from))
    }

    fn sees(seen: &mut Seen, seq: u64) -> bool {
        seen.see(mark(seq, 0, "a@x"), false, MOST)
    }

    #[test]
    fn each_number_is_new_once_in_whatever_order_they_come() {
        let mut seen = Seen::default();
        let order = [5, 3, 4, 70, 1, 69, 200, 6, 319, 135, 2];
        for number in order {
            assert!(!sees(&mut seen, number), "{number}");
        }
        for number in order {
            assert!(sees(&mut seen, number), "{number}");
        }
        assert!(!sees(&mut seen, 1_000) && sees(&mut seen, 1_000));
        seen.forget(mark(1_000, 0, "a@x"));
        assert!(!sees(&mut seen, 1_000));
    }

    #[test]
    fn what_is_older_than_its_window_is_new_unless_it_comes_again() {
        let mut seen = Seen::default();
        assert!(!sees(&mut seen, 1) && !sees(&mut seen, 1_000) && !sees(&mut seen, 1));
        assert!(seen.see(mark(1, 0, "a@x"), true, MOST));
    }

    #[test]
    fn another_part_and_another_sender_are_no_repeat() {
        let mut seen = Seen::default();
        for mark in [mark(1, 0, "a@x"), mark(1, 1, "a@x"), mark(1, 0, "c@x")] {
            assert!(!seen.see(mark, true, MOST));
        }
    }

    #[test]
    fn the_window_that_was_used_longest_ago_is_forgotten_first() {
        let mut seen = Seen::default();
        let from = |number: usize| mark(1, 0, &format!("s{number}@x"));
        for number in 0..=MOST {
            assert!(!seen.see(from(number), false, MOST));
            assert!(seen.see(from(0), false, MOST));
        }
        assert_eq!(seen.windows.len(), MOST);
        assert!(seen.see(from(0), false, MOST) && !seen.see(from(1), false, MOST));
    }

    #[test]
    fn joined_windows_know_what_either_has_seen() {
        let numbers = [vec![1, 5, 70], vec![2, 5, 300]];
        for (own, other) in [(0, 1), (1, 0)] {
            let [mut one, mut two] = [Seen::default(), Seen::default()];
            for (seen, numbers) in [(&mut one, &numbers[own]), (&mut two, &numbers[other])] {
                for number in numbers {
                    sees(seen, *number);
                }
            }
            two.see(mark(9, 0, "c@x"), false, MOST);
            one.join(&two, MOST);
            for number in 1..=300 {
                let known = numbers.iter().flatten().any(|it| *it == number);
                assert_eq!(sees(&mut one.clone(), number), known, "{number}");
            }
            assert!(one.see(mark(9, 0, "c@x"), false, MOST));
        }
    }
}

//! Owns what simulations share: chance that a seed decides, which histories are played, and how one ends by what does not hold.
//!
//! A seed is a history. `ROOKERY_SEED=7` plays one again, `ROOKERY_SEEDS=2000` plays more than are played by themselves.

use std::fmt::Debug;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Numbers that look like chance and are the same each time (xorshift).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// What this seed decides.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to below `most`, which is not 0: also the place of one of so many things.
    pub const fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % most as u64) as usize
    }

    /// True once in so many times.
    pub const fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// What went wrong, and with what.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation<W> {
    /// Its kind.
    pub wrong: W,
    /// For whoever reads it.
    pub about: String,
}

/// How a history went.
pub type History<W> = Result<(), Violation<W>>;

/// The history ends where this is not so. Not by a panic: it is what whoever plays is there to see.
pub fn holds<W: Send + 'static>(so: bool, wrong: W, about: impl FnOnce() -> String) {
    if !so {
        resume_unwind(Box::new(Violation { wrong, about: about() }));
    }
}

/// Plays the history of this seed.
///
/// # Errors
/// What did not hold.
///
/// # Panics
/// Where the simulation does, or what it plays with: that goes on its way.
pub fn played<W: Send + 'static>(seed: u64, play: impl FnOnce()) -> History<W> {
    let Err(ended) = catch_unwind(AssertUnwindSafe(play)) else { return Ok(()) };
    match ended.downcast() {
        Ok(violation) => Err(*violation),
        Err(panic) => {
            println!("ROOKERY_SEED={seed}");
            resume_unwind(panic)
        }
    }
}

/// The histories that are asked for; otherwise the first `count`.
#[must_use]
pub fn seeds(count: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse().ok();
    match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(count),
    }
}

/// Plays those that are asked for, or so many; says all that go wrong.
///
/// # Panics
/// Where one does.
pub fn all_go_well<W: Debug>(count: u64, play: impl Fn(u64) -> History<W>) {
    let wrong =
        |seed| play(seed).err().map(|violation| format!("ROOKERY_SEED={seed}: {violation:?}"));
    let wrong: Vec<String> = seeds(count).filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One of so many histories misses what was left out, as one of these.
///
/// # Panics
/// Where none does.
pub fn is_missed<W: Debug + PartialEq>(
    count: u64,
    left_out: impl Debug,
    as_what: &[W],
    play: impl Fn(u64) -> History<W>,
) {
    let is_missed = |seed| play(seed).is_err_and(|it| as_what.contains(&it.wrong));
    assert!((0..count).any(is_missed), "without {left_out:?} nothing is {as_what:?} here");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Lost;

    #[test]
    fn a_seed_decides_everything() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            (0..100).map(|_| chance.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(0), numbers(1));
        assert!(numbers(0).iter().all(|number| *number < 1_000));
    }

    #[test]
    fn a_history_ends_by_what_does_not_hold() {
        let play = |seed: u64| {
            played(seed, || {
                holds(true, Lost, || unreachable!());
                holds(seed != 3, Lost, || "it".to_owned());
                assert!(seed != 4, "a fault of its own");
            })
        };
        assert_eq!(play(2), Ok(()));
        assert_eq!(play(3), Err(Violation { wrong: Lost, about: "it".to_owned() }));
        assert!(catch_unwind(|| play(4)).is_err(), "a panic goes on its way");
        all_go_well(3, play);
        assert!(catch_unwind(|| all_go_well(4, play)).is_err());
        is_missed(4, "nothing", &[Lost], play);
        assert!(catch_unwind(|| is_missed(3, "nothing", &[Lost], play)).is_err());
    }
}

//! Owns how near a process is to the most memory that it may have: a level that one thread sets and all others read.

use std::sync::atomic::{AtomicU8, Ordering};

/// How near, and so what is given up. Whatever was accepted is kept at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is room.
    Calm,
    /// No more connections than there are.
    Tight,
    /// No more than half as many, and nobody sends more at once than on average.
    Critical,
}

/// Shares of the budget, in hundredths: where a level begins, and below which it is over. The gap keeps a
/// level from going to and fro.
const TIGHT: (u64, u64) = (85, 80);
const CRITICAL: (u64, u64) = (95, 90);

/// The level now.
#[derive(Debug, Default)]
pub struct Pressure(AtomicU8);

impl Pressure {
    /// The level now.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.0.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::Tight,
            _ => Level::Critical,
        }
    }

    /// So many bytes are in use of so many that may be. Answers the level if that changes it. Called by one thread.
    pub fn note(&self, used: u64, budget: u64) -> Option<Level> {
        let now = self.level();
        let percent = used.saturating_mul(100) / budget.max(1);
        let reaches = |level, (begins, ends)| percent >= if now >= level { ends } else { begins };
        let next = match () {
            () if reaches(Level::Critical, CRITICAL) => Level::Critical,
            () if reaches(Level::Tight, TIGHT) => Level::Tight,
            () => Level::Calm,
        };
        self.0.store(next as u8, Ordering::Relaxed);
        Some(next).filter(|next| *next != now)
    }
}

/// How many connections there may be. Who leaves makes room for another, whether or not the system has the memory
/// back: the allocator keeps it for the next one.
#[derive(Debug, Default)]
pub struct Places {
    /// How many there were when memory became tight.
    when_tight: Option<usize>,
}

impl Places {
    /// Whether there is one for one more.
    pub fn has_one(&mut self, level: Level, taken: usize) -> bool {
        if level == Level::Calm {
            self.when_tight = None;
            return true;
        }
        let most = *self.when_tight.get_or_insert(taken);
        taken < if level == Level::Tight { most } else { most / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_begins_above_where_it_ends() {
        let pressure = Pressure::default();
        let steps = [
            (84, None),
            (85, Some(Level::Tight)),
            (80, None),
            (79, Some(Level::Calm)),
            (84, None),
            (95, Some(Level::Critical)),
            (90, None),
            (89, Some(Level::Tight)),
            (94, None),
            (120, Some(Level::Critical)),
            (10, Some(Level::Calm)),
        ];
        for (percent, expected) in steps {
            assert_eq!(pressure.note(percent * 10, 1_000), expected, "at {percent} %");
        }
    }

    #[test]
    fn where_memory_is_tight_one_comes_when_another_has_left_and_later_when_half_have() {
        let mut places = Places::default();
        let steps = [
            (Level::Calm, 10, true),
            (Level::Tight, 10, false),
            (Level::Tight, 9, true),
            (Level::Critical, 9, false),
            (Level::Critical, 4, true),
            (Level::Tight, 9, true),
            (Level::Tight, 10, false),
            (Level::Calm, 10, true),
            (Level::Critical, 12, false),
            (Level::Tight, 11, true),
        ];
        for (step, (level, taken, expected)) in steps.into_iter().enumerate() {
            assert_eq!(places.has_one(level, taken), expected, "step {step}");
        }
    }

    #[test]
    fn no_budget_is_soon_used_up() {
        assert_eq!(Pressure::default().note(1, 0), Some(Level::Critical));
    }
}

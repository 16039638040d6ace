//! Owns how near a process is to the most memory that it may have: a level that one thread sets and all others read.

use std::sync::atomic::{AtomicU8, Ordering};

/// How near, and so what is given up. Whatever was accepted is kept at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is room.
    Calm,
    /// No more connections than there are.
    Tight,
    /// No connection at all, and nobody sends more at once than on average.
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
    fn no_budget_is_soon_used_up() {
        assert_eq!(Pressure::default().note(1, 0), Some(Level::Critical));
    }
}

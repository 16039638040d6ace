//! Counts what became of a numbered row of messages: lost, duplicated, reordered.

use serde::Serialize;
use std::collections::BTreeSet;

/// The sums over one or more rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Numbers that never came.
    pub lost: u64,
    /// Arrivals of a number that had come before.
    pub duplicated: u64,
    /// Arrivals behind a higher number.
    pub reordered: u64,
}

impl Tally {
    /// Adds the sums of another row.
    pub fn add(&mut self, other: Tally) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
    }
}

/// Follows the numbers 0, 1, 2 … of one sender at one receiver.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    next: u64,
    missing: BTreeSet<u64>,
    tally: Tally,
}

impl Tracker {
    /// Notes the arrival of a number; `true` if it is the first of this number.
    ///
    /// A jump by more than a million counts at once as lost, so that a forged number holds no memory.
    pub fn arrived(&mut self, number: u64) -> bool {
        if number == self.next {
            self.next += 1;
            return true;
        }
        if number > self.next {
            if number - self.next > 1_000_000 {
                self.tally.lost += number - self.next;
            } else {
                self.missing.extend(self.next..number);
            }
            self.next = number + 1;
            return true;
        }
        let first = self.missing.remove(&number);
        if first {
            self.tally.reordered += 1;
        } else {
            self.tally.duplicated += 1;
        }
        first
    }

    /// What became of the numbers below `sent`.
    pub fn tally(&self, sent: u64) -> Tally {
        let lost = self.missing.len() as u64 + sent.saturating_sub(self.next);
        Tally { lost: self.tally.lost + lost, ..self.tally }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(arrivals: &[u64], sent: u64) -> (u64, u64, u64) {
        let mut tracker = Tracker::default();
        for number in arrivals {
            tracker.arrived(*number);
        }
        let t = tracker.tally(sent);
        (t.lost, t.duplicated, t.reordered)
    }

    #[test]
    fn a_row_in_order_has_no_faults() {
        assert_eq!(tally(&[0, 1, 2, 3], 4), (0, 0, 0));
    }

    #[test]
    fn a_hole_and_a_missing_tail_are_lost() {
        assert_eq!(tally(&[0, 2, 3], 6), (3, 0, 0));
        assert_eq!(tally(&[], 2), (2, 0, 0));
    }

    #[test]
    fn a_late_arrival_is_reordered_and_not_lost() {
        assert_eq!(tally(&[0, 2, 1, 3], 4), (0, 0, 1));
    }

    #[test]
    fn a_second_arrival_is_duplicated() {
        assert_eq!(tally(&[0, 1, 1, 0, 2], 3), (0, 2, 0));
        assert_eq!(tally(&[0, 2, 1, 1], 3), (0, 1, 1));
    }
}

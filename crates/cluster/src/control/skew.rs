//! Owns by how much the wall clocks of other members differ from this one's. Leases do not care, but stamps, the order of
//! archives over members, and what expires do: an operator is told. Pure: times come in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proto::MemberId;

/// A difference that is told; NTP keeps clocks within milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);

/// What was told is over when the difference is no more than this.
const WELL: Duration = Duration::from_secs(2);

/// When something happened by the wall clocks, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// Here, when the other member was asked.
    pub(crate) asked: u64,
    /// There, when it answered.
    pub(crate) there: u64,
    /// Here, when the answer came.
    pub(crate) answered: u64,
}

/// The last difference of each member, and whom it was told of.
#[derive(Debug, Default)]
pub(crate) struct Skews(Mutex<BTreeMap<MemberId, Skew>>);

#[derive(Clone, Copy, Debug)]
struct Skew {
    /// By so many milliseconds it is ahead of this member.
    ahead: i64,
    told: bool,
}

impl Skews {
    /// Takes what came of a greeting. A program that does not say its time is not judged.
    pub(crate) fn note(&self, member: MemberId, exchange: Exchange) {
        let Some(measured) = exchange.ahead() else { return };
        let mut skews = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = skews.get(&member).is_some_and(|known| known.told);
        // The answer may have been under way for as long as it took at most.
        let certain = measured.unsigned_abs().saturating_sub(exchange.took() / 2);
        let told = Duration::from_millis(certain) > if before { WELL } else { LIMIT };
        skews.insert(member, Skew { ahead: measured, told });
        drop(skews);
        match (before, told) {
            (false, true) => {
                tracing::warn!(peer = %member, "its clock is {} this member's: stamps and archives depend on it", words(measured));
            }
            (true, false) => {
                tracing::info!(peer = %member, "its clock agrees with this member's again");
            }
            _ => {}
        }
    }

    /// By how many milliseconds a member's clock is ahead of this one's; none where that is not known.
    pub(crate) fn ahead(&self, member: MemberId) -> Option<i64> {
        let skews = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        skews.get(&member).map(|skew| skew.ahead)
    }
}

impl Exchange {
    fn took(self) -> u64 {
        self.answered.saturating_sub(self.asked)
    }

    /// The other clock against the middle of the time that it took.
    fn ahead(self) -> Option<i64> {
        let here = self.asked.saturating_add(self.took() / 2);
        let ahead = i128::from(self.there) - i128::from(here);
        (self.there != 0).then(|| i64::try_from(ahead).ok()).flatten()
    }
}

/// What an operator is told of a clock that is so many milliseconds ahead.
pub(crate) fn words(ahead: i64) -> String {
    let time = Duration::from_millis(ahead.unsigned_abs());
    let side = if ahead < 0 { "behind" } else { "ahead of" };
    format!("{time:.1?} {side}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: MemberId = MemberId(2);
    const NOW: u64 = 1_800_000_000_000;

    /// Whether a difference is told, of an answer that took so long.
    fn is_told(skews: &Skews, ahead: i64, took: u64) -> bool {
        let there = (NOW + took / 2).checked_add_signed(ahead).unwrap();
        skews.note(OTHER, Exchange { asked: NOW, there, answered: NOW + took });
        assert_eq!(skews.ahead(OTHER), Some(ahead));
        skews.0.lock().unwrap()[&OTHER].told
    }

    #[test]
    fn a_clock_that_is_seconds_off_is_told_until_it_is_right() {
        let skews = Skews::default();
        assert!(!is_told(&skews, 3_000, 0), "up to three seconds it is not worth a word");
        assert!(is_told(&skews, 3_001, 0) && is_told(&skews, 3_600_000, 0));
        assert!(is_told(&skews, 2_500, 0), "it does not come and go around the limit");
        assert!(!is_told(&skews, 2_000, 0));
        assert!(is_told(&skews, -3_001, 0), "one that is behind too");
    }

    #[test]
    fn a_slow_answer_is_no_wrong_clock() {
        let skews = Skews::default();
        assert!(!is_told(&skews, 4_000, 2_000), "it may have been under way for a second");
        assert!(is_told(&skews, 4_001, 2_000));
    }

    #[test]
    fn a_member_that_does_not_say_its_time_is_not_judged() {
        let skews = Skews::default();
        skews.note(OTHER, Exchange { asked: NOW, there: 0, answered: NOW });
        assert_eq!(skews.ahead(OTHER), None);
    }

    #[test]
    fn an_operator_reads_which_clock_is_ahead() {
        assert_eq!(words(3_600_000), "3600.0s ahead of");
        assert_eq!(words(-4_200), "4.2s behind");
    }
}

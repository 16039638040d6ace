//! Owns whether an account may have one more file, from the slots that it was given. Pure.

use files::FileId;
use files::slot::{self, SlotRow};

use crate::Limits;

const DAY_SECONDS: u64 = 86_400;

/// A slot that was given.
pub type Given = (FileId, SlotRow);

/// Why it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Of what there is no more.
    pub what: &'static str,
    /// From when on it may, seconds since 1970-01-01 UTC; none: nobody knows.
    pub until: Option<u64>,
}

/// Whether nothing follows from a slot any more, so that its row can be removed.
#[must_use]
pub fn is_done((id, row): &Given, now: u64) -> bool {
    !row.counts(now) || id.is_over(now) && row.given + DAY_SECONDS <= now
}

/// Whether there is room for a file of this size. The time is in seconds since 1970-01-01 UTC.
///
/// # Errors
/// There is none.
pub fn judge(given: &[Given], size: u64, limits: &Limits, now: u64) -> Result<(), Spent> {
    let counting = given.iter().filter(|(_, row)| row.counts(now));
    let there = counting.clone().filter(|(id, _)| !id.is_over(now));
    let today = counting.filter(|(_, row)| row.given + DAY_SECONDS > now);
    let files = there.clone().map(|it| (until(it), 1)).collect();
    let bytes = there.map(|it| (until(it), it.1.size)).collect();
    let of_day = today.map(|(_, row)| (Some(row.given + DAY_SECONDS), row.size)).collect();
    let spent = |what| move |until| Spent { what, until };
    fits(files, 1, limits.files as u64).map_err(spent("files"))?;
    fits(bytes, size, limits.bytes).map_err(spent("bytes"))?;
    fits(of_day, size, limits.bytes_a_day).map_err(spent("bytes of a day"))
}

/// When a slot counts no more: at the end of its file, or when the file has not come; none: never.
fn until((id, row): &Given) -> Option<u64> {
    match row.kept {
        true => id.end(),
        false => Some(row.given + slot::BEGIN_WITHIN + slot::take_within(row.size) + 1),
    }
}

/// Whether there is room for so much more beside what is there, each until a time; if not, when there is.
fn fits(mut there: Vec<(Option<u64>, u64)>, more: u64, limit: u64) -> Result<(), Option<u64>> {
    let mut sum = there.iter().fold(more, |sum, (_, amount)| sum.saturating_add(*amount));
    if sum <= limit {
        return Ok(());
    }
    there.retain(|(until, _)| until.is_some());
    there.sort_unstable();
    for (until, amount) in there {
        sum = sum.saturating_sub(amount);
        if sum <= limit {
            return Err(until);
        }
    }
    Err(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_764_000_000;

    fn slot(end: Option<u64>, size: u64, given: u64, kept: bool) -> Given {
        let row = SlotRow { size, given, kept, content_type: String::new() };
        (FileId::new(end, [1; 16]), row)
    }

    fn limits() -> Limits {
        Limits { bytes: 100, bytes_a_day: 60, files: 3, ..Limits::default() }
    }

    #[test]
    fn files_count_until_they_end_and_slots_until_they_lapse() {
        let week = NOW - 7 * DAY_SECONDS;
        let there = [slot(Some(NOW + 50), 50, week, true), slot(Some(NOW + 70), 40, week, true)];
        assert_eq!(judge(&there, 10, &limits(), NOW), Ok(()));
        let spent = |until| Err(Spent { what: "bytes", until });
        assert_eq!(judge(&there, 11, &limits(), NOW), spent(Some(NOW + 50)));
        assert_eq!(judge(&there, 60, &limits(), NOW), spent(Some(NOW + 50)));
        assert_eq!(
            judge(&there, 61, &Limits { bytes_a_day: 100, ..limits() }, NOW),
            spent(Some(NOW + 70))
        );
        assert_eq!(judge(&there, 60, &limits(), NOW + 50), Ok(()));
        let pending = [slot(Some(NOW + DAY_SECONDS), 60, NOW - 361, false)];
        assert_eq!(judge(&pending, 60, &limits(), NOW), Ok(()), "its file has not come");
        let pending = [slot(Some(NOW + DAY_SECONDS), 60, NOW - 360, false)];
        assert!(judge(&pending, 60, &limits(), NOW).is_err());
        let forever = [slot(None, 90, week, true)];
        assert_eq!(judge(&forever, 11, &limits(), NOW), spent(None));
    }

    #[test]
    fn a_day_has_its_own_bound_also_for_what_has_ended() {
        let there = [slot(Some(NOW - 1), 50, NOW - 100, true)];
        let spent = Spent { what: "bytes of a day", until: Some(NOW - 100 + DAY_SECONDS) };
        assert_eq!(judge(&there, 11, &limits(), NOW), Err(spent));
        assert_eq!(judge(&there, 10, &limits(), NOW), Ok(()));
        assert!(!is_done(&there[0], NOW) && is_done(&there[0], NOW + DAY_SECONDS));
    }

    #[test]
    fn files_are_counted() {
        let there = [3, 2, 1].map(|n| slot(Some(NOW + n), 1, NOW - DAY_SECONDS, true));
        let spent = Spent { what: "files", until: Some(NOW + 1) };
        assert_eq!(judge(&there, 1, &limits(), NOW), Err(spent));
        assert_eq!(judge(&there, 1, &limits(), NOW + 1), Ok(()));
    }
}

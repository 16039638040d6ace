//! Owns the name of a file. It begins with the time at which the file ends, so that names sort by it and nobody has to
//! look that up; the rest nobody can guess (XEP-0363 §9.3). Pure.

use std::fmt;

const DAY_SECONDS: u64 = 86_400;
/// Of the text: four bytes of time, sixteen of chance.
const DIGITS: usize = 40;

/// The name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// When it ends, seconds since 1970-01-01 UTC; `u32::MAX`: never.
    end: u32,
    random: u128,
}

impl FileId {
    /// The day of those that never end.
    pub const FOREVER: &'static str = "forever";

    /// A file that ends at this time, in seconds since 1970-01-01 UTC; none: never.
    #[must_use]
    pub fn new(end: Option<u64>, random: [u8; 16]) -> Self {
        let end = end.map_or(u32::MAX, |end| u32::try_from(end).unwrap_or(u32::MAX));
        Self { end, random: u128::from_be_bytes(random) }
    }

    /// Reads what [`FileId`]'s `Display` has written, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != DIGITS || !digits(text) {
            return None;
        }
        let (end, random) = text.split_at_checked(8)?;
        let end = u32::from_str_radix(end, 16).ok()?;
        Some(Self { end, random: u128::from_str_radix(random, 16).ok()? })
    }

    /// When it ends, seconds since 1970-01-01 UTC; none: never.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        (self.end != u32::MAX).then_some(self.end.into())
    }

    /// Whether it has ended at this time, in seconds since 1970-01-01 UTC.
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// A name for the day on which it ends. Days sort by time, and those without end come last, until 2243.
    #[must_use]
    pub fn day(&self) -> String {
        self.end().map_or_else(|| Self::FOREVER.to_owned(), day_of)
    }
}

/// The name of the day of a time in seconds since 1970-01-01 UTC.
#[must_use]
pub(crate) fn day_of(seconds: u64) -> String {
    format!("{:05}", seconds / DAY_SECONDS)
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:032x}", self.end, self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_no_other_way() {
        for end in [None, Some(0), Some(1_764_000_000)] {
            let id = FileId::new(end, [7; 16]);
            assert_eq!(FileId::parse(&id.to_string()), Some(id));
            assert_eq!(id.end(), end);
        }
        let text = FileId::new(Some(9), [0xab; 16]).to_string();
        let signed = format!("+{}", &text[1..]);
        for wrong in ["", "../../etc/passwd", &text[1..], &text.to_uppercase(), &signed] {
            assert_eq!(FileId::parse(wrong), None, "{wrong}");
        }
        assert_eq!(FileId::parse(&format!("{}é", &text[..38])), None);
    }

    #[test]
    fn names_and_days_sort_by_the_end() {
        let ends = [Some(5), Some(86_400), Some(1_764_000_000), None];
        let ids = ends.map(|end| FileId::new(end, [1; 16]));
        assert!(ids.is_sorted_by(|a, b| a < b && a.to_string() < b.to_string()));
        assert!(ids.is_sorted_by(|a, b| a.day() < b.day()));
        assert!(ids[0].is_over(5) && !ids[0].is_over(4) && !ids[3].is_over(u64::MAX));
    }
}

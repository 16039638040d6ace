//! Owns the words of archives: rows, queries over them, pages (XEP-0313, XEP-0059).

use bytes::Bytes;
use xmpp::{BareJid, Origin};

/// The place of a row in time and among all rows of its owner: microseconds since 1970-01-01 UTC, or one
/// more than the last id where the clock has not moved on. Its text form is the stanza id (XEP-0359).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArchiveId(pub u64);

/// One archived message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRow {
    /// Where it stands.
    pub id: ArchiveId,
    /// The other side of the conversation, without its resource.
    pub peer: BareJid,
    /// What caused it; a row of the same origin is the same message.
    pub origin: Origin,
    /// The whole stanza in canonical bytes, as something that stands inside another one.
    pub stanza: Bytes,
}

/// Which rows, and which page of them (XEP-0313 §4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveQuery {
    /// Only conversations with this peer.
    pub with: Option<BareJid>,
    /// Not before this time, in microseconds.
    pub start: Option<u64>,
    /// Not after this time, in microseconds.
    pub end: Option<u64>,
    /// Only rows behind this one; [`ArchivePage`] is refused where there is no such row.
    pub after_id: Option<ArchiveId>,
    /// Only rows before this one.
    pub before_id: Option<ArchiveId>,
    /// Only these rows; all must exist.
    pub ids: Vec<ArchiveId>,
    /// Which page.
    pub slice: Slice,
    /// At most so many rows; 0 counts only.
    pub limit: usize,
}

/// Which page of the rows (XEP-0059 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slice {
    /// From the first row on.
    #[default]
    First,
    /// Behind this row.
    After(ArchiveId),
    /// The last rows.
    Last,
    /// The last rows before this row.
    Before(ArchiveId),
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchivePage {
    /// The rows in order of time.
    pub rows: Vec<ArchiveRow>,
    /// No row of the query lies beyond the page, in the direction of paging.
    pub complete: bool,
    /// How many rows the query has in all, where that is cheap to say.
    pub count: Option<usize>,
    /// An id that the query named ([`ArchiveQuery::ids`], `after_id`, `before_id`, [`Slice`]) is not in the
    /// archive: `item-not-found` (XEP-0313 §4.1.5, XEP-0059 §2.1).
    pub unknown_id: bool,
}

impl ArchiveId {
    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
    }

    /// The id of something archived now, when `last` was the last.
    pub fn next(last: Self, unix_micros: u64) -> Self {
        Self(unix_micros.max(last.0 + 1))
    }
}

impl std::fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

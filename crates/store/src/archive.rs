//! Owns the words of archives: rows, queries over them, pages (XEP-0313, XEP-0059).

use bytes::Bytes;
use xmpp::{BareJid, Origin};

/// The place of a row in time and among all rows of its owner: microseconds since 1970-01-01 UTC, or one
/// more than the last id where the clock has not moved on. It has no text form: nobody outside is to know it.
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
    /// Only these rows; all must exist. Empty where it does not matter.
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
    /// How many rows the query has in all; none where there are more than [`ArchiveQuery::COUNT_MAX`].
    pub count: Option<usize>,
    /// An id that the query named ([`ArchiveQuery::ids`], `after_id`, `before_id`, [`Slice`]) is not in the
    /// archive: `item-not-found` (XEP-0313 §4.1.5, XEP-0059 §2.1).
    pub unknown_id: bool,
}

impl ArchiveQuery {
    /// An engine counts so far and no further: a page must not cost a walk through a whole archive.
    pub const COUNT_MAX: usize = 10_000;

    /// Whether the row is one of the query, on whatever page.
    #[must_use]
    pub fn selects(&self, row: &ArchiveRow) -> bool {
        self.with.as_ref().is_none_or(|with| row.peer == *with)
            && self.start.is_none_or(|start| row.id.0 >= start)
            && self.end.is_none_or(|end| row.id.0 <= end)
            && self.after_id.is_none_or(|after| row.id > after)
            && self.before_id.is_none_or(|before| row.id < before)
            && (self.ids.is_empty() || self.ids.contains(&row.id))
    }

    /// Every id that the query names; each must be in the archive (XEP-0313 §4.1.5, XEP-0059 §2.1).
    pub fn named_ids(&self) -> impl Iterator<Item = ArchiveId> {
        let slice = match self.slice {
            Slice::First | Slice::Last => None,
            Slice::After(id) | Slice::Before(id) => Some(id),
        };
        let named = [self.after_id, self.before_id, slice];
        self.ids.iter().copied().chain(named.into_iter().flatten())
    }

    /// The page out of all rows of the query, which stand in order of time.
    #[must_use]
    pub fn page_of(&self, mut rows: Vec<ArchiveRow>) -> ArchivePage {
        let count = (rows.len() <= Self::COUNT_MAX).then_some(rows.len());
        match self.slice {
            Slice::First | Slice::Last => {}
            Slice::After(id) => rows.retain(|row| row.id > id),
            Slice::Before(id) => rows.retain(|row| row.id < id),
        }
        let beyond = rows.len().saturating_sub(self.limit);
        match self.slice {
            Slice::First | Slice::After(_) => rows.truncate(self.limit),
            Slice::Last | Slice::Before(_) => drop(rows.drain(..beyond)),
        }
        ArchivePage { rows, complete: beyond == 0, count, unknown_id: false }
    }
}

impl ArchivePage {
    /// The answer to a query that names a row which is not there.
    #[must_use]
    pub fn unknown_id() -> Self {
        Self { unknown_id: true, ..Self::default() }
    }
}

impl ArchiveId {
    /// The id of something archived now, when `last` was the last.
    pub fn next(last: Self, unix_micros: u64) -> Self {
        Self(unix_micros.max(last.0 + 1))
    }
}

//! Owns reading pages of archives (XEP-0313 §4, XEP-0059 §2).

use fjall::Slice as Name;
use xmpp::BareJid;

use super::encoding;
use super::tables::{Table, Tables, View, damaged};
use crate::Error;
use crate::archive::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Slice};

/// Ids from the first to the second, both included; none where they are the wrong way round.
#[derive(Clone, Copy)]
struct Span(u64, u64);

struct Reader<'a> {
    view: View<'a>,
    owner: &'a BareJid,
    query: &'a ArchiveQuery,
}

pub(super) fn page(
    tables: &Tables,
    owner: &BareJid,
    query: &ArchiveQuery,
) -> Result<ArchivePage, Error> {
    let reader = Reader { view: tables.view(), owner, query };
    for id in query.named_ids() {
        let name = encoding::archive(owner, id);
        if !reader.view.has(Table::Archive, &name)? {
            return Ok(ArchivePage::unknown_id());
        }
    }
    if !query.ids.is_empty() {
        return Ok(query.page_of(reader.named()?));
    }
    reader.page()
}

impl Reader<'_> {
    /// The rows that the query names.
    fn named(&self) -> Result<Vec<ArchiveRow>, Error> {
        let mut ids = self.query.ids.clone();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(self.row(id)?.filter(|row| self.query.selects(row)));
        }
        Ok(rows)
    }

    fn page(&self) -> Result<ArchivePage, Error> {
        let all = self.span();
        let is_backward = matches!(self.query.slice, Slice::Last | Slice::Before(_));
        let span = match self.query.slice {
            Slice::First | Slice::Last => all,
            Slice::After(id) => all.after(id),
            Slice::Before(id) => all.before(id),
        };
        let mut rows = Vec::new();
        let mut complete = true;
        for row in self.rows(span, is_backward) {
            if rows.len() == self.query.limit {
                complete = false;
                break;
            }
            rows.push(row?);
        }
        if is_backward {
            rows.reverse();
        }
        let is_whole = complete && matches!(self.query.slice, Slice::First | Slice::Last);
        let count = if is_whole { Some(rows.len()) } else { self.count(all)? };
        Ok(ArchivePage { rows, complete, count, unknown_id: false })
    }

    /// Where the rows of the query stand, on whatever page.
    fn span(&self) -> Span {
        let query = self.query;
        let mut span = Span(query.start.unwrap_or(0), query.end.unwrap_or(u64::MAX));
        if let Some(id) = query.after_id {
            span = span.after(id);
        }
        if let Some(id) = query.before_id {
            span = span.before(id);
        }
        span
    }

    /// The rows of a span, from its end where `is_backward`.
    fn rows(
        &self,
        span: Span,
        is_backward: bool,
    ) -> Box<dyn Iterator<Item = Result<ArchiveRow, Error>> + '_> {
        if let Some(peer) = &self.query.with {
            let names = turned(self.names_with(peer, span), is_backward);
            return Box::new(names.filter_map(|name| self.indexed(name).transpose()));
        }
        let (from, to) = span.names(|id| encoding::archive(self.owner, id));
        let entries = turned(self.view.range(Table::Archive, from, to), is_backward);
        Box::new(entries.map(|entry| {
            let (name, value) = entry?;
            let id = encoding::id_of(&name).ok_or_else(|| damaged("an archive row's name"))?;
            encoding::archive_row(id, &value).ok_or_else(|| damaged("an archive row"))
        }))
    }

    fn names_with(
        &self,
        peer: &BareJid,
        span: Span,
    ) -> impl DoubleEndedIterator<Item = Result<Name, Error>> + use<> {
        let (from, to) = span.names(|id| encoding::peer(self.owner, peer, id));
        self.view.names(Table::Peers, from, to)
    }

    /// The row that a name in the index stands for.
    fn indexed(&self, name: Result<Name, Error>) -> Result<Option<ArchiveRow>, Error> {
        let id = encoding::id_of(&name?).ok_or_else(|| damaged("an archive row's name"))?;
        self.row(id)
    }

    fn row(&self, id: ArchiveId) -> Result<Option<ArchiveRow>, Error> {
        let value = self.view.get(Table::Archive, &encoding::archive(self.owner, id))?;
        value
            .map(|value| encoding::archive_row(id, &value).ok_or_else(|| damaged("an archive row")))
            .transpose()
    }

    /// How many rows the query has. A whole archive is counted in the index, where names stand densest.
    fn count(&self, span: Span) -> Result<Option<usize>, Error> {
        if let Some(peer) = &self.query.with {
            return count(self.names_with(peer, span));
        }
        if (span.0, span.1) == (0, u64::MAX) {
            let (from, to) =
                (encoding::owner(self.owner), encoding::behind_owner(self.owner.as_str()));
            return count(self.view.names(Table::Peers, from, to));
        }
        let (from, to) = span.names(|id| encoding::archive(self.owner, id));
        count(self.view.names(Table::Archive, from, to))
    }
}

impl Span {
    const NONE: Self = Self(1, 0);

    fn after(self, id: ArchiveId) -> Self {
        id.0.checked_add(1).map_or(Self::NONE, |least| Self(self.0.max(least), self.1))
    }

    fn before(self, id: ArchiveId) -> Self {
        id.0.checked_sub(1).map_or(Self::NONE, |most| Self(self.0, self.1.min(most)))
    }

    /// The first name of the span, and the first behind it.
    fn names(self, name: impl Fn(ArchiveId) -> Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let from = name(ArchiveId(self.0));
        let mut to = name(ArchiveId(self.1));
        if self.0 <= self.1 {
            to.push(0);
        }
        (from, to)
    }
}

fn count(names: impl Iterator<Item = Result<Name, Error>>) -> Result<Option<usize>, Error> {
    let mut count = 0;
    for name in names.take(ArchiveQuery::COUNT_MAX + 1) {
        name?;
        count += 1;
    }
    Ok((count <= ArchiveQuery::COUNT_MAX).then_some(count))
}

fn turned<'a, T: 'a>(
    iterator: impl DoubleEndedIterator<Item = T> + 'a,
    is_backward: bool,
) -> Box<dyn Iterator<Item = T> + 'a> {
    if is_backward { Box::new(iterator.rev()) } else { Box::new(iterator) }
}

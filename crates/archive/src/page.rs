//! Owns pages: rows collected from the store, as often as a filter that the store does not know makes
//! necessary, and cut where they would be too much for one answer.

use store::{ArchivePage, ArchiveQuery, ArchiveRow, Fence, Reply, Slice, Store};
use xmpp::{BareJid, Element, Jid, StanzaCondition, StanzaError};

use crate::{PAGE_MOST, Query, fulltext};

/// The most bytes of one page. A page of larger messages ends early and says that it is not complete; a
/// page has one message at least.
pub const PAGE_BYTES: usize = 512 << 10;

/// The most rows that are looked at for one page by a filter that the store does not know.
pub const ROWS_LOOKED_AT: usize = 5_000;

/// The first and the last row of an archive (§5); none: it is empty.
pub fn ends(
    store: &dyn Store,
    fence: Fence,
    owner: &BareJid,
) -> Reply<Option<(ArchiveRow, ArchiveRow)>> {
    let end = |slice| {
        let query = ArchiveQuery { slice, limit: 1, ..ArchiveQuery::default() };
        store.query(fence, owner.clone(), query)
    };
    let (first, last) = (end(Slice::First), end(Slice::Last));
    Box::pin(async move { Ok(first.await?.rows.pop().zip(last.await?.rows.pop())) })
}

/// Collects a page.
pub struct Collector {
    query: Query,
    found: Vec<ArchiveRow>,
    seen: usize,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// The store must be asked this.
    Ask(ArchiveQuery),
    /// The page is there.
    Done(ArchivePage),
}

impl Collector {
    /// Begins; the first question to the store is [`Query::rows`].
    #[must_use]
    pub fn new(query: Query) -> Self {
        Self { query, found: Vec::new(), seen: 0 }
    }

    /// What is collected for.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// Takes what the store answered.
    ///
    /// # Errors
    /// `item-not-found` for an id that is not in the archive (§4.1.3, §4.3.2); `policy-violation` where
    /// [`ROWS_LOOKED_AT`] rows hold none that is meant.
    pub fn take(&mut self, page: ArchivePage) -> Result<Step, StanzaError> {
        if page.unknown_id {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        if self.query.exactly.is_none() && self.query.words.is_empty() {
            return Ok(Step::Done(cut(page, is_backwards(self.query.rows.slice))));
        }
        let backwards = is_backwards(self.query.rows.slice);
        self.seen += page.rows.len();
        let next = match backwards {
            true => page.rows.first().map(|row| Slice::Before(row.id)),
            false => page.rows.last().map(|row| Slice::After(row.id)),
        };
        let limit = self.query.rows.limit;
        let mut rows: Vec<ArchiveRow> =
            page.rows.into_iter().filter(|row| is_meant(row, &self.query)).collect();
        if backwards {
            rows.append(&mut self.found);
            self.found = rows;
        } else {
            self.found.append(&mut rows);
        }
        let complete = page.complete && self.found.len() <= limit;
        match next.filter(|_| !page.complete && self.found.len() < limit) {
            None => Ok(Step::Done(self.finish(backwards, complete))),
            // The client goes on behind what was found.
            Some(_) if self.seen >= ROWS_LOOKED_AT && !self.found.is_empty() => {
                Ok(Step::Done(self.finish(backwards, false)))
            }
            Some(_) if self.seen >= ROWS_LOOKED_AT => {
                let error = StanzaError::from(StanzaCondition::PolicyViolation);
                Err(error.with_text("too many messages to look through; narrow the query by time"))
            }
            Some(slice) => {
                let limit = PAGE_MOST as usize;
                Ok(Step::Ask(ArchiveQuery { slice, limit, ..self.query.rows.clone() }))
            }
        }
    }

    fn finish(&mut self, backwards: bool, complete: bool) -> ArchivePage {
        let mut rows = std::mem::take(&mut self.found);
        let surplus = rows.len().saturating_sub(self.query.rows.limit);
        if backwards {
            rows.drain(..surplus);
        } else {
            rows.truncate(self.query.rows.limit);
        }
        let page = ArchivePage { rows, complete, count: None, unknown_id: false };
        cut(page, backwards)
    }
}

fn is_backwards(slice: Slice) -> bool {
    matches!(slice, Slice::Last | Slice::Before(_))
}

/// Cuts a page that is too large at the end away from which the client goes on.
fn cut(mut page: ArchivePage, backwards: bool) -> ArchivePage {
    if backwards {
        page.rows.reverse();
    }
    let mut bytes = 0;
    let fits = page.rows.iter().take_while(|row| {
        bytes += row.stanza.len();
        bytes <= PAGE_BYTES
    });
    let kept = fits.count().max(1);
    if kept < page.rows.len() {
        page.rows.truncate(kept);
        page.complete = false;
    }
    if backwards {
        page.rows.reverse();
    }
    page
}

/// §4.1.1, XEP-0431 §2.2. A row whose stanza cannot be read matches nothing.
fn is_meant(row: &ArchiveRow, query: &Query) -> bool {
    let Ok(stanza) = Element::parse(&row.stanza) else { return false };
    let is = |name, jid: &Jid| {
        stanza.attr(name).and_then(|text| Jid::parse(text).ok()).as_ref() == Some(jid)
    };
    query.exactly.as_ref().is_none_or(|jid| is("from", jid) || is("to", jid))
        && fulltext::is_in(&query.words, &stanza)
}

#[cfg(test)]
mod tests {
    use store::ArchiveId;
    use xmpp::{Epoch, Origin, Shard, ns};

    use super::*;

    fn row(id: u64, from: &str, size: usize) -> ArchiveRow {
        let shard = Shard::new(0).unwrap();
        let body = "x".repeat(size);
        ArchiveRow {
            id: ArchiveId(id),
            peer: BareJid::parse("juliet@capulet.lit").unwrap(),
            origin: Origin::Shard { shard, epoch: Epoch(1), counter: id },
            stanza: format!("<message xmlns='jabber:client' from='{from}'>{body}</message>").into(),
        }
    }

    fn page(rows: Vec<ArchiveRow>, complete: bool) -> ArchivePage {
        ArchivePage { rows, complete, ..ArchivePage::default() }
    }

    fn query(form: &str, set: &str) -> Query {
        let xml = format!(
            "<query xmlns='{}'><x xmlns='jabber:x:data' type='submit'>{form}</x>\
             <set xmlns='{}'>{set}</set></query>",
            ns::MAM,
            ns::RSM
        );
        Query::parse(&Element::parse(xml.as_bytes()).unwrap(), &crate::Ids::default()).unwrap()
    }

    fn ids(step: Result<Step, StanzaError>) -> (Vec<u64>, bool) {
        match step.unwrap() {
            Step::Done(page) => (page.rows.iter().map(|row| row.id.0).collect(), page.complete),
            Step::Ask(query) => panic!("asked again: {query:?}"),
        }
    }

    const BALCONY: &str = "juliet@capulet.lit/balcony";
    const CHAMBER: &str = "juliet@capulet.lit/chamber";
    const WITH: &str = "<field var='with'><value>juliet@capulet.lit/balcony</value></field>";

    #[test]
    fn a_page_of_the_store_is_the_page() {
        let mut collector = Collector::new(query("", ""));
        let rows = vec![row(1, BALCONY, 1), row(2, CHAMBER, 1)];
        assert_eq!(ids(collector.take(page(rows, true))), (vec![1, 2], true));
    }

    #[test]
    fn an_unknown_id_is_an_error() {
        let mut collector = Collector::new(query("", ""));
        let error = collector.take(ArchivePage { unknown_id: true, ..ArchivePage::default() });
        assert_eq!(error.unwrap_err().condition, StanzaCondition::ItemNotFound);
    }

    #[test]
    fn a_page_too_large_ends_early_where_the_client_goes_on() {
        let rows = || (1..=3).map(|id| row(id, BALCONY, PAGE_BYTES / 2)).collect();
        let mut forwards = Collector::new(query("", ""));
        assert_eq!(ids(forwards.take(page(rows(), true))), (vec![1], false));
        let mut backwards = Collector::new(query("", "<before/>"));
        assert_eq!(ids(backwards.take(page(rows(), true))), (vec![3], false));
        let mut huge = Collector::new(query("", ""));
        let rows = vec![row(1, BALCONY, 2 * PAGE_BYTES)];
        assert_eq!(ids(huge.take(page(rows, true))), (vec![1], true));
    }

    #[test]
    fn a_full_address_is_looked_for_page_by_page() {
        let mut collector = Collector::new(query(WITH, "<max>2</max>"));
        let first = page(vec![row(1, BALCONY, 1), row(2, CHAMBER, 1)], false);
        let Ok(Step::Ask(next)) = collector.take(first) else { panic!("one is missing") };
        assert_eq!(next.slice, Slice::After(ArchiveId(2)));
        let second = page(vec![row(3, BALCONY, 1), row(4, BALCONY, 1)], true);
        assert_eq!(ids(collector.take(second)), (vec![1, 3], false));

        let mut collector = Collector::new(query(WITH, "<max>2</max><before/>"));
        let last = page(vec![row(3, CHAMBER, 1), row(4, BALCONY, 1)], false);
        let Ok(Step::Ask(next)) = collector.take(last) else { panic!("one is missing") };
        assert_eq!(next.slice, Slice::Before(ArchiveId(3)));
        let rest = page(vec![row(1, CHAMBER, 1), row(2, BALCONY, 1)], true);
        assert_eq!(ids(collector.take(rest)), (vec![2, 4], true));
    }

    #[test]
    fn looking_for_a_full_address_ends_at_a_bound() {
        let mut collector = Collector::new(query(WITH, "<max>250</max>"));
        let pages = ROWS_LOOKED_AT / 250;
        for number in 1..=pages {
            let rows = (0..250).map(|id| row(id, CHAMBER, 1)).collect();
            match collector.take(page(rows, false)) {
                Ok(Step::Ask(_)) => assert!(number < pages),
                Ok(Step::Done(_)) => panic!("nothing was found"),
                Err(error) => {
                    assert_eq!(
                        (number, error.condition),
                        (pages, StanzaCondition::PolicyViolation)
                    );
                }
            }
        }
    }
}

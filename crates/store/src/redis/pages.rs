//! Owns reading pages of archives (XEP-0313 §4, XEP-0059 §2).

use redis::{Cmd, Value};
use xmpp::{BareJid, Fence};

use super::names;
use super::reads::{Reader, array, bytes, damaged, words};
use crate::Error;
use crate::archive::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Slice};
use crate::value;

/// The ends of a range in the order of ids, as Redis reads them.
struct Span {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Reader {
    /// A page of an archive.
    pub(super) async fn page(
        &self,
        fence: Fence,
        owner: &BareJid,
        query: &ArchiveQuery,
    ) -> Result<ArchivePage, Error> {
        let named: Vec<ArchiveId> = query.named_ids().collect();
        if !query.ids.is_empty() {
            return self.named(fence, owner, query, &named).await;
        }
        let ids = match &query.with {
            Some(peer) => names::ids_with(fence.bucket, owner, peer),
            None => names::ids(fence.bucket, owner),
        };
        let all = Span::of(query);
        let mut commands = vec![range(&ids, &all.slice(query.slice), query), all.count(&ids)];
        let archive = names::archive(fence.bucket, owner);
        for id in &named {
            let mut has = redis::cmd("HEXISTS");
            has.arg(&archive).arg(&names::id(*id));
            commands.push(has);
        }
        let mut answers = self.ask(fence, commands).await?;
        if answers.split_off(2).iter().any(|has| *has != Value::Int(1)) {
            return Ok(ArchivePage::unknown_id());
        }
        let count = match answers.pop() {
            Some(Value::Int(count)) => usize::try_from(count).unwrap_or(0),
            _ => return Err(damaged("a count")),
        };
        let mut page = words(answers.pop().unwrap_or_default())?;
        let complete = page.len() <= query.limit;
        page.truncate(query.limit);
        if matches!(query.slice, Slice::Last | Slice::Before(_)) {
            page.reverse();
        }
        let ids: Option<Vec<ArchiveId>> = page.iter().map(|id| id_of(id)).collect();
        let ids = ids.ok_or_else(|| damaged("an id"))?;
        let rows = self.rows(fence, owner, &ids).await?.into_iter().flatten().collect();
        let count = (count <= ArchiveQuery::COUNT_MAX).then_some(count);
        Ok(ArchivePage { rows, complete, count, unknown_id: false })
    }

    /// The page out of rows that the query names.
    async fn named(
        &self,
        fence: Fence,
        owner: &BareJid,
        query: &ArchiveQuery,
        named: &[ArchiveId],
    ) -> Result<ArchivePage, Error> {
        let mut ids = named.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let rows = self.rows(fence, owner, &ids).await?;
        let Some(rows) = rows.into_iter().collect::<Option<Vec<ArchiveRow>>>() else {
            return Ok(ArchivePage::unknown_id());
        };
        Ok(query.page_of(rows.into_iter().filter(|row| query.selects(row)).collect()))
    }

    /// The rows with these ids, in their order.
    async fn rows(
        &self,
        fence: Fence,
        owner: &BareJid,
        ids: &[ArchiveId],
    ) -> Result<Vec<Option<ArchiveRow>>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("HMGET");
        get.arg(names::archive(fence.bucket, owner));
        for id in ids {
            get.arg(&names::id(*id));
        }
        let values = array(self.ask(fence, vec![get]).await?.pop().unwrap_or_default())?;
        let row = |(id, value): (&ArchiveId, Value)| {
            let Some(value) = bytes(value)? else { return Ok(None) };
            let row = value::archive_row(*id, &value);
            row.map(Some).ok_or_else(|| damaged("an archive row"))
        };
        ids.iter().zip(values).map(row).collect()
    }
}

impl Span {
    /// Where the rows of the query stand, on whatever page.
    fn of(query: &ArchiveQuery) -> Self {
        let mut from = query.start.map_or_else(|| vec![b'-'], |start| end(b'[', ArchiveId(start)));
        let mut to = query.end.map_or_else(|| vec![b'+'], |stop| end(b'[', ArchiveId(stop)));
        if let Some(id) = query.after_id {
            from = later(from, end(b'(', id));
        }
        if let Some(id) = query.before_id {
            to = earlier(to, end(b'(', id));
        }
        Self { from, to }
    }

    /// The part of it in which the page stands.
    fn slice(&self, slice: Slice) -> Self {
        let (from, to) = (self.from.clone(), self.to.clone());
        match slice {
            Slice::First | Slice::Last => Self { from, to },
            Slice::After(id) => Self { from: later(from, end(b'(', id)), to },
            Slice::Before(id) => Self { from, to: earlier(to, end(b'(', id)) },
        }
    }

    fn count(&self, key: &str) -> Cmd {
        let mut count = redis::cmd("ZLEXCOUNT");
        count.arg(key).arg(&self.from).arg(&self.to);
        count
    }
}

/// The ids of a page, and one more; from the end where the page is.
fn range(key: &str, span: &Span, query: &ArchiveQuery) -> Cmd {
    const MOST: usize = 1 << 31;
    let is_backward = matches!(query.slice, Slice::Last | Slice::Before(_));
    let mut range = redis::cmd(if is_backward { "ZREVRANGEBYLEX" } else { "ZRANGEBYLEX" });
    range.arg(key);
    match is_backward {
        true => range.arg(&span.to).arg(&span.from),
        false => range.arg(&span.from).arg(&span.to),
    };
    range.arg("LIMIT").arg(0).arg(query.limit.min(MOST) + 1);
    range
}

fn end(mark: u8, id: ArchiveId) -> Vec<u8> {
    let mut end = vec![mark];
    end.extend_from_slice(&names::id(id));
    end
}

/// The one of two lower ends that leaves less; an open one leaves less than a closed one at the same id.
fn later(a: Vec<u8>, b: Vec<u8>) -> Vec<u8> {
    let key = |end: &Vec<u8>| (end[1..].to_vec(), end[0] == b'(');
    if key(&b) >= key(&a) { b } else { a }
}

/// The one of two upper ends that leaves less.
fn earlier(a: Vec<u8>, b: Vec<u8>) -> Vec<u8> {
    let key = |end: &Vec<u8>| (end[0] == b'+', end[1..].to_vec(), end[0] != b'(');
    if key(&b) <= key(&a) { b } else { a }
}

fn id_of(id: &[u8]) -> Option<ArchiveId> {
    Some(ArchiveId(u64::from_be_bytes(id.try_into().ok()?)))
}

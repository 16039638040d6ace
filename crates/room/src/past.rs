//! Owns what a room reads of its archive before it says anything: what newcomers are shown, where ids go on, and what a
//! former owner may not have told all.

use std::time::Duration;

use entity::{Context, Timer};
use proto::Now;
use store::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Slice};

use crate::history::History;
use crate::mirror;
use crate::room::Room;

/// Rows of one page of what a former owner may have left unfinished, and of what has too few messages to be shown.
const PAGE: usize = 1_000;
/// Most pages that are read for what newcomers are shown: what nobody is shown - markers, reactions - is rows too.
const PAGES_MOST: usize = 5;
/// Most rows that are read back for it: more than can be under way, by the bounds of the links that carry it.
const UNFINISHED_MOST: usize = 20_000;

/// Longer than this after it was kept, nothing comes again whose sender has not heard that it was.
const AGAIN_WITHIN: Duration = Duration::from_secs(600);

/// Rings when an archive is to be read that could not be read.
pub(crate) const AGAIN: Timer = Timer("past", 0);
/// An archive that fails is read so often: without it, what was said last would be missing for some for ever.
const TRIES: u32 = 10;
/// Between two tries.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// What was read so far.
#[derive(Default)]
struct Past {
    /// The end of the archive, oldest first.
    rows: Vec<ArchiveRow>,
    /// Whether that is all that a former owner may have left unfinished.
    is_whole: bool,
    /// What newcomers will be shown.
    history: History,
    pages: usize,
}

impl Past {
    /// One more page, before all that was read already; the row before which another one is to be read.
    fn take(&mut self, room: &Room, page: ArchivePage) -> Option<ArchiveId> {
        let ArchivePage { mut rows, complete, .. } = page;
        let before = rows.first().filter(|_| !complete).map(|row| row.id);
        self.pages += 1;
        self.history.put_before(&rows, &room.jid, room.shared.config.history);
        if !self.is_whole {
            rows.append(&mut self.rows);
            self.rows = rows;
            self.is_whole = before.is_none_or(|it| !reaches_on(room, it, self.rows.len()));
        }
        let most = room.settings.history.min(room.shared.config.history);
        let shows_enough = self.history.len() >= most || !room.history.is_empty();
        before.filter(|_| !self.is_whole || !(shows_enough || self.pages >= PAGES_MOST))
    }
}

/// Reads the end of the archive. Who comes meanwhile waits.
pub(crate) fn read(room: &mut Room, cx: &mut Context<'_, Room>) {
    room.queue.block();
    page(room, Slice::Last, Past::default(), cx);
}

/// A page before those that were read already.
fn page(room: &Room, slice: Slice, past: Past, cx: &mut Context<'_, Room>) {
    let is_first = past.pages == 0 && !room.fan_outs.has_inherited();
    let limit = room.shared.config.history.max(if is_first { 1 } else { PAGE });
    let owner = room.jid.clone();
    let query = ArchiveQuery { slice, limit, ..ArchiveQuery::default() };
    cx.read(
        move |store, fence| store.query(fence, owner, query),
        move |room, cx, page| go_on(room, page, past, cx),
    );
}

fn go_on(
    room: &mut Room,
    answer: Result<ArchivePage, store::Error>,
    mut past: Past,
    cx: &mut Context<'_, Room>,
) {
    match answer {
        Ok(read) => {
            if let Some(first) = past.take(room, read) {
                return page(room, Slice::Before(first), past, cx);
            }
        }
        Err(error) if room.past_failures + 1 < TRIES => {
            tracing::warn!(jid = %room.jid, %error, "a room's history cannot be read now");
            room.past_failures += 1;
            return cx.set_timer(AGAIN, PAUSE);
        }
        // It goes on without: what is said from now on is kept or refused.
        Err(error) => {
            tracing::error!(jid = %room.jid, %error, "a room's history cannot be read");
        }
    }
    end(room, past, cx);
    room.queue.unblock();
    room.drain(cx);
}

/// Whether rows before this one may not have reached all.
fn reaches_on(room: &Room, first: ArchiveId, read: usize) -> bool {
    let Some(finished) = room.fan_outs.inherits_from() else { return false };
    if first <= finished {
        return false;
    }
    let goes_on = finished > ArchiveId(0) && read < UNFINISHED_MOST;
    if !goes_on {
        tracing::warn!(jid = %room.jid, "but for the last {read}, messages are not sent again");
    }
    goes_on
}

fn is_young(row: ArchiveId, now: Now) -> bool {
    u128::from(now.unix_micros.saturating_sub(row.0)) < AGAIN_WITHIN.as_micros()
}

fn end(room: &mut Room, Past { rows, history, .. }: Past, cx: &mut Context<'_, Room>) {
    rows.last().into_iter().for_each(|row| room.go_on_behind(row.id));
    let last = room.last_id.get();
    if room.history.is_empty() {
        room.history = history;
    }
    match room.fan_outs.has_inherited() {
        true => mirror::finish(room, &rows, cx),
        false => {
            room.fan_outs.start_after(last);
            // Of a room that has moved: whoever said it may say it again.
            let is_young = |row: &&ArchiveRow| is_young(row.id, cx.now);
            room.fan_outs.knows(rows.iter().filter(is_young).map(|row| row.origin).collect());
        }
    }
}

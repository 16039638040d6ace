//! Owns the way of stored messages to a session: in order, at most [`WINDOW`] of them or [`WINDOW_BYTES`]
//! under way, and removed when the client has them.

use std::collections::VecDeque;

use bytes::Bytes;
use entity::{Context, Timer};
use proto::session::UserEvent;
use proto::snapshot::DrainSnapshot;
use proto::{Body, Route};
use store::{Kind, Row, Write};
use xmpp::{Origin, Stanza};

use super::{Offline, is_from_blocked, key, refused, row};
use crate::extensions::hints::may_keep_for_later;
use crate::{User, inbound};

/// Rings when the store is to be read again that could not be read.
pub(crate) const AGAIN: Timer = Timer("stored messages", 0);

/// Most stored messages on their way to a client that has not acknowledged them.
pub(super) const WINDOW: usize = 50;

/// Most bytes of them; a single message may be longer.
pub(super) const WINDOW_BYTES: usize = 256 << 10;

/// The session that gets what is stored.
#[derive(Debug)]
pub(super) struct Drain {
    session: u64,
    /// The last message that was handed on.
    after: Option<u64>,
    /// What the client does not have yet: id and size.
    under_way: VecDeque<(u64, usize)>,
    reading: bool,
    /// Since it is read something was stored that may not be in what comes.
    missed: bool,
    /// Nothing is stored behind what was handed on: new messages may go straight to the session.
    caught_up: bool,
    /// How often in a row the store could not be read.
    failures: u32,
}

impl Drain {
    fn new(session: u64) -> Self {
        Self {
            session,
            after: None,
            under_way: VecDeque::new(),
            reading: false,
            missed: false,
            caught_up: false,
            failures: 0,
        }
    }
}

/// A session begins to take messages (§2 rule 5). Where another one gets the stored ones already, this one
/// gets none.
pub(crate) fn deliver(user: &mut User, session: u64, cx: &mut Context<'_, User>) {
    if let Some(entry) = user.sessions.get_mut(session) {
        entry.takes_since = Some(cx.now.unix_micros);
    }
    let offline = &mut user.offline;
    if offline.drain.is_some() || (offline.meter.count == 0 && offline.in_flight == 0) {
        return;
    }
    offline.drain = Some(Drain::new(session));
    go_on(user, cx);
}

/// Whether a message to a session must be stored behind others that the session has yet to get.
pub(crate) fn is_behind(user: &User, session: u64, stanza: &Stanza) -> bool {
    let drain = user.offline.drain.as_ref();
    drain.is_some_and(|drain| drain.session == session && !drain.caught_up)
        && may_keep_for_later(stanza)
}

/// The client of a session has the stored messages up to this one.
pub(crate) fn taken(user: &mut User, session: u64, mark: u64, cx: &mut Context<'_, User>) {
    let Some(drain) = of_session(&mut user.offline, session) else { return };
    let (mut ids, mut size) = (Vec::new(), 0);
    while let Some((id, bytes)) = drain.under_way.front().copied().filter(|(id, _)| *id <= mark) {
        drain.under_way.pop_front();
        ids.push(id);
        size += bytes;
    }
    if drain.caught_up && drain.under_way.is_empty() {
        user.offline.drain = None;
    }
    has_changed(user, session);
    remove(user, &ids, size, cx);
    go_on(user, cx);
}

/// The session is over. What its client does not have is still stored, and goes to another session.
pub(crate) fn session_ended(user: &mut User, session: u64, cx: &mut Context<'_, User>) {
    if of_session(&mut user.offline, session).is_none() {
        return;
    }
    user.offline.drain = None;
    begin_but(user, Some(session), cx);
}

/// Something was stored: a session that takes messages gets it, if none gets stored ones yet.
pub(super) fn begin(user: &mut User, cx: &mut Context<'_, User>) {
    begin_but(user, None, cx);
}

fn begin_but(user: &mut User, not: Option<u64>, cx: &mut Context<'_, User>) {
    let next = inbound::takers(user).find(|entry| Some(entry.id.uid) != not);
    let Some((session, since)) = next.map(|entry| (entry.id.uid, entry.takes_since)) else {
        return;
    };
    deliver(user, session, cx);
    if let Some(entry) = user.sessions.get_mut(session) {
        entry.takes_since = since;
    }
}

/// What is on its way to a session, as data. No read is under way when a snapshot is taken.
pub(crate) fn drain_of(user: &User, session: u64) -> Option<DrainSnapshot> {
    let drain = user.offline.drain.as_ref().filter(|drain| drain.session == session)?;
    let under_way = drain.under_way.iter().map(|(id, size)| (*id, *size as u64)).collect();
    Some(DrainSnapshot { after: drain.after, under_way, caught_up: drain.caught_up })
}

/// Goes on with what was on its way to a session.
pub(crate) fn go_on_with(
    user: &mut User,
    session: u64,
    drain: DrainSnapshot,
    cx: &mut Context<'_, User>,
) {
    let DrainSnapshot { after, under_way, caught_up } = drain;
    let size = |size| usize::try_from(size).unwrap_or(usize::MAX);
    let under_way = under_way.into_iter().map(|(id, bytes)| (id, size(bytes))).collect();
    user.offline.drain = Some(Drain { after, under_way, caught_up, ..Drain::new(session) });
    go_on(user, cx);
}

/// What is on its way belongs to what is kept of the session.
fn has_changed(user: &mut User, session: u64) {
    user.sessions.get_mut(session);
}

/// Reads on where there is something to read and room for it.
pub(crate) fn go_on(user: &mut User, cx: &mut Context<'_, User>) {
    let Some(drain) = &mut user.offline.drain else { return };
    drain.missed = drain.reading;
    let room = WINDOW.saturating_sub(drain.under_way.len());
    let bytes: usize = drain.under_way.iter().map(|(_, size)| size).sum();
    if drain.reading || drain.caught_up || room == 0 || bytes >= WINDOW_BYTES {
        return;
    }
    drain.reading = true;
    let (session, owner) = (drain.session, user.jid.clone());
    let after = drain.after.map(|id| Bytes::copy_from_slice(&id.to_be_bytes()));
    cx.read(
        move |store, fence| store.scan(fence, owner, Kind::Offline, after, room),
        move |user, cx, rows| match rows {
            Ok(rows) => hand_on(user, session, rows, room, cx),
            Err(error) => {
                tracing::warn!(jid = %user.jid, %error, "stored messages cannot be read");
                let Some(drain) = of_session(&mut user.offline, session) else { return };
                // They stay stored, and what comes meanwhile is stored behind them.
                cx.set_timer(AGAIN, refused::pause(drain.failures));
                (drain.reading, drain.failures) = (false, drain.failures + 1);
            }
        },
    );
}

fn hand_on(
    user: &mut User,
    session: u64,
    rows: Vec<Row>,
    asked: usize,
    cx: &mut Context<'_, User>,
) {
    let mut all = rows.len() < asked;
    let in_flight = user.offline.in_flight;
    let rows: Vec<Read> = rows.iter().filter_map(|row| read(user, row)).collect();
    let route = user.sessions.get(session).map(|entry| Route::Session(entry.id.clone()));
    let (Some(drain), Some(route)) = (of_session(&mut user.offline, session), route) else {
        return;
    };
    (drain.reading, drain.failures) = (false, 0);
    let missed = std::mem::take(&mut drain.missed);
    let mut bytes: usize = drain.under_way.iter().map(|(_, size)| size).sum();
    let mut dropped = Vec::new();
    for Read { id, size, message } in rows {
        if bytes > 0 && bytes + size > WINDOW_BYTES {
            all = false;
            break;
        }
        drain.after = Some(id);
        match message {
            Ok((stanza, cause)) => {
                bytes += size;
                drain.under_way.push_back((id, size));
                let body = Body::User(UserEvent::Stored { mark: id, stanza });
                match cause {
                    Some(cause) => {
                        cx.caused_by(cause, cx.receipt(), |cx| cx.tell(route.clone(), body));
                    }
                    None => cx.tell(route.clone(), body),
                }
            }
            Err(why) => {
                cx.shared.figures.drops.of(why).add_one();
                dropped.push((id, size));
            }
        }
    }
    // With a write under way its answer reads on.
    drain.caught_up = all && in_flight == 0 && !missed;
    let waits = all || !drain.under_way.is_empty();
    if drain.caught_up && drain.under_way.is_empty() {
        user.offline.drain = None;
    }
    has_changed(user, session);
    drop_rows(user, &dropped, cx);
    if !waits || missed {
        go_on(user, cx);
    }
}

/// A stored message; or why it is dropped, as it is counted.
struct Read {
    id: u64,
    size: usize,
    message: Result<(Stanza, Option<Origin>), &'static str>,
}

fn read(user: &User, row: &Row) -> Option<Read> {
    let id = row.item[..].try_into().ok().map(u64::from_be_bytes)?;
    let message = match row::read(&row.value) {
        Some((stanza, _)) if is_from_blocked(user, &stanza) => Err("blocked"),
        Some(message) => Ok(message),
        None => {
            tracing::error!(jid = %user.jid, "a stored message is unreadable");
            Err("unreadable")
        }
    };
    Some(Read { id, size: row.value.len(), message })
}

fn drop_rows(user: &mut User, rows: &[(u64, usize)], cx: &mut Context<'_, User>) {
    if rows.is_empty() {
        return;
    }
    let ids: Vec<u64> = rows.iter().map(|(id, _)| *id).collect();
    remove(user, &ids, rows.iter().map(|(_, size)| size).sum(), cx);
}

fn remove(user: &mut User, ids: &[u64], size: usize, cx: &mut Context<'_, User>) {
    if ids.is_empty() {
        return;
    }
    let count = ids.len();
    user.offline.meter.remove(count, size);
    let mut writes: Vec<Write> = ids.iter().map(|id| Write::Delete(key(user, *id))).collect();
    writes.push(user.offline.meter.write(&user.jid));
    cx.commit_then(writes, move |user, _, result| {
        if let Err(error) = result {
            // They are delivered once more, which is better than not at all.
            tracing::warn!(jid = %user.jid, %error, "delivered messages stay stored");
            user.offline.meter.put_back(count, size);
        }
    });
}

fn of_session(offline: &mut Offline, session: u64) -> Option<&mut Drain> {
    offline.drain.as_mut().filter(|drain| drain.session == session)
}

//! Owns sessions that wait to be resumed while the server does not run (XEP-0198 §5): as rows, and out of
//! rows as entities that go on.
//!
//! A row is removed before its session goes on, so that no session comes back twice. One whose time was up
//! meanwhile goes on as well, and ends at once: whoever saw its presence hears that it is gone, and what its
//! client did not get goes where it goes after any session.

use std::collections::HashMap;

use proto::snapshot::{
    EntitySnapshot, EntrySnapshot, SessionSnapshot, SessionState, SnapshotError, StreamSnapshot,
    UserSnapshot,
};
use proto::{Route, SessionId};
use store::{Key, Kind, Row, Write};
use xmpp::BareJid;

/// The rows of the sessions that wait, account by account, out of all entities of a server that stops.
/// Whoever still holds a session loses it with the server: it waits from `now` on, in microseconds since
/// 1970-01-01 UTC.
pub fn rows(entities: &[EntitySnapshot], now: u64) -> Vec<(BareJid, Vec<Write>)> {
    let mut streams = HashMap::new();
    for entity in entities {
        if let Route::Session(id) = &entity.route
            && let Some(session) = waiting(&entity.state, now)
        {
            streams.insert(id.clone(), session);
        }
    }
    let users = entities.iter().filter_map(|entity| match &entity.route {
        Route::User(account) => Some((account, UserSnapshot::decode(&entity.state).ok()?)),
        _ => None,
    });
    users.map(|(account, user)| (account.clone(), of_user(account, user, &mut streams))).collect()
}

fn of_user(
    account: &BareJid,
    user: UserSnapshot,
    streams: &mut HashMap<SessionId, SessionSnapshot>,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for (place, SessionSnapshot { uid, entry, .. }) in (0_u32..).zip(user.sessions) {
        let Some(session) = streams.remove(&SessionId { account: account.clone(), uid }) else {
            continue;
        };
        let entry = entry.map(|entry| EntrySnapshot { attached: false, ..entry });
        let row = SessionSnapshot { entry, ..session };
        // The oldest is the first one.
        let item = [&place.to_be_bytes()[..], &uid.to_be_bytes()].concat();
        writes.push(Write::Put(Key::new(account.clone(), Kind::Session, item), row.encode()));
    }
    writes
}

/// A session that can be resumed, with nobody at it.
fn waiting(state: &[u8], now: u64) -> Option<SessionSnapshot> {
    let Ok(SessionState::Live(session)) = SessionState::decode(state) else { return None };
    let mut session = *session;
    let resumption = session.resumption.as_mut()?;
    let max = u64::try_from(resumption.max.as_micros()).unwrap_or(u64::MAX);
    resumption.deadline.get_or_insert_with(|| now.saturating_add(max));
    session.connection = None;
    let stream = session.stream.as_mut()?;
    (stream.clogged, stream.resuming) = (false, None);
    if let Some(counts) = &mut stream.counts {
        (counts.asked, counts.unasked, counts.listening) = (None, (0, 0), false);
    }
    Some(session)
}

/// The entities of an account that go on from its rows of [`Kind::Session`]: the user, then its sessions.
/// Rows that cannot be read are named by their fault.
pub fn entities(account: &BareJid, rows: &[Row]) -> (Vec<EntitySnapshot>, Vec<SnapshotError>) {
    let (mut user, mut sessions, mut faults) = (UserSnapshot::default(), Vec::new(), Vec::new());
    for row in rows.iter().filter(|row| row.kind == Kind::Session) {
        match read(account, row) {
            Ok((entry, session)) => {
                user.sessions.push(entry);
                sessions.push(session);
            }
            Err(fault) => faults.push(fault),
        }
    }
    let mut entities = Vec::new();
    if !user.sessions.is_empty() {
        entities.push(entity(Route::User(account.clone()), user.encode()));
    }
    for session in sessions {
        let route = Route::Session(SessionId { account: account.clone(), uid: session.uid });
        entities.push(entity(route, SessionState::Live(Box::new(session)).encode()));
    }
    (entities, faults)
}

/// What the user keeps, and what the session keeps.
fn read(account: &BareJid, row: &Row) -> Result<(SessionSnapshot, SessionSnapshot), SnapshotError> {
    let mut session = SessionSnapshot::decode(&row.value)?;
    let whole = |stream: &StreamSnapshot| stream.counts.is_some();
    if session.jid.bare() != *account {
        return Err(SnapshotError("address"));
    }
    if session.connection.is_some() || session.resumption.is_none_or(|it| it.deadline.is_none()) {
        return Err(SnapshotError("resumption"));
    }
    if !session.stream.as_ref().is_some_and(whole) {
        return Err(SnapshotError("stream"));
    }
    let entry = session.entry.take().ok_or(SnapshotError("entry"))?;
    let of_user = SessionSnapshot {
        entry: Some(entry),
        stream: None,
        connection: None,
        resumption: None,
        ..session.clone()
    };
    Ok((of_user, session))
}

fn entity(route: Route, state: bytes::Bytes) -> EntitySnapshot {
    // The time to end follows from the state.
    EntitySnapshot { route, state, timers: Vec::new(), handed_over: None }
}

#[cfg(test)]
mod tests;

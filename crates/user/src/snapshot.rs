//! Owns the way of a user into a snapshot and back (proto/session.proto): what is not in its rows.

use entity::{Context, Slots};
use proto::session::UserEvent;
use proto::snapshot::{EntrySnapshot, SessionSnapshot, SlotSnapshot, SnapshotError, UserSnapshot};
use proto::{Body, Route, SessionId};
use store::ArchiveId;
use xmpp::{Head, Kind, PresenceType, Stanza, StreamCondition};

use crate::extensions::EXTENSIONS;
use crate::pep::interest;
use crate::sessions::SessionEntry;
use crate::{User, bind, offline};

/// What the account knows beyond its rows; none: nothing.
pub(crate) fn of(user: &User) -> Option<UserSnapshot> {
    let slots = user.slots.snapshot();
    let (refused, failures) = offline::refused::as_data(user);
    let nothing = user.sessions.is_empty() && slots.is_empty() && refused.is_empty();
    if nothing && user.last_id == user.offline.last_id() {
        return None;
    }
    let sessions = user.sessions.iter().map(|entry| session(user, entry)).collect();
    Some(UserSnapshot { sessions, last_id: user.last_id.0, slots, refused, failures })
}

fn session(user: &User, entry: &SessionEntry) -> SessionSnapshot {
    let kept = EntrySnapshot {
        available: entry.is_available(),
        presence: entry.presence.clone(),
        priority: entry.priority,
        interested: entry.interested,
        directed: entry.directed.clone(),
        inside: entry.inside.clone(),
        attached: entry.attached,
        takes_since: entry.takes_since,
        slots: entry.slots.snapshot(),
        drain: offline::drain_of(user, entry.id.uid),
    };
    SessionSnapshot {
        uid: entry.id.uid,
        jid: entry.jid.clone(),
        connection: None,
        resumption: None,
        stream: None,
        entry: Some(kept),
        term: None,
    }
}

/// The account as it was.
///
/// # Errors
/// When a session is of another account, or says nothing of what the account keeps of it.
pub(crate) fn restore(
    user: &mut User,
    snapshot: UserSnapshot,
    cx: &mut Context<'_, User>,
) -> Result<(), SnapshotError> {
    user.last_id = user.last_id.max(ArchiveId(snapshot.last_id));
    bring_back(&mut user.slots, &snapshot.slots);
    offline::refused::restore(user, (snapshot.refused, snapshot.failures), cx);
    for session in snapshot.sessions {
        insert(user, session, cx)?;
    }
    Ok(())
}

fn insert(
    user: &mut User,
    SessionSnapshot { uid, jid, entry, .. }: SessionSnapshot,
    cx: &mut Context<'_, User>,
) -> Result<(), SnapshotError> {
    if jid.bare() != user.jid {
        return Err(SnapshotError("address"));
    }
    let kept = entry.ok_or(SnapshotError("entry"))?;
    let id = SessionId { account: user.jid.clone(), uid };
    let mut entry = SessionEntry::new(id, jid);
    entry.presence = kept.presence.or_else(|| kept.available.then(|| shown(&entry)));
    entry.priority = kept.priority;
    entry.interested = kept.interested;
    entry.directed = kept.directed;
    entry.inside = kept.inside;
    entry.attached = kept.attached;
    entry.takes_since = kept.takes_since;
    entry.is_brought_back = true;
    bring_back(&mut entry.slots, &kept.slots);
    user.sessions.insert(entry);
    if let Some(drain) = kept.drain {
        offline::go_on_with(user, uid, drain, cx);
    }
    Ok(())
}

/// Tells the sessions of which something has changed what the account keeps of them, for their second copies.
pub(crate) fn keep(user: &mut User, cx: &mut Context<'_, User>) {
    for uid in user.sessions.take_changed() {
        let Some(entry) = user.sessions.get(uid) else { continue };
        let event = UserEvent::Kept(Box::new(session(user, entry)));
        cx.tell(Route::Session(entry.id.clone()), Body::User(event));
    }
}

/// A session has come back from its second copy. Nobody is told: whoever saw it sees it still.
pub(crate) fn take_back(user: &mut User, session: SessionSnapshot, cx: &mut Context<'_, User>) {
    let uid = session.uid;
    if user.sessions.get(uid).is_some() {
        return;
    }
    if let Err(error) = insert(user, session, cx) {
        tracing::error!(jid = %user.jid, session = uid, %error, "a session is known by half");
    } else if !user.exists {
        // The account was removed meanwhile.
        bind::end(user, uid, StreamCondition::NotAuthorized.into(), cx);
    } else {
        interest::lose(user, cx.now.unix_micros);
    }
}

fn bring_back(slots: &mut Slots, kept: &[SlotSnapshot]) {
    for slot in slots.restore(EXTENSIONS.slots(), kept) {
        tracing::error!("what an extension kept as {slot} was not brought back");
    }
}

/// What stands for the presence of a session of which only a stub is known.
fn shown(entry: &SessionEntry) -> Stanza {
    let kind = Kind::Presence(PresenceType::Available);
    let from = Some(entry.jid.clone().into());
    Stanza::new(Head { kind, id: None, from, to: None, lang: None }, "")
}

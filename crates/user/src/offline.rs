//! XEP-0160 Best Practices for Handling Offline Messages, version 1.0.1. Messages that no session has taken
//! yet, and what a session gives back when it ends (XEP-0198 §4).
//!
//! A stored message goes to the first session that takes messages, in order, a few at a time. Its row is
//! removed when that session says that the client has it: with stream management when the client has
//! acknowledged it, without when it was handed to the connection. What is sent to that session meanwhile
//! is stored behind, so that the order stays.
//!
//! Bound: [`Accounts::offline_messages`] and [`Accounts::offline_bytes`]. Full: the sender gets
//! `service-unavailable` (§2 rule 3).
//!
//! [`Accounts::offline_messages`]: crate::config::Accounts::offline_messages
//! [`Accounts::offline_bytes`]: crate::config::Accounts::offline_bytes

pub(crate) mod drain;
mod meter;
pub(crate) mod refused;
mod row;
mod stored;
#[cfg(test)]
mod tests;

use entity::{Context, Extension};
use store::{ArchiveId, Key, Kind as RowKind, Row, Write};
use xmpp::{
    ErrorType, Features, Jid, Kind, Origin, Stanza, StanzaCondition, StanzaError, delay, ns,
    stanza_id,
};

use crate::extensions::hints::may_keep_for_later;
use crate::extensions::{blocking, deliver as hand_to};
use crate::{User, inbound, stages};
use drain::Drain;
use meter::Meter;
use refused::Refused;

pub(crate) use drain::deliver;
pub(crate) use drain::{drain_of, go_on_with, is_behind, session_ended, taken};
pub(crate) use row::stanza_in;
pub(crate) use stored::Stored;

/// What disco says of an account because of it (§4).
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0160",
    title: "Best Practices for Handling Offline Messages",
    version: "1.0.1",
    features: &[ns::OFFLINE_FEATURE],
    ..Extension::NONE
};

/// An account's store of messages, as far as it must be known in memory.
#[derive(Debug, Default)]
pub(crate) struct Offline {
    meter: Meter,
    /// Writes whose answer is awaited.
    in_flight: usize,
    /// The session that gets what is stored.
    drain: Option<Drain>,
    /// What the store refused and nobody else answers for.
    refused: Refused,
}

/// A message to store.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The message.
    pub(crate) stanza: Stanza,
    /// Rows that must be kept with it.
    pub(crate) writes: Vec<Write>,
    /// What has caused it, where that is known.
    pub(crate) cause: Option<Origin>,
    /// A session has taken it or had taken it; its sender hears of no error.
    pub(crate) taken: bool,
}

impl Offline {
    /// From the account's rows of settings.
    pub(crate) fn load(rows: &[Row]) -> Self {
        Self { meter: Meter::load(rows), ..Self::default() }
    }

    /// The id of the last message that was stored.
    pub(crate) fn last_id(&self) -> ArchiveId {
        self.meter.last
    }

    /// Whether nothing would be lost if the account were loaded again.
    pub(crate) fn may_sleep(&self) -> bool {
        self.in_flight == 0 && self.drain.is_none() && self.refused.is_empty()
    }
}

/// Whether a message that is not stored may vanish without a word: nobody wrote anything in it.
pub(crate) fn is_fleeting(stanza: &Stanza) -> bool {
    const WRITTEN: Features = Features::BODY.with(Features::ENCRYPTED).with(Features::SUBJECT);
    !stanza.features().any(WRITTEN)
}

/// Stores a message with its other rows in one batch. Where that fails, its sender is told; where a session
/// has taken it all the same, it is stored later. What a session had has twice the room.
pub(crate) fn store(user: &mut User, entry: Entry, cx: &mut Context<'_, User>) {
    let Entry { stanza, mut writes, cause, taken } = entry;
    let late = late(user, &stanza, cx);
    let value = row::write(&late, cause);
    if user.offline.meter.is_full_for(value.len(), if taken { 2 } else { 1 }, &cx.shared.accounts) {
        cx.shared.figures.drops.of("offline_full").add_one();
        if taken {
            refused::lose(user, cx);
            return stages::keep(writes, cx);
        }
        return cx.send_error(&stanza, StanzaCondition::ServiceUnavailable);
    }
    let (id, size) = (user.next_id(cx.now), value.len());
    user.offline.meter.add(id, size);
    user.offline.in_flight += 1;
    writes.push(Write::Put(key(user, id.0), value));
    writes.push(user.offline.meter.write(&user.jid));
    cx.commit_then(writes, move |user, cx, result| {
        user.offline.in_flight = user.offline.in_flight.saturating_sub(1);
        match result {
            Ok(()) => {
                cx.shared.figures.offline_stored.add_one();
                user.offline.refused.succeeded();
                drain::begin(user, cx);
            }
            Err(error) => {
                tracing::warn!(jid = %user.jid, %error, "a message was not stored");
                user.offline.meter.remove(1, size);
                if taken {
                    refused::hold(user, late, cx);
                } else {
                    cx.shared.figures.drops.of("not_stored").add_one();
                    cx.send_error(&stanza, not_kept());
                }
            }
        }
        drain::go_on(user, cx);
    });
}

/// Whether there is room for a message that no session has taken.
pub(crate) fn has_room(user: &User, stanza: &Stanza, cx: &Context<'_, User>) -> bool {
    let size = row::write(&late(user, stanza, cx), Some(cx.origin())).len();
    !user.offline.meter.is_full_for(size, 1, &cx.shared.accounts)
}

/// Messages that are looked through for one that a former owner may have stored.
const LOOKED_AT: usize = 256;

/// A former owner has archived a message under this id and may have stored it in the same batch: then it carries the
/// id, and nothing is to be done.
pub(crate) fn store_unless_stored(
    user: &mut User,
    id: ArchiveId,
    entry: Entry,
    cx: &mut Context<'_, User>,
) {
    let (owner, by) = (user.jid.clone(), user.jid.clone());
    // It was archived first: what is stored before that is another.
    let behind = key(user, id.0).item;
    cx.read(
        move |store, fence| store.scan(fence, owner, RowKind::Offline, Some(behind), LOOKED_AT),
        move |user, cx, rows: Result<Vec<Row>, _>| {
            let id = cx.shared.ids.write(id);
            let is_it = |row: &Row| {
                let stored = row::read(&row.value);
                stored.is_some_and(|(stanza, _)| {
                    stanza_id::find(&stanza, &by).is_some_and(|it| it == id)
                })
            };
            if !rows.unwrap_or_default().iter().any(is_it) {
                store(user, entry, cx);
            }
        },
    );
}

/// What the client of a session that is over never acknowledged (XEP-0198 §4): requests are answered,
/// messages go to the sessions that have not had them, or into the store. They carry the time when they
/// were to be delivered. What the session was given is not refused any more.
pub(crate) fn give_back(user: &mut User, unacknowledged: Vec<Stanza>, cx: &mut Context<'_, User>) {
    for stanza in unacknowledged {
        match stanza.kind() {
            Kind::Iq(ty) if ty.is_request() && !is_own(user, &stanza) => {
                cx.send_error(&stanza, StanzaCondition::ServiceUnavailable);
            }
            Kind::Message(_) if is_from_blocked(user, &stanza) => {
                cx.shared.figures.drops.of("blocked").add_one();
            }
            Kind::Message(_) if user.exists && may_keep_for_later(&stanza) => {
                deliver_again(user, stanza, cx);
            }
            Kind::Message(_) => inbound::nobody_there(cx),
            Kind::Iq(_) | Kind::Presence(_) => {}
        }
    }
}

/// Whether it is of somebody who was blocked after they had sent it (XEP-0191 §3.3).
fn is_from_blocked(user: &User, stanza: &Stanza) -> bool {
    stanza.head().from.as_ref().is_some_and(|from| blocking::is_blocked(user, from))
}

fn is_own(user: &User, stanza: &Stanza) -> bool {
    stanza.head().from.as_ref().is_none_or(|from| from.bare_str() == user.jid.as_str())
}

/// A message to the account went to every session that took messages then; one to a resource only there.
fn deliver_again(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let to_account = stanza.head().to.as_ref().is_none_or(|to| to.is_bare());
    let at = delay::of(&stanza, &server_of(user))
        .map_or(cx.now.unix_micros, |delay| u64::try_from(delay.unix_micros).unwrap_or(0));
    let mut had = false;
    let mut to = Vec::new();
    for entry in inbound::takers(user) {
        let has = to_account && entry.takes_since.is_some_and(|since| since <= at);
        had |= has;
        if !has {
            to.push(entry.id.uid);
        }
    }
    let (later, now): (Vec<u64>, Vec<u64>) =
        to.into_iter().partition(|session| is_behind(user, *session, &stanza));
    for session in &now {
        hand_to(user, *session, stanza.clone(), cx);
    }
    if !later.is_empty() || (now.is_empty() && !had) {
        store(user, Entry { stanza, writes: Vec::new(), cause: None, taken: true }, cx);
    }
}

/// With the time when it was to be delivered, unless it says so already (XEP-0203).
fn late(user: &User, stanza: &Stanza, cx: &Context<'_, User>) -> Stanza {
    let server = server_of(user);
    if delay::of(stanza, &server).is_some() {
        return stanza.clone();
    }
    let note = delay::element(Some(&server), cx.now.unix_micros);
    stanza.with_child(&note.with_text("Offline Storage"))
}

/// In whose name the time is noted; what others say of it was taken out when the message came.
fn server_of(user: &User) -> Jid {
    user.jid.domain().into()
}

fn not_kept() -> StanzaError {
    let error = StanzaError::from(StanzaCondition::ResourceConstraint);
    error.with_type(ErrorType::Wait).with_text("the message cannot be stored now")
}

fn key(user: &User, id: u64) -> Key {
    Key::new(user.jid.clone(), RowKind::Offline, id.to_be_bytes().to_vec())
}

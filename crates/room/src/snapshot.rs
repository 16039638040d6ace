//! Owns the live state of a room as data (proto/room.proto): who is in it, and what else is not in its rows.
//! What its archive brings back is left out, and so is what is made of the rows: marks of occupants.

use std::sync::Arc;

use bytes::Bytes;
use entity::SlotKind;
use prost::Message;
use proto::Now;
use proto::snapshot::{SlotSnapshot, SnapshotError};
use store::ArchiveId;
use xmpp::{BareJid, FullJid, Jid};

use crate::affiliation::Role;
use crate::config::Pace;
use crate::extensions::{self, EXTENSIONS};
use crate::occupant::{Occupant, Session};
use crate::presence::LastWritten;
use crate::private::Sent;
use crate::rate::Bucket;
use crate::room::{Phase, Room};
use crate::{invite, iq};

/// The messages of `proto/room.proto`.
#[expect(unreachable_pub, unnameable_types, reason = "generated code is public throughout")]
pub(crate) mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.room.rs"));
}

/// Slots of what is no extension.
const OWN_SLOTS: &[SlotKind] = &[iq::SLOT, invite::SLOT];

/// What a room knows beyond its rows; none: nothing, or nothing that lasts.
pub(crate) fn of(room: &Room, now: Now) -> Option<Bytes> {
    let acted = room.fan_outs.all_acted();
    let whole = pb::RoomSnapshot { acted, ..whole(room, now)? };
    Some(whole.encode_to_vec().into())
}

/// The same, before it is written.
pub(crate) fn whole(room: &Room, now: Now) -> Option<pb::RoomSnapshot> {
    if !matches!(room.phase, Phase::Locked | Phase::Open) {
        return None;
    }
    let slots: Vec<pb::Slot> = room.slots.snapshot().into_iter().map(slot).collect();
    let history = if room.settings.archived { Vec::new() } else { room.history.as_data() };
    if room.is_empty() && slots.is_empty() && history.is_empty() {
        return None;
    }
    let left = room.rate.left(room.shared.config.rates.room, now.elapsed);
    Some(pb::RoomSnapshot {
        occupants: room.occupants.iter().map(|it| occupant(room, it, now)).collect(),
        last_number: room.occupants.last_number(),
        last_id: room.last_id.get().0,
        history,
        budget: Some(pb::Budget { left }),
        slots,
        finished: room.fan_outs.finished().0,
        said: Vec::new(),
        acted: Vec::new(),
    })
}

fn slot(SlotSnapshot { name, value }: SlotSnapshot) -> pb::Slot {
    pb::Slot { name, value }
}

pub(crate) fn occupant(room: &Room, occupant: &Occupant, now: Now) -> pb::Occupant {
    let session = |session: &Session| pb::Session {
        jid: session.jid.to_string(),
        lang: session.lang.as_deref().map(str::to_owned),
        presence: session.presence.clone(),
    };
    let role = match occupant.role {
        Role::None => pb::Role::None,
        Role::Visitor => pb::Role::Visitor,
        Role::Participant => pb::Role::Participant,
        Role::Moderator => pb::Role::Moderator,
    };
    let left = occupant.rate.left(room.shared.config.rates.occupant, now.elapsed);
    pb::Occupant {
        number: occupant.number,
        jid: occupant.jid.to_string(),
        who: occupant.who.to_string(),
        role: role.into(),
        sessions: occupant.sessions.iter().map(session).collect(),
        budget: Some(pb::Budget { left }),
        private: occupant.private.as_data(),
    }
}

/// The room as it was; it has been loaded.
///
/// # Errors
/// When the snapshot cannot be read, or contradicts itself.
pub(crate) fn restore(room: &mut Room, snapshot: &[u8], now: Now) -> Result<(), SnapshotError> {
    let snapshot = pb::RoomSnapshot::decode(snapshot).map_err(|_| SnapshotError("form"))?;
    if !matches!(room.phase, Phase::Locked | Phase::Open) {
        // Its rows were erased, and with them the room.
        return Ok(());
    }
    for message in snapshot.occupants {
        let occupant = read_occupant(room, message, now)?;
        let twice = room.occupants.of_nick(occupant.nick()).is_some();
        if twice || !room.occupants.put(occupant) {
            return Err(SnapshotError("occupants"));
        }
    }
    room.occupants.go_on_from(snapshot.last_number);
    room.go_on_behind(ArchiveId(snapshot.last_id));
    room.fan_outs.go_on_from(ArchiveId(snapshot.finished));
    snapshot.acted.into_iter().for_each(|cause| room.fan_outs.acted_before(cause));
    room.history.bring_back(&snapshot.history)?;
    room.rate = budget(snapshot.budget, room.shared.config.rates.room, now);
    let slots: Vec<SlotSnapshot> = snapshot.slots.into_iter().map(named).collect();
    for lost in room.slots.restore(EXTENSIONS.slots().chain(OWN_SLOTS), &slots) {
        tracing::error!("what an extension kept as {lost} was not brought back");
    }
    room.count();
    Ok(())
}

fn named(pb::Slot { name, value }: pb::Slot) -> SlotSnapshot {
    SlotSnapshot { name, value }
}

fn budget(budget: Option<pb::Budget>, pace: Pace, now: Now) -> Bucket {
    match budget {
        Some(pb::Budget { left }) => Bucket::with(left, pace, now.elapsed),
        None => Bucket::full(pace, now.elapsed),
    }
}

pub(crate) fn read_occupant(
    room: &Room,
    message: pb::Occupant,
    now: Now,
) -> Result<Occupant, SnapshotError> {
    let role = match message.role() {
        pb::Role::Visitor => Role::Visitor,
        pb::Role::Participant => Role::Participant,
        pb::Role::Moderator => Role::Moderator,
        pb::Role::Unspecified | pb::Role::None => return Err(SnapshotError("role")),
    };
    let jid = full(&message.jid)?;
    if jid.bare() != room.jid || message.sessions.is_empty() {
        return Err(SnapshotError("occupants"));
    }
    let who = bare(&message.who)?;
    let sessions = message.sessions.into_iter().map(|it| session(it, &who));
    Ok(Occupant {
        number: message.number,
        jid,
        role,
        sessions: sessions.collect::<Result<_, _>>()?,
        marks: extensions::marks(room, &who),
        rate: budget(message.budget, room.shared.config.rates.occupant, now),
        private: Sent::of_data(message.private),
        written: LastWritten::default(),
        who,
    })
}

fn session(message: pb::Session, who: &BareJid) -> Result<Session, SnapshotError> {
    let jid = full(&message.jid)?;
    if jid.bare() != *who {
        return Err(SnapshotError("sessions"));
    }
    Ok(Session { jid, presence: message.presence, lang: message.lang.map(Arc::from) })
}

fn full(text: &str) -> Result<FullJid, SnapshotError> {
    FullJid::parse(text).map_err(|_| SnapshotError("address"))
}

/// An address of an account.
pub(crate) fn bare(text: &str) -> Result<BareJid, SnapshotError> {
    BareJid::parse(text).map_err(|_| SnapshotError("address"))
}

/// Any address; none for what is not one.
pub(crate) fn jid(text: &str) -> Option<Jid> {
    Jid::parse(text).ok()
}

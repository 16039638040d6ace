//! Owns the second copy of a room: what it learns turn by turn, and how a new owner goes on from it when the one
//! before is gone.
//!
//! **People.** Whoever came, went, or is another than before is in the change of that turn. Settings are rows; what
//! else there is, is told as it happens ([`crate::deeds`]). Whoever
//! is in the copy is inside: nobody is told anything. Whoever says that they are inside and is not in the copy is let
//! in silently, if they still may.
//!
//! **Messages.** What was acknowledged is in the archive, or, where the room has none, in the copy before it is
//! acknowledged, since the turn that says it counts as handled when the copy knows. So the new owner sends again,
//! in order, every message that is not known to have reached all ([`crate::fan_out`]), and whoever has it drops
//! it: the origin of each copy is the room and the message's id, which only grows, so that an account knows a copy
//! that comes again by its number alone (`entity::repeats`). Then it goes on with greater ids: all see one order.
//! A message whose sender's server sends it once more, since nobody has confirmed it, is known by its origin,
//! which its row, or the copy, has.

use std::collections::HashSet;

use bytes::Bytes;
use entity::{Context, Copy, Mirror};
use prost::Message;
use proto::snapshot::SnapshotError;
use proto::{Now, Receipt};
use store::{ArchiveId, ArchiveRow};
use xmpp::{Origin, kept};

use crate::affiliation::{Affiliation, Role};
use crate::room::{Phase, Room};
use crate::snapshot::{self, pb};
use crate::tell::Newcomers;
use crate::{ask, create, deeds, enter, exit, tell, voices};

/// What is to be kept in mind until the archive is read.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    /// Causes of messages that the former owner has acted on.
    known: HashSet<Origin>,
    /// What is in no archive and may not have reached all, oldest first.
    said: Vec<pb::Said>,
}

/// What a turn means for the second copy.
pub(crate) struct News {
    /// What it must learn.
    pub(crate) mirror: Mirror,
    /// What others are told of it, they are told when the copy has it ([`crate::hold`]).
    pub(crate) is_told_of: bool,
}

/// What the second copy must learn.
pub(crate) fn news(room: &mut Room, anew: bool, now: Now) -> News {
    let quiet = |mirror| News { mirror, is_told_of: false };
    if anew {
        room.fan_outs.watch();
    }
    let touched = room.occupants.take_touched();
    let said = room.fan_outs.tell_said(anew);
    let acted = room.fan_outs.tell_acted(anew);
    let has_news = room.fan_outs.take_news();
    let deeds = room.deeds.take();
    if !is_worth_a_copy(room, now) {
        return quiet(Mirror::Nothing);
    }
    if anew {
        let Some(whole) = snapshot::whole(room, now) else { return quiet(Mirror::Nothing) };
        let whole = pb::RoomSnapshot { said, acted, ..whole }.encode_to_vec();
        return News { mirror: Mirror::Whole(whole.into()), is_told_of: true };
    }
    let nothing = touched.is_empty() && said.is_empty() && acted.is_empty() && deeds.is_empty();
    if (nothing && !has_news) || !room.fan_outs.is_watched() {
        return quiet(Mirror::Same);
    }
    let mut change = pb::RoomChange {
        last_number: room.occupants.last_number(),
        last_id: room.last_id.get().0,
        finished: room.fan_outs.finished().0,
        said,
        acted,
        deeds,
        ..pb::RoomChange::default()
    };
    for number in touched {
        match room.occupants.get(number) {
            Some(occupant) => change.occupants.push(snapshot::occupant(room, occupant, now)),
            None => change.gone.push(number),
        }
    }
    // How far messages have come is told nobody.
    News { mirror: Mirror::Change(change.encode_to_vec().into()), is_told_of: !nothing }
}

/// What the room does not do before the copy has learned this waits for it.
pub(crate) fn wait_for_it(room: &Room, cx: &mut Context<'_, Room>) {
    for waits in room.fan_outs.take_copying() {
        let both = match cx.receipt() {
            Some(cause) => Receipt::both(cause, waits),
            None => waits,
        };
        cx.set_cause(cx.origin(), Some(both));
    }
}

/// Also an empty room may have something to remember.
fn is_worth_a_copy(room: &Room, now: Now) -> bool {
    room.is_there() && (!room.is_empty() || room.remembers(now))
}

/// The former owner is gone: the room goes on from the newest copy of it, and from what others have with it.
pub(crate) fn take_over(
    room: &mut Room,
    copies: Vec<Copy>,
    claims: &[Bytes],
    cx: &mut Context<'_, Room>,
) -> Result<(), SnapshotError> {
    if !room.is_there() {
        // It was ended, and whoever claims to be inside has not heard it.
        let claims = claims.iter().filter_map(|claim| kept::read(claim));
        claims.for_each(|claim| exit::not_inside(room, &claim, cx));
        return Ok(());
    }
    let mut finished = ArchiveId(0);
    let mut inheritance = Inheritance::default();
    if let Some(Copy { whole, changes, .. }) = copies.into_iter().next() {
        snapshot::restore(room, &whole, cx.now)?;
        finished = room.fan_outs.finished();
        let whole = pb::RoomSnapshot::decode(whole).map_err(|_| SnapshotError("form"))?;
        inherit(room, &mut inheritance, whole.said, Vec::new());
        for change in changes {
            finished = finished.max(absorb(room, &mut inheritance, &change, cx.now)?);
        }
    }
    for claim in claims {
        claimed(room, claim, &inheritance.said, cx);
    }
    ask::unclaimed(room, claims, cx);
    if matches!(room.phase, Phase::Locked) {
        create::await_configuration(room, cx);
    }
    inheritance.said.retain(|it| it.id > finished.0);
    tell::note_welcomed(&mut inheritance.said, claims);
    room.fan_outs.inherit(finished, inheritance);
    room.count();
    room.open(cx);
    Ok(())
}

/// Everything up to which message has reached all.
fn absorb(
    room: &mut Room,
    inheritance: &mut Inheritance,
    change: &[u8],
    now: Now,
) -> Result<ArchiveId, SnapshotError> {
    let change = pb::RoomChange::decode(change).map_err(|_| SnapshotError("form"))?;
    let changed = change.occupants.iter().map(|occupant| occupant.number);
    // All of them first: one may have the nick that another had.
    for number in change.gone.into_iter().chain(changed) {
        room.occupants.remove(number);
    }
    for message in change.occupants {
        let occupant = snapshot::read_occupant(room, message, now)?;
        room.occupants.put(occupant);
    }
    room.occupants.go_on_from(change.last_number);
    room.go_on_behind(ArchiveId(change.last_id));
    inherit(room, inheritance, change.said, change.acted);
    for deed in change.deeds.into_iter().filter_map(|deed| deed.what) {
        deeds::again(room, deed);
    }
    Ok(ArchiveId(change.finished))
}

fn inherit(
    room: &mut Room,
    inheritance: &mut Inheritance,
    said: Vec<pb::Said>,
    acted: Vec<pb::Origin>,
) {
    acted.into_iter().for_each(|cause| room.fan_outs.acted_before(cause));
    for said in said {
        inheritance.known.extend(said.cause.as_ref().and_then(read_origin));
        let (id, most) = (ArchiveId(said.id), room.shared.config.history);
        let is_line = said.to.is_none() && !room.settings.archived;
        if is_line
            && room.history.last() < Some(id)
            && let Some(stanza) = kept::read(&said.stanza)
        {
            room.history.push(&room.jid, id, &stanza, most);
        }
        inheritance.said.push(said);
    }
}

/// Somebody says that they are inside: a presence as they sent it to enter. Whoever may not be inside any more is told.
fn claimed(room: &mut Room, claim: &[u8], said: &[pb::Said], cx: &mut Context<'_, Room>) {
    let Some(stanza) = kept::read(claim) else { return };
    let Some(from) = stanza.head().from.clone() else { return };
    if room.occupants.of_session(&from).is_some() || tell::is_out(said, &from) {
        return;
    }
    let is_member = room.affiliation_of(&from.bare()) >= Affiliation::Member;
    let may = is_member || !room.settings.members_only;
    let may = may && voices::role_on_entering(room, &from.bare()) > Role::None;
    if !may || enter::silently(room, &stanza, cx).is_err() {
        exit::not_inside(room, &stanza, cx);
    }
}

/// The archive is read: what may not have reached all is sent to all who are inside.
pub(crate) fn finish(room: &mut Room, rows: &[ArchiveRow], cx: &mut Context<'_, Room>) {
    let Some((finished, Inheritance { mut known, said })) = room.fan_outs.take_inheritance() else {
        return room.fan_outs.begin_behind(room.last_id.get());
    };
    room.fan_outs.go_on_from(finished);
    known.extend(rows.iter().map(|row| row.origin));
    let archived = rows.iter().filter(|row| row.id > finished);
    let archived = archived.map(|row| pb::Said {
        id: row.id.0,
        stanza: row.stanza.clone(),
        ..pb::Said::default()
    });
    let mut all: Vec<pb::Said> = archived.chain(said).collect();
    all.sort_by_key(|it| it.id);
    all.dedup_by_key(|it| it.id);
    if !all.is_empty() {
        tracing::info!(jid = %room.jid, "{} words of a former owner are told again", all.len());
    }
    all.last().into_iter().for_each(|last| room.go_on_behind(ArchiveId(last.id)));
    let newcomers = Newcomers::of(&all);
    for said in all {
        tell::again(room, said, &newcomers, cx);
    }
    room.fan_outs.knows(known);
}

/// The identity of what a message was caused by.
pub(crate) fn write_origin(origin: Origin) -> pb::Origin {
    match origin {
        Origin::Client { session, seq, part } => {
            pb::Origin { session, seq, part: part.into(), ..pb::Origin::default() }
        }
        Origin::Shard { shard, epoch, counter } => pb::Origin {
            shard: Some(shard.number().into()),
            epoch: epoch.0,
            seq: counter,
            ..pb::Origin::default()
        },
    }
}

pub(crate) fn read_origin(message: &pb::Origin) -> Option<Origin> {
    Some(match message.shard {
        None => Origin::Client {
            session: message.session,
            seq: message.seq,
            part: u16::try_from(message.part).ok()?,
        },
        Some(shard) => Origin::Shard {
            shard: xmpp::Shard::new(u16::try_from(shard).ok()?)?,
            epoch: xmpp::Epoch(message.epoch),
            counter: message.seq,
        },
    })
}

/// What somebody's home says of them to a new owner ([`claimed`]).
#[cfg(test)]
pub(crate) fn claim(from: &xmpp::Jid, to: &xmpp::Jid) -> Bytes {
    let x = xmpp::Element::new("x", xmpp::ns::MUC);
    let head = xmpp::Head {
        kind: xmpp::Kind::Presence(xmpp::PresenceType::Available),
        id: None,
        from: Some(from.clone()),
        to: Some(to.clone()),
        lang: None,
    };
    kept::write(&xmpp::Stanza::build(head, &[x]))
}

//! Owns how a room tells what has happened in it: under a number of its own, and to an audience that is found again.
//!
//! What may not have reached all is in the second copy of the room ([`crate::fan_out`]). A new owner tells it once more,
//! in the order and the words of the first time, and whoever has it knows it by its number alone (`entity::repeats`).
//! What caused it is not acted on once more: who was removed since is not inside again because his client's server says
//! again that he enters. What a newcomer is told is not kept but found again, at its place behind what was told before and
//! before what was told since: of people he may be told more than once.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use entity::Context;
use proto::Receipt;
use store::ArchiveId;
use xmpp::{FullJid, Jid, Kind, Origin, PresenceType, Stanza, kept};

use crate::enter::{self, Knock};
use crate::fan_out;
use crate::mirror::write_origin;
use crate::occupant::Occupant;
use crate::presence;
use crate::reveal;
use crate::room::Room;
use crate::snapshot::{self, pb};

use pb::said::To;

/// Who is told.
#[derive(Debug)]
pub(crate) enum Audience {
    /// Everybody inside, but the occupant of this number; of these, where it is said, only who is shown real addresses, or
    /// only who is not.
    Others { but: u64, shown: Option<bool> },
    /// One client, inside or not.
    One(FullJid),
    /// These.
    Listed(Vec<Jid>),
}

/// Tells this, whose `to` is not set.
pub(crate) fn tell(room: &Room, stanza: Stanza, audience: Audience, cx: &mut Context<'_, Room>) {
    let recipients = match &audience {
        Audience::Others { but, shown } => others(room, *but, *shown, u64::MAX),
        Audience::One(client) => vec![client.clone().into()],
        Audience::Listed(jids) => jids.clone(),
    };
    if recipients.is_empty() {
        return;
    }
    let id = room.next_id(cx.now);
    room.fan_outs.say(|| {
        let to = Some(written(room, audience));
        pb::Said { id: id.0, stanza: kept::write(&stanza), cause: None, to }
    });
    let (origin, receipt) = room.fan_outs.begin(id, cause(cx), &cx.waker());
    cx.caused_by(origin, receipt, |cx| cx.send_to_all(stanza, recipients));
}

/// Who waits until something told has arrived. Another server does not: what is told may go to one, for which nobody may
/// wait then ([`proto::Envelope::with_share`]), and the second copy of the room has it.
fn cause(cx: &Context<'_, Room>) -> Option<Receipt> {
    if cx.origin().is_of_server() { None } else { cx.receipt() }
}

/// A message that somebody has said to all, and that no archive has.
pub(crate) fn message(id: ArchiveId, stanza: &Stanza, cause: Origin) -> pb::Said {
    let cause = Some(write_origin(cause));
    pb::Said { id: id.0, stanza: kept::write(stanza), cause, to: None }
}

/// What a newcomer is told of the discussion.
pub(crate) struct Discussion {
    /// So many messages of the past.
    pub(crate) past: u32,
    /// The number of the subject, which is the next one behind theirs.
    pub(crate) subject: ArchiveId,
}

/// Everything that `tell` sends with [`also`] is told to a newcomer, who hears of these status codes.
pub(crate) fn welcome(
    room: &Room,
    knock: &Knock<'_>,
    codes: &[u16],
    cx: &mut Context<'_, Room>,
    tell: impl FnOnce(&mut Context<'_, Room>) -> Discussion,
) {
    let id = knock.admitted.unwrap_or_else(|| room.next_id(cx.now));
    let (origin, receipt) = room.fan_outs.begin(id, cause(cx), &cx.waker());
    let origin = match knock.admitted {
        Some(_) => fan_out::origin_anew(room.next_id(cx.now)),
        None => origin,
    };
    let mut discussion = None;
    cx.caused_by(origin, receipt, |cx| discussion = Some(tell(cx)));
    room.fan_outs.say(|| {
        let to = To::Welcome(pb::Welcome {
            codes: codes.iter().copied().map(u32::from).collect(),
            past: discussion.as_ref().map_or(0, |it| it.past),
            subject: discussion.map_or(0, |it| it.subject.0),
            was_inside: knock.was_inside,
            knows_people: false,
            part: fan_out::part(origin).into(),
        });
        pb::Said { id: id.0, stanza: kept::write(knock.stanza), cause: None, to: Some(to) }
    });
}

/// More of the same, to the address in its `to`; under which number.
pub(crate) fn also(room: &Room, stanza: Stanza, cx: &mut Context<'_, Room>) -> ArchiveId {
    let id = room.next_id(cx.now);
    cx.send_as(fan_out::origin(id).later(fan_out::part(cx.origin())), stanza);
    id
}

/// Tells what a former owner has told, and may not have reached all.
pub(crate) fn again(
    room: &mut Room,
    said: pb::Said,
    newcomers: &Newcomers,
    cx: &mut Context<'_, Room>,
) {
    if let Some(To::Revealed(whom)) = said.to {
        return reveal::again(room, said.id, whom, cx);
    }
    let Some(stanza) = kept::read(&said.stanza) else { return };
    let id = ArchiveId(said.id);
    let recipients = match &said.to {
        None => {
            // What has no cause is in the archive.
            if said.cause.is_some() {
                room.fan_outs.say(|| said);
            }
            return presence::reflect_again(room, id, &stanza, newcomers, cx);
        }
        // They have left since, and come once more.
        Some(To::Welcome(_)) if !newcomers.came_last_as(&stanza, id) => return,
        Some(To::Welcome(welcome)) if welcome.knows_people => {
            let welcome = welcome.clone();
            return discussion_again(room, said, &stanza, &welcome, cx);
        }
        Some(To::Welcome(welcome)) => return welcome_again(room, id, &stanza, welcome, cx),
        Some(To::Others(pb::Others { last, but, shown })) => {
            let mut others = others(room, *but, *shown, *last);
            others.retain(|client| newcomers.had_come(client, id));
            others
        }
        Some(To::One(client)) => snapshot::jid(client).into_iter().collect(),
        Some(To::Listed(pb::Listed { jids })) => {
            jids.iter().filter_map(|jid| snapshot::jid(jid)).collect()
        }
        // Told above.
        Some(To::Revealed(_)) => return,
    };
    room.fan_outs.say(|| said);
    let (origin, receipt) = room.fan_outs.begin(id, None, &cx.waker());
    cx.caused_by(origin, receipt, |cx| cx.send_again_to_all(stanza, recipients));
}

/// Who came of late, and under which number last: what was told before that is not for them, and what was told since
/// comes behind their welcome (XEP-0045 §7.1).
pub(crate) struct Newcomers(HashMap<Jid, ArchiveId>);

impl Newcomers {
    /// Those who are welcomed in this, oldest first.
    pub(crate) fn of(said: &[pb::Said]) -> Self {
        let newcomer = |it: &pb::Said| match &it.to {
            Some(To::Welcome(welcome)) if !welcome.was_inside => {
                Some((sender(&it.stanza)?, ArchiveId(it.id)))
            }
            _ => None,
        };
        Self(said.iter().filter_map(newcomer).collect())
    }

    /// Whether a client, who is inside, was so already when something had this number.
    pub(crate) fn had_come(&self, client: &Jid, id: ArchiveId) -> bool {
        self.0.get(client).is_none_or(|admitted| *admitted <= id)
    }

    /// Whether whoever sent this to come in has not done so again since.
    fn came_last_as(&self, knock: &Stanza, id: ArchiveId) -> bool {
        knock.head().from.as_ref().is_none_or(|client| self.had_come(client, id))
    }
}

fn sender(stanza: &Bytes) -> Option<Jid> {
    kept::read(stanza)?.head().from.clone()
}

/// Whoever says that they are inside has been told of themselves when they came, and of all the others before that
/// (XEP-0045 §7.1), and so has whoever has asked for another nick since; but what follows may have been lost with the
/// former owner. Of what somebody was told who was inside before it, neither says anything.
pub(crate) fn note_welcomed(said: &mut [pb::Said], claims: &[Bytes]) {
    let mut know: HashSet<Jid> = claims.iter().filter_map(sender).collect();
    for it in said.iter_mut().rev() {
        match &mut it.to {
            Some(To::Welcome(welcome)) => {
                let knows = sender(&it.stanza).is_some_and(|who| know.contains(&who));
                welcome.knows_people |= knows && !welcome.was_inside;
            }
            // Who is not inside any more is not welcomed.
            Some(To::One(client)) if is_farewell(&it.stanza) => know.extend(snapshot::jid(client)),
            _ => {}
        }
    }
}

fn is_farewell(stanza: &Bytes) -> bool {
    let kind = kept::read(stanza).map(|stanza| stanza.kind());
    kind == Some(Kind::Presence(PresenceType::Unavailable))
}

/// Nobody knows how much of it the newcomer has: all of it once more at its place, if he is still there.
fn welcome_again(
    room: &Room,
    id: ArchiveId,
    stanza: &Stanza,
    welcome: &pb::Welcome,
    cx: &mut Context<'_, Room>,
) {
    let Ok(mut knock) = Knock::read(room, stanza) else { return };
    (knock.was_inside, knock.admitted) = (welcome.was_inside, Some(id));
    let inside = stanza.head().from.as_ref().and_then(|from| room.occupants.of_session(from));
    let codes = welcome.codes.iter().filter_map(|code| u16::try_from(*code).ok());
    if let Some(number) = inside.map(|inside| inside.number) {
        enter::welcome(room, number, &knock, &codes.collect::<Vec<_>>(), cx);
    }
}

/// What a newcomer was told of the discussion, if he is still there: what he has of it is known by the numbers that it
/// had.
fn discussion_again(
    room: &Room,
    said: pb::Said,
    stanza: &Stanza,
    welcome: &pb::Welcome,
    cx: &mut Context<'_, Room>,
) {
    let from = stanza.head().from.as_ref();
    let Some(client) = from.filter(|from| room.occupants.of_session(from).is_some()) else {
        return;
    };
    let id = ArchiveId(said.id);
    let part = u16::try_from(welcome.part).unwrap_or(0);
    let past = usize::try_from(welcome.past).unwrap_or(usize::MAX);
    let past = room.history.before(id).rev().take(past).cloned();
    let newest_first = std::iter::once(enter::subject(room)).chain(past);
    let told: Vec<(u64, Stanza)> = (0..=welcome.subject).rev().zip(newest_first).collect();
    room.fan_outs.say(|| said);
    let (origin, receipt) = room.fan_outs.begin(id, None, &cx.waker());
    cx.caused_by(origin, receipt, |cx| {
        for (number, stanza) in told.into_iter().rev() {
            let origin = fan_out::origin(ArchiveId(number)).later(part);
            cx.caused_by(origin, cx.receipt(), |cx| cx.send_again_to_all(stanza, [client.clone()]));
        }
    });
}

/// Whether the last that this client was told of itself, of what may not have reached it, is that it is out.
pub(crate) fn is_out(said: &[pb::Said], client: &Jid) -> bool {
    let of_client = said.iter().rev().filter_map(|said| {
        let stanza = kept::read(&said.stanza)?;
        match &said.to {
            Some(To::One(to)) if to == client.as_str() => match stanza.kind() {
                Kind::Presence(PresenceType::Unavailable) => Some(true),
                Kind::Presence(PresenceType::Available) => Some(false),
                _ => None,
            },
            Some(To::Welcome(_)) => (stanza.head().from.as_ref() == Some(client)).then_some(false),
            _ => None,
        }
    });
    of_client.into_iter().next().unwrap_or(false)
}

fn written(room: &Room, audience: Audience) -> To {
    match audience {
        Audience::Others { but, shown } => {
            To::Others(pb::Others { last: room.occupants.last_number(), but, shown })
        }
        Audience::One(client) => To::One(client.as_str().to_owned()),
        Audience::Listed(jids) => To::Listed(pb::Listed {
            jids: jids.iter().map(|jid| jid.as_str().to_owned()).collect(),
        }),
    }
}

/// The clients of all but one; who have greater numbers than `last` have come since.
fn others(room: &Room, but: u64, shown: Option<bool>, last: u64) -> Vec<Jid> {
    let is_meant = |it: &&Occupant| shown.is_none_or(|is| room.shows_addresses_to(it) == is);
    let all = room.occupants.iter().filter(|it| it.number != but && it.number <= last);
    all.filter(is_meant).flat_map(Occupant::clients).collect()
}

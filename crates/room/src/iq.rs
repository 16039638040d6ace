//! Owns requests to the room itself, and those that occupants send each other through it (XEP-0045 §6.6,
//! §17.4): they go on under an id of the room's own, so that nobody learns an address by the answer, and
//! only an answer to something that was asked comes back.

use std::collections::VecDeque;

use bytes::Bytes;
use entity::answer::only_child;
use entity::{Answer, Context, Request, Slot, SlotKind};
use prost::Message;
use xmpp::{Element, Head, IqType, Jid, Kind, Origin, Stanza, StanzaCondition, StanzaError, ns};

use crate::asked;
use crate::deeds::{self, Deed};
use crate::extensions::{EXTENSIONS, self_ping};
use crate::mirror;
use crate::rate::too_many;
use crate::refuse::{nameless, refuse};
use crate::room::Room;
use crate::snapshot::{self, pb};
use crate::tell::{Audience, tell};

/// Most requests between occupants that wait for an answer; the oldest is given up.
const OPEN_MOST: usize = 1_000;

/// Requests between occupants that wait for an answer, oldest first.
#[derive(Debug, Default)]
struct Open(VecDeque<pb::Request>);

/// The slot of requests.
pub(crate) const SLOT: SlotKind = SlotKind::of::<Open>();

impl Slot for Open {
    const NAME: &'static str = "requests";

    fn encode(&self) -> Option<Bytes> {
        let requests: Vec<pb::Request> = self.0.iter().cloned().collect();
        (!requests.is_empty()).then(|| pb::Requests { requests }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        pb::Requests::decode(value).ok().map(|it| Self(it.requests.into()))
    }
}

/// Answers a request to the room.
pub(crate) fn answer(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let Kind::Iq(ty) = stanza.kind() else { return };
    let Some(payload) = only_child(&stanza) else {
        return refuse(room, &stanza, StanzaCondition::BadRequest, cx);
    };
    let Some(iq) = EXTENSIONS.iq(ty, payload.name(), payload.ns()) else {
        return refuse(room, &stanza, StanzaCondition::ServiceUnavailable, cx);
    };
    if changes_something(ty, &payload) {
        let from = stanza.head().from.as_ref().map(Jid::bare);
        if from.is_some_and(|from| !room.may_order(&from, cx)) {
            return refuse(room, &stanza, too_many("requests"), cx);
        }
    }
    let request = Request { stanza, payload, session: None };
    match (iq.handle)(room, &request, cx) {
        Ok(Answer::Later) => {}
        Ok(Answer::Done) => reply(room, &request.stanza, Ok(None), cx),
        Ok(Answer::Result(payload)) => reply(room, &request.stanza, Ok(Some(payload)), cx),
        Err(error) => reply(room, &request.stanza, Err(error), cx),
    }
}

/// Whether whoever asks it may be heard by all, or written to by the room. Archives alone are read by such requests.
fn changes_something(ty: IqType, payload: &Element) -> bool {
    ty == IqType::Set && payload.ns() != ns::MAM
}

/// The answer to a request.
pub(crate) fn reply(
    room: &Room,
    stanza: &Stanza,
    answer: Result<Option<Element>, StanzaError>,
    cx: &mut Context<'_, Room>,
) {
    match answer {
        Ok(payload) => {
            let result = stanza.result(payload.as_ref());
            let Some(result) = asked::take(room, result) else { return };
            let Some(to) = result.head().to.clone() else { return };
            match (to.to_full(), payload, stanza.kind()) {
                // Something is another than before.
                (Some(client), None, Kind::Iq(IqType::Set)) => {
                    room.fan_outs.acted(cx.origin());
                    let result = result.with_head(|head| head.to = None);
                    tell(room, result, Audience::One(client), cx);
                }
                _ => cx.send(result),
            }
        }
        Err(error) => refuse(room, stanza, error, cx),
    }
}

/// A request to an occupant.
pub(crate) fn forward(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    match forwarded(room, &stanza, cx) {
        Ok(Some(onward)) => cx.send(onward),
        Ok(None) => reply(room, &stanza, Ok(None), cx),
        Err(error) => refuse(room, &stanza, error, cx),
    }
}

/// The request as it goes on; none where the room answers it with success (XEP-0410 §3.3).
///
/// # Errors
/// `not-acceptable` for who is not inside (`bad-request` for what they want to discover, §6.6),
/// `item-not-found` for an occupant who is not there, `policy-violation` for too many.
fn forwarded(
    room: &mut Room,
    stanza: &Stanza,
    cx: &mut Context<'_, Room>,
) -> Result<Option<Stanza>, StanzaError> {
    let payload = stanza.payload().ok_or(StanzaCondition::BadRequest)?;
    let from = stanza.head().from.clone().ok_or(StanzaCondition::BadRequest)?;
    let nick = stanza.head().to.as_ref().and_then(Jid::resourcepart).unwrap_or_default();
    let Some(asker) = room.occupants.of_session(&from) else {
        return Err(match matches!(payload.ns, ns::DISCO_INFO | ns::DISCO_ITEMS) {
            true => StanzaCondition::BadRequest.into(),
            false => StanzaCondition::NotAcceptable.into(),
        });
    };
    let (asker_jid, asker_number) = (asker.jid.clone(), asker.number);
    if self_ping::is_one(asker, nick, &payload) {
        return Ok(None);
    }
    let asked = room.occupants.iter().find(|occupant| occupant.nick() == nick);
    let asked = asked.ok_or(StanzaCondition::ItemNotFound)?;
    let session = asked.shown().ok_or(StanzaCondition::ItemNotFound)?;
    // A card is its owner's, not one of their clients' (XEP-0054).
    let answerer: Jid = match payload.ns {
        ns::VCARD => asked.who.clone().into(),
        _ => session.jid.clone().into(),
    };
    let asked = asked.jid.to_string();
    if !room.may_send(asker_number, cx) {
        return Err(too_many("requests"));
    }
    let id = onward_id(room, cx.origin());
    let passed = pb::Request {
        id: id.clone(),
        asker: from.to_string(),
        asker_id: stanza.head().id.as_deref().map(str::to_owned),
        asked,
        answerer: answerer.to_string(),
    };
    deeds::act(room, Deed::Passed(passed));
    let onward = stanza.with_head(|head| {
        head.id = Some(id.into());
        head.from = Some(asker_jid.into());
        head.to = Some(answerer);
    });
    Ok(Some(onward))
}

/// The id under which a request goes on: the same where a new owner passes on once more what a former one has
/// passed on, so that the answer is known whichever of the two is heard. It tells nothing of what it is made of.
fn onward_id(room: &Room, cause: Origin) -> String {
    let cause = mirror::write_origin(cause).encode_to_vec();
    let seal = room.birth.as_ref().map_or(0, |birth| birth.seal("request", &cause));
    format!("{seal:016x}")
}

/// A request is on its way.
pub(crate) fn passed(room: &mut Room, request: pb::Request) {
    let Open(open) = room.slots.get_or_make(Open::default);
    open.retain(|it| it.id != request.id);
    if open.len() >= OPEN_MOST {
        open.pop_front();
    }
    open.push_back(request);
}

/// A request has its answer.
pub(crate) fn answered(room: &mut Room, id: &str) {
    let Open(open) = room.slots.get_or_make(Open::default);
    open.retain(|it| it.id != id);
}

/// The answer to a request that was passed on, which tells no address (§17.4 rule 3); anything else is ignored.
pub(crate) fn give_back(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let Head { id: Some(id), from: Some(from), .. } = stanza.head() else { return };
    let Some(Open(open)) = room.slots.get::<Open>() else { return };
    let is_answer = |it: &&pb::Request| it.id == **id && it.answerer == from.as_str();
    let Some(pb::Request { id, asker, asker_id, asked, .. }) = open.iter().find(is_answer).cloned()
    else {
        return;
    };
    deeds::act(room, Deed::Answered(id));
    let (Some(asker), Some(asked)) = (snapshot::jid(&asker), snapshot::jid(&asked)) else { return };
    let error = stanza.child("error", "").map(|error| nameless(&error));
    let answer = match &error {
        Some(error) => {
            stanza.without(|it| it.name == "error" && it.ns.is_empty()).with_child(error)
        }
        None => stanza,
    };
    cx.send(answer.with_head(|head| {
        head.id = asker_id.map(Into::into);
        head.from = Some(asked);
        head.to = Some(asker);
    }));
}

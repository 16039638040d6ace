//! Owns requests to the room itself, and those that occupants send each other through it (XEP-0045 §6.6,
//! §17.4): they go on under an id of the room's own, so that nobody learns an address by the answer, and
//! only an answer to something that was asked comes back.

use std::collections::VecDeque;

use bytes::Bytes;
use entity::answer::only_child;
use entity::{Answer, Context, Request, Slot, SlotKind};
use prost::Message;
use xmpp::{Element, FullJid, Head, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns};

use crate::extensions::{EXTENSIONS, self_ping};
use crate::refuse::refuse;
use crate::room::Room;
use crate::snapshot::{self, pb};

/// Most requests between occupants that wait for an answer; the oldest is given up.
const OPEN_MOST: usize = 1_000;

/// Requests between occupants that wait for an answer.
#[derive(Debug, Default)]
struct Open {
    requests: VecDeque<Passed>,
}

/// The slot of requests.
pub(crate) const SLOT: SlotKind = SlotKind::of::<Open>();

impl Slot for Open {
    const NAME: &'static str = "requests";

    fn encode(&self) -> Option<Bytes> {
        let request = |it: &Passed| pb::Request {
            id: it.id.clone(),
            asker: it.asker.to_string(),
            asker_id: it.asker_id.as_deref().map(str::to_owned),
            asked: it.asked.to_string(),
            answerer: it.answerer.to_string(),
        };
        let requests = self.requests.iter().map(request).collect();
        Some(pb::Requests { requests }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let request = |it: pb::Request| {
            Some(Passed {
                id: it.id,
                asker: FullJid::parse(&it.asker).ok()?,
                asker_id: it.asker_id.map(Into::into),
                asked: snapshot::jid(&it.asked)?,
                answerer: snapshot::jid(&it.answerer)?,
            })
        };
        let pb::Requests { requests } = pb::Requests::decode(value).ok()?;
        Some(Self { requests: requests.into_iter().map(request).collect::<Option<_>>()? })
    }
}

/// One that was passed on.
#[derive(Debug)]
struct Passed {
    id: String,
    asker: FullJid,
    asker_id: Option<std::sync::Arc<str>>,
    /// Who was asked, as the asker knows him.
    asked: Jid,
    /// Whose answer counts.
    answerer: Jid,
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
    let request = Request { stanza, payload, session: None };
    match (iq.handle)(room, &request, cx) {
        Ok(Answer::Later) => {}
        Ok(Answer::Done) => reply(room, &request.stanza, Ok(None), cx),
        Ok(Answer::Result(payload)) => reply(room, &request.stanza, Ok(Some(payload)), cx),
        Err(error) => reply(room, &request.stanza, Err(error), cx),
    }
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
            // What the service itself asks needs no answer.
            if result.head().to.as_ref().is_some_and(|to| !to.is_domain()) {
                cx.send(result);
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
/// `not-acceptable` for who is not inside (`bad-request` for what he wants to discover, §6.6),
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
    // A card is its owner's, not one of his clients' (XEP-0054).
    let answerer: Jid = match payload.ns {
        ns::VCARD => asked.who.clone().into(),
        _ => session.jid.clone().into(),
    };
    let asked = asked.jid.clone().into();
    if !room.may_send(asker_number, cx) {
        return Err(StanzaError::from(StanzaCondition::PolicyViolation)
            .with_type(xmpp::ErrorType::Wait)
            .with_text("too many requests"));
    }
    let id = format!("{:016x}", cx.random_u64());
    let asker = from.to_full().ok_or(StanzaCondition::JidMalformed)?;
    let asker_id = stanza.head().id.clone();
    let answerer_jid = answerer.clone();
    let open = room.slots.get_or_make(Open::default);
    if open.requests.len() >= OPEN_MOST {
        open.requests.pop_front();
    }
    open.requests.push_back(Passed { id: id.clone(), asker, asker_id, asked, answerer });
    let onward = stanza.with_head(|head| {
        head.id = Some(id.into());
        head.from = Some(asker_jid.into());
        head.to = Some(answerer_jid);
    });
    Ok(Some(onward))
}

/// The answer to a request that was passed on; anything else is ignored.
pub(crate) fn give_back(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let Head { id: Some(id), from: Some(from), .. } = stanza.head() else { return };
    let Some(open) = room.slots.get::<Open>() else { return };
    let is_answer = |it: &Passed| it.id == **id && it.answerer == *from;
    let Some(at) = open.requests.iter().position(is_answer) else { return };
    let open = room.slots.get_or_make(Open::default);
    let Some(Passed { asker, asker_id, asked, .. }) = open.requests.remove(at) else { return };
    cx.send(stanza.with_head(|head| {
        head.id = asker_id;
        head.from = Some(asked);
        head.to = Some(asker.into());
    }));
}

//! XEP-0425 Moderated Message Retraction, version 0.3.0: a moderator takes back what somebody else has said.

use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Request};
use store::{ArchiveRow, Write};
use xmpp::{
    Element, Head, IqType, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, datetime,
    kept, ns,
};

use crate::Room;
use crate::affiliation::Role;
use crate::extensions::{marks, retraction, stanza_id_of};
use crate::iq::reply;
use crate::presence;

/// Retraction by moderators.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0425",
    title: "Moderated Message Retraction",
    version: "0.3.0",
    features: &[ns::MODERATE],
    iqs: &[Iq {
        ty: IqType::Set,
        name: "moderate",
        ns: ns::MODERATE,
        who: Who::Anybody,
        handle: moderate,
    }],
    ..Extension::NONE
};

/// §3
fn moderate(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.clone().ok_or(StanzaCondition::BadRequest)?;
    if room.standing_of(&from).role < Role::Moderator {
        let error = StanzaError::from(StanzaCondition::Forbidden);
        return Err(error.with_text("only moderators retract what others have said"));
    }
    if request.payload.child("retract", ns::RETRACT).is_none() {
        return Err(StanzaCondition::FeatureNotImplemented.into());
    }
    // A former owner has done it, and it has been asked for again since.
    if room.fan_outs.has_known(cx.origin()) {
        return Ok(Answer::Done);
    }
    let id = request.payload.attr("id").and_then(|id| room.shared.config.ids.read(id));
    let id = id.ok_or(StanzaCondition::ItemNotFound)?;
    let reason = request.payload.child("reason", ns::MODERATE).cloned();
    let stanza = request.stanza.clone();
    room.queue.block();
    retraction::find(room, id, cx, move |room, cx, row| {
        let row = row.map_err(|error| store_error(&error));
        match row.and_then(|row| row.ok_or_else(|| StanzaCondition::ItemNotFound.into())) {
            Ok(row) => keep(room, row, reason, stanza, &from, cx),
            Err(error) => {
                reply(room, &stanza, Err(error), cx);
                go_on(room, cx);
            }
        }
    });
    Ok(Answer::Later)
}

fn go_on(room: &mut Room, cx: &mut Context<'_, Room>) {
    room.queue.unblock();
    room.drain(cx);
}

/// The tombstone and the word to all are kept together; then everybody hears it (§3.1, §4).
fn keep(
    room: &mut Room,
    row: ArchiveRow,
    reason: Option<Element>,
    request: Stanza,
    from: &Jid,
    cx: &mut Context<'_, Room>,
) {
    let id = row.id;
    let actor = room.occupants.of_session(from).map(|actor| actor.jid.clone());
    let mut moderated = Element::new("moderated", ns::MODERATE)
        .with_attr_opt("by", actor.as_ref().map(|actor| actor.as_str()));
    if let Ok(mark) = Element::parse(&marks(room, &from.bare())) {
        moderated.push(mark);
    }
    let outcome = |name: &'static str| {
        let mut outcome = Element::new(name, ns::RETRACT).with_child(moderated.clone());
        if let Some(reason) = &reason {
            outcome.push(Element::new("reason", ns::RETRACT).with_text(reason.text()));
        }
        outcome
    };
    let stamp = datetime::format_seconds(cx.now.unix_micros);
    let word_id = format!("{:016x}", cx.random_u64());
    let retracted = outcome("retracted").with_attr("id", &word_id).with_attr("stamp", stamp);
    let stone = retraction::tombstone(room, &row, retracted);
    let head = Head {
        kind: Kind::Message(MessageType::Groupchat),
        id: Some(word_id.into()),
        from: Some(room.jid.clone().into()),
        to: None,
        lang: None,
    };
    let own = room.next_id(cx.now);
    let name = room.shared.config.ids.write(id);
    let word = Stanza::build(head, &[outcome("retract").with_attr("id", name)]);
    let word = word.with_child(&stanza_id_of(room, own));
    let told =
        ArchiveRow { id: own, peer: from.bare(), origin: cx.origin(), stanza: kept::write(&word) };
    let mut writes = vec![Write::Append(room.jid.clone(), told)];
    writes.extend(retraction::bury(room, id, stone));
    cx.commit_then(writes, move |room, cx, result| {
        match result {
            Ok(()) => {
                retraction::forget(room, id);
                presence::reflect(room, own, &word, cx);
                reply(room, &request, Ok(None), cx);
            }
            Err(error) => reply(room, &request, Err(store_error(&error)), cx),
        }
        go_on(room, cx);
    });
}

//! Owns messages from one occupant to another (XEP-0045 §7.5), and the errors that answer them. They are never
//! archived by the room.
//!
//! An error does not say what it answers, but for its id: what an occupant has sent of late is remembered by seals,
//! so that nothing else comes to them under the name of an error.

use std::collections::VecDeque;

use entity::Context;
use xmpp::{
    Element, ErrorType, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::deeds::{self, Deed};
use crate::extensions;
use crate::refuse::{nameless, refuse};
use crate::room::Room;
use crate::snapshot::pb;

/// Most private messages of an occupant that may still come back; the oldest is given up. More than they may send at
/// once, and in the seconds until a distant server answers.
const SENT_MOST: usize = 256;

/// The private messages of an occupant that may still come back, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(VecDeque<pb::Private>);

impl Sent {
    pub(crate) fn as_data(&self) -> Vec<pb::Private> {
        self.0.iter().copied().collect()
    }

    pub(crate) fn of_data(list: Vec<pb::Private>) -> Self {
        Self(list.into())
    }

    fn note(&mut self, message: pb::Private) {
        self.0.retain(|known| known.seal != message.seal);
        if self.0.len() >= SENT_MOST {
            self.0.pop_front();
        }
        if message.copies > 0 {
            self.0.push_back(message);
        }
    }
}

/// A private message went on, or a copy of it came back.
pub(crate) fn went(room: &mut Room, message: pb::Private) {
    if let Some(sent) = room.occupants.private_of(message.sender) {
        sent.note(message);
    }
}

/// How a message from one occupant to another is known again by its id.
fn seal(room: &Room, from: u64, to: u64, id: Option<&str>) -> u64 {
    let id = id.unwrap_or_default().as_bytes();
    let what = [&from.to_be_bytes(), &to.to_be_bytes(), id].concat();
    room.birth.as_ref().map_or(0, |birth| birth.seal("private", &what))
}

/// A message to an occupant JID.
pub(crate) fn send(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    match may_send(room, &stanza, cx) {
        Ok((from, to)) => deliver(room, &stanza, from, to, cx),
        Err(error) => refuse(room, &stanza, error, cx),
    }
}

/// The numbers of sender and recipient.
///
/// # Errors
/// `bad-request` for type `groupchat`, `not-acceptable` from who is not inside, `item-not-found` to whom is
/// not, `forbidden` where the room does not allow it (§16.5.3, `allowpm`).
fn may_send(
    room: &mut Room,
    stanza: &Stanza,
    cx: &Context<'_, Room>,
) -> Result<(u64, u64), StanzaError> {
    if stanza.kind() == Kind::Message(MessageType::Groupchat) {
        return Err(StanzaCondition::BadRequest.into());
    }
    let from = room.sender_of(stanza).ok_or(StanzaCondition::NotAcceptable)?;
    let nick = stanza.head().to.as_ref().and_then(Jid::resourcepart).unwrap_or_default();
    let to = room.occupants.iter().find(|occupant| occupant.nick() == nick);
    let to = to.map(|occupant| occupant.number).ok_or(StanzaCondition::ItemNotFound)?;
    let role = room.occupants.get(from).map(|occupant| occupant.role).unwrap_or_default();
    if !room.settings.private_messages.allow(role) {
        return Err(StanzaCondition::Forbidden.into());
    }
    if !room.may_send(from, cx) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_type(ErrorType::Wait).with_text("too many messages"));
    }
    Ok((from, to))
}

/// Whether an error answers a private message: what none of its recipient's clients could take comes back to the
/// occupant who sent it, with nothing but the error.
pub(crate) fn give_back(
    room: &mut Room,
    stanza: &Stanza,
    error: &Element,
    from: &Jid,
    cx: &mut Context<'_, Room>,
) -> bool {
    let nick = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    let Some(sender) = nick.and_then(|nick| room.occupants.of_nick(nick)) else { return false };
    let Some(recipient) = room.occupants.of_session(from) else { return false };
    if stanza.kind() != Kind::Message(MessageType::Error) {
        return false;
    }
    let seal = seal(room, sender.number, recipient.number, stanza.head().id.as_deref());
    let Sent(sent) = &sender.private;
    let Some(known) = sent.iter().find(|known| known.seal == seal) else { return false };
    let left = pb::Private { copies: known.copies.saturating_sub(1), ..*known };
    if left.copies == 0 {
        let head = Head { from: Some(recipient.jid.clone().into()), ..stanza.head().clone() };
        let clean = Stanza::build(head, &[nameless(error)]);
        for session in &sender.sessions {
            cx.send(clean.clone().with_to(session.jid.clone().into()));
        }
    }
    deeds::act(room, Deed::Private(left));
    true
}

/// To all clients of the recipient (§7.2.8), with the mark of a private message.
fn deliver(room: &mut Room, stanza: &Stanza, from: u64, to: u64, cx: &mut Context<'_, Room>) {
    let seal = seal(room, from, to, stanza.head().id.as_deref());
    let copies = room.occupants.get(to).map_or(0, |to| to.sessions.len());
    let copies = u32::try_from(copies).unwrap_or(u32::MAX);
    deeds::act(room, Deed::Private(pb::Private { sender: from, seal, copies }));
    let (Some(from), Some(to)) = (room.occupants.get(from), room.occupants.get(to)) else {
        return;
    };
    let marked = extensions::clean(&room.jid, stanza)
        .with_child_bytes(&from.marks)
        .with_child(&Element::new("x", ns::MUC_USER))
        .with_from(from.jid.clone().into());
    for session in &to.sessions {
        let Head { id, lang, kind, .. } = stanza.head().clone();
        let to = Some(session.jid.clone().into());
        let head = Head { kind, id, lang, from: Some(from.jid.clone().into()), to };
        cx.send(marked.with_head(|it| *it = head));
    }
}

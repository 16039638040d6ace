//! Owns messages from one occupant to another (XEP-0045 §7.5). They are never archived by the room.

use entity::Context;
use xmpp::{
    Element, ErrorType, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::extensions;
use crate::nick_change::sender;
use crate::refuse::refuse;
use crate::room::Room;

/// A message to an occupant JID.
pub(crate) fn send(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    match may_send(room, &stanza, cx) {
        Ok((from, to)) => deliver(room, &stanza, (from, to), cx),
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
    let from = sender(room, stanza).ok_or(StanzaCondition::NotAcceptable)?;
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

/// What somebody's client could not take comes back to the occupant who sent it.
pub(crate) fn give_back(room: &Room, error: &Stanza, from: &Jid, cx: &mut Context<'_, Room>) {
    let nick = error.head().to.as_ref().and_then(Jid::resourcepart);
    let Some(sender) = nick.and_then(|nick| room.occupants.of_nick(nick)) else { return };
    let Some(recipient) = room.occupants.of_session(from) else { return };
    if error.kind() != Kind::Message(MessageType::Error) || sender.number == recipient.number {
        return;
    }
    let clean = extensions::clean(&room.jid, error).with_from(recipient.jid.clone().into());
    for session in &sender.sessions {
        cx.send(clean.clone().with_to(session.jid.clone().into()));
    }
}

/// To all clients of the recipient (§7.2.8), with the mark of a private message.
fn deliver(room: &Room, stanza: &Stanza, (from, to): (u64, u64), cx: &mut Context<'_, Room>) {
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

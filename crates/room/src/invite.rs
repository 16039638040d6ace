//! Owns mediated invitations and the answers to them (XEP-0045 §7.8.2, §7.9, §9.5). Only who was invited may
//! decline, so that nobody uses the room to write to strangers.

use std::collections::VecDeque;

use bytes::Bytes;
use entity::{Context, Slot, SlotKind};
use prost::Message;
use proto::Now;
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::affiliate::{self, Change};
use crate::affiliation::{Affiliation, Role};
use crate::deeds::{self, Deed};
use crate::refuse::refuse;
use crate::room::{Phase, Room, is_recent};
use crate::snapshot::{self, pb};

/// Most invitations of one message.
const INVITED_MOST: usize = 20;
/// Most invitations that may still be declined.
const OPEN_MOST: usize = 1_000;
/// The longest reason of one, and of whatever else is told to people who are not inside; longer ones are refused.
pub(crate) const REASON_BYTES: usize = 4_096;

/// Somebody who is to be invited, and with what words.
struct Invitee {
    jid: Jid,
    invite: Element,
}

/// Invitations that may still be declined, oldest first.
#[derive(Debug, Default)]
struct Open(VecDeque<pb::Invitation>);

/// The slot of invitations.
pub(crate) const SLOT: SlotKind = SlotKind::of::<Open>();

impl Slot for Open {
    const NAME: &'static str = "invitations";

    fn encode(&self) -> Option<Bytes> {
        let invitations: Vec<pb::Invitation> = self.0.iter().cloned().collect();
        (!invitations.is_empty()).then(|| pb::Invitations { invitations }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        pb::Invitations::decode(value).ok().map(|it| Self(it.invitations.into()))
    }
}

/// Somebody is invited.
pub(crate) fn invited(room: &mut Room, invitation: pb::Invitation) {
    let Open(open) = room.slots.get_or_make(Open::default);
    if open.len() >= OPEN_MOST {
        open.pop_front();
    }
    open.push_back(invitation);
}

/// Whether somebody was invited of late and has not answered.
pub(crate) fn may_decline(room: &Room, now: Now) -> bool {
    // The newest is the last.
    let newest = room.slots.get::<Open>().and_then(|Open(open)| open.back());
    newest.is_some_and(|invitation| is_recent(invitation.at, now))
}

/// They cannot decline any more.
pub(crate) fn settled(room: &mut Room, invitation: &pb::Invitation) {
    let Open(open) = room.slots.get_or_make(Open::default);
    if let Some(at) = open.iter().position(|it| it == invitation) {
        open.remove(at);
    }
}

/// An invitation of somebody is over; who had invited them. That is the one of the inviter who is named `by` the name
/// that was told (§7.8.2); the oldest where that is nobody's.
fn settle(room: &mut Room, who: &str, by: Option<&Jid>) -> Option<Jid> {
    let Open(open) = room.slots.get::<Open>()?;
    let named = |it: &&pb::Invitation| {
        by.is_some_and(|by| it.shown == by.as_str() || it.shown == by.bare_str())
    };
    let mut own = open.iter().filter(|it| it.who == who);
    let oldest = own.clone().next()?;
    let invitation = own.find(named).unwrap_or(oldest).clone();
    let inviter = snapshot::jid(&invitation.by);
    deeds::act(room, Deed::Settled(invitation));
    inviter
}

/// Whether a message is an invitation, or an answer to one.
pub(crate) fn is_one(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message(MessageType::Normal)
        && stanza.child("x", ns::MUC_USER).is_some_and(|x| {
            x.children().any(|it| it.is("invite", ns::MUC_USER) || it.is("decline", ns::MUC_USER))
        })
}

/// Sends invitations and answers on.
pub(crate) fn pass_on(room: &mut Room, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    let Some(x) = stanza.child("x", ns::MUC_USER) else { return };
    let named = |name: &'static str| x.children().filter(move |it| it.is(name, ns::MUC_USER));
    if let Some(decline) = named("decline").next() {
        if let Err(error) = pass_decline(room, stanza, decline, cx) {
            refuse(room, stanza, error, cx);
        }
        return;
    }
    let invites: Vec<&Element> = named("invite").collect();
    match check(room, stanza, &invites, cx) {
        Ok(invitees) => invite(room, stanza, invitees, cx),
        Err(error) => refuse(room, stanza, error, cx),
    }
}

/// Who is invited.
///
/// # Errors
/// `not-acceptable` from who is not inside, `forbidden` from who may not invite (§9.5), `jid-malformed` and
/// `bad-request` for what is no invitation, `policy-violation` for too many.
fn check(
    room: &mut Room,
    stanza: &Stanza,
    invites: &[&Element],
    cx: &Context<'_, Room>,
) -> Result<Vec<Invitee>, StanzaError> {
    if matches!(room.phase, Phase::Locked) {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let number = room.sender_of(stanza).ok_or(StanzaCondition::NotAcceptable)?;
    let standing = stanza.head().from.as_ref().map(|from| room.standing_of(from));
    let standing = standing.ok_or(StanzaCondition::NotAcceptable)?;
    // Where everybody may enter, an invitation gives nobody more than they have.
    let may = match room.settings.members_only {
        true if room.settings.allow_invites => standing.affiliation >= Affiliation::Member,
        true => standing.affiliation >= Affiliation::Admin,
        false => standing.role >= Role::Visitor,
    };
    if !may {
        return Err(StanzaCondition::Forbidden.into());
    }
    if invites.len() > INVITED_MOST || !room.may_send(number, cx) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_text("too many invitations"));
    }
    if invites.iter().any(|invite| invite.to_bytes().len() > REASON_BYTES) {
        return Err(StanzaCondition::NotAcceptable.into());
    }
    let read = |invite: &&Element| -> Result<Invitee, StanzaError> {
        let to = invite.attr("to").ok_or(StanzaCondition::BadRequest)?;
        let jid = Jid::parse(to).map_err(|_| StanzaCondition::JidMalformed)?;
        if jid.localpart().is_none() {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        Ok(Invitee { jid, invite: (*invite).clone() })
    };
    invites.iter().map(read).collect()
}

/// Who is invited to a members-only room becomes a member of it first, so that they may come (§9.5).
fn invite(room: &mut Room, stanza: &Stanza, invitees: Vec<Invitee>, cx: &mut Context<'_, Room>) {
    let stanza = stanza.clone();
    let strangers = invitees.iter().map(|it| it.jid.bare());
    let mut members: Vec<Change> = Vec::new();
    for who in strangers.filter(|who| room.affiliation_of(who) == Affiliation::None) {
        if members.iter().all(|known| known.who != who) {
            let to = Affiliation::Member;
            members.push(Change { who, to, nick: None, reason: None, tells: false });
        }
    }
    if !room.settings.members_only || members.is_empty() {
        return send_all(room, &stanza, &invitees, cx);
    }
    affiliate::change(room, members, Vec::new(), None, cx, move |room, cx, done| match done {
        Ok(()) => send_all(room, &stanza, &invitees, cx),
        Err(error) => refuse(room, &stanza, error, cx),
    });
}

fn send_all(room: &mut Room, stanza: &Stanza, invitees: &[Invitee], cx: &mut Context<'_, Room>) {
    let Some(from) = stanza.head().from.clone() else { return };
    // Nobody's address is told where addresses are a secret.
    let inviter = match room.occupants.of_session(&from) {
        Some(occupant) if !room.settings.addresses_shown => Jid::from(occupant.jid.clone()),
        _ => Jid::from(from.bare()),
    };
    for Invitee { jid, invite } in invitees {
        let mut onward = Element::new("invite", ns::MUC_USER).with_attr("from", inviter.as_str());
        for child in invite
            .children()
            .filter(|it| it.is("reason", ns::MUC_USER) || it.is("continue", ns::MUC_USER))
        {
            onward.push(child.clone());
        }
        send(room, onward, stanza.head().id.clone(), jid.clone(), cx);
        let (who, by) = (jid.bare().to_string(), from.to_string());
        let shown = inviter.to_string();
        let at = cx.now.unix_micros;
        deeds::act(room, Deed::Invited(pb::Invitation { who, by, shown, at }));
    }
}

fn send(
    room: &Room,
    invite: Element,
    id: Option<std::sync::Arc<str>>,
    to: Jid,
    cx: &mut Context<'_, Room>,
) {
    let mut x = Element::new("x", ns::MUC_USER).with_child(invite);
    if let Some(password) = &room.settings.password {
        x.push(Element::new("password", ns::MUC_USER).with_text(password));
    }
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id,
        from: Some(room.jid.clone().into()),
        to: Some(to),
        lang: None,
    };
    cx.send(Stanza::build(head, &[x]));
}

/// The room itself invites somebody who was made a member of a members-only room (§9.5).
pub(crate) fn welcome(room: &Room, who: &BareJid, cx: &mut Context<'_, Room>) {
    let invite = Element::new("invite", ns::MUC_USER).with_attr("from", room.jid.as_str());
    send(room, invite, None, who.clone().into(), cx);
}

/// To who has invited.
fn pass_decline(
    room: &mut Room,
    stanza: &Stanza,
    decline: &Element,
    cx: &mut Context<'_, Room>,
) -> Result<(), StanzaError> {
    let from = stanza.head().from.clone().ok_or(StanzaCondition::BadRequest)?;
    if decline.to_bytes().len() > REASON_BYTES {
        return Err(StanzaCondition::NotAcceptable.into());
    }
    let by = decline.attr("to").and_then(|to| Jid::parse(to).ok());
    let inviter = settle(room, from.bare_str(), by.as_ref());
    let inviter = inviter.ok_or(StanzaCondition::ItemNotFound)?;
    let mut onward = Element::new("decline", ns::MUC_USER).with_attr("from", from.bare_str());
    if let Some(reason) = decline.child("reason", ns::MUC_USER) {
        onward.push(reason.clone());
    }
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: stanza.head().id.clone(),
        from: Some(room.jid.clone().into()),
        to: Some(inviter),
        lang: None,
    };
    cx.send(Stanza::build(head, &[Element::new("x", ns::MUC_USER).with_child(onward)]));
    Ok(())
}

/// An invitation cannot be delivered: who has invited is told why (§7.8.2, last paragraph but two).
pub(crate) fn bounced(room: &mut Room, stanza: &Stanza, from: &Jid, cx: &mut Context<'_, Room>) {
    // It comes from whoever was invited, who may have written anything into it.
    let error = stanza.child("error", "").filter(|it| it.to_bytes().len() <= REASON_BYTES);
    let Some(error) = error else { return };
    let Some(inviter) = settle(room, from.bare_str(), None) else { return };
    let head = Head {
        kind: Kind::Message(MessageType::Error),
        id: stanza.head().id.clone(),
        from: Some(room.jid.clone().into()),
        to: Some(inviter),
        lang: None,
    };
    cx.send(Stanza::build(head, &[error]));
}

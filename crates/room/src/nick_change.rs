//! Owns what an occupant's later presence means: another availability (XEP-0045 §7.7), another nick (§7.6),
//! or a client that has lost track and wants to hear everything again (§17.3 rule 3).

use entity::Context;
use xmpp::{ErrorType, FullJid, Jid, PresenceType, Stanza, StanzaCondition, StanzaError};

use crate::enter::{self, Knock};
use crate::nick::folded;
use crate::presence::{self, News};
use crate::refuse::refuse;
use crate::room::Room;

/// Available presence of a client that is inside.
pub(crate) fn presence(room: &mut Room, number: u64, stanza: Stanza, cx: &mut Context<'_, Room>) {
    if !room.may_send(number, cx) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        let error = error.with_type(ErrorType::Wait).with_text("too much presence");
        return refuse(room, &stanza, error, cx);
    }
    let knock = match Knock::read(room, &stanza) {
        Ok(knock) => knock,
        Err(error) => return refuse(room, &stanza, error, cx),
    };
    let Some(occupant) = room.occupants.get(number) else { return };
    let same = occupant.nick() == knock.wanted.resource();
    if !same {
        return match new_nick(room, number, &knock) {
            Ok(jid) => change(room, number, &knock, jid, cx),
            Err(error) => refuse(room, &stanza, error, cx),
        };
    }
    let session = knock.session(room);
    let changed = occupant.sessions.iter().all(|known| *known != session);
    room.occupants.show(number, session);
    let is_knock = enter::is_knock(&stanza);
    if is_knock {
        enter::welcome(room, number, &knock, &[], cx);
    }
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News { id: stanza.head().id.clone(), ..News::of(room, occupant) };
    if !is_knock {
        presence::tell_all(room, occupant, &news, occupant.role, cx);
    } else if changed {
        presence::tell_all_but(room, occupant, &knock.session, &news, cx);
    }
}

/// The occupant JID after a change.
///
/// # Errors
/// `not-acceptable` where nicks are locked (§7.6, last case), `conflict` for one that is another's.
fn new_nick(room: &Room, number: u64, knock: &Knock<'_>) -> Result<FullJid, StanzaError> {
    let who = knock.session.bare();
    let registered = room.affiliations.get(&who).and_then(|entry| entry.nick.as_deref());
    let locked = registered.filter(|_| room.settings.nicks_locked);
    if locked.is_some_and(|nick| folded(nick) != folded(knock.wanted.resource())) {
        return Err(StanzaError::from(StanzaCondition::NotAcceptable).with_type(ErrorType::Cancel));
    }
    // The same to the eye: another way to write it.
    if is_own(room, number, &knock.wanted) {
        return Ok(knock.wanted.clone());
    }
    match enter::nick_of(room, &knock.wanted, &who) {
        // Two occupants of one account do not become one.
        Ok(jid) if room.occupants.of_nick(jid.resource()).is_some() => {
            Err(StanzaCondition::Conflict.into())
        }
        decided => decided,
    }
}

fn is_own(room: &Room, number: u64, wanted: &FullJid) -> bool {
    room.occupants.of_nick(wanted.resource()).is_some_and(|inside| inside.number == number)
}

/// Tells all that the old nick is gone, and what the new one is (§7.6). All clients of the occupant change.
fn change(
    room: &mut Room,
    number: u64,
    knock: &Knock<'_>,
    jid: FullJid,
    cx: &mut Context<'_, Room>,
) {
    let Some(before) = room.occupants.get(number).cloned() else { return };
    let farewell = News {
        kind: PresenceType::Unavailable,
        content: bytes::Bytes::new(),
        codes: &[303],
        nick: Some(jid.resource()),
        ..News::of(room, &before)
    };
    presence::tell_all(room, &before, &farewell, before.role, cx);
    room.occupants.rename(number, jid.clone());
    let session = knock.session(room);
    room.occupants.show(number, session);
    let is_knock = enter::is_knock(knock.stanza);
    if is_knock {
        enter::welcome(room, number, knock, &[], cx);
    }
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News { id: knock.stanza.head().id.clone(), ..News::of(room, occupant) };
    match is_knock {
        true => presence::tell_all_but(room, occupant, &knock.session, &news, cx),
        false => presence::tell_all(room, occupant, &news, occupant.role, cx),
    }
}

/// Gives an occupant the nick that is theirs now (§7.10); nothing where somebody else has it.
pub(crate) fn assign(room: &mut Room, number: u64, nick: &str, cx: &mut Context<'_, Room>) {
    let Some(before) = room.occupants.get(number).cloned() else { return };
    let jid = Jid::from_parts(room.jid.localpart(), room.jid.domainpart(), Some(nick));
    let Some(jid) = jid.ok().and_then(|jid| jid.to_full()) else { return };
    if jid == before.jid || room.occupants.of_nick(nick).is_some_and(|it| it.number != number) {
        return;
    }
    let farewell = News {
        kind: PresenceType::Unavailable,
        content: bytes::Bytes::new(),
        codes: &[303],
        nick: Some(nick),
        ..News::of(room, &before)
    };
    presence::tell_all(room, &before, &farewell, before.role, cx);
    room.occupants.rename(number, jid);
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News { codes: &[210], ..News::of(room, occupant) };
    presence::tell_all(room, occupant, &news, occupant.role, cx);
}

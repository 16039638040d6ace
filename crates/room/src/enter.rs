//! Owns entering a room (XEP-0045 §7.2): who may, under which nick, and what is said to a newcomer in which
//! order (§7.1): the others, themselves, the history, the subject.

use entity::Context;
use store::ArchiveId;
use subtle::ConstantTimeEq;
use xmpp::{
    BareJid, Element, ErrorType, FullJid, Head, Jid, Kind, MessageType, Stanza, StanzaCondition,
    StanzaError, ns,
};

use crate::affiliation::Affiliation;
use crate::extensions::{self, affiliation_versions, register};
use crate::history::Wish;
use crate::nick::{folded, occupant_jid};
use crate::occupant::{Occupant, Session};
use crate::presence::{self, LastWritten, News};
use crate::private::Sent;
use crate::refuse::refuse;
use crate::room::{Phase, Room};
use crate::tell::{self, Discussion};
use crate::voices;

/// Where the room is full, so many admins and owners may come in all the same (§7.2.9).
const RESERVED_PLACES: usize = 20;

/// What a client asks for when it wants in.
pub(crate) struct Knock<'a> {
    /// The presence by which it does.
    pub(crate) stanza: &'a Stanza,
    /// It is inside already, and has lost track (§17.3 rule 3).
    pub(crate) was_inside: bool,
    /// The number under which a former owner has let it in: what was said since is not the past.
    pub(crate) admitted: Option<ArchiveId>,
    /// The client.
    pub(crate) session: FullJid,
    /// The occupant JID that it wants.
    pub(crate) wanted: FullJid,
    password: Option<String>,
    pub(crate) wish: Wish,
    pub(crate) versions: Option<affiliation_versions::Since>,
}

/// Whether a presence wants in, and does not just show itself (§7.2.1, §7.2.18).
pub(crate) fn is_knock(stanza: &Stanza) -> bool {
    stanza.find("x", ns::MUC).is_some()
}

impl<'a> Knock<'a> {
    /// Reads a presence that wants in.
    ///
    /// # Errors
    /// `jid-malformed` without a nick, or with one that cannot be used; `policy-violation` where it says more than the
    /// room keeps (§14.6).
    pub(crate) fn read(room: &Room, stanza: &'a Stanza) -> Result<Self, StanzaError> {
        let Head { from, to, .. } = stanza.head();
        let session = from.as_ref().and_then(Jid::to_full);
        let nick = to.as_ref().and_then(Jid::resourcepart);
        let (Some(session), Some(nick)) = (session, nick) else {
            return Err(StanzaCondition::JidMalformed.into());
        };
        let wanted = occupant_jid(&room.jid, nick, room.shared.config.nick_chars)?;
        if stanza.inner().len() > room.shared.config.presence_bytes {
            let error = StanzaError::from(StanzaCondition::PolicyViolation);
            return Err(error.with_text("the presence is too large"));
        }
        let x = stanza.child("x", ns::MUC).unwrap_or_else(|| Element::new("x", ns::MUC));
        Ok(Self {
            stanza,
            was_inside: from.as_ref().is_some_and(|from| room.occupants.of_session(from).is_some()),
            admitted: None,
            session,
            wanted,
            password: x.child("password", ns::MUC).map(Element::text),
            wish: Wish::read(&x),
            versions: affiliation_versions::asked(&x),
        })
    }

    /// What the client says of itself, without what only rooms may say (§17.3 rules 6 and 7).
    pub(crate) fn session(&self, room: &Room) -> Session {
        session(room, &self.session, self.stanza)
    }
}

/// What a presence shows.
pub(crate) fn session(room: &Room, jid: &FullJid, stanza: &Stanza) -> Session {
    let clean = extensions::clean(&room.jid, stanza);
    Session {
        jid: jid.clone(),
        presence: clean.detached().inner().clone(),
        lang: stanza.head().lang.clone(),
    }
}

/// Lets somebody in, or says why not. `codes`: what else they are told of themselves (§10.1.1).
pub(crate) fn knock(room: &mut Room, stanza: &Stanza, codes: &[u16], cx: &mut Context<'_, Room>) {
    let admitted = Knock::read(room, stanza).and_then(|knock| {
        if !room.may_ask(&knock.session.bare(), cx) {
            let error = StanzaError::from(StanzaCondition::PolicyViolation);
            return Err(error.with_type(ErrorType::Wait).with_text("too many entries"));
        }
        let (jid, codes_of_nick) = admit(room, &knock)?;
        Ok((knock, jid, codes_of_nick))
    });
    match admitted {
        Ok((knock, jid, assigned)) => {
            let codes: Vec<u16> = codes.iter().copied().chain(assigned.then_some(210)).collect();
            come_in(room, &knock, jid, &codes, cx);
        }
        Err(error) => refuse(room, stanza, error, cx),
    }
}

/// Under which occupant JID somebody may come in, and whether it is another than they wanted (§7.2.17).
fn admit(room: &Room, knock: &Knock<'_>) -> Result<(FullJid, bool), StanzaError> {
    let who = knock.session.bare();
    let affiliation = room.affiliation_of(&who);
    if matches!(room.phase, Phase::Locked) && affiliation < Affiliation::Owner {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    check_person(room, &who)?;
    check_password(room, knock.password.as_deref())?;
    let jid = nick_of(room, &knock.wanted, &who)?;
    check_places(room, &jid, &who, affiliation)?;
    let assigned = jid != knock.wanted;
    Ok((jid, assigned))
}

/// Whether somebody may be here at all (§7.2.6, §7.2.7).
pub(crate) fn check_person(room: &Room, who: &BareJid) -> Result<(), StanzaError> {
    match room.affiliation_of(who) {
        Affiliation::Outcast => Err(StanzaCondition::Forbidden.into()),
        Affiliation::None if room.settings.members_only => {
            Err(StanzaCondition::RegistrationRequired.into())
        }
        _ => Ok(()),
    }
}

/// §7.2.5, in a time that tells nothing about the password.
pub(crate) fn check_password(room: &Room, said: Option<&str>) -> Result<(), StanzaError> {
    let Some(password) = &room.settings.password else { return Ok(()) };
    let said = said.unwrap_or_default();
    match bool::from(said.as_bytes().ct_eq(password.as_bytes())) {
        true => Ok(()),
        false => Err(StanzaCondition::NotAuthorized.into()),
    }
}

/// Whether there is a place under this nick: one more client of an occupant takes none of the room (§7.2.8, §7.2.9).
fn check_places(
    room: &Room,
    jid: &FullJid,
    who: &BareJid,
    affiliation: Affiliation,
) -> Result<(), StanzaError> {
    let config = &room.shared.config;
    let full = || StanzaError::from(StanzaCondition::ServiceUnavailable).with_type(ErrorType::Wait);
    let inside = room.occupants.of_nick(jid.resource());
    if let Some(own) = inside.filter(|inside| inside.who == *who) {
        return match own.sessions.len() < config.sessions_per_occupant {
            true => Ok(()),
            false => Err(full().with_text("too many clients of one occupant")),
        };
    }
    let most = room.settings.occupants.unwrap_or(config.occupants).min(config.occupants);
    let reserved = if affiliation >= Affiliation::Admin { RESERVED_PLACES } else { 0 };
    match room.occupants.len() < most + reserved {
        true => Ok(()),
        false => Err(full()),
    }
}

/// The nick that somebody gets: the one they want, or the one that they have registered where nicks are locked
/// (§7.10); not one that is another's (§7.2.8, §7.12).
pub(crate) fn nick_of(
    room: &Room,
    wanted: &FullJid,
    who: &BareJid,
) -> Result<FullJid, StanzaError> {
    let own = room.affiliations.get(who).and_then(|entry| entry.nick.as_deref());
    let jid = match own.filter(|_| room.settings.nicks_locked) {
        Some(nick) if folded(nick) != folded(wanted.resource()) => {
            occupant_jid(&room.jid, nick, usize::MAX)?
        }
        _ => wanted.clone(),
    };
    let reserved = room.owner_of_nick(jid.resource());
    if reserved.is_some_and(|owner| owner != who) {
        return Err(StanzaCondition::Conflict.into());
    }
    match room.occupants.of_nick(jid.resource()) {
        Some(inside) if inside.who != *who => Err(StanzaCondition::Conflict.into()),
        // All clients of an occupant have the nick as it is written first.
        Some(inside) => Ok(inside.jid.clone()),
        None => Ok(jid),
    }
}

fn come_in(
    room: &mut Room,
    knock: &Knock<'_>,
    jid: FullJid,
    codes: &[u16],
    cx: &mut Context<'_, Room>,
) {
    let session = knock.session(room);
    let number = match room.occupants.of_nick(jid.resource()).map(|inside| inside.number) {
        Some(number) => {
            room.occupants.show(number, session);
            number
        }
        None => add(room, jid, session, cx),
    };
    room.count();
    welcome(room, number, knock, codes, cx);
    let Some(occupant) = room.occupants.get(number) else { return };
    let news = News::of(room, occupant);
    presence::tell_all_but(room, occupant, &knock.session, &news, cx);
}

fn add(room: &mut Room, jid: FullJid, session: Session, cx: &Context<'_, Room>) -> u64 {
    let who = session.jid.bare();
    let role = voices::role_on_entering(room, &who);
    let marks = extensions::marks(room, &who);
    let rate = room.absent.take(&who, room.shared.config.rates.occupant, cx.now.elapsed);
    room.occupants.add(|number| Occupant {
        number,
        jid,
        who,
        role,
        sessions: vec![session],
        marks,
        rate,
        private: Sent::default(),
        written: LastWritten::default(),
    })
}

/// Somebody is inside, and nobody is told: they were before the former owner died.
///
/// # Errors
/// Why they cannot be.
pub(crate) fn silently(
    room: &mut Room,
    stanza: &Stanza,
    cx: &Context<'_, Room>,
) -> Result<(), StanzaError> {
    let knock = Knock::read(room, stanza)?;
    let jid = nick_of(room, &knock.wanted, &knock.session.bare())?;
    let session = knock.session(room);
    match room.occupants.of_nick(jid.resource()).map(|inside| inside.number) {
        Some(number) => room.occupants.show(number, session),
        None => drop(add(room, jid, session, cx)),
    }
    Ok(())
}

/// Everything that a newcomer is told, in order (§7.1); also said to a client that has lost track
/// (§17.3 rule 3).
pub(crate) fn welcome(
    room: &Room,
    number: u64,
    knock: &Knock<'_>,
    codes: &[u16],
    cx: &mut Context<'_, Room>,
) {
    let Some(occupant) = room.occupants.get(number) else { return };
    tell::welcome(room, knock, codes, cx, |cx| tell_newcomer(room, occupant, knock, codes, cx));
}

fn tell_newcomer(
    room: &Room,
    occupant: &Occupant,
    knock: &Knock<'_>,
    codes: &[u16],
    cx: &mut Context<'_, Room>,
) -> Discussion {
    let session = &knock.session;
    let versions = affiliation_versions::welcome(room, occupant, knock, cx);
    presence::tell_of_others(room, occupant, session, cx);
    let own_codes: Vec<u16> = codes
        .iter()
        .copied()
        .chain(room.settings.addresses_shown.then_some(100))
        .chain(room.settings.logged.then_some(170))
        .collect();
    let id = knock.stanza.head().id.clone();
    let news = News { id, own_codes: &own_codes, versions, ..News::of(room, occupant) };
    tell::also(room, presence::of_himself(room, occupant, session, &news), cx);
    let mut past = 0;
    // Whoever hears the room without being inside has heard it (MUC/Sub).
    if room.subscribers.get(&occupant.who).is_none() {
        for line in room.history.shown(&knock.wish, knock.admitted, room.settings.history, cx.now) {
            tell::also(room, line.clone().with_to(session.clone().into()), cx);
            past += 1;
        }
    }
    let subject = tell::also(room, subject(room).with_to(session.clone().into()), cx);
    if room.affiliation_of(&occupant.who) >= Affiliation::Admin {
        register::remind(room, session, cx);
    }
    Discussion { past, subject }
}

/// The subject, empty where there is none (§7.2.15).
pub(crate) fn subject(room: &Room) -> Stanza {
    let none = || {
        let head = Head {
            kind: Kind::Message(MessageType::Groupchat),
            id: None,
            from: Some(room.jid.clone().into()),
            to: None,
            lang: None,
        };
        Stanza::build(head, &[Element::new("subject", "")])
    };
    room.subject.clone().unwrap_or_else(none)
}

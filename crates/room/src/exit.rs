//! Owns leaving a room, and being removed from it (XEP-0045 §7.14, §8.2, §9.1, §9.4, §10.2, §11).

use entity::Context;
use xmpp::{Element, FullJid, Head, Jid, Kind, PresenceType, Stanza, StanzaCondition, ns};

use crate::enter;
use crate::extensions::affiliation_versions::Versions;
use crate::occupant::Occupant;
use crate::presence::{self, News, status};
use crate::room::{Phase, Room};
use crate::tell::{Audience, tell};
use crate::{destroy, extensions, private};

/// Why somebody has to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removal<'a> {
    /// The status code: 301, 307, 321, 322, 332 or 333.
    pub(crate) code: u16,
    /// The nick of who did it.
    pub(crate) actor: Option<&'a str>,
    /// Why, in words for people.
    pub(crate) reason: Option<&'a str>,
    /// The version of the list of affiliations, before and after, where it is the cause (XEP-0463).
    pub(crate) versions: Option<Versions>,
}

impl<'a> Removal<'a> {
    fn news(&self, room: &Room, occupant: &Occupant, codes: &'a [u16]) -> News<'a> {
        News {
            codes,
            actor: self.actor,
            reason: self.reason,
            versions: self.versions.clone(),
            ..News::gone(room, occupant)
        }
    }
}

/// A client leaves (§7.14). Who is not inside is silently ignored (§17.3 rule 5).
pub(crate) fn leave(room: &mut Room, stanza: &Stanza, from: &Jid, cx: &mut Context<'_, Room>) {
    let farewell = from.to_full().map(|jid| enter::session(room, &jid, stanza));
    let Some(farewell) = farewell else { return };
    take_out(room, from, &farewell.presence, &[], cx);
}

/// What somebody's client could not take comes back: they are not there any more (§18.1.2, §11.1).
pub(crate) fn ghost(room: &mut Room, stanza: &Stanza, from: &Jid, cx: &mut Context<'_, Room>) {
    const GONE: [StanzaCondition; 6] = [
        StanzaCondition::Gone,
        StanzaCondition::ItemNotFound,
        StanzaCondition::RecipientUnavailable,
        StanzaCondition::Redirect,
        StanzaCondition::RemoteServerNotFound,
        StanzaCondition::RemoteServerTimeout,
    ];
    let Some(error) = stanza.child("error", "") else { return };
    let is_private = private::give_back(room, stanza, &error, from, cx);
    let is = |condition: &StanzaCondition| error.child(condition.name(), ns::STANZAS).is_some();
    // What a server says of a client that is not there (RFC 6121 §8.5.3.2.1), and also of one that is, but does not
    // want to hear this sender (XEP-0191 §3.3).
    let is_away = !is_private && is(&StanzaCondition::ServiceUnavailable);
    if is_away || GONE.iter().any(is) {
        take_out(room, from, &bytes::Bytes::new(), &[333], cx);
    }
}

/// Takes one client out; its occupant too, if it was the last.
fn take_out(
    room: &mut Room,
    from: &Jid,
    farewell: &bytes::Bytes,
    codes: &[u16],
    cx: &mut Context<'_, Room>,
) {
    let Some(occupant) = room.occupants.of_session(from).cloned() else { return };
    let number = occupant.number;
    let Some(session) = from.to_full() else { return };
    let content = farewell.clone();
    let real = Some(session.clone());
    let news = News { content, codes, real, ..News::gone(room, &occupant) };
    // Before it is configured it is its maker's alone (§10.1.3).
    let is_last = room.occupants.len() == 1 && occupant.sessions.len() == 1;
    if is_last && matches!(room.phase, Phase::Locked) {
        return destroy::give_up(room, cx);
    }
    let was_shown = occupant.shown().is_some_and(|shown| shown.jid == session);
    if room.occupants.remove_session(number, from) {
        presence::tell_self(room, &occupant, &session, &news, cx);
        // Of the others, the newest is shown now.
        if let Some(rest) = room.occupants.get(number).filter(|_| was_shown) {
            let news = News::of(room, rest);
            presence::tell_all(room, rest, &news, rest.role, cx);
        }
        return;
    }
    presence::tell_all(room, &occupant, &news, occupant.role, cx);
    room.remove_occupant(number, cx);
    gone(room, cx);
}

/// Removes an occupant with all their clients.
pub(crate) fn remove(
    room: &mut Room,
    number: u64,
    removal: &Removal<'_>,
    cx: &mut Context<'_, Room>,
) {
    if let Some(dismissed) = dismiss(room, number, removal, cx) {
        tell_of(room, &dismissed, removal, cx);
    }
}

/// They are out, and know it; the others do not yet ([`tell_of`]).
pub(crate) fn dismiss(
    room: &mut Room,
    number: u64,
    removal: &Removal<'_>,
    cx: &mut Context<'_, Room>,
) -> Option<Occupant> {
    let occupant = room.occupants.get(number).cloned()?;
    let codes = [removal.code];
    let news = removal.news(room, &occupant, &codes);
    for session in &occupant.sessions {
        presence::tell_self(room, &occupant, &session.jid, &news, cx);
    }
    room.remove_occupant(number, cx);
    Some(occupant)
}

/// The others hear that somebody is out.
pub(crate) fn tell_of(
    room: &mut Room,
    dismissed: &Occupant,
    removal: &Removal<'_>,
    cx: &mut Context<'_, Room>,
) {
    let codes = [removal.code];
    presence::tell_others(room, dismissed, &removal.news(room, dismissed, &codes), cx);
    gone(room, cx);
}

/// The service stops (§11.2): each is told of themselves, since all others go as well.
pub(crate) fn stop(room: &mut Room, cx: &mut Context<'_, Room>) {
    for occupant in room.occupants.clear() {
        let news = News { codes: &[332], ..News::gone(room, &occupant) };
        for session in &occupant.sessions {
            presence::tell_self(room, &occupant, &session.jid, &news, cx);
        }
    }
    room.count();
}

/// Somebody is out.
fn gone(room: &mut Room, cx: &mut Context<'_, Room>) {
    room.count();
    end_if_empty(room, cx);
}

/// A room that does not stay ends with the last who is inside or hears it (§7.14, last note); one that was never
/// configured, with its maker (§10.1.3).
pub(crate) fn end_if_empty(room: &mut Room, cx: &mut Context<'_, Room>) {
    if !room.is_empty() {
        return;
    }
    let ends = match room.phase {
        Phase::Locked => true,
        Phase::Open => !room.settings.persistent,
        _ => false,
    };
    if ends {
        destroy::end(room, None, None, cx);
    }
}

/// To a client that takes itself for an occupant, and is none: it must not go on so (§7.2.18).
pub(crate) fn not_inside(room: &Room, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    let Head { from: Some(from), to: Some(to), .. } = stanza.head() else { return };
    let (Some(session), Some(occupant)) = (from.to_full(), to.to_full()) else {
        return crate::refuse::refuse(room, stanza, StanzaCondition::JidMalformed, cx);
    };
    let affiliation = room.affiliation_of(&session.bare());
    let word = |name: &'static str| Element::new(name, ns::MUC_USER);
    let item = word("item")
        .with_attr("affiliation", affiliation.as_str())
        .with_attr("role", "none")
        .with_child(word("reason").with_text("You are not in the room."));
    let x = word("x").with_child(item).with_children([110, 307, 333].map(status));
    send_unavailable(room, occupant, &session, &[x], cx);
}

/// A presence of the room to one client about itself, with what extensions attach.
pub(crate) fn send_unavailable(
    room: &Room,
    from: FullJid,
    to: &FullJid,
    content: &[Element],
    cx: &mut Context<'_, Room>,
) {
    let head = Head {
        kind: Kind::Presence(PresenceType::Unavailable),
        id: None,
        from: Some(from.into()),
        to: None,
        lang: None,
    };
    let mut bytes = match room.birth {
        Some(_) if !room.is_hidden_from(to) => extensions::marks(room, &to.bare()).to_vec(),
        _ => Vec::new(),
    };
    for element in content {
        element.write(&mut bytes, "");
    }
    tell(room, Stanza::new(head, bytes), Audience::One(to.clone()), cx);
}

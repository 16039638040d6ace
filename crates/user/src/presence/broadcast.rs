//! Owns the presence that a session shows to all who may see it: its beginning, its changes and its end
//! (RFC 6121 §4.2, §4.4, §4.5).

use entity::Context;
use entity::extension::SessionEvent;
use xmpp::{FullJid, Jid, PresenceType, Stanza, StanzaCondition, StanzaError};

use super::{is_blocked, made, probe, refuse, subscribe};
use crate::User;
use crate::extensions::deliver;
use crate::{offline, stages};

/// Presence with neither `to` nor `type`: the session becomes or stays available (§4.2.2, §4.4.2).
pub(super) fn available(user: &mut User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    let priority = match priority(&stanza) {
        Ok(priority) => priority,
        Err(error) => return refuse(user, session, &stanza, error, cx),
    };
    // Kept for as long as the session is available, so it must not hold on to the read that it came in.
    let presence = stanza.detached();
    let alone = user.sessions.available().next().is_none();
    let Some(entry) = user.sessions.get_mut(session) else { return };
    let initial = !entry.is_available();
    let took_messages = !initial && entry.priority >= 0;
    entry.presence = Some(presence.clone());
    entry.priority = priority;
    if priority < 0 {
        entry.takes_since = None;
    }
    let newcomer = entry.jid.clone();
    show_subscribers(user, &presence, cx);
    for entry in user.sessions.available() {
        deliver(user, entry.id.uid, presence.clone().with_to(entry.jid.clone().into()), cx);
    }
    if initial {
        begin(user, session, &newcomer, cx);
        if alone {
            subscribe::ask_again(user, cx);
        }
    }
    if priority >= 0 && !took_messages {
        offline::deliver(user, session, cx);
    }
}

/// The rest of initial presence: what the newcomer must learn (§4.2.2, §3.1.3 rule 4).
fn begin(user: &mut User, session: u64, newcomer: &FullJid, cx: &mut Context<'_, User>) {
    let to = Jid::from(newcomer.clone());
    for entry in user.sessions.available().filter(|entry| entry.id.uid != session) {
        if let Some(presence) = &entry.presence {
            deliver(user, session, presence.clone().with_to(to.clone()), cx);
        }
    }
    probe::ask(user, newcomer, cx);
    stages::announce(user, session, SessionEvent::Available, cx);
    subscribe::deliver_requests(user, session, cx);
}

/// Presence of type `unavailable` without `to` (§4.5.2): the client's own word, which it hears as well.
pub(super) fn unavailable(
    user: &mut User,
    session: u64,
    stanza: Stanza,
    cx: &mut Context<'_, User>,
) {
    let was_available = user.sessions.get(session).is_some_and(|entry| entry.is_available());
    withdraw(user, session, &stanza, cx);
    if let Some(entry) = user.sessions.get(session).filter(|_| was_available) {
        let echo = stanza.with_to(entry.jid.clone().into());
        deliver(user, session, echo, cx);
    }
}

/// The session is over without a word: the server says it (§4.5.2). The session stays in the table.
pub(crate) fn session_ended(user: &mut User, session: u64, cx: &mut Context<'_, User>) {
    let Some(entry) = user.sessions.get(session) else { return };
    let gone = made(PresenceType::Unavailable, entry.jid.clone().into(), None);
    withdraw(user, session, &gone, cx);
}

/// Tells everybody who knows the session as available, but not the session itself: subscribers, the other
/// resources, and whoever got directed presence (§4.5.2, §4.6.3).
fn withdraw(user: &mut User, session: u64, stanza: &Stanza, cx: &mut Context<'_, User>) {
    let Some(entry) = user.sessions.get_mut(session) else { return };
    let was_available = entry.presence.take().is_some();
    entry.priority = 0;
    entry.takes_since = None;
    let directed = std::mem::take(&mut entry.directed);
    entry.inside.clear();
    if was_available {
        show_subscribers(user, stanza, cx);
        for entry in user.sessions.available() {
            deliver(user, entry.id.uid, stanza.clone().with_to(entry.jid.clone().into()), cx);
        }
    }
    for to in directed {
        let told = was_available && to.is_bare() && user.roster.is_subscriber(&to.bare());
        if !told && !is_blocked(user, &to) {
            cx.send(stanza.clone().with_to(to));
        }
    }
    if was_available {
        stages::announce(user, session, SessionEvent::Unavailable, cx);
    }
}

fn show_subscribers(user: &User, stanza: &Stanza, cx: &mut Context<'_, User>) {
    for contact in user.roster.subscribers().filter(|contact| !is_blocked(user, contact)) {
        cx.send(stanza.clone().with_to(contact.clone().into()));
    }
}

/// The priority that a presence asks for; 0 where it does not say (§4.7.2.3).
pub(super) fn priority(presence: &Stanza) -> Result<i8, StanzaError> {
    let bad = || StanzaError::from(StanzaCondition::BadRequest);
    let mut elements =
        presence.children().filter(|child| child.name == "priority" && child.ns.is_empty());
    let Some(element) = elements.next() else { return Ok(0) };
    if elements.next().is_some() {
        return Err(bad().with_text("more than one priority"));
    }
    let element = element.parse().ok_or_else(bad)?;
    if element.children().next().is_some() {
        return Err(bad().with_text("a priority has no elements"));
    }
    let text = element.text();
    let digits = text.trim_matches([' ', '\t', '\r', '\n']);
    digits.parse().map_err(|_| bad().with_text("a priority is a number from -128 to 127"))
}

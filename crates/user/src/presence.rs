//! Owns the way of presence through an account (RFC 6121 §3, §4): which kind of presence goes to which
//! file, and who gets what others send.
//!
//! | module | owns |
//! |---|---|
//! | `broadcast` | initial, later and unavailable presence of a session (§4.2, §4.4, §4.5) |
//! | `directed` | presence to one address, and who must be told of its end (§4.6) |
//! | `probe` | questions for presence, asked and answered (§4.3) |
//! | `subscribe` | subscribe, subscribed, unsubscribe, unsubscribed (§3) |

mod broadcast;
pub(crate) mod directed;
pub(crate) mod probe;
pub(crate) mod subscribe;
#[cfg(test)]
pub(crate) mod tests;

use entity::Context;
use proto::Route;
use xmpp::{BareJid, Head, Jid, Kind, PresenceType, Stanza, StanzaCondition, StanzaError};

use crate::User;
use crate::extensions::{blocking, deliver, invited, privilege};
use crate::subscription::SubscriptionType;

pub(crate) use broadcast::session_ended;

/// A subscription stanza; one who was invited is a contact at once (XEP-0379).
fn subscribed(
    user: &mut User,
    stanza: Stanza,
    contact: BareJid,
    ty: SubscriptionType,
    cx: &mut Context<'_, User>,
) {
    let as_any = |user: &mut User, (stanza, contact), cx: &mut Context<'_, User>| {
        subscribe::inbound(user, stanza, contact, SubscriptionType::Subscribe, cx);
    };
    let token = invited::token(&stanza).filter(|_| ty == SubscriptionType::Subscribe);
    if let Some(token) = token
        && invited::check(user, (stanza.clone(), contact.clone()), token, as_any, cx)
    {
        return;
    }
    subscribe::inbound(user, stanza, contact, ty, cx);
}

/// Presence of one of the account's own sessions, stamped with its full address.
pub(crate) fn outbound(user: &mut User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    let Kind::Presence(ty) = stanza.kind() else { return };
    let to = stanza.head().to.clone();
    match (ty, to, SubscriptionType::of(ty)) {
        (_, Some(to), Some(subscription)) => {
            subscribe::outbound(user, (session, stanza, to), subscription, cx)
        }
        (_, None, Some(_)) => refuse(user, session, &stanza, StanzaCondition::BadRequest, cx),
        (PresenceType::Available, None, _) => broadcast::available(user, session, stanza, cx),
        (PresenceType::Unavailable, None, _) => broadcast::unavailable(user, session, stanza, cx),
        (PresenceType::Available | PresenceType::Unavailable, Some(to), _) => {
            directed::send(user, session, stanza, to, cx);
        }
        // A client's own probe goes its way, and is no reason for an error (§4.3).
        (_, Some(_), _) => cx.send(stanza),
        (_, None, _) => {}
    }
}

/// Presence of others to the account or to one of its resources.
pub(crate) fn inbound(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    let Kind::Presence(ty) = stanza.kind() else { return };
    let Some(from) = stanza.head().from.clone() else { return };
    match (ty, SubscriptionType::of(ty)) {
        (PresenceType::Probe, _) if matches!(Route::of(&from, cx.hosts), Route::Room(_)) => {
            directed::asked(user, &stanza, &from, cx);
        }
        (PresenceType::Probe, _) => probe::answer(user, &stanza, &from, cx),
        // The rest is silently ignored where there is no account (§8.5.1).
        _ if !user.exists => {}
        (_, Some(subscription)) => subscribed(user, stanza, from.bare(), subscription, cx),
        (PresenceType::Error, _) => error(user, &stanza, &from, cx),
        _ => {
            if let Some(stanza) = user.roster.hold(&from.bare(), stanza) {
                of_contact(user, stanza, cx);
            }
        }
    }
}

/// Somebody is there, or not any more.
pub(crate) fn of_contact(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    if let Some(from) = stanza.head().from.clone() {
        match stanza.kind() {
            Kind::Presence(PresenceType::Unavailable) => directed::forget(user, &stanza, &from),
            _ => directed::entered(user, &stanza, &from),
        }
    }
    pass(user, &stanza, cx);
    privilege::show_contact(&stanza, cx);
}

/// Presence goes to every available resource, or to the one resource that it names, available or not; to a
/// resource that is not there it is silently ignored (§8.5.2.1.2, §8.5.3).
fn pass(user: &User, stanza: &Stanza, cx: &mut Context<'_, User>) {
    match stanza.head().to.as_ref().and_then(Jid::resourcepart) {
        Some(resource) => {
            if let Some(entry) = user.sessions.of_resource(resource) {
                deliver(user, entry.id.uid, stanza.clone(), cx);
            }
        }
        None => pass_to_available(user, stanza, cx),
    }
}

fn pass_to_available(user: &User, stanza: &Stanza, cx: &mut Context<'_, User>) {
    for entry in user.sessions.available() {
        deliver(user, entry.id.uid, stanza.clone(), cx);
    }
}

/// Errors are never answered. One that came back to a resource is delivered there. One to the account
/// itself is delivered only where a subscription request went out and waits (§3.1.2); others answer what
/// the server asked by itself, such as probes to domains that are down.
fn error(user: &mut User, stanza: &Stanza, from: &Jid, cx: &mut Context<'_, User>) {
    if privilege::is_unseen(from, cx) {
        return;
    }
    if matches!(Route::of(from, cx.hosts), Route::Room(_)) {
        directed::refused(user, stanza, from);
    }
    let to_resource = stanza.head().to.as_ref().is_some_and(|to| !to.is_bare());
    if to_resource {
        pass(user, stanza, cx);
    } else if user.roster.get(&from.bare()).is_some_and(|item| item.ask) {
        pass_to_available(user, stanza, cx);
    }
}

/// Answers a presence of an own client with an error, in the name of whom it was for.
fn refuse(
    user: &User,
    session: u64,
    stanza: &Stanza,
    error: impl Into<StanzaError>,
    cx: &mut Context<'_, User>,
) {
    let account = || Jid::from(user.jid.clone());
    let answer = stanza.error(&error.into());
    if let Some(answer) = answer {
        let answer =
            answer.with_head(|head| head.from = Some(head.from.take().unwrap_or_else(account)));
        deliver(user, session, answer, cx);
    }
}

/// Presence to and from blocked contacts stays here (XEP-0191 §3.2). The one place that asks.
fn is_blocked(user: &User, contact: &Jid) -> bool {
    blocking::is_blocked(user, contact)
}

/// That a resource is not available any more.
pub(crate) fn gone(from: Jid) -> Stanza {
    made(PresenceType::Unavailable, from, None)
}

/// An empty presence.
fn made(ty: PresenceType, from: Jid, to: Option<Jid>) -> Stanza {
    let head = Head { kind: Kind::Presence(ty), id: None, from: Some(from), to, lang: None };
    Stanza::new(head, bytes::Bytes::new())
}

/// Whether a contact may see the account's presence: its subscribers, and the account itself (§4.2.2).
fn may_see(user: &User, contact: &BareJid) -> bool {
    *contact == user.jid || user.roster.is_subscriber(contact)
}

//! Owns the presence by which subscriptions are made and ended (RFC 6121 §3): what is kept, routed,
//! delivered, answered and pushed. What a subscription stanza does to a state is [`crate::subscription`]'s.

use entity::Context;
use std::sync::Arc;
use xmpp::{BareJid, FullJid, Jid, PresenceType, Stanza, StanzaCondition, StanzaError};

use super::{is_blocked, made, pass_to_available, refuse};
use crate::User;
use crate::extensions::deliver;
use crate::roster::{self, keep, outbox, push};
use crate::subscription::{self, Sight, Standing, SubscriptionType};

/// A subscription stanza of one of the account's clients to a contact. It goes its way in the name of the bare address (§3,
/// implementation note) when what it changes is kept.
pub(super) fn outbound(
    user: &mut User,
    (session, stanza, to): (u64, Stanza, Jid),
    ty: SubscriptionType,
    cx: &mut Context<'_, User>,
) {
    let contact = to.bare();
    if contact == user.jid {
        // An account always sees itself (§4.2.2).
        return refuse(user, session, &stanza, StanzaCondition::NotAllowed, cx);
    }
    let before = user.roster.standing(&contact);
    let step = subscription::outbound(before, ty);
    if let Err(full) = check_item(user, &contact, step.after, cx) {
        return refuse(user, session, &stanza, full, cx);
    }
    let visible = available(user);
    let mut edit = user.roster.stand(&user.jid, &contact, (step.after, None), cx.now);
    let from = Jid::from(user.jid.clone());
    let routed = stanza.clone().with_from(from).with_to(contact.clone().into());
    if step.route {
        user.roster.tell(&mut edit, &user.jid, &routed);
    }
    keep(user, edit, cx, move |user, kept, cx| {
        let change = match kept {
            Ok(change) => change,
            Err(error) => return refuse(user, session, &stanza, error, cx),
        };
        if step.sight == Some(Sight::Hidden) {
            hide(&contact, &visible, cx);
        }
        if step.route {
            outbox::send(user, routed, cx);
        }
        if let Some(change) = change {
            push(user, &change, cx);
        }
        if step.sight == Some(Sight::Shown) {
            show(user, &contact, cx);
        }
    });
}

/// A roster that is full takes no contact that is not in it yet.
fn check_item(
    user: &User,
    contact: &BareJid,
    after: Standing,
    cx: &Context<'_, User>,
) -> Result<(), StanzaError> {
    let state = after.state;
    let needs_item = state.is_to() || state.is_from() || state.is_pending_out() || after.approved;
    if needs_item && !user.roster.contains(contact) {
        roster::check_room(user, cx)?;
    }
    Ok(())
}

/// A subscription stanza of a contact to the account (§3.1.3, §3.1.6, §3.2.3, §3.3.3).
pub(super) fn inbound(
    user: &mut User,
    stanza: Stanza,
    contact: BareJid,
    ty: SubscriptionType,
    cx: &mut Context<'_, User>,
) {
    if contact == user.jid || is_for_absent_resource(user, &stanza, ty) {
        return;
    }
    let before = user.roster.standing(&contact);
    let step = subscription::inbound(before, ty);
    let begins_to_wait = step.after.state.is_pending_in() && !before.state.is_pending_in();
    let most = cx.shared.accounts.subscription_requests;
    if begins_to_wait && user.roster.requests().count() >= most {
        return cx.send_error(&stanza, too_many_requests());
    }
    // An approval given beforehand may need an item; there was one, or it would not be known.
    if step.after == before && step.reply.is_none() {
        return;
    }
    let (from, to) = (Jid::from(contact.clone()), Jid::from(user.jid.clone()));
    let stanza = stanza.with_from(from).with_to(to);
    let visible = available(user);
    let edit = user.roster.stand(&user.jid, &contact, (step.after, Some(&stanza)), cx.now);
    keep(user, edit, cx, move |user, kept, cx| {
        // What was not kept has not happened: the contact's home says it again.
        let Ok(change) = kept else { return cx.fail() };
        if step.deliver {
            hand_over(user, &stanza, ty, cx);
        }
        if let Some(change) = change {
            push(user, &change, cx);
        }
        if step.sight == Some(Sight::Hidden) {
            hide(&contact, &visible, cx);
        }
        if let Some(reply) = step.reply {
            say(user, &contact, reply, stanza.head().id.clone(), cx);
        }
        if step.sight == Some(Sight::Shown) {
            show(user, &contact, cx);
        }
    });
}

/// An account keeps no more requests than its bound (§3.1.3, last warning); who asks may ask again later.
fn too_many_requests() -> StanzaError {
    let full = StanzaError::from(StanzaCondition::ResourceConstraint);
    full.with_text("too many requests wait for an answer of this account")
}

/// Answers and cancellations to a resource that is not there are ignored; a request to any resource is one
/// to the account (§8.5.3.2.2, §3.1.3).
fn is_for_absent_resource(user: &User, stanza: &Stanza, ty: SubscriptionType) -> bool {
    let resource = stanza.head().to.as_ref().and_then(Jid::resourcepart);
    let absent = resource.is_some_and(|resource| user.sessions.of_resource(resource).is_none());
    absent && ty != SubscriptionType::Subscribe
}

/// Requests go to available resources, the rest to interested ones (§3.1.1, §3.1.6, §3.2.3, §3.3.3).
fn hand_over(user: &User, stanza: &Stanza, ty: SubscriptionType, cx: &mut Context<'_, User>) {
    if ty == SubscriptionType::Subscribe {
        return pass_to_available(user, stanza, cx);
    }
    for entry in user.sessions.iter().filter(|entry| entry.interested) {
        deliver(user, entry.id.uid, stanza.clone(), cx);
    }
}

/// Delivers the requests that wait to a session that has just become available, until they are answered
/// (§3.1.3 rule 4).
pub(super) fn deliver_requests(user: &User, session: u64, cx: &mut Context<'_, User>) {
    let to = Jid::from(user.jid.clone());
    for (contact, request) in user.roster.requests() {
        if !is_blocked(user, contact) {
            deliver(user, session, request.clone().with_to(to.clone()), cx);
        }
    }
}

/// Sends again what contacts have not answered, since it may have been lost (§3.1.2, last paragraph).
pub(super) fn ask_again(user: &User, cx: &mut Context<'_, User>) {
    for (contact, _) in user.roster.iter().filter(|(_, item)| item.ask) {
        if !is_blocked(user, contact) {
            let id = format!("ask-{:016x}", cx.random_u64());
            say(user, contact, SubscriptionType::Subscribe, Some(id.into()), cx);
        }
    }
}

/// Sends a subscription stanza to a contact in the account's name.
pub(crate) fn say(
    user: &User,
    contact: &BareJid,
    ty: SubscriptionType,
    id: Option<Arc<str>>,
    cx: &mut Context<'_, User>,
) {
    cx.send(said(user, contact, ty).with_head(|head| head.id = id));
}

/// A subscription stanza to a contact in the account's name.
pub(crate) fn said(user: &User, contact: &BareJid, ty: SubscriptionType) -> Stanza {
    made(ty.presence_type(), user.jid.clone().into(), Some(contact.clone().into()))
}

/// The resources that are available now. Taken before an edit, since one may go before it is kept, and
/// would not tell a contact that is no longer subscribed.
pub(crate) fn available(user: &User) -> Vec<FullJid> {
    user.sessions.available().map(|entry| entry.jid.clone()).collect()
}

/// Unavailable presence of these resources to a contact that sees them no more (§3.2.2, §3.3.3 rule 3).
pub(crate) fn hide(contact: &BareJid, resources: &[FullJid], cx: &mut Context<'_, User>) {
    for from in resources {
        let to = Some(contact.clone().into());
        cx.send(made(PresenceType::Unavailable, from.clone().into(), to));
    }
}

/// The current presence of each available resource to a contact that may see it now (§3.1.5).
pub(crate) fn show(user: &User, contact: &BareJid, cx: &mut Context<'_, User>) {
    if !user.roster.is_subscriber(contact) || is_blocked(user, contact) {
        return;
    }
    for presence in user.sessions.available().filter_map(|entry| entry.presence.as_ref()) {
        cx.send(presence.clone().with_to(contact.clone().into()));
    }
}

//! XEP-0379 Pre-Authenticated Roster Subscription, version 0.3.3: who asks with the token of an invitation of this
//! account is a contact at once, also while none of its clients is there.

use entity::{Context, Extension};
use xmpp::{BareJid, Stanza, ns};

use crate::User;
use crate::presence::subscribe::{said, show};
use crate::roster::{self, keep, outbox, push};
use crate::subscription::{self, Standing, SubscriptionType};

/// Contacts that were invited.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0379",
    title: "Pre-Authenticated Roster Subscription",
    version: "0.3.3",
    ..Extension::NONE
};

/// The token of a request (§3.4).
pub(crate) fn token(request: &Stanza) -> Option<String> {
    request.child("preauth", ns::PARS)?.attr("token").map(str::to_owned)
}

/// Looks whether the token is one of this account's, and can be used (§3.5, §5.2). If it is not, the request is one
/// like any other (§4.1), and goes on with `or_else`.
pub(crate) fn check(
    user: &User,
    (request, contact): (Stanza, BareJid),
    token: String,
    or_else: fn(&mut User, (Stanza, BareJid), &mut Context<'_, User>),
    cx: &mut Context<'_, User>,
) -> bool {
    let Some(accounts) = cx.shared.registration.invitations.clone() else { return false };
    let own = user.jid.clone();
    let use_up = async move {
        let domain = own.domain();
        let invitation = accounts.invitation(&domain, &token).await.ok()??;
        let is_own = invitation.inviter.as_deref() == Some(own.as_str());
        if !is_own || !invitation.befriends || invitation.account {
            return None;
        }
        let claim = accounts.use_invitation(&domain, &token).await.ok()??;
        accounts.settle_use(&domain, claim.spend()).await.ok()
    };
    cx.read(
        move |_, _| Box::pin(async move { Ok(use_up.await) }),
        move |user, cx, used| match used {
            Ok(Some(())) if user.exists => welcome(user, &contact, cx),
            _ => or_else(user, (request, contact), cx),
        },
    );
    true
}

/// §3.5: the request is granted, and answered by one.
fn welcome(user: &mut User, contact: &BareJid, cx: &mut Context<'_, User>) {
    let before = user.roster.standing(contact);
    let granted =
        subscription::inbound(Standing { approved: true, ..before }, SubscriptionType::Subscribe);
    let asked = subscription::outbound(granted.after, SubscriptionType::Subscribe);
    let after = Standing { approved: before.approved, ..asked.after };
    if !user.roster.contains(contact) && roster::check_room(user, cx).is_err() {
        tracing::info!(jid = %user.jid, "an invited contact finds no room in a roster");
        return;
    }
    let asks = !after.state.is_to();
    let types = [(SubscriptionType::Subscribed, true), (SubscriptionType::Subscribe, asks)];
    let types = types.into_iter().filter(|(_, on)| *on);
    let stanzas: Vec<Stanza> = types.map(|(ty, _)| said(user, contact, ty)).collect();
    let mut edit = user.roster.stand(&user.jid, contact, (after, None), cx.now);
    for stanza in &stanzas {
        user.roster.tell(&mut edit, &user.jid, stanza);
    }
    let contact = contact.clone();
    keep(user, edit, cx, move |user, kept, cx| {
        let Ok(change) = kept else { return cx.fail() };
        for stanza in stanzas {
            outbox::send(user, stanza, cx);
        }
        if let Some(change) = change {
            push(user, &change, cx);
        }
        show(user, &contact, cx);
    });
}

//! XEP-0175 Best Practices for Use of SASL ANONYMOUS, version 1.2: what somebody who has no account may do. A guest is
//! there as long as a session of theirs, speaks with people and rooms of this server, and leaves nothing behind.

use std::sync::Arc;

use entity::{Context, Extension, Passage, Verdict};
use proto::Route;
use xmpp::{BareJid, IqType, Kind, PresenceType, Stanza, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::config::{Config, Reach};

/// Bounds of what guests may do.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0175",
    title: "Best Practices for Use of SASL ANONYMOUS",
    version: "1.2",
    outbound: Some(outbound),
    inbound: Some(inbound),
    ..Extension::NONE
};

/// How far guests of a domain reach; none where there are none.
pub(crate) type Guests = Arc<[(BareJid, Reach)]>;

/// Whether an address without an account may be a guest's.
pub(crate) fn may_be(jid: &BareJid, config: &Config) -> bool {
    reach(jid, config).is_some() && jid.localpart().is_some_and(auth::guest::is_name)
}

fn reach(jid: &BareJid, config: &Config) -> Option<Reach> {
    let own = config.guests.iter().find(|(domain, _)| domain.as_str() == jid.domainpart());
    own.map(|(_, reach)| *reach)
}

/// §3: nothing that would have to be kept, nobody elsewhere unless the domain lets them, and no services that cost much.
fn outbound(user: &mut User, passage: &mut Passage, cx: &mut Context<'_, User>) -> Verdict {
    if !user.guest {
        return Verdict::Pass;
    }
    let stanza = &passage.stanza;
    let Some(to) = &stanza.head().to else {
        return if asks_for_more(stanza) { refused() } else { Verdict::Pass };
    };
    let may = match Route::of(to, cx.hosts) {
        Route::Remote(_) | Route::Component(_) => {
            reach(&user.jid, cx.shared) == Some(Reach::Anywhere)
        }
        Route::Service(_) => false,
        Route::Domain(_) | Route::Nodes(_) => stanza.head().kind != Kind::Iq(IqType::Set),
        _ => true,
    };
    if may && !asks_for_more(stanza) { Verdict::Pass } else { refused() }
}

/// Words of subscription, also to rooms (MUC/Sub), and registration with whomever (XEP-0045 §7.10, XEP-0077): they last
/// longer than a guest.
fn asks_for_more(stanza: &Stanza) -> bool {
    match stanza.head().kind {
        Kind::Presence(ty) => is_word(ty),
        Kind::Iq(IqType::Set) => {
            stanza.payload().is_some_and(|it| [ns::REGISTER, ns::MUCSUB].contains(&it.ns))
        }
        _ => false,
    }
}

fn is_word(ty: PresenceType) -> bool {
    matches!(
        ty,
        PresenceType::Subscribe
            | PresenceType::Subscribed
            | PresenceType::Unsubscribe
            | PresenceType::Unsubscribed
    )
}

/// Nobody is a guest's contact. Whom a guest has not left yet speaks with nobody there (RFC 6121 §8.5.1).
fn inbound(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    match passage.stanza.head().kind {
        Kind::Presence(ty) if user.guest && is_word(ty) => Verdict::Stop,
        _ => Verdict::Pass,
    }
}

/// At a guest's account nothing is set but what ends with the session; whatever was `understood` may be asked.
///
/// # Errors
/// `not-allowed`.
pub(crate) fn check<T>(user: &User, request: &Stanza, understood: T) -> Result<T, StanzaError> {
    let lasts = |namespace: &str| ![ns::CARBONS, ns::SESSION].contains(&namespace);
    let is_set = request.head().kind == Kind::Iq(IqType::Set);
    match is_set && user.guest && request.payload().is_some_and(|it| lasts(it.ns)) {
        true => Err(not_for_guests()),
        false => Ok(understood),
    }
}

fn refused() -> Verdict {
    Verdict::Refuse(not_for_guests())
}

fn not_for_guests() -> StanzaError {
    StanzaError::from(StanzaCondition::NotAllowed).with_text("this is not for guests")
}

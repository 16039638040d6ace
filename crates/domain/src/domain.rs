//! Owns the Domain entity: what becomes of a stanza to the server itself.

use std::sync::Arc;

use entity::{Context, Entity, LoadError, Timer, answer};
use proto::{Body, Envelope, Now, Route};
use store::{Kind as RowKind, Row};
use xmpp::{BareJid, Kind, PresenceType, Stanza, StanzaCondition, ns};

use crate::extensions::EXTENSIONS;
use crate::shared::Shared;

/// A served domain, or a service of one.
pub struct Domain {
    /// The address.
    pub jid: BareJid,
    /// What its answers are made from.
    pub shared: Arc<Shared>,
}

impl Entity for Domain {
    type Shared = Shared;

    const KINDS: &'static [RowKind] = &[];
    const NAME: &'static str = "domain";

    fn load(route: &Route, _: Vec<Row>, shared: &Arc<Shared>) -> Result<Self, LoadError> {
        match route {
            Route::Domain(jid) => Ok(Self { jid: jid.clone(), shared: Arc::clone(shared) }),
            _ => Err(LoadError { kind: RowKind::Account }),
        }
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else {
            debug_assert!(false, "a word for somebody else came to a domain");
            return;
        };
        match stanza.kind() {
            Kind::Iq(ty) if ty.is_request() => self.request(stanza, cx),
            // The server asks nobody but components that answer in its place, and answers no answer.
            Kind::Iq(_) => {
                if let Some(answer) = cx.shared.powers.answered(&stanza) {
                    cx.send(answer);
                }
            }
            // Mail to the server is not passed on to people: they are named by XEP-0157.
            Kind::Message(_) => cx.send_error(&stanza, StanzaCondition::ServiceUnavailable),
            Kind::Presence(PresenceType::Subscribe) => answer::deny(&stanza, cx),
            Kind::Presence(_) => {}
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

impl Domain {
    fn request(&mut self, stanza: Stanza, cx: &mut Context<'_, Self>) {
        // The server is nobody in whose name anybody asks (XEP-0356 §6.3).
        if stanza.find("privileged_iq", ns::PRIVILEGE).is_some() {
            return cx.send_error(&stanza, StanzaCondition::Forbidden);
        }
        let to_itself = stanza.head().to.as_ref().is_some_and(|to| *to == *self.jid);
        let powers = &cx.shared.powers;
        let delegated = powers.delegate(&stanza, (&self.jid, &self.jid), |_| true);
        match delegated.filter(|_| to_itself) {
            Some(delegated) => cx.send(delegated),
            None => answer::answer(&EXTENSIONS, self, stanza, cx),
        }
    }
}

#[cfg(test)]
mod tests;

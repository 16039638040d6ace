//! Owns the rules for what leaves the cluster by a gate, to another server or to a component: for which stanzas somebody
//! waits until they have left, and how one that cannot leave comes back.

use proto::{Body, Envelope, Receipt, Route};
use xmpp::{
    Epoch, Features, IqType, Jid, Kind, MessageType, Origin, PresenceType, Stanza, StanzaError,
};

use crate::router::Router;

/// Bytes that a stanza counts for beside its content.
const OVERHEAD: usize = 256;

/// Whether whoever sent it hears that it is handled only when it has left. Presence, and what a room tells people, inside
/// or not, is promised in memory only, so that somebody who is not there holds up nobody.
pub fn must_arrive(router: &Router, envelope: &Envelope) -> bool {
    let Body::Stanza(stanza) = &envelope.body else { return false };
    match stanza.kind() {
        Kind::Presence(ty) => is_subscription(ty),
        Kind::Message(ty) if ty == MessageType::Groupchat || is_event(stanza) => {
            let from = stanza.head().from.as_ref();
            !from.is_some_and(|from| matches!(router.route_of(from), Route::Room(_)))
        }
        Kind::Message(_) | Kind::Iq(_) => true,
    }
}

/// Whether it does no harm where it arrives twice: presence is a state, nobody waits for a second answer, and what a
/// room tells its occupants has an id to know it by (XEP-0359).
pub fn may_come_twice(router: &Router, envelope: &Envelope) -> bool {
    let Body::Stanza(stanza) = &envelope.body else { return true };
    match stanza.kind() {
        Kind::Presence(_) | Kind::Message(MessageType::Error) => true,
        Kind::Iq(ty) => matches!(ty, IqType::Result | IqType::Error),
        Kind::Message(_) => !must_arrive(router, envelope),
    }
}

/// Answers for a stanza that will not arrive; how many answers found no room. Where it is not final, a subscription of an
/// account gets none: the account keeps it, and says it again later.
pub fn bounce(router: &Router, envelope: Envelope, error: &StanzaError, is_final: bool) -> u64 {
    let Envelope { body, receipt, origin, .. } = envelope;
    let Body::Stanza(stanza) = body else { return 0 };
    if let Kind::Presence(ty) = stanza.kind()
        && is_subscription(ty)
        && !is_final
        && is_of_account(router, &stanza)
    {
        drop(receipt);
        return 0;
    }
    let silent =
        matches!(stanza.kind(), Kind::Presence(PresenceType::Unavailable | PresenceType::Probe));
    match stanza.error(error).filter(|_| !silent) {
        Some(error) => send(router, error, origin, receipt),
        None => {
            release(receipt);
            0
        }
    }
}

/// Sends a stanza to whoever it is for; how many found no room: then the receipt is dropped, and whoever waits says it
/// again.
pub fn send(router: &Router, stanza: Stanza, origin: Origin, receipt: Option<Receipt>) -> u64 {
    let head = stanza.head();
    let Some(to) = head.to.as_ref() else {
        release(receipt);
        return 0;
    };
    let route = router.route_between(head.from.as_ref(), to);
    let envelope = Envelope::new(route, Body::Stanza(stanza), origin, Epoch::default());
    router.post(vec![envelope.with_share(receipt)]).len() as u64
}

/// What an envelope counts for while it waits.
pub fn size(envelope: &Envelope) -> usize {
    let address = |jid: Option<&Jid>| jid.map_or(0, |jid| jid.as_str().len());
    match &envelope.body {
        Body::Stanza(stanza) => stanza.len() + OVERHEAD + address(stanza.head().to.as_ref()),
        _ => OVERHEAD,
    }
}

/// By such a room tells what happens to whoever is not inside.
fn is_event(stanza: &Stanza) -> bool {
    stanza.features().any(Features::PUBSUB_EVENT)
}

fn is_subscription(ty: PresenceType) -> bool {
    use PresenceType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    matches!(ty, Subscribe | Subscribed | Unsubscribe | Unsubscribed)
}

fn is_of_account(router: &Router, stanza: &Stanza) -> bool {
    let from = stanza.head().from.as_ref();
    from.is_some_and(|from| matches!(router.route_of(from), Route::User(_)))
}

fn release(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.release();
    }
}

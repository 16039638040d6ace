//! Owns the rules for what leaves the cluster by a gate, to another server or to a component: for which stanzas somebody
//! waits until they have left, and how one that cannot leave comes back.

use proto::{Body, Envelope, Receipt, Route};
use xmpp::{Epoch, Jid, Kind, MessageType, Origin, PresenceType, Stanza, StanzaError};

use crate::router::Router;

/// Bytes that a stanza counts for beside its content.
const OVERHEAD: usize = 256;

/// Whether whoever sent it hears that it is handled only when it has left. Presence, and what a room tells its
/// occupants, is promised in memory only, so that somebody who is not there holds up nobody.
pub fn must_arrive(router: &Router, envelope: &Envelope) -> bool {
    let Body::Stanza(stanza) = &envelope.body else { return false };
    match stanza.kind() {
        Kind::Presence(ty) => is_subscription(ty),
        Kind::Message(MessageType::Groupchat) => {
            let from = stanza.head().from.as_ref();
            !from.is_some_and(|from| matches!(router.route_of(from), Route::Room(_)))
        }
        Kind::Message(_) | Kind::Iq(_) => true,
    }
}

/// Answers for a stanza that will not arrive; how many answers found no room. Where it is not final, a subscription
/// gets none: its account keeps it, and says it again later.
pub fn bounce(router: &Router, envelope: Envelope, error: &StanzaError, is_final: bool) -> u64 {
    let Envelope { body, receipt, origin, .. } = envelope;
    let Body::Stanza(stanza) = body else { return 0 };
    if let Kind::Presence(ty) = stanza.kind()
        && is_subscription(ty)
        && !is_final
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
    router.post(vec![envelope.with_receipt(receipt)]).len() as u64
}

/// What an envelope counts for while it waits.
pub fn size(envelope: &Envelope) -> usize {
    let address = |jid: Option<&Jid>| jid.map_or(0, |jid| jid.as_str().len());
    match &envelope.body {
        Body::Stanza(stanza) => stanza.len() + OVERHEAD + address(stanza.head().to.as_ref()),
        _ => OVERHEAD,
    }
}

fn is_subscription(ty: PresenceType) -> bool {
    use PresenceType::{Subscribe, Subscribed, Unsubscribe, Unsubscribed};
    matches!(ty, Subscribe | Subscribed | Unsubscribe | Unsubscribed)
}

fn release(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.release();
    }
}

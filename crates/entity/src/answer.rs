//! Owns how a request to an entity is answered by its list of extensions, where anybody may ask and nothing else
//! decides (RFC 6120 §8.2.3, §10.5.1): domains, services.

use proto::{Body, Envelope};
use xmpp::{Element, Head, Kind, PresenceType, Stanza, StanzaCondition, StanzaError};

use crate::context::Context;
use crate::entity::Entity;
use crate::extension::{Answer, Extensions, Request};

/// What comes to a service that answers requests and does nothing else.
pub fn receive<E: Entity>(
    extensions: &Extensions<E>,
    service: &mut E,
    envelope: Envelope,
    cx: &mut Context<'_, E>,
) {
    let Body::Stanza(stanza) = envelope.body else {
        debug_assert!(false, "a word for somebody else came to a service");
        return;
    };
    match stanza.kind() {
        Kind::Iq(ty) if ty.is_request() => answer(extensions, service, stanza, cx),
        Kind::Message(_) => cx.send_error(&stanza, StanzaCondition::ServiceUnavailable),
        Kind::Presence(PresenceType::Subscribe) => deny(&stanza, cx),
        _ => {}
    }
}

/// Answers a request to the entity itself; what no extension answers is unavailable, and so is a resource of it
/// (§10.5.2): there is none.
pub fn answer<E: Entity>(
    extensions: &Extensions<E>,
    entity: &mut E,
    stanza: Stanza,
    cx: &mut Context<'_, E>,
) {
    let Some(payload) = only_child(&stanza) else {
        return cx.send_error(&stanza, StanzaCondition::BadRequest);
    };
    let request = Request { stanza, payload, session: None };
    match handle(extensions, entity, &request, cx) {
        Ok(Answer::Done) => cx.send(request.stanza.result(None)),
        Ok(Answer::Result(payload)) => cx.send(request.stanza.result(Some(&payload))),
        Ok(Answer::Later) => {}
        Err(error) => cx.send_error(&request.stanza, error),
    }
}

/// Nobody sees presence of a service; whoever asks is told, so that they do not wait (RFC 6121 §3.1.3).
pub fn deny<E: Entity>(stanza: &Stanza, cx: &mut Context<'_, E>) {
    let Head { from: Some(from), to: Some(to), .. } = stanza.head() else { return };
    let head = Head {
        kind: Kind::Presence(PresenceType::Unsubscribed),
        id: None,
        from: Some(to.bare().into()),
        to: Some(from.bare().into()),
        lang: None,
    };
    cx.send(Stanza::build(head, &[]));
}

/// The one child of a request (§8.2.3); none where there are more, or fewer.
#[must_use]
pub fn only_child(stanza: &Stanza) -> Option<Element> {
    let mut children = stanza.children();
    match (children.next(), children.next()) {
        (Some(child), None) => child.parse(),
        _ => None,
    }
}

fn handle<E: Entity>(
    extensions: &Extensions<E>,
    entity: &mut E,
    request: &Request,
    cx: &mut Context<'_, E>,
) -> Result<Answer, StanzaError> {
    let Kind::Iq(ty) = request.stanza.kind() else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let to_itself = request.stanza.head().to.as_ref().is_some_and(|to| to.is_bare());
    let (name, ns) = (request.payload.name(), request.payload.ns());
    match extensions.iq(ty, name, ns).filter(|_| to_itself) {
        Some(iq) => (iq.handle)(entity, request, cx),
        None => Err(StanzaCondition::ServiceUnavailable.into()),
    }
}

//! Owns the ordered list of a service's extensions, and answers to requests.

mod disco;
mod ping;
mod pubsub;

use entity::{Answer, Context, Extension, Extensions, Request};
use xmpp::{Element, Kind, Stanza, StanzaCondition, StanzaError};

use crate::service::Service;

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Service> = Extensions::new(LIST);

const LIST: &[Extension<Service>] = &[pubsub::EXTENSION, disco::EXTENSION, ping::EXTENSION];

/// Answers a request.
pub(crate) fn answer(service: &mut Service, stanza: Stanza, cx: &mut Context<'_, Service>) {
    let Some(payload) = only_child(&stanza) else {
        return cx.send_error(&stanza, StanzaCondition::BadRequest);
    };
    let request = Request { stanza, payload, session: None };
    match handle(service, &request, cx) {
        Ok(Answer::Done) => cx.send(request.stanza.result(None)),
        Ok(Answer::Result(payload)) => cx.send(request.stanza.result(Some(&payload))),
        Ok(Answer::Later) => {}
        Err(error) => cx.send_error(&request.stanza, error),
    }
}

fn handle(
    service: &mut Service,
    request: &Request,
    cx: &mut Context<'_, Service>,
) -> Result<Answer, StanzaError> {
    let Kind::Iq(ty) = request.stanza.kind() else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let to_service = request.stanza.head().to.as_ref().is_some_and(|to| to.is_domain());
    let (name, ns) = (request.payload.name(), request.payload.ns());
    match EXTENSIONS.iq(ty, name, ns).filter(|_| to_service) {
        Some(iq) => (iq.handle)(service, request, cx),
        None => Err(StanzaCondition::ServiceUnavailable.into()),
    }
}

fn only_child(stanza: &Stanza) -> Option<Element> {
    let mut children = stanza.children();
    match (children.next(), children.next()) {
        (Some(child), None) => child.parse(),
        _ => None,
    }
}

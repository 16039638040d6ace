//! Owns the requests to a room service, and the ordered list of its extensions.

use entity::{Answer, Context, Extension, Extensions, Request};
use xmpp::{Element, Kind, Stanza, StanzaCondition, StanzaError};

use super::{Directory, disco, ping};

/// The extensions of a room service, in order.
pub static EXTENSIONS: Extensions<Directory> = Extensions::new(LIST);

const LIST: &[Extension<Directory>] = &[disco::EXTENSION, ping::EXTENSION];

/// Answers a request.
pub(super) fn answer(directory: &mut Directory, stanza: Stanza, cx: &mut Context<'_, Directory>) {
    let Some(payload) = only_child(&stanza) else {
        return cx.send_error(&stanza, StanzaCondition::BadRequest);
    };
    let request = Request { stanza, payload, session: None };
    match handle(directory, &request, cx) {
        Ok(Answer::Done) => cx.send(request.stanza.result(None)),
        Ok(Answer::Result(payload)) => cx.send(request.stanza.result(Some(&payload))),
        Ok(Answer::Later) => {}
        Err(error) => cx.send_error(&request.stanza, error),
    }
}

fn handle(
    directory: &mut Directory,
    request: &Request,
    cx: &mut Context<'_, Directory>,
) -> Result<Answer, StanzaError> {
    let Kind::Iq(ty) = request.stanza.kind() else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let to_service = request.stanza.head().to.as_ref().is_some_and(|to| to.is_bare());
    let (name, ns) = (request.payload.name(), request.payload.ns());
    match EXTENSIONS.iq(ty, name, ns).filter(|_| to_service) {
        Some(iq) => (iq.handle)(directory, request, cx),
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

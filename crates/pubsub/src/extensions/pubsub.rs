//! XEP-0060 Publish-Subscribe, version 1.30.0: requests to a service, which the engine answers.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{IqType, Kind, StanzaCondition, StanzaError, ns};

use crate::service::Service;

/// The requests of publish-subscribe.
pub(super) const EXTENSION: Extension<Service> = Extension {
    number: "0060",
    title: "Publish-Subscribe",
    version: "1.30.0",
    features: nodes::disco::FEATURES,
    iqs: &[
        request(IqType::Get, ns::PUBSUB),
        request(IqType::Set, ns::PUBSUB),
        request(IqType::Get, ns::PUBSUB_OWNER),
        request(IqType::Set, ns::PUBSUB_OWNER),
    ],
    ..Extension::NONE
};

const fn request(ty: IqType, ns: &'static str) -> Iq<Service> {
    Iq { ty, name: "pubsub", ns, who: Who::Anybody, handle: answer }
}

fn answer(
    service: &mut Service,
    request: &Request,
    cx: &mut Context<'_, Service>,
) -> Result<Answer, StanzaError> {
    let (Kind::Iq(ty), Some(from)) = (request.stanza.kind(), request.stanza.head().from.clone())
    else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let act = |collection: &mut nodes::Collection, turn: &mut nodes::Turn<'_>| {
        collection.act(ty, &request.payload, turn)
    };
    let outcome = service.act(&from, cx, act)?;
    service.finish(outcome, Some(request.stanza.clone()), cx);
    Ok(Answer::Later)
}

//! Owns the errors of pubsub: a condition of RFC 6120 §8.3.3 with one of `pubsub#errors` (XEP-0060 §11, §17.2).

use xmpp::{Element, ErrorType, StanzaCondition, StanzaError, ns};

/// An error with a condition of pubsub.
#[must_use]
pub(crate) fn error(condition: StanzaCondition, detail: &'static str) -> StanzaError {
    StanzaError::from(condition).with_detail(Element::new(detail, ns::PUBSUB_ERRORS))
}

/// The service does not do this.
#[must_use]
pub(crate) fn unsupported(feature: &'static str) -> StanzaError {
    let detail = Element::new("unsupported", ns::PUBSUB_ERRORS).with_attr("feature", feature);
    StanzaError::from(StanzaCondition::FeatureNotImplemented).with_detail(detail)
}

/// The address is that of somebody else.
#[must_use]
pub(crate) fn invalid_jid() -> StanzaError {
    error(StanzaCondition::BadRequest, "invalid-jid")
}

/// The request names no node.
#[must_use]
pub(crate) fn node_required() -> StanzaError {
    error(StanzaCondition::BadRequest, "nodeid-required")
}

/// There is no such node.
#[must_use]
pub(crate) fn no_node() -> StanzaError {
    StanzaCondition::ItemNotFound.into()
}

/// The sender lacks the affiliation that the request needs (§8.2.3.2 and the like).
#[must_use]
pub(crate) fn forbidden() -> StanzaError {
    StanzaCondition::Forbidden.into()
}

/// There is no such subscription.
#[must_use]
pub(crate) fn not_subscribed() -> StanzaError {
    error(StanzaCondition::UnexpectedRequest, "not-subscribed").with_type(ErrorType::Cancel)
}

/// There are as many as there may be.
#[must_use]
pub(crate) fn too_many(what: &str) -> StanzaError {
    let full = StanzaError::from(StanzaCondition::ResourceConstraint).with_type(ErrorType::Cancel);
    full.with_text(format!("there may be no more {what} here"))
}

/// A request that makes no sense.
#[must_use]
pub(crate) fn bad_request(why: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::BadRequest).with_text(why)
}

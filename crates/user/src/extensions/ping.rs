//! XEP-0199 XMPP Ping, version 2.0.1: the account answers for itself to those who may know of it.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{IqType, StanzaCondition, StanzaError, ns};

use crate::User;
use crate::extensions::may_know;

/// Pings to an account.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0199",
    title: "XMPP Ping",
    version: "2.0.1",
    features: &[ns::PING],
    iqs: &[Iq { ty: IqType::Get, name: "ping", ns: ns::PING, who: Who::Anybody, handle: ping }],
    ..Extension::NONE
};

fn ping(
    user: &mut User,
    request: &Request,
    _: &mut Context<'_, User>,
) -> Result<Answer, StanzaError> {
    if may_know(user, request) {
        Ok(Answer::Done)
    } else {
        Err(StanzaCondition::ServiceUnavailable.into())
    }
}

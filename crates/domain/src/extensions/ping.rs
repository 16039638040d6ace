//! XEP-0199 XMPP Ping, version 2.0.1: the server is there.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{IqType, StanzaError, ns};

use crate::Domain;

/// Pings to the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0199",
    title: "XMPP Ping",
    version: "2.0.1",
    features: &[ns::PING],
    iqs: &[Iq { ty: IqType::Get, name: "ping", ns: ns::PING, who: Who::Anybody, handle: ping }],
    ..Extension::NONE
};

/// §4.2
fn ping(_: &mut Domain, _: &Request, _: &mut Context<'_, Domain>) -> Result<Answer, StanzaError> {
    Ok(Answer::Done)
}

//! XEP-0065 SOCKS5 Bytestreams, version 1.8.2: a proxy for two clients that cannot reach each other, and what else the
//! service answers.

use entity::disco::no_node;
use entity::extension::{Handle, Who};
use entity::{Answer, Context, Discovered, Extension, Extensions, Iq, Request};
use xmpp::disco::Info;
use xmpp::{IqType, StanzaError, ns};

use crate::service::{self, Proxy};

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Proxy> =
    Extensions::new(&[BYTESTREAMS, Extension::DISCO, Extension::PING]);

/// What the service is (§4).
pub const IDENTITY: (&str, &str) = ("proxy", "bytestreams");
/// Its name for people.
pub const NAME: &str = "File transfer";

const BYTESTREAMS: Extension<Proxy> = Extension {
    number: "0065",
    title: "SOCKS5 Bytestreams",
    version: "1.8.2",
    features: &[ns::BYTESTREAMS],
    iqs: &[
        Iq {
            ty: IqType::Get,
            name: "query",
            ns: ns::BYTESTREAMS,
            who: Who::Anybody,
            handle: service::address,
        },
        Iq {
            ty: IqType::Set,
            name: "query",
            ns: ns::BYTESTREAMS,
            who: Who::Anybody,
            handle: service::activate,
        },
    ],
    ..Extension::NONE
};

impl Discovered for Proxy {
    const INFO: Handle<Self> = info;
}

fn info(
    _: &mut Proxy,
    request: &Request,
    _: &mut Context<'_, Proxy>,
) -> Result<Answer, StanzaError> {
    no_node(request)?;
    let info = Info::new(IDENTITY, NAME, &EXTENSIONS.features(), Vec::new());
    Ok(Answer::Result(info.to_element(None)))
}

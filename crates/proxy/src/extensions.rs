//! XEP-0065 SOCKS5 Bytestreams, version 1.8.2: a proxy for two clients that cannot reach each other, and what else the
//! service answers.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Extensions, Iq, Request};
use xmpp::disco::Info;
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::service::{self, Proxy};

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Proxy> = Extensions::new(&[BYTESTREAMS, DISCO, Extension::PING]);

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

const DISCO: Extension<Proxy> = Extension {
    number: "0030",
    title: "Service Discovery",
    version: "2.5.0",
    features: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::DISCO_INFO, who: Who::Anybody, handle: info },
        Iq {
            ty: IqType::Get,
            name: "query",
            ns: ns::DISCO_ITEMS,
            who: Who::Anybody,
            handle: items,
        },
    ],
    ..Extension::NONE
};

fn info(
    _: &mut Proxy,
    request: &Request,
    _: &mut Context<'_, Proxy>,
) -> Result<Answer, StanzaError> {
    no_node(request)?;
    let info = Info::new(IDENTITY, NAME, &EXTENSIONS.features(), Vec::new());
    Ok(Answer::Result(info.to_element(None)))
}

fn items(
    _: &mut Proxy,
    request: &Request,
    _: &mut Context<'_, Proxy>,
) -> Result<Answer, StanzaError> {
    no_node(request)?;
    Ok(Answer::Result(Element::new("query", ns::DISCO_ITEMS)))
}

fn no_node(request: &Request) -> Result<(), StanzaError> {
    match request.payload.attr("node") {
        None => Ok(()),
        Some(_) => Err(StanzaCondition::ItemNotFound.into()),
    }
}

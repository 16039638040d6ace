//! XEP-0363 HTTP File Upload, version 1.2.0: slots for files, and what else a service for them answers.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Extensions, Iq, Request};
use xmpp::disco::Info;
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::service::{self, Upload};

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Upload> = Extensions::new(&[UPLOAD, DISCO, Extension::PING]);

/// What the service is (§3).
pub const IDENTITY: (&str, &str) = ("store", "file");
/// Its name for people.
pub const NAME: &str = "Files";

const UPLOAD: Extension<Upload> = Extension {
    number: "0363",
    title: "HTTP File Upload",
    version: "1.2.0",
    features: &[
        ns::UPLOAD,
        "urn:xmpp:http:upload:purpose:0#message",
        "urn:xmpp:http:upload:purpose:0#profile",
        "urn:xmpp:http:upload:purpose:0#ephemeral",
    ],
    iqs: &[Iq {
        ty: IqType::Get,
        name: "request",
        ns: ns::UPLOAD,
        who: Who::Anybody,
        handle: service::request,
    }],
    ..Extension::NONE
};

const DISCO: Extension<Upload> = Extension {
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

/// With the most bytes of a file (XEP-0363 §3).
fn info(
    _: &mut Upload,
    request: &Request,
    cx: &mut Context<'_, Upload>,
) -> Result<Answer, StanzaError> {
    no_node(request)?;
    let most = cx.shared.limits.most().to_string();
    let field = Field::new(FieldType::TextSingle, "max-file-size").with_value(most);
    let form = Form::new(FormKind::Result, ns::UPLOAD).with(field);
    let info = Info::new(IDENTITY, NAME, &EXTENSIONS.features(), vec![form]);
    Ok(Answer::Result(info.to_element(None)))
}

fn items(
    _: &mut Upload,
    request: &Request,
    _: &mut Context<'_, Upload>,
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

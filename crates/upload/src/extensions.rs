//! XEP-0363 HTTP File Upload, version 1.2.0: slots for files, and what else a service for them answers.

use entity::disco::no_node;
use entity::extension::{Handle, Who};
use entity::{Answer, Context, Discovered, Extension, Extensions, Iq, Request};
use xmpp::disco::Info;
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{IqType, StanzaError, ns};

use crate::service::{self, Upload};

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Upload> =
    Extensions::new(&[UPLOAD, Extension::DISCO, Extension::PING]);

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

impl Discovered for Upload {
    const INFO: Handle<Self> = info;
}

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

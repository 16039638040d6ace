//! XEP-0092 Software Version, version 1.1: what runs here.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{Element, IqType, StanzaError, ns};

use crate::Domain;

/// The software's version.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0092",
    title: "Software Version",
    version: "1.1",
    features: &[ns::VERSION],
    iqs: &[Iq {
        ty: IqType::Get,
        name: "query",
        ns: ns::VERSION,
        who: Who::Anybody,
        handle: version,
    }],
    ..Extension::NONE
};

/// §2; the operating system only where it was configured (§4).
fn version(
    _: &mut Domain,
    _: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let word = |name: &'static str, text: &str| Element::new(name, ns::VERSION).with_text(text);
    let os = cx.shared.config.os.as_deref();
    let query = Element::new("query", ns::VERSION)
        .with_child(word("name", "Rookery"))
        .with_child(word("version", &cx.shared.version))
        .with_children(os.map(|os| word("os", os)));
    Ok(Answer::Result(query))
}

//! XEP-0012 Last Activity, version 2.0: how long the server has been up.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{Element, IqType, StanzaError, ns};

use crate::Domain;

/// The uptime of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0012",
    title: "Last Activity",
    version: "2.0",
    features: &[ns::LAST],
    iqs: &[Iq { ty: IqType::Get, name: "query", ns: ns::LAST, who: Who::Anybody, handle: uptime }],
    ..Extension::NONE
};

/// §5
fn uptime(
    _: &mut Domain,
    _: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    let seconds = cx.now.elapsed.as_secs().to_string();
    Ok(Answer::Result(Element::new("query", ns::LAST).with_attr("seconds", seconds)))
}

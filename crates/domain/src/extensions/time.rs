//! XEP-0202 Entity Time, version 2.0: the server's clock, in UTC.

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::{Element, IqType, StanzaError, datetime, ns};

use crate::Domain;

/// The time of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0202",
    title: "Entity Time",
    version: "2.0",
    features: &[ns::TIME],
    iqs: &[Iq { ty: IqType::Get, name: "time", ns: ns::TIME, who: Who::Anybody, handle: time }],
    ..Extension::NONE
};

/// §2. Where the server stands is nobody's business: its zone is UTC.
fn time(_: &mut Domain, _: &Request, cx: &mut Context<'_, Domain>) -> Result<Answer, StanzaError> {
    let word = |name: &'static str, text: &str| Element::new(name, ns::TIME).with_text(text);
    let utc = datetime::format_seconds(cx.now.unix_micros);
    let time = Element::new("time", ns::TIME)
        .with_child(word("tzo", "+00:00"))
        .with_child(word("utc", &utc));
    Ok(Answer::Result(time))
}

//! XEP-0124 Bidirectional-streams Over Synchronous HTTP, version 1.11, with XEP-0206, version 1.4: what a client
//! puts around its stanzas, what it gets around those for it, and the session that requests belong to. Pure.

mod body;
mod session;

pub use body::{Body, MalformedBody};
pub use session::{Act, Session, Terms};

use xmpp::writer;

/// The namespace of `<body/>`.
pub const NS: &str = "http://jabber.org/protocol/httpbind";
/// The namespace of what XMPP adds to it (XEP-0206 §10.1).
pub const XMPP_NS: &str = "urn:xmpp:xbosh";

/// The last response of a session (XEP-0124 §17.2): `condition` where the client did not ask for the end, and
/// what it is to hear before.
#[must_use]
pub fn terminate(condition: Option<&str>, content: &[u8]) -> Vec<u8> {
    let mut attributes = vec![("type", "terminate")];
    attributes.extend(condition.map(|condition| ("condition", condition)));
    wrap(&attributes, content)
}

/// Puts `<body/>` around elements that declare their namespaces themselves.
fn wrap(attributes: &[(&str, &str)], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 128);
    writer::open_start(&mut out, "body", NS, "");
    for (name, value) in attributes {
        writer::attribute(&mut out, name, value);
    }
    if content.is_empty() {
        writer::empty_end(&mut out);
    } else {
        writer::open_end(&mut out);
        out.extend_from_slice(content);
        writer::close(&mut out, "body");
    }
    out
}

//! XEP-0485 PubSub Server Information, version 1.0.0: which domains this cluster serves, where the operator lets everybody
//! know. With whom they speak is not said: the others would have to agree, one by one (§7).

use bytes::Bytes;
use entity::Extension;
use xmpp::{BareJid, Element};

use crate::Service;

/// What the server says of itself; a feature of its own address says where.
pub const EXTENSION: Extension<Service> = Extension {
    number: "0485",
    title: "PubSub Server Information",
    version: "1.0.0",
    ..Extension::NONE
};

/// The feature of a domain that says where (§3).
pub const NS: &str = "urn:xmpp:serverinfo:0";
/// The node that is looked at where no other is named (§3).
pub const NODE: &str = "serverinfo";

/// The payload (§4).
#[must_use]
pub fn payload(domains: &[BareJid]) -> Bytes {
    let domain = |jid: &BareJid| Element::new("domain", NS).with_attr("name", jid.as_str());
    Element::new("serverinfo", NS).with_children(domains.iter().map(domain)).to_bytes().into()
}

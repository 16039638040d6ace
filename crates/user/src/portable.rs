//! XEP-0227 Portable Import/Export Format for XMPP-IM Servers, version 1.1: an account as a `<user/>` element, out of
//! its rows and into rows. Knows no file.
//!
//! | module | owns |
//! |---|---|
//! | [`export`] | rows as elements |
//! | [`import`] | elements as rows |

pub mod export;
pub mod import;

/// The namespace of the format (§8.1).
pub const PIE: &str = "urn:xmpp:pie:0";
/// Of SCRAM credentials in it (§4.3).
pub const SCRAM: &str = "urn:xmpp:pie:0#scram";
/// Of archives in it (§4.11).
pub const ARCHIVE: &str = "urn:xmpp:pie:0#mam";
/// Of privacy lists (XEP-0016), as which blocked addresses are understood by servers that have no other word for them.
const PRIVACY: &str = "jabber:iq:privacy";
/// Of what other servers need not know: `<account/>` of one that is disabled.
const OWN: &str = "urn:rookery:account";

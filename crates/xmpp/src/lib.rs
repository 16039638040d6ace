//! The words of RFC 6120, 6121 and 7622: addresses, stanzas, elements, errors, namespaces.
//!
//! Pure: no I/O, no clock, no randomness. Everything above speaks in these types.
//!
//! | module | owns |
//! |---|---|
//! | [`jid`] | addresses, normalised by parsing (RFC 7622, RFC 6122) |
//! | [`prep`] | the string preparation behind addresses |
//! | [`kept`] | a whole stanza as bytes in a store |
//! | [`ns`] | namespace names |
//! | [`writer`] | canonical XML: the only code that turns names and text into bytes |
//! | [`element`] | a small tree, for payloads that the server itself must understand |
//! | [`feature`] | what the direct children of a stanza tell at a glance |
//! | [`head`] | kind, type and addresses of a stanza |
//! | [`stanza`] | head, index of children and one shared buffer of canonical bytes |
//! | [`error`] | stanza errors (RFC 6120 §8.3) and stream errors (§4.9) |
//! | [`datetime`] | instants as text (XEP-0082) |
//! | [`place`] | to which bucket and shard an address belongs, and since when its owner owns it |
//! | [`origin`] | which stanza of which session caused something |
//! | [`delay`] | the note that a stanza comes late (XEP-0203) |
//! | [`forward`] | one stanza inside another (XEP-0297) |
//! | [`command`] | ad-hoc commands, asked and answered (XEP-0050) |
//! | [`forms`] | data forms (XEP-0004) |
//! | [`disco`] | answers to disco#info, and what capability hashes are made from (XEP-0115, XEP-0390) |
//! | [`room_event`] | what a room tells people who are not inside (MUC/Sub) |
//! | [`rsm`] | pages of result sets (XEP-0059) |
//! | [`stanza_id`] | ids that an account or a room gives to messages (XEP-0359) |

pub mod command;
pub mod datetime;
pub mod delay;
pub mod disco;
pub mod element;
pub mod error;
pub mod feature;
pub mod forms;
pub mod forward;
pub mod head;
pub mod jid;
pub mod kept;
pub mod ns;
pub mod origin;
pub mod place;
pub mod prep;
pub mod privilege;
pub mod room_event;
pub mod rsm;
pub mod stanza;
pub mod stanza_id;
pub mod writer;

pub use element::Element;
pub use error::{ErrorType, StanzaCondition, StanzaError, StreamCondition, StreamError};
pub use feature::Features;
pub use head::{Head, IqType, Kind, MessageType, PresenceType};
pub use jid::{BareJid, FullJid, Jid, JidError};
pub use origin::Origin;
pub use place::{Bucket, Epoch, Fence, Shard};
pub use stanza::Stanza;

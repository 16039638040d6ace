//! Mapping between XMPP and the Common Profile for Instant Messaging (RFC 3922): messages to `message/cpim` (RFC 3862)
//! with a text, presence to the same with a PIDF document (RFC 3863), and back. Pure; what is done with the outcome, a
//! gateway decides.
//!
//! Nothing is mapped that the RFC has no mapping for: subscriptions, thread, type, extensions, courtesy copies and dates.
//!
//! | module | owns |
//! |---|---|
//! | [`address`] | JIDs and `im:` and `pres:` URIs |
//! | `format` | the bytes of a `message/cpim` object |
//! | `message` | messages |
//! | `presence` | presence |

pub mod address;
mod format;
mod message;
mod presence;

use xmpp::{Element, ns};

use format::Object;

/// Why something cannot be mapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CpimError {
    /// Neither a message nor a presence.
    #[error("only messages and presence can be mapped")]
    Kind,
    /// A stanza of a type that has no mapping (RFC 3922 §5.1.4, §6).
    #[error("a stanza of this type has no mapping")]
    Type,
    /// An address is missing or is none.
    #[error("the address in {0:?} is missing, or is none")]
    Address(&'static str),
    /// Several stanzas that are not the presence of one account for one recipient.
    #[error(
        "only the presence of devices of one account, for one recipient, goes into one document"
    )]
    Several,
    /// A message without a text.
    #[error("the message has no text")]
    NoText,
    /// It is not as RFC 3862 §2 and §3 say.
    #[error("this is no message/cpim object: {0}")]
    Malformed(&'static str),
    /// Something must be understood that is not (RFC 3922 §4.2.7).
    #[error("it requires {0:?}, which nobody here understands")]
    Required(String),
    /// What is inside is of another type (RFC 3922 §4.2.9, §5.2).
    #[error("what is inside is neither text/plain nor application/pidf+xml")]
    Content,
    /// A text that is not UTF-8 (RFC 3922 §4.2.9).
    #[error("its text is neither us-ascii nor utf-8")]
    Charset,
    /// A PIDF document that cannot be read, or says of no device how it is (RFC 3922 §5.2.11).
    #[error("its presence says of no device whether it is open or closed")]
    NoTuple,
}

/// A stanza of the content namespace as a `message/cpim` object (RFC 3922 §4.1, §5.1): one `message`, or the `presence` of
/// as many devices of one account as are to stand in one document (§6.3.1).
///
/// # Errors
/// [`CpimError`], where it has no mapping.
pub fn to_cpim(stanzas: &[Element]) -> Result<Vec<u8>, CpimError> {
    let is = |name| stanzas.iter().all(|it| it.name() == name && is_content(it.ns()));
    let object = match stanzas {
        [message] if is("message") => message::to_object(message),
        [_, ..] if is("presence") => presence::to_object(stanzas),
        [_, _, ..] => Err(CpimError::Several),
        _ => Err(CpimError::Kind),
    };
    object.map(|object| object.to_bytes())
}

/// The stanzas of a `message/cpim` object: one for each recipient, and of presence for each device (RFC 3922 §4.2, §5.2).
///
/// # Errors
/// [`CpimError`], where it is none, or has no mapping.
pub fn to_xmpp(bytes: &[u8]) -> Result<Vec<Element>, CpimError> {
    let object = Object::parse(bytes)?;
    if let Some(required) = object.header("Require") {
        return Err(CpimError::Required(required.value.clone()));
    }
    match object.content_type().as_str() {
        "text/plain" => message::from_object(&object),
        "application/pidf+xml" => presence::from_object(&object),
        _ => Err(CpimError::Content),
    }
}

/// Whether a name is one of the content namespace.
fn is_content(ns: &str) -> bool {
    ns.is_empty() || ns == ns::CLIENT || ns == ns::SERVER
}

/// The children of a stanza by this name.
fn children<'a>(stanza: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    stanza.children().filter(move |it| it.name() == name && is_content(it.ns()))
}

#[cfg(test)]
mod tests;

//! The messages of SCRAM (RFC 5802 §5.1, §7), taken apart strictly. Pure syntax: nothing here
//! knows keys, users or the state of an exchange.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Failure;

/// What the client says about channel binding: the gs2-cbind-flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// `n`: it cannot bind.
    Unsupported,
    /// `y`: it could, but believes that the server cannot.
    Unoffered,
    /// `p=name`: it binds to the channel of this kind.
    Used(String),
}

/// The first message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientFirst {
    /// The GS2 header with both commas, as received.
    pub(super) header: String,
    pub(super) flag: Flag,
    pub(super) authzid: Option<String>,
    /// The message without the GS2 header, as received.
    pub(super) bare: String,
    /// The user name, decoded but not prepared.
    pub(super) username: String,
    pub(super) nonce: String,
}

impl ClientFirst {
    /// # Errors
    /// [`Failure::MalformedRequest`]; [`Failure::InvalidAuthzid`] for a bad `a=`.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Failure> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(Failure::MalformedRequest)?;
        let (authzid, bare) = rest.split_once(',').ok_or(Failure::MalformedRequest)?;
        let header = text.strip_suffix(bare).ok_or(Failure::MalformedRequest)?;
        let mut attributes = bare.split(',');
        let username = saslname(attribute(attributes.next(), "n=")?)?;
        let nonce = nonce(attribute(attributes.next(), "r=")?)?;
        attributes.try_for_each(extension)?;
        Ok(Self {
            header: header.to_owned(),
            flag: Flag::parse(flag)?,
            authzid: parse_authzid(authzid)?,
            bare: bare.to_owned(),
            username,
            nonce: nonce.to_owned(),
        })
    }
}

impl Flag {
    fn parse(text: &str) -> Result<Self, Failure> {
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        match (text, text.strip_prefix("p=")) {
            ("n", _) => Ok(Self::Unsupported),
            ("y", _) => Ok(Self::Unoffered),
            (_, Some(name)) if !name.is_empty() && name.chars().all(is_name_char) => {
                Ok(Self::Used(name.to_owned()))
            }
            _ => Err(Failure::MalformedRequest),
        }
    }
}

/// The last message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    /// The value of `c=`, still encoded.
    pub(super) binding: &'a str,
    pub(super) nonce: &'a str,
    /// The message up to the comma before the proof.
    pub(super) without_proof: &'a str,
    pub(super) proof: Vec<u8>,
}

impl<'a> ClientFinal<'a> {
    /// # Errors
    /// [`Failure::MalformedRequest`].
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(Failure::MalformedRequest)?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let nonce = nonce(attribute(attributes.next(), "r=")?)?;
        attributes.try_for_each(extension)?;
        let proof = base64(attribute(Some(proof), "p=")?)?;
        Ok(Self { binding, nonce, without_proof, proof })
    }
}

/// The first message of the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    /// The hash of XEP-0474, if the server sent one.
    pub(super) downgrade_hash: Option<&'a str>,
}

impl<'a> ServerFirst<'a> {
    /// # Errors
    /// [`Failure::MalformedRequest`].
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let mut attributes = text(message)?.split(',');
        let nonce = nonce(attribute(attributes.next(), "r=")?)?;
        let salt = base64(attribute(attributes.next(), "s=")?)?;
        let iterations = positive(attribute(attributes.next(), "i=")?)?;
        attributes.clone().try_for_each(extension)?;
        let downgrade_hash = attributes.find_map(|attribute| attribute.strip_prefix("h="));
        Ok(Self { nonce, salt, iterations, downgrade_hash })
    }
}

/// The ServerSignature out of the last message of the server.
///
/// # Errors
/// [`Failure::NotAuthorized`] when it carries `e=`, else [`Failure::MalformedRequest`].
pub(super) fn parse_server_final(message: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut attributes = text(message)?.split(',');
    let first = attributes.next();
    if first.is_some_and(|attribute| attribute.starts_with("e=")) {
        return Err(Failure::NotAuthorized);
    }
    let verifier = base64(attribute(first, "v=")?)?;
    attributes.try_for_each(extension)?;
    Ok(verifier)
}

/// Writes a name with `,` and `=` escaped (the saslname of RFC 5802 §7).
pub(super) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// No message holds NUL, and all are UTF-8.
fn text(message: &[u8]) -> Result<&str, Failure> {
    match std::str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Failure::MalformedRequest),
    }
}

/// The value of the attribute that must stand here, and must not be empty. A reserved `m=` fails
/// like any other stranger.
fn attribute<'a>(attribute: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
    attribute
        .and_then(|attribute| attribute.strip_prefix(name))
        .filter(|value| !value.is_empty())
        .ok_or(Failure::MalformedRequest)
}

/// An optional extension is ignored if it is well formed. The attributes that RFC 5802 defines
/// have fixed places and are none; `m` (mandatory extensions) must fail (§5.1).
fn extension(attribute: &str) -> Result<(), Failure> {
    match attribute.as_bytes() {
        [b'a' | b'n' | b'm' | b'r' | b'c' | b's' | b'i' | b'p' | b'v' | b'e', ..] => {
            Err(Failure::MalformedRequest)
        }
        [name, b'=', _, ..] if name.is_ascii_alphabetic() => Ok(()),
        _ => Err(Failure::MalformedRequest),
    }
}

/// `[ "a=" saslname ]`.
fn parse_authzid(text: &str) -> Result<Option<String>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = attribute(Some(text), "a=")?;
    saslname(name).map(Some).map_err(|_| Failure::InvalidAuthzid)
}

/// Decodes `=2C` and `=3D`; any other `=` must fail (§5.1).
fn saslname(text: &str) -> Result<String, Failure> {
    let mut pieces = text.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (decoded, rest) = match piece.split_at_checked(2) {
            Some(("2C", rest)) => (',', rest),
            Some(("3D", rest)) => ('=', rest),
            _ => return Err(Failure::MalformedRequest),
        };
        name.push(decoded);
        name.push_str(rest);
    }
    Ok(name)
}

/// Printable ASCII without the comma, which is gone already.
fn nonce(text: &str) -> Result<&str, Failure> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if printable { Ok(text) } else { Err(Failure::MalformedRequest) }
}

fn base64(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|_| Failure::MalformedRequest)
}

/// A posit-number: no sign, no leading zero.
fn positive(text: &str) -> Result<u32, Failure> {
    let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| canonical).ok_or(Failure::MalformedRequest)
}

#[cfg(test)]
mod tests;

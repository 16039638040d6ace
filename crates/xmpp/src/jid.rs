//! Addresses: [`Jid`], [`BareJid`], [`FullJid`] (RFC 7622, compared by the rules of RFC 6122).
//!
//! An address is one normalised string behind a reference count, with offsets into it. It is made
//! only by parsing, so that two equal addresses are always equal strings; cloning, taking the bare
//! address and taking the domain never allocate. What characters may stand in a part is known to
//! [`crate::prep`].

mod parts;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use crate::prep::{self, PrepError};
use parts::{Parts, check};

pub use parts::Part;

/// The most bytes that a part may have after preparation (RFC 7622 §3.1).
pub const PART_BYTES_MAX: usize = 1023;

/// The address of any entity: `[localpart@]domainpart[/resourcepart]`.
#[derive(Clone)]
pub struct Jid {
    text: Arc<str>,
    /// Where this address begins in `text`; not 0 only for a domain taken out of a longer address.
    start: u16,
    /// Where the domainpart begins. Equal to `start` when there is no localpart.
    domain: u16,
    /// Where the bare address ends.
    bare_end: u16,
    /// Where this address ends. Equal to `bare_end` when there is no resourcepart.
    end: u16,
}

/// An address without a resourcepart: an account, a room, a domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// An address with a resourcepart: a session, an occupant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

/// Why a string is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JidError {
    /// The part is there, but nothing is in it (RFC 7622 §3.2 to §3.4).
    #[error("empty {0}")]
    Empty(Part),
    /// The part has more than [`PART_BYTES_MAX`] bytes.
    #[error("{0} longer than 1023 bytes")]
    TooLong(Part),
    /// The part has a character, or an order of characters, that it may not have.
    #[error("invalid {0}")]
    Invalid(Part, #[source] PrepError),
    /// A bare address was wanted.
    #[error("unexpected resourcepart")]
    UnexpectedResource,
    /// A full address was wanted.
    #[error("no resourcepart")]
    NoResource,
}

impl Jid {
    /// Reads an address and normalises it (RFC 7622 §3.2: the first `/` ends the bare address,
    /// the first `@` before it ends the localpart).
    ///
    /// # Errors
    /// [`JidError::Empty`], [`JidError::TooLong`], [`JidError::Invalid`].
    pub fn parse(input: &str) -> Result<Self, JidError> {
        let (bare, resource) = match input.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (input, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let parts = Parts::prepare(local, domain, resource)?;
        // Usual: nothing changed, so the input is the text.
        let text = if parts.length() == input.len() && parts.is_borrowed() {
            Arc::from(input)
        } else {
            parts.join()
        };
        Ok(Self::over(text, &parts))
    }

    /// Puts an address together from its parts, each of which is prepared first.
    ///
    /// # Errors
    /// As of [`Jid::parse`]. A separator inside a part is an error there, not a separator.
    pub fn from_parts(
        local: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let parts = Parts::prepare(local, domain, resource)?;
        let text = parts.join();
        Ok(Self::over(text, &parts))
    }

    /// The address over a text that consists of just these parts.
    fn over(text: Arc<str>, parts: &Parts<'_>) -> Self {
        Self {
            start: 0,
            domain: offset(parts.domain_at()),
            bare_end: offset(parts.bare_end()),
            end: offset(text.len()),
            text,
        }
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.slice(self.start, self.end)
    }

    /// Whether this is a spelling of the address.
    #[must_use]
    pub fn is_spelt(&self, text: &str) -> bool {
        if text == self.as_str() {
            return true;
        }
        // Preparation changes ASCII only in its case, but for the dot that may end a domain: what is clearly another
        // address need not be prepared.
        let has_dot = text.ends_with('.') || text.contains("./");
        if text.is_ascii() && !has_dot && !text.eq_ignore_ascii_case(self.as_str()) {
            return false;
        }
        Self::parse(text).is_ok_and(|jid| jid == *self)
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn localpart(&self) -> Option<&str> {
        (self.domain > self.start).then(|| self.slice(self.start, self.domain - 1))
    }

    /// The domain name or IP literal.
    #[must_use]
    pub fn domainpart(&self) -> &str {
        self.slice(self.domain, self.bare_end)
    }

    /// What stands after the first `/`.
    #[must_use]
    pub fn resourcepart(&self) -> Option<&str> {
        (self.end > self.bare_end).then(|| self.slice(self.bare_end + 1, self.end))
    }

    /// Whether there is no resourcepart.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.end == self.bare_end
    }

    /// Whether the address is a domain alone.
    #[must_use]
    pub fn is_domain(&self) -> bool {
        self.is_bare() && self.domain == self.start
    }

    /// The address without its resourcepart. Shares the string.
    #[must_use]
    pub fn bare(&self) -> BareJid {
        BareJid(Self { end: self.bare_end, ..self.clone() })
    }

    /// The address of the domain alone. Shares the string.
    #[must_use]
    pub fn domain(&self) -> BareJid {
        BareJid(Self { start: self.domain, end: self.bare_end, ..self.clone() })
    }

    /// This address as a full one, if it has a resourcepart. Shares the string.
    #[must_use]
    pub fn to_full(&self) -> Option<FullJid> {
        (!self.is_bare()).then(|| FullJid(self.clone()))
    }

    /// The bare address as a string.
    #[must_use]
    pub fn bare_str(&self) -> &str {
        self.slice(self.start, self.bare_end)
    }

    fn slice(&self, from: u16, to: u16) -> &str {
        &self.text[usize::from(from)..usize::from(to)]
    }
}

impl BareJid {
    /// Reads an address that has no resourcepart.
    ///
    /// # Errors
    /// As of [`Jid::parse`], and [`JidError::UnexpectedResource`].
    pub fn parse(input: &str) -> Result<Self, JidError> {
        Jid::parse(input)?.try_into()
    }

    /// The full address of one resource of this entity.
    ///
    /// # Errors
    /// [`JidError`] about the resourcepart.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = check(Part::Resourcepart, resource, prep::resourcepart)?;
        let text: Arc<str> = [self.as_str(), "/", &resource].concat().into();
        Ok(FullJid(Jid {
            start: 0,
            domain: self.0.domain - self.0.start,
            bare_end: self.0.end - self.0.start,
            end: offset(text.len()),
            text,
        }))
    }
}

impl FullJid {
    /// Reads an address that has a resourcepart.
    ///
    /// # Errors
    /// As of [`Jid::parse`], and [`JidError::NoResource`].
    pub fn parse(input: &str) -> Result<Self, JidError> {
        Jid::parse(input)?.try_into()
    }

    /// What stands after the first `/`; never empty.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.slice(self.bare_end + 1, self.end)
    }
}

/// Three parts of at most 1023 bytes and two separators fit.
fn offset(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("checked parts are together shorter than 3072 bytes")
}

impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        // Most that are compared are one and the same string.
        let is_same = Arc::ptr_eq(&self.text, &other.text)
            && (self.start, self.end) == (other.start, other.end);
        is_same || self.as_str() == other.as_str()
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// As of the string, so that a map keyed by addresses can be asked with a `&str`.
impl Hash for Jid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Deref for BareJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl Deref for FullJid {
    type Target = Jid;

    fn deref(&self) -> &Jid {
        &self.0
    }
}

impl TryFrom<Jid> for BareJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_bare() { Ok(Self(jid)) } else { Err(JidError::UnexpectedResource) }
    }
}

impl TryFrom<Jid> for FullJid {
    type Error = JidError;

    fn try_from(jid: Jid) -> Result<Self, JidError> {
        if jid.is_bare() { Err(JidError::NoResource) } else { Ok(Self(jid)) }
    }
}

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Self {
        jid.0
    }
}

impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Self {
        jid.0
    }
}

/// What all three types do as their string does.
macro_rules! as_string {
    ($($name:ident),*) => {$(
        impl FromStr for $name {
            type Err = JidError;

            fn from_str(input: &str) -> Result<Self, JidError> {
                Self::parse(input)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.as_str()).finish()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }
    )*};
}

as_string!(Jid, BareJid, FullJid);

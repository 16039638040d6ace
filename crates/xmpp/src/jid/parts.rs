//! The parts of an address on their way into one: prepared, held to their length, put together.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{JidError, PART_BYTES_MAX};
use crate::prep::{self, PrepError};

/// The most bytes of a part that are looked at at all. Preparation may shorten a string, but
/// nobody types four times what may remain.
const RAW_PART_BYTES_MAX: usize = 4 * PART_BYTES_MAX;

/// A part of an address, as named by RFC 7622 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the terms of RFC 7622")]
pub enum Part {
    Localpart,
    Domainpart,
    Resourcepart,
}

/// The three parts, prepared and checked.
pub(super) struct Parts<'a> {
    local: Option<Cow<'a, str>>,
    domain: Cow<'a, str>,
    resource: Option<Cow<'a, str>>,
}

impl<'a> Parts<'a> {
    pub(super) fn prepare(
        local: Option<&'a str>,
        domain: &'a str,
        resource: Option<&'a str>,
    ) -> Result<Self, JidError> {
        Ok(Self {
            local: local.map(|part| check(Part::Localpart, part, prep::localpart)).transpose()?,
            domain: check(Part::Domainpart, domain, prep::domainpart)?,
            resource: resource
                .map(|part| check(Part::Resourcepart, part, prep::resourcepart))
                .transpose()?,
        })
    }

    pub(super) fn is_borrowed(&self) -> bool {
        let owned = |part: &Option<Cow<'_, str>>| matches!(part, Some(Cow::Owned(_)));
        !owned(&self.local) && !owned(&self.resource) && matches!(self.domain, Cow::Borrowed(_))
    }

    pub(super) fn length(&self) -> usize {
        let with_separator =
            |part: &Option<Cow<'_, str>>| part.as_ref().map_or(0, |part| part.len() + 1);
        with_separator(&self.local) + self.domain.len() + with_separator(&self.resource)
    }

    pub(super) fn join(&self) -> Arc<str> {
        let mut text = String::with_capacity(self.length());
        if let Some(local) = &self.local {
            text.push_str(local);
            text.push('@');
        }
        text.push_str(&self.domain);
        if let Some(resource) = &self.resource {
            text.push('/');
            text.push_str(resource);
        }
        text.into()
    }

    /// Where the domainpart begins.
    pub(super) fn domain_at(&self) -> usize {
        self.local.as_ref().map_or(0, |local| local.len() + 1)
    }

    /// Where the bare address ends.
    pub(super) fn bare_end(&self) -> usize {
        self.domain_at() + self.domain.len()
    }
}

type Prepare<'a> = fn(&'a str) -> Result<Cow<'a, str>, PrepError>;

/// Prepares one part and holds it to its length (RFC 7622 §3.2 to §3.4: after preparation).
pub(super) fn check<'a>(
    part: Part,
    raw: &'a str,
    prepare: Prepare<'a>,
) -> Result<Cow<'a, str>, JidError> {
    if raw.len() > RAW_PART_BYTES_MAX {
        return Err(JidError::TooLong(part));
    }
    let prepared = prepare(raw).map_err(|error| JidError::Invalid(part, error))?;
    match prepared.len() {
        0 => Err(JidError::Empty(part)),
        1..=PART_BYTES_MAX => Ok(prepared),
        _ => Err(JidError::TooLong(part)),
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Localpart => "localpart",
            Self::Domainpart => "domainpart",
            Self::Resourcepart => "resourcepart",
        })
    }
}

//! The rules by which the parts of an address become comparable: Nodeprep, Nameprep and
//! Resourceprep (RFC 6122), and the narrower rule for names made here ([`new_localpart`]).
//!
//! The deployed network compares addresses by RFC 6122 (stringprep over Unicode 3.2), so that is
//! what addresses of others are held to. Code points that Unicode 3.2 did not know are let through
//! unchanged ("queries" in RFC 3454 §7), or no nick could contain an emoji. RFC 7622 (PRECIS)
//! would refuse or separate some of the same names; see the tests for the rows where they differ.
//!
//! This module knows characters; what an address is made of is known to [`crate::jid`].

mod precis;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::Ipv6Addr;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;

pub use precis::{NewNameError, new_localpart};

/// Why a string cannot be a part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrepError {
    /// A character that the profile prohibits, after mapping (RFC 3454 §5).
    #[error("prohibited character {0:?}")]
    Prohibited(char),
    /// Right-to-left and left-to-right text mixed as RFC 3454 §6 forbids.
    #[error("mixed directions of writing")]
    Bidi,
    /// A domain label that is empty, or begins or ends with a hyphen (RFC 3490 §4.1).
    #[error("malformed domain label")]
    Label,
    /// Brackets around something other than an IPv6 address (RFC 3986 §3.2.2).
    #[error("malformed IP literal")]
    IpLiteral,
}

/// Applies Nodeprep (RFC 6122 Appendix A). Borrows when nothing changes.
///
/// # Errors
/// [`PrepError::Prohibited`] and [`PrepError::Bidi`].
pub fn localpart(input: &str) -> Result<Cow<'_, str>, PrepError> {
    if is_all(input, LOCAL) {
        return Ok(Cow::Borrowed(input));
    }
    prepare(Profile::Node, input).map(Cow::Owned)
}

/// Applies Resourceprep (RFC 6122 Appendix B). Borrows when nothing changes.
///
/// # Errors
/// [`PrepError::Prohibited`] and [`PrepError::Bidi`].
pub fn resourcepart(input: &str) -> Result<Cow<'_, str>, PrepError> {
    if is_all(input, RESOURCE) {
        return Ok(Cow::Borrowed(input));
    }
    prepare(Profile::Resource, input).map(Cow::Owned)
}

/// Brings a domain name or IP literal into the form in which it is compared (RFC 6122 §2.2,
/// RFC 7622 §3.2). Borrows when nothing changes but a final dot.
///
/// The final dot goes first; then each label goes through Nameprep and may contain, of ASCII, only
/// letters, digits, hyphens (UseSTD3ASCIIRules of RFC 3490 §4) and, since hosts in private networks
/// have it, the underscore. Labels in ACE form (`xn--`) stay as they are, as other servers leave
/// them. The length limits of DNS are left to the resolver.
///
/// # Errors
/// All of [`PrepError`].
pub fn domainpart(input: &str) -> Result<Cow<'_, str>, PrepError> {
    let input = input.strip_suffix(is_label_separator).unwrap_or(input);
    if input.starts_with('[') {
        return ip_literal(input).map(Cow::Owned);
    }
    if is_all(input, DOMAIN) {
        check_labels(input)?;
        return Ok(Cow::Borrowed(input));
    }
    let mut output = String::with_capacity(input.len());
    for (index, label) in input.split(is_label_separator).enumerate() {
        if index > 0 {
            output.push('.');
        }
        let label = prepare(Profile::Name, label)?;
        let outside =
            |c: char| c.is_ascii() && (c == '.' || !is_all(c.encode_utf8(&mut [0]), DOMAIN));
        if let Some(c) = label.chars().find(|&c| outside(c)) {
            return Err(PrepError::Prohibited(c));
        }
        output.push_str(&label);
    }
    check_labels(&output)?;
    Ok(Cow::Owned(output))
}

/// Refuses what ToASCII would: empty labels, hyphens at the ends (RFC 3490 §4.1 steps 3 and 8).
/// The empty string is left to the caller, who has a better error for it.
fn check_labels(domain: &str) -> Result<(), PrepError> {
    let bad = |label: &str| label.is_empty() || label.starts_with('-') || label.ends_with('-');
    if !domain.is_empty() && domain.split('.').any(bad) {
        return Err(PrepError::Label);
    }
    Ok(())
}

/// The four dots of RFC 3490 §3.1.
fn is_label_separator(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{FF0E}' | '\u{FF61}')
}

/// An IPv6 address in brackets, in its one canonical spelling (RFC 5952). Zone identifiers mean
/// nothing beyond one host, so they are refused.
fn ip_literal(input: &str) -> Result<String, PrepError> {
    let inner = input.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: Ipv6Addr =
        inner.and_then(|inner| inner.parse().ok()).ok_or(PrepError::IpLiteral)?;
    Ok(format!("[{address}]"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Node,
    Name,
    Resource,
}

/// The steps of RFC 3454 §1: map, normalise, prohibit, check bidi.
fn prepare(profile: Profile, input: &str) -> Result<String, PrepError> {
    let output = normalise(&map(profile, input));
    match output.chars().find(|&c| is_prohibited(profile, c)) {
        Some(c) => Err(PrepError::Prohibited(c)),
        None if mixes_directions(&output) => Err(PrepError::Bidi),
        None => Ok(output),
    }
}

/// Tables B.1 (map to nothing) and, for names, B.2 (fold case).
fn map(profile: Profile, input: &str) -> String {
    let kept = input.chars().filter(|&c| !tables::commonly_mapped_to_nothing(c));
    match profile {
        Profile::Resource => kept.collect(),
        Profile::Node | Profile::Name => kept.flat_map(tables::case_fold_for_nfkc).collect(),
    }
}

/// NFKC as Unicode 3.2 knew it: a code point without an assignment there neither decomposes nor
/// composes nor lets a mark pass, so the text on both sides of it is normalised by itself.
/// (What was assigned then normalises the same for ever, by Unicode's stability policy.)
fn normalise(mapped: &str) -> String {
    let mut output = String::with_capacity(mapped.len());
    let mut rest = mapped;
    while let Some((at, c)) = rest.char_indices().find(|&(_, c)| tables::unassigned_code_point(c)) {
        let (known, unknown) = rest.split_at(at);
        output.extend(known.nfkc());
        output.push(c);
        rest = unknown.strip_prefix(c).unwrap_or_default();
    }
    output.extend(rest.nfkc());
    output
}

/// The prohibited output of the three profiles (RFC 6122 A.5, B.5; RFC 3491 §5).
fn is_prohibited(profile: Profile, c: char) -> bool {
    let ascii = match profile {
        Profile::Node => c.is_ascii() && !is_all(c.encode_utf8(&mut [0]), LOCAL),
        Profile::Resource => tables::ascii_control_character(c),
        Profile::Name => false,
    };
    ascii
        || tables::non_ascii_space_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6. Code points unknown to Unicode 3.2 stand in neither table D.1 nor D.2.
fn mixes_directions(text: &str) -> bool {
    let right = |c: char| tables::bidi_r_or_al(c) && !tables::unassigned_code_point(c);
    let left = |c: char| tables::bidi_l(c) && !tables::unassigned_code_point(c);
    text.contains(right)
        && (text.contains(left) || !text.starts_with(right) || !text.ends_with(right))
}

/// Bits of [`CLASS`]: the ASCII characters that each profile leaves as they are.
const LOCAL: u8 = 1;
const DOMAIN: u8 = 2;
const RESOURCE: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0x20;
    while byte < 0x7f {
        let excluded =
            matches!(byte, b' ' | b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@');
        let mut class = RESOURCE;
        if !excluded && !byte.is_ascii_uppercase() {
            class |= LOCAL;
        }
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        {
            class |= DOMAIN;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

/// Whether each byte is of the class. Bytes beyond ASCII are of none.
fn is_all(text: &str, class: u8) -> bool {
    text.bytes().all(|byte| CLASS[usize::from(byte)] & class != 0)
}

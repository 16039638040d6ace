//! Names made here: [`new_localpart`], and as much of PRECIS (RFC 8264, the UsernameCaseMapped
//! profile of RFC 8265 §3.3) as it needs. Addresses of others never pass through this file.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_compatible;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::{PrepError, localpart, tables};
use crate::jid::PART_BYTES_MAX;

/// Why a name may not be given to a new account or room, though others may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewNameError {
    /// Nodeprep refuses it (RFC 6122 Appendix A).
    #[error(transparent)]
    Prep(#[from] PrepError),
    /// No byte is left.
    #[error("empty name")]
    Empty,
    /// More than 1023 bytes.
    #[error("name longer than 1023 bytes")]
    TooLong,
    /// A code point that Unicode 3.2 did not know: strict peers would refuse it (RFC 3454 §7).
    #[error("character {0:?} is newer than Unicode 3.2")]
    Unassigned(char),
    /// A character that the PRECIS IdentifierClass does not allow (here) (RFC 8264 §4.2).
    #[error("character {0:?} is not allowed in names")]
    Disallowed(char),
    /// The Bidi Rule of RFC 5893 §2 is not kept.
    #[error("mixed directions of writing")]
    Bidi,
    /// RFC 6122 and RFC 7622 make different names of it, as of `ß` or final sigma.
    #[error("the name is not the same by the old and the new address rules")]
    Ambiguous,
}

/// Accepts a localpart for a new account or room only where RFC 6122 (Nodeprep) and RFC 7622
/// (UsernameCaseMapped) give the same name, so that neither rule ever splits or joins accounts.
/// The name to keep is [`localpart`] of the input.
///
/// # Errors
/// What [`NewNameError`] lists.
pub fn new_localpart(input: &str) -> Result<(), NewNameError> {
    if input.len() > 4 * PART_BYTES_MAX {
        return Err(NewNameError::TooLong);
    }
    let name = localpart(input)?;
    if name.is_empty() {
        return Err(NewNameError::Empty);
    }
    if name.len() > PART_BYTES_MAX {
        return Err(NewNameError::TooLong);
    }
    if let Some(c) = name.chars().find(|&c| tables::unassigned_code_point(c)) {
        return Err(NewNameError::Unassigned(c));
    }
    if username_case_mapped(input)? != name {
        return Err(NewNameError::Ambiguous);
    }
    Ok(())
}

/// UsernameCaseMapped enforcement (RFC 8265 §3.3.3): width mapping, IdentifierClass, case mapping,
/// NFC, Bidi Rule. Case is mapped per character, without Unicode's special final sigma.
fn username_case_mapped(input: &str) -> Result<String, NewNameError> {
    let prepared = map_width(input);
    check_identifier(&prepared)?;
    let name: String = prepared.chars().flat_map(char::to_lowercase).nfc().collect();
    if breaks_bidi_rule(&name) {
        return Err(NewNameError::Bidi);
    }
    Ok(name)
}

/// Fullwidth and halfwidth code points to their decompositions (UAX 11).
fn map_width(input: &str) -> String {
    let mut output = String::with_capacity(input.len());
    for c in input.chars() {
        if matches!(c, '\u{3000}' | '\u{FF01}'..='\u{FFEF}') {
            decompose_compatible(c, |part| output.push(part));
        } else {
            output.push(c);
        }
    }
    output
}

/// Every code point PVALID, or CONTEXTO with its rule kept (RFC 8264 §4.2).
fn check_identifier(text: &str) -> Result<(), NewNameError> {
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let allowed = if is_contextual(c) {
            context_holds(c, before, rest.clone().next(), text)
        } else {
            is_valid(c)
        };
        if !allowed {
            return Err(NewNameError::Disallowed(c));
        }
        before = Some(c);
    }
    Ok(())
}

/// The order of RFC 8264 §8, as far as it decides what the IdentifierClass lets pass.
fn is_valid(c: char) -> bool {
    match c {
        // Exceptions (§9.6).
        '\u{DF}' | '\u{3C2}' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => true,
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => {
            false
        }
        // ASCII7 (§9.11).
        '\u{21}'..='\u{7E}' => true,
        // OldHangulJamo (§9.9).
        '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97C}' | '\u{D7B0}'..='\u{D7FB}' => false,
        // PrecisIgnorableProperties (§9.13), those that would count as letters or marks below.
        '\u{34F}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' => false,
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => false,
        // HasCompat (§9.17).
        _ if !std::iter::once(c).nfkc().eq(std::iter::once(c)) => false,
        // LetterDigits (§9.1); all that is left is not for identifiers.
        _ => matches!(
            c.general_category(),
            GeneralCategory::LowercaseLetter
                | GeneralCategory::UppercaseLetter
                | GeneralCategory::OtherLetter
                | GeneralCategory::DecimalNumber
                | GeneralCategory::ModifierLetter
                | GeneralCategory::NonspacingMark
                | GeneralCategory::SpacingMark
        ),
    }
}

/// CONTEXTO of RFC 8264 §9.6. The joiners (CONTEXTJ) are not here: Nodeprep drops them, so a name
/// with one could never be the same by both rules.
fn is_contextual(c: char) -> bool {
    is_arabic_digit(c)
        || is_extended_arabic_digit(c)
        || matches!(c, '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}')
}

/// RFC 5892 Appendix A.3 to A.9. Scripts are told by the blocks that hold their letters.
fn context_holds(c: char, before: Option<char>, after: Option<char>, text: &str) -> bool {
    match c {
        '\u{B7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => {
            after.is_some_and(|c| matches!(c, '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}'))
        }
        '\u{5F3}' | '\u{5F4}' => before.is_some_and(|c| matches!(c, '\u{591}'..='\u{5F4}')),
        '\u{30FB}' => text.chars().any(is_japanese),
        _ if is_arabic_digit(c) => !text.contains(is_extended_arabic_digit),
        _ => !text.contains(is_arabic_digit),
    }
}

/// Hiragana, Katakana or Han (RFC 5892 A.7), the middle dot itself not counted.
fn is_japanese(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3041}'..='\u{309F}' | '\u{30A1}'..='\u{30FA}'
        | '\u{30FD}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{2FA1F}')
}

fn is_arabic_digit(c: char) -> bool {
    matches!(c, '\u{660}'..='\u{669}')
}

fn is_extended_arabic_digit(c: char) -> bool {
    matches!(c, '\u{6F0}'..='\u{6F9}')
}

/// The six conditions of RFC 5893 §2, for strings with a right-to-left code point.
fn breaks_bidi_rule(text: &str) -> bool {
    use BidiClass::{AL, AN, BN, CS, EN, ES, ET, L, NSM, ON, R};
    let has = |wanted: BidiClass| text.chars().any(|c| bidi_class(c) == wanted);
    if !has(R) && !has(AL) && !has(AN) {
        return false;
    }
    let mut classes = text.chars().map(bidi_class);
    let first = classes.clone().next();
    let last = classes.clone().rfind(|&class| class != NSM);
    let neutral = |class| matches!(class, EN | ES | CS | ET | ON | BN | NSM);
    match first {
        Some(R | AL) => {
            let foreign = classes.any(|class| !neutral(class) && !matches!(class, R | AL | AN));
            foreign || !matches!(last, Some(R | AL | EN | AN)) || (has(EN) && has(AN))
        }
        // A left-to-right string may hold none of R, AL, AN, and this one does.
        Some(L) => true,
        _ => true,
    }
}

//! SASLprep (RFC 4013): how user names and passwords are prepared before they are compared or
//! hashed.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;

/// The text cannot be prepared: it holds a prohibited character or breaks the rule for
/// bidirectional text (RFC 4013 §2.3 to §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is prohibited by SASLprep")]
pub struct Prohibited;

/// Prepares a string that is to be stored, such as a new password: code points unassigned in
/// Unicode 3.2 are prohibited (RFC 3454 §7). The result may be empty.
///
/// # Errors
/// [`Prohibited`].
pub fn stored(text: &str) -> Result<Cow<'_, str>, Prohibited> {
    let prepared = query(text)?;
    if prepared.contains(tables::unassigned_code_point) { Err(Prohibited) } else { Ok(prepared) }
}

/// Prepares a string that is only to be compared, such as a presented user name: unassigned code
/// points are let through, as they can match nothing that is stored. The result may be empty.
///
/// # Errors
/// [`Prohibited`].
pub fn query(text: &str) -> Result<Cow<'_, str>, Prohibited> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(Cow::Borrowed(text));
    }
    let prepared: String = text
        .chars()
        .map(|c| if tables::non_ascii_space_character(c) { ' ' } else { c })
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .nfkc()
        .collect();
    if prepared.contains(is_prohibited) || breaks_bidi_rule(&prepared) {
        return Err(Prohibited);
    }
    Ok(Cow::Owned(prepared))
}

/// RFC 4013 §2.3; surrogates (C.5) are no Rust characters.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6: text with a right-to-left character has no left-to-right one, and begins and ends
/// with a right-to-left character.
fn breaks_bidi_rule(text: &str) -> bool {
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !text.starts_with(tables::bidi_r_or_al)
            || !text.ends_with(tables::bidi_r_or_al))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4013 §3
    #[test]
    fn the_examples_of_the_rfc_hold() {
        let table = [
            ("I\u{ad}X", Ok("IX"), "a soft hyphen vanishes"),
            ("user", Ok("user"), "nothing to do"),
            ("USER", Ok("USER"), "case is kept"),
            ("\u{aa}", Ok("a"), "compatibility form"),
            ("\u{2168}", Ok("IX"), "equal to the first"),
            ("\u{7}", Err(Prohibited), "control character"),
            ("\u{627}1", Err(Prohibited), "bidirectional text"),
        ];
        for (input, output, why) in table {
            assert_eq!(stored(input).as_deref(), output.as_deref(), "{why}");
            assert_eq!(query(input).as_deref(), output.as_deref(), "{why}");
        }
    }

    #[test]
    fn each_class_of_prohibited_characters_is_refused() {
        let prohibited = [
            "\0",
            "a\u{7f}",
            "a\u{80}",
            "a\u{e000}",
            "a\u{fdd0}",
            "a\u{fffd}",
            "a\u{2ff0}",
            "a\u{200e}",
            "a\u{e0041}",
            "a\u{206a}",
            "\u{627}a\u{628}",
        ];
        for text in prohibited {
            assert_eq!(query(text), Err(Prohibited), "{text:?}");
        }
    }

    #[test]
    fn spaces_become_ascii_and_ascii_is_not_copied() {
        assert_eq!(stored("a\u{a0}b\u{3000}c").as_deref(), Ok("a b c"));
        assert!(matches!(stored("correct horse ~!"), Ok(Cow::Borrowed(_))));
        assert_eq!(query("\u{ad}").as_deref(), Ok(""));
    }

    // RFC 3454 §7: U+1F600 came after Unicode 3.2
    #[test]
    fn unassigned_code_points_may_be_asked_for_but_not_stored() {
        assert_eq!(query("\u{1f600}").as_deref(), Ok("\u{1f600}"));
        assert_eq!(stored("\u{1f600}"), Err(Prohibited));
    }

    #[test]
    fn right_to_left_text_alone_is_fine() {
        assert_eq!(stored("\u{627}1\u{628}").as_deref(), Ok("\u{627}1\u{628}"));
    }
}

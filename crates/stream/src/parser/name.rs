//! Owns which names may stand in a stream. XML 1.0 has two answers: its fifth edition, which our lexer follows,
//! and the four before it, which expat and so most of the deployed network follow. A name that only one half of
//! the world takes for one would end the streams of the other half, so names are held to what all take.

use xmpp::{StreamCondition, StreamError};

use super::fault::{fault, too_much};
use crate::Limits;

/// Letters beyond ASCII that every edition of XML 1.0 allows anywhere in a name: the larger ranges of its
/// production BaseChar and Ideographic (fourth edition, appendix B).
const LETTERS: &[(char, char)] = &[
    ('\u{C0}', '\u{D6}'),
    ('\u{D8}', '\u{F6}'),
    ('\u{F8}', '\u{131}'),
    ('\u{134}', '\u{13E}'),
    ('\u{141}', '\u{148}'),
    ('\u{14A}', '\u{17E}'),
    ('\u{180}', '\u{1C3}'),
    ('\u{1CD}', '\u{1F0}'),
    ('\u{1FA}', '\u{217}'),
    ('\u{250}', '\u{2A8}'),
    ('\u{388}', '\u{38A}'),
    ('\u{38E}', '\u{3A1}'),
    ('\u{3A3}', '\u{3CE}'),
    ('\u{401}', '\u{40C}'),
    ('\u{40E}', '\u{44F}'),
    ('\u{451}', '\u{45C}'),
    ('\u{45E}', '\u{481}'),
    ('\u{490}', '\u{4C4}'),
    ('\u{4D0}', '\u{4EB}'),
    ('\u{531}', '\u{556}'),
    ('\u{561}', '\u{586}'),
    ('\u{5D0}', '\u{5EA}'),
    ('\u{621}', '\u{63A}'),
    ('\u{671}', '\u{6B7}'),
    ('\u{905}', '\u{939}'),
    ('\u{E01}', '\u{E2E}'),
    ('\u{F49}', '\u{F69}'),
    ('\u{10A0}', '\u{10C5}'),
    ('\u{10D0}', '\u{10F6}'),
    ('\u{1E00}', '\u{1E9B}'),
    ('\u{1EA0}', '\u{1EF9}'),
    ('\u{1F20}', '\u{1F45}'),
    ('\u{1F5F}', '\u{1F7D}'),
    ('\u{1F80}', '\u{1FB4}'),
    ('\u{3041}', '\u{3094}'),
    ('\u{30A1}', '\u{30FA}'),
    ('\u{3105}', '\u{312C}'),
    ('\u{4E00}', '\u{9FA5}'),
    ('\u{AC00}', '\u{D7A3}'),
];

/// Holds a prefix or a local name to what all parsers take, and to the limit.
pub(super) fn check(name: &str, limits: &Limits) -> Result<(), StreamError> {
    if name.len() > limits.name_bytes {
        return Err(too_much("name too long"));
    }
    // Of ASCII names the lexer has seen to all.
    if name.is_ascii() || name.chars().all(|letter| letter.is_ascii() || is_letter(letter)) {
        return Ok(());
    }
    Err(fault(StreamCondition::NotWellFormed, "name with characters that not all parsers allow"))
}

/// Holds the name of a namespace to the limit, and to what a URI may hold (RFC 3986 §2, and letters beyond
/// ASCII). Parsers put a character that no URI holds, such as `}` or a space, between namespace and local
/// name, and refuse a namespace in which it stands.
pub(super) fn check_namespace(name: &str, limits: &Limits) -> Result<(), StreamError> {
    if name.len() > limits.name_bytes {
        return Err(too_much("namespace name too long"));
    }
    let no_uri = |byte: u8| byte <= b' ' || byte == 0x7F || br#"<>"{}|\^`"#.contains(&byte);
    match name.bytes().any(no_uri) {
        true => Err(fault(StreamCondition::NotWellFormed, "namespace name that is no URI")),
        false => Ok(()),
    }
}

fn is_letter(letter: char) -> bool {
    let after = LETTERS.partition_point(|&(first, _)| first <= letter);
    let range = after.checked_sub(1).and_then(|at| LETTERS.get(at));
    range.is_some_and(|&(_, last)| letter <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_what_all_parsers_take() {
        let check = |name: &str| check(name, &Limits::AFTER_LOGIN).map_err(|e| e.condition);
        for name in
            ["body", "a-b.c_1", "pr\u{e9}nom", "\u{c0}", "\u{d6}", "имя", "名前", "\u{d7a3}"]
        {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["\u{1F600}ping", "a\u{b7}", "a\u{2c6}", "\u{d7}", "\u{20000}", "a\u{300}"] {
            assert_eq!(check(name), Err(StreamCondition::NotWellFormed), "{name}");
        }
        assert_eq!(check(&"x".repeat(1025)), Err(StreamCondition::PolicyViolation));
    }

    #[test]
    fn names_of_namespaces_are_uris() {
        let check =
            |name: &str| check_namespace(name, &Limits::AFTER_LOGIN).map_err(|e| e.condition);
        for name in ["urn:x", "a", "http://x.example/~a?b=(c)&d='%20'#e!$,;@[1]*+", "urn:\u{e9}"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["a b", "urn:{x}", "a\nb", "a|b", "a\\b", "<", "\"", "^", "`", "\u{7f}"] {
            assert_eq!(check(name), Err(StreamCondition::NotWellFormed), "{name}");
        }
        assert_eq!(check(&"x".repeat(1025)), Err(StreamCondition::PolicyViolation));
    }

    #[test]
    fn the_letters_are_in_order() {
        assert!(LETTERS.iter().all(|(first, last)| first <= last));
        assert!(LETTERS.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}

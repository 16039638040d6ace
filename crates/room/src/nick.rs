//! Owns nicks: which may be used, and which are the same to the eye (XEP-0045 §7.2.8, §17.1). Pure.

use xmpp::{BareJid, FullJid, StanzaCondition, StanzaError};

/// The address of an occupant of this nick.
///
/// # Errors
/// `jid-malformed` for none, or one of spaces only (§17.1); `not-acceptable` for one that is too long.
pub(crate) fn occupant_jid(
    room: &BareJid,
    nick: &str,
    most_chars: usize,
) -> Result<FullJid, StanzaError> {
    if nick.chars().all(is_blank) {
        return Err(StanzaCondition::JidMalformed.into());
    }
    if nick.chars().count() > most_chars {
        let error = StanzaError::from(StanzaCondition::NotAcceptable);
        return Err(error.with_text(format!("a nick has at most {most_chars} characters")));
    }
    room.with_resource(nick).map_err(|_| StanzaCondition::JidMalformed.into())
}

/// The form by which nicks are compared: without case, without space around it, and with one letter for all that
/// look like it (UTS #39 §4), so that nobody passes for somebody else by these (§14.6 item 7).
#[must_use]
pub(crate) fn folded(nick: &str) -> Box<str> {
    let mut folded = String::with_capacity(nick.len());
    for word in nick.split(is_blank).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        let lower: String = word.chars().flat_map(char::to_lowercase).collect();
        folded.extend(unicode_security::skeleton(&lower));
    }
    folded.into()
}

/// Spaces, and what leaves no mark on paper.
fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> BareJid {
        BareJid::parse("coven@chat.x.org").unwrap()
    }

    fn condition(nick: &str) -> Option<StanzaCondition> {
        occupant_jid(&room(), nick, 8).err().map(|error| error.condition)
    }

    #[test]
    fn blank_and_endless_nicks_are_refused() {
        assert_eq!(condition(""), Some(StanzaCondition::JidMalformed));
        assert_eq!(condition("  "), Some(StanzaCondition::JidMalformed));
        assert_eq!(condition("\u{2800}\u{3164}"), Some(StanzaCondition::JidMalformed));
        assert_eq!(condition("123456789"), Some(StanzaCondition::NotAcceptable));
        assert_eq!(condition("Ärgernis"), None);
    }

    #[test]
    fn nicks_that_look_the_same_are_the_same() {
        for (one, other) in [
            ("Witch", "witch"),
            ("a  b", " a b "),
            ("a\u{200b}", "A"),
            // Cyrillic letters, digits, and letters of mathematics.
            ("\u{440}\u{430}\u{443}\u{440}\u{430}l", "paypal"),
            ("w1tch", "wltch"),
            ("\u{1d430}itch", "Witch"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} {other:?}");
        }
        assert_ne!(folded("ab"), folded("a b"));
    }
}

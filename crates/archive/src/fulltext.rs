//! XEP-0431 Full Text Search in MAM, version 0.2.0: words that a message must have in its text. There is no index: rows are
//! looked through, so many and no more ([`crate::page::ROWS_LOOKED_AT`]).

use xmpp::{Element, StanzaCondition, StanzaError, ns};

/// The field of a query (§3.1).
pub const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";
/// What disco says where texts are searched (§2.1).
pub const FEATURE: &str = "urn:xmpp:fulltext:0";

/// Most words, and most bytes of them together.
const WORDS_MOST: usize = 16;
const BYTES_MOST: usize = 512;

/// What is looked for: every word of the text, wherever it stands, in letters large or small.
///
/// # Errors
/// `policy-violation` for too many.
pub(crate) fn words(text: &str) -> Result<Vec<String>, StanzaError> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.len() > WORDS_MOST || text.len() > BYTES_MOST {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_text("too many words"));
    }
    Ok(words)
}

/// Whether a message has all of these words in a body or its subject.
pub(crate) fn is_in(words: &[String], message: &Element) -> bool {
    let is_text = |child: &&Element| {
        matches!(child.name(), "body" | "subject") && matches!(child.ns(), ns::CLIENT | ns::NONE)
    };
    let texts = message.children().filter(is_text).map(Element::text);
    let text = texts.map(|text| text.to_lowercase()).collect::<Vec<_>>().join("\n");
    words.iter().all(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(wanted: &str, inner: &str) -> bool {
        let xml = format!("<message xmlns='jabber:client'>{inner}</message>");
        is_in(&words(wanted).unwrap(), &Element::parse(xml.as_bytes()).unwrap())
    }

    #[test]
    fn all_words_are_looked_for_in_texts_whatever_the_case() {
        let said = "<subject>Balcony</subject><body>Thou know\u{2019}st the MASK of night</body>";
        for wanted in ["mask", "night MASK", "balcony the", "ni"] {
            assert!(finds(wanted, said), "{wanted}");
        }
        assert!(finds("stra\u{df}e", "<body>STRA\u{df}E</body>"));
        for wanted in ["day", "mask day"] {
            assert!(!finds(wanted, said), "{wanted}");
        }
        assert!(!finds("secret", "<x xmlns='urn:x'><body>secret</body></x>"));
        assert!(!finds("secret", "<body xmlns='urn:x'>secret</body>"));
    }

    #[test]
    fn too_many_words_are_refused() {
        assert!(words(&"a ".repeat(WORDS_MOST)).is_ok());
        assert!(words(&"a ".repeat(WORDS_MOST + 1)).is_err());
        assert!(words(&"a".repeat(BYTES_MOST + 1)).is_err());
    }
}

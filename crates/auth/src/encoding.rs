//! Base64 as the XMPP profile of SASL uses it (RFC 6120 §6.4.2, RFC 4648 §4): strict alphabet,
//! strict padding, no white space, and `=` for data that is there but empty.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Failure;

/// The most octets one decoded message may have. A PLAIN message with the longest bare JID, user
/// name and password stays below it.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// Decodes the text of `<auth/>`: `None` when there is no initial response, `Some` of nothing when
/// the text is `=`.
///
/// # Errors
/// As [`decode`].
pub fn decode_initial(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    if text.is_empty() { Ok(None) } else { decode(text).map(Some) }
}

/// Decodes the text of `<response/>`; `=` and no text at all both mean no octets.
///
/// # Errors
/// [`Failure::IncorrectEncoding`] for anything that is not canonical base64,
/// [`Failure::MalformedRequest`] when the data is longer than [`MAX_MESSAGE_BYTES`].
pub fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    if text == "=" {
        return Ok(Vec::new());
    }
    if text.len() > MAX_MESSAGE_BYTES.div_ceil(3) * 4 {
        return Err(Failure::MalformedRequest);
    }
    STANDARD.decode(text).map_err(|_| Failure::IncorrectEncoding)
}

/// Encodes the data of a `<challenge/>`: plain base64, so no data is no text.
#[must_use]
pub fn encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// Encodes an initial response or the additional data of `<success/>`: no octets become `=`
/// (RFC 6120 §6.4.2, §6.4.6).
#[must_use]
pub fn encode_present(data: &[u8]) -> String {
    if data.is_empty() { "=".to_owned() } else { encode(data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equals_sign_is_present_but_empty() {
        assert_eq!(decode_initial(""), Ok(None));
        assert_eq!(decode_initial("="), Ok(Some(Vec::new())));
        assert_eq!(decode(""), Ok(Vec::new()));
        assert_eq!(encode_present(b""), "=");
        assert_eq!(encode(b""), "");
        assert_eq!(encode_present(b"x"), "eA==");
    }

    #[test]
    fn whatever_is_not_canonical_base64_is_an_incorrect_encoding() {
        let wrong = [
            "==", "===", "====", "A", "AB", "ABC", "AB=", "A===", "AA==AA==", "AA=A", "=AAA",
            "AAA ", " AAAA", "AA\nAA", "AAAA\n", "A-_A", "AAA$", "AAAé", "AB==", "AAB=", "<auth/>",
            "\0AAA",
        ];
        for text in wrong {
            assert_eq!(decode(text), Err(Failure::IncorrectEncoding), "{text:?}");
            assert_eq!(decode_initial(text), Err(Failure::IncorrectEncoding), "{text:?}");
        }
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_before_it_is_decoded() {
        let most = encode(&[b'x'; MAX_MESSAGE_BYTES]);
        assert_eq!(decode(&most).map(|data| data.len()), Ok(MAX_MESSAGE_BYTES));
        assert_eq!(decode(&"A".repeat(most.len() + 4)), Err(Failure::MalformedRequest));
    }
}

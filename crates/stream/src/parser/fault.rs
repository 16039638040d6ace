//! Owns the mapping from what is wrong with the bytes to the stream error that says so (RFC 6120 §4.9.3).

use rxml::Error;
use xmpp::{StreamCondition, StreamError};

/// A stream error with words for people.
pub(super) fn fault(condition: StreamCondition, text: &str) -> StreamError {
    StreamError::from(condition).with_text(text)
}

/// A limit was passed; `what` names it.
pub(super) fn too_much(what: &str) -> StreamError {
    fault(StreamCondition::PolicyViolation, what)
}

/// The stream error for an error of the lexer. Where `rxml` tells causes apart by words only, tests pin
/// the words.
pub(super) fn of_lexer(error: Error) -> StreamError {
    let condition = match error {
        Error::RestrictedXml("long name or reference" | "event too long") => {
            return too_much("name or attribute too long");
        }
        Error::RestrictedXml("only utf-8 encoding is allowed") => {
            StreamCondition::UnsupportedEncoding
        }
        // `<!` that begins neither CDATA nor comment begins a DTD or one of its declarations.
        Error::RestrictedXml(_)
        | Error::UndeclaredEntity
        | Error::InvalidSyntax("malformed cdata or comment section start") => {
            StreamCondition::RestrictedXml
        }
        Error::UndeclaredNamespacePrefix(_)
        | Error::ReservedNamespacePrefix
        | Error::ReservedNamespaceName
        | Error::EmptyNamespaceUri => StreamCondition::BadNamespacePrefix,
        _ => StreamCondition::NotWellFormed,
    };
    fault(condition, &error.to_string())
}

/// The stream error for an error of the lexer before the stream is open: a zero byte there is UTF-16.
pub(super) fn of_prolog(error: Error) -> StreamError {
    match error {
        Error::UnexpectedByte(_, 0, _) => of_first_byte(0),
        other => of_lexer(other),
    }
}

/// The first byte of a stream is not `<`: another encoding, or no XML at all (RFC 6120 §11.6; a UTF-8 byte
/// order mark counts as a character there, and no text may stand before the root).
pub(super) fn of_first_byte(byte: u8) -> StreamError {
    match byte {
        0x00 | 0xFE | 0xFF => {
            fault(StreamCondition::UnsupportedEncoding, "only UTF-8 is spoken here")
        }
        _ => fault(StreamCondition::NotWellFormed, "no XML"),
    }
}

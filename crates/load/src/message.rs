//! The chat message of a measurement: it carries its pair, its number and when it was (to be) sent.

use crate::scan::{attribute, text};
use std::io::Write;
use std::time::Duration;

/// What a measured message says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which pair it belongs to.
    pub pair: usize,
    /// Its number in the pair's row, from 0.
    pub number: u64,
    /// When it was sent, counted from the start of the run.
    pub sent: Duration,
}

/// Appends a message to `to`, filled up to `size` bytes.
pub fn write(mark: Mark, to: &str, size: usize, out: &mut Vec<u8>) {
    write_as("chat", mark, to, size, out);
}

/// The same, of another type.
pub fn write_as(kind: &str, mark: Mark, to: &str, size: usize, out: &mut Vec<u8>) {
    const END: &[u8] = b"</body></message>";
    let Mark { pair, number, sent } = mark;
    let begin = out.len();
    let nanos = sent.as_nanos();
    write!(
        out,
        "<message to='{to}' type='{kind}' id='{pair}-{number}'><body>{pair} {number} {nanos} "
    )
    .expect("a Vec takes any bytes");
    let filled = (begin + size).saturating_sub(END.len());
    if out.len() < filled {
        out.resize(filled, b'.');
    }
    out.extend_from_slice(END);
}

/// The mark of a stanza, if it is a measured message and no error.
pub fn read(stanza: &[u8]) -> Option<Mark> {
    let body = text(stanza, b"<body>")?;
    let mut words = body.split(|b| *b == b' ').map(number);
    Some(Mark {
        pair: usize::try_from(words.next()??).ok()?,
        number: words.next()??,
        sent: Duration::from_nanos(words.next()??),
    })
}

/// Whether a stanza is an error.
pub fn is_error(stanza: &[u8]) -> bool {
    attribute(stanza, b"type") == Some(b"error")
}

fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 19 {
        return None;
    }
    word.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        Some(sum * 10 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_from_a_message_of_the_wanted_size() {
        let mark = Mark { pair: 7, number: 123_456, sent: Duration::from_nanos(9_876_543_210) };
        let mut out = b"before".to_vec();
        write(mark, "load7@localhost", 200, &mut out);
        assert_eq!(out.len(), 6 + 200);
        assert_eq!(read(&out[6..]), Some(mark));
        let mut small = Vec::new();
        write(mark, "load7@localhost", 10, &mut small);
        assert_eq!(read(&small), Some(mark));
    }

    #[test]
    fn other_stanzas_carry_no_mark() {
        assert_eq!(read(b"<message><body>hello</body></message>"), None);
        assert_eq!(read(b"<message><body>1 2</body></message>"), None);
        assert_eq!(read(b"<presence/>"), None);
        assert!(is_error(b"<message type='error'/>"));
        assert!(!is_error(b"<message type='chat'/>"));
    }
}

//! Finds where stanzas begin and end in a byte stream, and reads single attributes out of a tag.
//!
//! It trusts the sender: it counts tags and skips quotes, and checks neither names nor
//! well-formedness. A load generator spends its time elsewhere; a server must never read like this.

use memchr::{memchr, memchr3, memmem};
use std::ops::Range;

/// The longest item the scanner holds before it gives the stream up, in bytes.
pub const LONGEST_ITEM: usize = 1 << 20;

/// What a complete piece of the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The opening tag of the stream, with its XML declaration if there was one.
    Opening,
    /// A child of the stream, whole: a stanza, features, a SASL element.
    Stanza,
    /// The closing tag of the stream.
    Closing,
}

/// Where the scanner stands in a stream whose unread bytes begin at its `start`.
///
/// The caller keeps the bytes; after each pass it drops [`Scanner::take_consumed`] bytes from the front.
#[derive(Clone, Debug, Default)]
pub struct Scanner {
    start: usize,
    at: usize,
    depth: u32,
}

impl Scanner {
    /// The next complete item and where it lies in `bytes`, or `None` until more bytes come.
    ///
    /// An item longer than [`LONGEST_ITEM`] or a closing tag too many ends as `Err`.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<(Item, Range<usize>)>, Unreadable> {
        loop {
            let Some(found) = memchr(b'<', bytes.get(self.at..).unwrap_or_default()) else {
                self.at = bytes.len();
                if self.depth <= 1 {
                    self.start = self.at;
                }
                return self.more(bytes);
            };
            self.at += found;
            if self.depth <= 1 {
                self.start = self.at;
            }
            let Some(tag) = tag_at(bytes, self.at) else {
                return self.more(bytes);
            };
            self.at = tag.end;
            if let Some(item) = self.step(tag.kind)? {
                let range = self.start..self.at;
                self.start = self.at;
                return Ok(Some((item, range)));
            }
        }
    }

    /// How many bytes at the front are done with; afterwards the scanner counts from there.
    pub fn take_consumed(&mut self) -> usize {
        let consumed = self.start;
        self.at -= consumed;
        self.start = 0;
        consumed
    }

    fn more(&self, bytes: &[u8]) -> Result<Option<(Item, Range<usize>)>, Unreadable> {
        if bytes.len() - self.start > LONGEST_ITEM {
            return Err(Unreadable);
        }
        Ok(None)
    }

    fn step(&mut self, kind: TagKind) -> Result<Option<Item>, Unreadable> {
        match kind {
            TagKind::Other => Ok(None),
            TagKind::Empty => Ok((self.depth == 1).then_some(Item::Stanza)),
            TagKind::Open => {
                self.depth += 1;
                Ok((self.depth == 1).then_some(Item::Opening))
            }
            TagKind::Close => {
                self.depth = self.depth.checked_sub(1).ok_or(Unreadable)?;
                Ok(match self.depth {
                    0 => Some(Item::Closing),
                    1 => Some(Item::Stanza),
                    _ => None,
                })
            }
        }
    }
}

/// The bytes are no XML stream, or hold an item longer than [`LONGEST_ITEM`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a readable XML stream")]
pub struct Unreadable;

/// The name of the element whose bytes these are.
pub fn name(element: &[u8]) -> &[u8] {
    let inner = element.strip_prefix(b"<").unwrap_or(element);
    let end = inner.iter().position(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>'));
    inner.get(..end.unwrap_or(inner.len())).unwrap_or(inner)
}

/// The raw value of attribute `name` in the opening tag at the front of `element`.
pub fn attribute<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut at = self::name(element).len() + 1;
    loop {
        let rest = element.get(at..)?;
        let step = rest.iter().position(|b| !b.is_ascii_whitespace())?;
        let rest = rest.get(step..)?;
        let equals = memchr3(b'=', b'>', b'/', rest)?;
        let key = rest.get(..equals)?.trim_ascii_end();
        let quoted = rest.get(equals..)?.strip_prefix(b"=")?;
        let blank = quoted.iter().position(|b| !b.is_ascii_whitespace())?;
        let (quote, value) = quoted.get(blank..)?.split_first()?;
        let value = value.get(..memchr(*quote, value)?)?;
        if key == name {
            return Some(value);
        }
        at += step + equals + 1 + blank + 1 + value.len() + 1;
    }
}

/// The raw text between `<name>` and the next tag, for an element without attributes.
pub fn text<'a>(bytes: &'a [u8], opening: &[u8]) -> Option<&'a [u8]> {
    let from = memmem::find(bytes, opening)? + opening.len();
    let rest = bytes.get(from..)?;
    rest.get(..memchr(b'<', rest)?)
}

/// Whether `bytes` hold `part`.
pub fn holds(bytes: &[u8], part: &[u8]) -> bool {
    memmem::find(bytes, part).is_some()
}

#[derive(Clone, Copy)]
enum TagKind {
    Open,
    Close,
    Empty,
    /// Declarations, CDATA, comments: they change no depth.
    Other,
}

struct Tag {
    kind: TagKind,
    end: usize,
}

/// The tag that begins at `at`, if it is complete.
fn tag_at(bytes: &[u8], at: usize) -> Option<Tag> {
    let rest = bytes.get(at..)?;
    match rest.get(1)? {
        b'?' => ends(rest, b"?>", at),
        b'!' if rest.len() < 9 => None,
        b'!' if rest.starts_with(b"<![CDATA[") => ends(rest, b"]]>", at),
        b'!' if rest.starts_with(b"<!--") => ends(rest, b"-->", at),
        first => {
            let end = tag_end(rest)?;
            let kind = match (first, rest.get(end - 2)) {
                (b'/', _) => TagKind::Close,
                (b'!', _) => TagKind::Other,
                (_, Some(b'/')) => TagKind::Empty,
                _ => TagKind::Open,
            };
            Some(Tag { kind, end: at + end })
        }
    }
}

fn ends(rest: &[u8], mark: &[u8], at: usize) -> Option<Tag> {
    let end = at + memmem::find(rest, mark)? + mark.len();
    Some(Tag { kind: TagKind::Other, end })
}

/// One past the `>` that closes the tag at the front of `rest`, outside quotes.
fn tag_end(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let found = at + memchr3(b'>', b'\'', b'"', rest.get(at..)?)?;
        match rest.get(found)? {
            b'>' => return Some(found + 1),
            quote => at = found + 2 + memchr(*quote, rest.get(found + 1..)?)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' id=\"a>b\">\
        <message to='b@x' from=\"a@x/1\"><body>1 &lt; 2</body><x/></message> \n<presence/>\
        <iq type='get'><q a='/>'><![CDATA[</iq>]]></q></iq></stream:stream>";

    fn items(chunk: usize) -> Vec<(Item, Vec<u8>)> {
        let mut scanner = Scanner::default();
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for piece in STREAM.chunks(chunk) {
            held.extend_from_slice(piece);
            while let Some((item, range)) = scanner.next(&held).unwrap() {
                found.push((item, held[range].to_vec()));
            }
            held.drain(..scanner.take_consumed());
        }
        assert!(held.is_empty(), "nothing is left over");
        found
    }

    #[test]
    fn a_stream_falls_into_its_items_however_it_is_cut() {
        let whole = items(STREAM.len());
        let kinds: Vec<Item> = whole.iter().map(|(item, _)| *item).collect();
        use Item::{Closing, Opening, Stanza};
        assert_eq!(kinds, [Opening, Stanza, Stanza, Stanza, Closing]);
        assert!(whole[1].1.ends_with(b"<x/></message>"));
        assert_eq!(whole[2].1, b"<presence/>");
        assert!(whole[3].1.starts_with(b"<iq") && whole[3].1.ends_with(b"</iq>"));
        for chunk in 1..STREAM.len() {
            assert_eq!(items(chunk), whole, "in pieces of {chunk} bytes");
        }
    }

    #[test]
    fn an_item_without_end_is_refused() {
        let mut scanner = Scanner::default();
        let mut held = b"<stream:stream><message>".to_vec();
        assert!(scanner.next(&held).unwrap().is_some());
        held.resize(LONGEST_ITEM + 100, b'x');
        assert_eq!(scanner.next(&held), Err(Unreadable));
        assert_eq!(Scanner::default().next(b"</a>"), Err(Unreadable));
    }

    #[test]
    fn whitespace_between_stanzas_is_dropped() {
        let mut scanner = Scanner::default();
        assert!(scanner.next(b"<s>").unwrap().is_some());
        assert_eq!(scanner.take_consumed(), 3);
        assert_eq!(scanner.next(b"   ").unwrap(), None);
        assert_eq!(scanner.take_consumed(), 3);
    }

    #[test]
    fn attributes_are_read_by_name() {
        let tag = b"<message\n to='b@x' from = \"a'@x\" id='>'><body to='no'/></message>";
        assert_eq!(name(tag), b"message");
        assert_eq!(attribute(tag, b"to"), Some(&b"b@x"[..]));
        assert_eq!(attribute(tag, b"from"), Some(&b"a'@x"[..]));
        assert_eq!(attribute(tag, b"id"), Some(&b">"[..]));
        assert_eq!(attribute(tag, b"type"), None);
        assert_eq!(attribute(b"<presence/>", b"to"), None);
        assert_eq!(text(b"<a><jid>x@y/z</jid></a>", b"<jid>"), Some(&b"x@y/z"[..]));
    }
}

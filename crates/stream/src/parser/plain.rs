//! Owns the short way through a stanza that lies before it as a whole and is plain: elements and attributes
//! without prefixes, but for `xml:lang`; ASCII names; no reference but the five named ones, and those in text
//! alone; no CDATA, comment, carriage return, or control character.
//!
//! It knows no fault. Whatever is not plain - what is wrong, unusual, incomplete or near a limit - it leaves
//! untouched to the lexer, which judges it from its first byte. So it may refuse anything, and must never take
//! what the lexer would refuse, or write it in another way.

#[cfg(test)]
mod tests;

use smallvec::SmallVec;
use xmpp::stanza::Index;
use xmpp::{element, ns, writer};

use super::head::Attributes;
use super::name;
use crate::Limits;

/// A stanza that was read. Its canonical content stands at the end of the output.
pub(super) struct Plain<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) children: Index,
    /// How much of the input it took.
    pub(super) eaten: usize,
}

/// Reads the stanza at the beginning of `input` and appends its canonical content to `out`. The default
/// namespace there must be `content`. None, where it is not plain: then `out` must be cut back.
pub(super) fn read<'a>(
    input: &'a [u8],
    content: &'a str,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Option<Plain<'a>> {
    let base = out.len();
    let mut reader = Reader { input, at: 0, limits, declarations: 0 };
    reader.expect(b"<")?;
    let tag = reader.tag(content)?;
    if tag.ns != content || limits.depth == 0 {
        return None;
    }
    let attributes = tag.attributes()?;
    let mut children = Index::new();
    if !tag.is_empty {
        let mut open = Open { frames: SmallVec::new(), content, base, children };
        reader.content(tag.name, &mut open, out)?;
        children = open.children;
    }
    Some(Plain { attributes, children, eaten: reader.at })
}

struct Reader<'a, 'l> {
    input: &'a [u8],
    at: usize,
    limits: &'l Limits,
    /// Of namespaces, in the whole stanza.
    declarations: usize,
}

/// An opening tag.
struct Tag<'a> {
    name: &'a str,
    ns: &'a str,
    /// In order, with declarations of namespaces left out.
    attributes: SmallVec<[(&'a str, &'a str); 8]>,
    is_empty: bool,
}

/// What is open within the stanza.
struct Open<'a> {
    frames: SmallVec<[Frame<'a>; 8]>,
    content: &'a str,
    /// Where the stanza's content begins in the output.
    base: usize,
    children: Index,
}

struct Frame<'a> {
    name: &'a str,
    ns: &'a str,
    /// Where it begins in the output.
    start: usize,
    /// Namespaces that the output declares from the stanza down to here.
    declared: usize,
    /// Its opening tag still lacks its end.
    unfinished: bool,
}

impl<'a> Reader<'a, '_> {
    /// What stands between the tags of the stanza, and its closing tag.
    fn content(&mut self, stanza: &str, open: &mut Open<'a>, out: &mut Vec<u8>) -> Option<()> {
        loop {
            self.text(open, out)?;
            if self.expect(b"</").is_none() {
                self.expect(b"<")?;
                self.child(open, out)?;
                continue;
            }
            let frame = open.frames.pop();
            self.expect(frame.as_ref().map_or(stanza, |frame| frame.name).as_bytes())?;
            self.expect(b">")?;
            match frame {
                Some(frame) => open.close(&frame, out),
                None => return Some(()),
            }
        }
    }

    fn child(&mut self, open: &mut Open<'a>, out: &mut Vec<u8>) -> Option<()> {
        // The stream and the stanza are not among the frames.
        if open.frames.len() + 2 > self.limits.depth {
            return None;
        }
        open.finish_tag(out);
        let (parent, declared) =
            open.frames.last().map_or((open.content, 0), |frame| (frame.ns, frame.declared));
        let tag = self.tag(parent)?;
        let start = out.len();
        writer::open_start(out, tag.name, tag.ns, parent);
        for (name, value) in &tag.attributes {
            writer::attribute(out, name, value);
        }
        let declared = declared + usize::from(tag.ns != parent);
        if declared > self.limits.namespaces {
            return None;
        }
        let frame = Frame { name: tag.name, ns: tag.ns, start, declared, unfinished: true };
        match tag.is_empty {
            true => open.close(&frame, out),
            false => open.frames.push(frame),
        }
        Some(())
    }

    /// A tag behind its `<`.
    fn tag(&mut self, parent: &'a str) -> Option<Tag<'a>> {
        let name = self.name()?;
        let mut tag = Tag { name, ns: parent, attributes: SmallVec::new(), is_empty: false };
        let mut declares = false;
        loop {
            let is_apart = self.skip_space();
            match self.peek()? {
                b'>' => {
                    self.at += 1;
                    return Some(tag);
                }
                b'/' => {
                    tag.is_empty = true;
                    self.expect(b"/>")?;
                    return Some(tag);
                }
                _ if !is_apart => return None,
                _ => {}
            }
            let name = self.attribute_name()?;
            let value = self.attribute_value()?;
            if name == "xmlns" {
                if std::mem::replace(&mut declares, true) {
                    return None;
                }
                tag.ns = self.declare(value)?;
            } else if tag.attributes.len() < self.limits.attributes.min(ATTRIBUTES)
                && !tag.has(name)
            {
                tag.attributes.push((name, value));
            } else {
                return None;
            }
        }
    }

    fn declare(&mut self, value: &'a str) -> Option<&'a str> {
        if value.is_empty() {
            return Some(ns::NONE);
        }
        self.declarations += 1;
        let is_plain = self.declarations < self.limits.namespaces.min(DECLARATIONS)
            && ![ns::XML, ns::XMLNS].contains(&value)
            && name::check_namespace(value, self.limits).is_ok();
        is_plain.then_some(value)
    }

    /// A name without prefix, or `xml:lang`.
    fn attribute_name(&mut self) -> Option<&'a str> {
        match self.expect(LANG.as_bytes()) {
            Some(()) => (LANG.len() <= self.limits.name_bytes).then_some(LANG),
            None => self.name(),
        }
    }

    /// `='value'`
    fn attribute_value(&mut self) -> Option<&'a str> {
        self.expect(b"=")?;
        let quote = self.peek().filter(|byte| matches!(byte, b'\'' | b'"'))?;
        self.at += 1;
        let value = self.run(|class, byte| class & ENDS_VALUE != 0 || byte == quote)?;
        self.expect(&[quote])?;
        (value.len() < element::MAX_ATTRIBUTE_BYTES).then_some(value)
    }

    fn name(&mut self) -> Option<&'a str> {
        let rest = self.input.get(self.at..)?;
        let length =
            rest.iter().take_while(|byte| CLASSES[usize::from(**byte)] & NAME != 0).count();
        let name = str::from_utf8(rest.get(..length)?).ok()?;
        let begins = name.as_bytes().first().is_some_and(|&b| b == b'_' || b.is_ascii_alphabetic());
        self.at += length;
        (begins && length <= self.limits.name_bytes).then_some(name)
    }

    /// Text, up to the next tag.
    fn text(&mut self, open: &mut Open<'a>, out: &mut Vec<u8>) -> Option<()> {
        loop {
            let run = self.run(|class, _| class & ENDS_TEXT != 0)?;
            if !run.is_empty() {
                open.finish_tag(out);
                match memchr::memchr(b'>', run.as_bytes()) {
                    None => out.extend_from_slice(run.as_bytes()),
                    Some(_) if run.contains("]]>") => return None,
                    Some(_) => writer::text(out, run),
                }
            }
            if self.peek()? == b'<' {
                return Some(());
            }
            let (_, character) = REFERENCES.iter().find(|(name, _)| self.expect(name).is_some())?;
            open.finish_tag(out);
            writer::text(out, character);
        }
    }

    /// What stands before the first byte at which `ends` holds, if that is characters of XML.
    fn run(&mut self, ends: impl Fn(u8, u8) -> bool) -> Option<&'a str> {
        let rest = self.input.get(self.at..)?;
        let mut seen = 0;
        let mut length = 0;
        for &byte in rest {
            let class = CLASSES[usize::from(byte)];
            if ends(class, byte) {
                break;
            }
            seen |= class;
            length += 1;
        }
        let run = str::from_utf8(rest.get(..length)?).ok()?;
        if seen & WIDE != 0 && run.contains(['\u{FFFE}', '\u{FFFF}']) {
            return None;
        }
        self.at += length;
        Some(run)
    }

    fn skip_space(&mut self) -> bool {
        let before = self.at;
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n')) {
            self.at += 1;
        }
        self.at > before
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.input.get(self.at..)?.starts_with(bytes).then(|| self.at += bytes.len())
    }
}

impl<'a> Tag<'a> {
    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| *known == name)
    }

    /// As a stanza's.
    fn attributes(&self) -> Option<Attributes<'a>> {
        let value = |name| self.attributes.iter().find(|(known, _)| *known == name);
        let value = |name| value(name).map(|(_, value)| *value);
        ["message", "presence", "iq"].contains(&self.name).then(|| Attributes {
            name: self.name,
            to: value("to"),
            from: value("from"),
            id: value("id"),
            ty: value("type"),
            lang: value(LANG),
        })
    }
}

impl Open<'_> {
    /// The newest element has content.
    fn finish_tag(&mut self, out: &mut Vec<u8>) {
        if let Some(frame) = self.frames.last_mut()
            && std::mem::take(&mut frame.unfinished)
        {
            writer::open_end(out);
        }
    }

    /// An element that is no longer among the frames has ended.
    fn close(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        if frame.unfinished {
            writer::empty_end(out);
        } else {
            writer::close(out, frame.name);
        }
        if self.frames.is_empty() {
            let range = (frame.start - self.base, out.len() - self.base);
            // Both fit: limits hold a stanza far below 4 GiB.
            self.children.extend(u32::try_from(range.0).ok().zip(u32::try_from(range.1).ok()));
        }
    }
}

const LANG: &str = "xml:lang";

/// More attributes than this on one element are not plain.
const ATTRIBUTES: usize = 16;
/// More declarations of namespaces than this in one stanza are not plain.
const DECLARATIONS: usize = 64;

const REFERENCES: [(&[u8], &str); 5] =
    [(b"&lt;", "<"), (b"&gt;", ">"), (b"&amp;", "&"), (b"&apos;", "'"), (b"&quot;", "\"")];

/// Belongs to an ASCII name.
const NAME: u8 = 1;
/// Ends a run of text: markup, or what is not plain.
const ENDS_TEXT: u8 = 1 << 1;
/// Ends the value of an attribute: not plain, wherever it is not the quote.
const ENDS_VALUE: u8 = 1 << 2;
/// Part of a character beyond ASCII.
const WIDE: u8 = 1 << 3;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = class(byte);
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

const fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => NAME,
        b'\t' | b'\n' => ENDS_VALUE,
        0..=0x1F | b'<' | b'&' => ENDS_TEXT | ENDS_VALUE,
        0x80..=0xFF => WIDE,
        _ => 0,
    }
}

//! Owns the stanza: a head, an index of its direct children, and one shared buffer of canonical bytes.
//!
//! What travels is only what [`crate::writer`] wrote. Nothing edits in place: a change returns a new stanza
//! by splicing byte ranges, and a clone shares the buffer.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::head::{Head, IqType, Kind};
use crate::jid::Jid;
use crate::{Element, Features, StanzaError, ns, writer};

/// A message, presence or IQ (RFC 6120 §8). One word wide, so that it moves from queue to queue as cheaply
/// as it is cloned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    head: Head,
    features: Features,
    children: Index,
    inner: Bytes,
}

/// The byte ranges of the direct children, in order.
pub type Index = SmallVec<[(u32, u32); 4]>;

/// A direct child, seen without parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child<'a> {
    /// The element's name.
    pub name: &'a str,
    /// The namespace; empty for the content namespace, [`ns::NONE`] for none at all.
    pub ns: &'a str,
    /// The canonical bytes of the whole element.
    pub bytes: &'a [u8],
}

impl Stanza {
    /// A stanza from its head and the canonical bytes between its tags. The bytes must have been written
    /// by [`crate::writer`]: they are indexed here, not checked.
    pub fn new(head: Head, inner: impl Into<Bytes>) -> Self {
        let inner = inner.into();
        let children = index(&inner);
        Self::indexed(head, inner, children)
    }

    /// As [`Stanza::new`], with an index that the parser made in passing.
    pub fn indexed(head: Head, inner: Bytes, children: Index) -> Self {
        let features = children
            .iter()
            .filter_map(|&range| child_at(&inner, range))
            .fold(Features::NONE, |all, child| all.with(Features::of(child.ns, child.name)));
        Self(Arc::new(Parts { head, features, children, inner }))
    }

    /// A stanza whose content is the elements given.
    pub fn build(head: Head, content: &[Element]) -> Self {
        let mut inner = Vec::new();
        for element in content {
            element.write(&mut inner, "");
        }
        Self::new(head, inner)
    }

    /// The opening tag's words.
    pub fn head(&self) -> &Head {
        &self.0.head
    }

    /// Kind and type.
    pub fn kind(&self) -> Kind {
        self.0.head.kind
    }

    /// What the direct children tell at a glance.
    pub fn features(&self) -> Features {
        self.0.features
    }

    /// The canonical bytes between the tags.
    pub fn inner(&self) -> &Bytes {
        &self.0.inner
    }

    /// Bytes of content; what limits and quotas count, beside the opening tag.
    pub fn len(&self) -> usize {
        self.0.inner.len()
    }

    /// Whether the stanza has no content at all.
    pub fn is_empty(&self) -> bool {
        self.0.inner.is_empty()
    }

    /// The direct children in order.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        self.0.children.iter().filter_map(|&range| child_at(&self.0.inner, range))
    }

    /// The first direct child of this name and namespace, unparsed.
    pub fn find(&self, name: &str, ns: &str) -> Option<Child<'_>> {
        self.children().find(|child| child.name == name && child.ns == ns)
    }

    /// The first direct child of this name and namespace as a tree.
    pub fn child(&self, name: &str, ns: &str) -> Option<Element> {
        self.find(name, ns).and_then(|child| child.parse())
    }

    /// The one child of an IQ request (RFC 6120 §8.2.3), unparsed.
    pub fn payload(&self) -> Option<Child<'_>> {
        self.children().next()
    }

    /// The same content under another head.
    #[must_use]
    pub fn with_head(&self, change: impl FnOnce(&mut Head)) -> Self {
        let mut stanza = self.clone();
        change(stanza.head_mut());
        stanza
    }

    /// The same stanza from another sender.
    #[must_use]
    pub fn with_from(mut self, from: Jid) -> Self {
        self.head_mut().from = Some(from);
        self
    }

    /// The same stanza to another recipient.
    #[must_use]
    pub fn with_to(mut self, to: Jid) -> Self {
        self.head_mut().to = Some(to);
        self
    }

    /// With an element appended to the content.
    #[must_use]
    pub fn with_child(&self, child: &Element) -> Self {
        self.with_child_bytes(&child.to_bytes())
    }

    /// With one canonical element appended to the content.
    #[must_use]
    pub fn with_child_bytes(&self, child: &[u8]) -> Self {
        let inner = [&self.0.inner[..], child].concat();
        Self::new(self.0.head.clone(), inner)
    }

    /// Without the direct children for which `unwanted` holds; text between children goes with them.
    /// The buffer stays shared where nothing is unwanted.
    #[must_use]
    pub fn without(&self, unwanted: impl Fn(&Child<'_>) -> bool) -> Self {
        if !self.children().any(|child| unwanted(&child)) {
            return self.clone();
        }
        let kept: Vec<&[u8]> =
            self.children().filter(|child| !unwanted(child)).map(|child| child.bytes).collect();
        Self::new(self.0.head.clone(), kept.concat())
    }

    /// The stanza with a buffer of its own. Whoever keeps a stanza must call this, or one line pins a
    /// whole read.
    #[must_use]
    pub fn detached(&self) -> Self {
        let inner = Bytes::copy_from_slice(&self.0.inner);
        Self(Arc::new(Parts { inner, ..(*self.0).clone() }))
    }

    /// The result of this IQ request, to its sender (RFC 6120 §8.2.3).
    #[must_use]
    pub fn result(&self, payload: Option<&Element>) -> Self {
        let head = self.answer_head(Kind::Iq(IqType::Result));
        Self::new(head, payload.map(Element::to_bytes).unwrap_or_default())
    }

    /// The error that answers this stanza, to its sender; none for a stanza that must not be answered
    /// with an error (RFC 6120 §8.3.1: errors; §8.2.3: results).
    #[must_use]
    pub fn error(&self, error: &StanzaError) -> Option<Self> {
        if self.kind().is_error() || self.kind() == Kind::Iq(IqType::Result) {
            return None;
        }
        let head = self.answer_head(self.kind().to_error());
        let mut inner = error.payload.as_ref().map(|it| it.to_bytes()).unwrap_or_default();
        inner.extend(error.to_element().to_bytes());
        Some(Self::new(head, inner))
    }

    /// In place where nobody else has the stanza.
    fn head_mut(&mut self) -> &mut Head {
        &mut Arc::make_mut(&mut self.0).head
    }

    fn answer_head(&self, kind: Kind) -> Head {
        let Head { id, from, to, .. } = self.0.head.clone();
        Head { kind, id, from: to, to: from, lang: None }
    }

    /// Appends the whole stanza as the receiver's stream wants it: no namespace on the stanza itself, so
    /// that it takes the stream's content namespace.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_open(out, "");
    }

    /// Appends the whole stanza as something that stands inside another one (XEP-0297 §3), where it must
    /// say that it is of `jabber:client`. Its children in the content namespace inherit it.
    pub fn write_forwarded(&self, out: &mut Vec<u8>) {
        self.write_open(out, ns::CLIENT);
    }

    fn write_open(&self, out: &mut Vec<u8>, ns: &str) {
        let name = self.0.head.kind.name();
        out.reserve(self.0.inner.len() + 256);
        writer::open_start(out, name, ns, "");
        if let Some(from) = &self.0.head.from {
            writer::attribute(out, "from", from.as_str());
        }
        if let Some(to) = &self.0.head.to {
            writer::attribute(out, "to", to.as_str());
        }
        if let Some(ty) = self.0.head.kind.type_str() {
            writer::attribute(out, "type", ty);
        }
        if let Some(id) = &self.0.head.id {
            writer::attribute(out, "id", id);
        }
        if let Some(lang) = &self.0.head.lang {
            writer::attribute(out, "xml:lang", lang);
        }
        if self.0.inner.is_empty() {
            return writer::empty_end(out);
        }
        writer::open_end(out);
        out.extend_from_slice(&self.0.inner);
        writer::close(out, name);
    }
}

impl Child<'_> {
    /// An attribute without a namespace, read off the canonical opening tag: no tree is made, unless the
    /// value has something escaped in it.
    pub fn attr(&self, name: &str) -> Option<Cow<'_, str>> {
        let tag = &self.bytes[..memchr::memchr(b'>', self.bytes)?];
        let mut rest = &tag[memchr::memchr(b' ', tag)?..];
        // In canonical bytes `'` stands around values and nowhere else.
        while let Some(equals) = memchr::memchr(b'=', rest) {
            let value = rest.get(equals + 2..)?;
            let value = &value[..memchr::memchr(b'\'', value)?];
            if &rest[1..equals] == name.as_bytes() {
                return match memchr::memchr(b'&', value) {
                    Some(_) => Some(self.parse()?.attr(name)?.to_owned().into()),
                    None => str::from_utf8(value).ok().map(Cow::Borrowed),
                };
            }
            rest = &rest[equals + 3 + value.len()..];
        }
        None
    }

    /// Whether an attribute is this address. Addresses are compared as addresses, however they are spelt.
    pub fn has_address(&self, name: &str, jid: &Jid) -> bool {
        self.attr(name).is_some_and(|value| jid.is_spelt(&value))
    }

    /// The child as a tree; none only for bytes that our writer did not write.
    pub fn parse(&self) -> Option<Element> {
        Element::parse(self.bytes).ok()
    }
}

/// Finds the direct children of canonical content. In canonical bytes every `<` and `>` is markup.
fn index(inner: &[u8]) -> Index {
    let mut children = Index::new();
    let (mut depth, mut start, mut at) = (0_u32, 0, 0);
    while let Some(open) = memchr::memchr(b'<', &inner[at..]).map(|offset| at + offset) {
        let Some(close) = memchr::memchr(b'>', &inner[open..]).map(|offset| open + offset) else {
            break;
        };
        if depth == 0 {
            start = open;
        }
        if inner[open + 1] == b'/' {
            depth = depth.saturating_sub(1);
        } else if inner[close - 1] != b'/' {
            depth += 1;
        }
        at = close + 1;
        if depth == 0 {
            children.extend(u32::try_from(start).ok().zip(u32::try_from(at).ok()));
        }
    }
    children
}

/// Reads name and namespace off the canonical opening tag, where `xmlns` always comes first.
fn child_at(inner: &[u8], (start, end): (u32, u32)) -> Option<Child<'_>> {
    let bytes = inner.get(start as usize..end as usize)?;
    let tag = bytes.strip_prefix(b"<")?;
    let name_end = tag.iter().position(|byte| matches!(byte, b' ' | b'>' | b'/'))?;
    let (name, rest) = tag.split_at(name_end);
    let ns = match rest.strip_prefix(b" xmlns='") {
        Some(value) => match memchr::memchr(b'\'', value)? {
            0 => ns::NONE.as_bytes(),
            end => &value[..end],
        },
        None => &[],
    };
    Some(Child { name: str::from_utf8(name).ok()?, ns: str::from_utf8(ns).ok()?, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageType, StanzaCondition};

    const INNER: &[u8] = b"<body>a &lt; b</body>lost<x xmlns='urn:x'><body/><y a='/'/></x><active xmlns='http://jabber.org/protocol/chatstates'/>";

    fn head(kind: Kind) -> Head {
        Head {
            kind,
            id: Some("i'1".into()),
            from: Some(Jid::parse("a@x/r").unwrap()),
            to: Some(Jid::parse("b@y").unwrap()),
            lang: Some("en".into()),
        }
    }

    fn message() -> Stanza {
        Stanza::new(head(Kind::Message(MessageType::Chat)), INNER)
    }

    fn written(stanza: &Stanza) -> String {
        let mut out = Vec::new();
        stanza.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_attribute_is_read_off_the_opening_tag() {
        let inner = "<a xmlns='urn:x' by='b=c' id='1 by=' no='a&lt;&apos;b'><b to='x'/></a><c/>";
        let stanza = Stanza::new(head(Kind::Message(MessageType::Chat)), inner);
        let child = stanza.find("a", "urn:x").unwrap();
        let attr = |name| child.attr(name).map(Cow::into_owned);
        assert_eq!(attr("by").as_deref(), Some("b=c"));
        assert_eq!(attr("id").as_deref(), Some("1 by="));
        assert_eq!(attr("no").as_deref(), Some("a<'b"));
        assert_eq!((attr("to"), attr("y")), (None, None));
        assert_eq!(stanza.find("c", "").unwrap().attr("x"), None);
    }

    #[test]
    fn children_are_found_without_parsing() {
        let stanza = message();
        let names: Vec<_> =
            stanza.children().map(|c| (c.name.to_owned(), c.ns.to_owned())).collect();
        assert_eq!(
            names,
            [
                ("body".to_owned(), String::new()),
                ("x".to_owned(), "urn:x".to_owned()),
                ("active".to_owned(), ns::CHAT_STATES.to_owned())
            ]
        );
        assert!(
            stanza.features().any(Features::BODY) && stanza.features().any(Features::CHAT_STATE)
        );
        assert!(stanza.features().any(Features::OTHER));
    }

    #[test]
    fn a_stanza_is_written_as_it_came() {
        assert_eq!(
            written(&message()),
            format!(
                "<message from='a@x/r' to='b@y' type='chat' id='i&apos;1' xml:lang='en'>{}</message>",
                str::from_utf8(INNER).unwrap()
            )
        );
    }

    #[test]
    fn a_forwarded_stanza_says_that_it_is_a_clients() {
        let mut out = Vec::new();
        message().write_forwarded(&mut out);
        assert!(out.starts_with(b"<message xmlns='jabber:client' from='a@x/r'"));
    }

    #[test]
    fn splicing_takes_children_out_and_shares_the_buffer_where_it_can() {
        let stanza = message();
        let same = stanza.without(|child| child.ns == "urn:none");
        assert_eq!(same.inner().as_ptr(), stanza.inner().as_ptr());
        let less = stanza.without(|child| child.ns == "urn:x");
        assert_eq!(
            &less.inner()[..],
            b"<body>a &lt; b</body><active xmlns='http://jabber.org/protocol/chatstates'/>"
        );
        assert!(!less.features().any(Features::OTHER));
        let more = less.with_child(&Element::new("z", "urn:z"));
        assert_eq!(more.children().last().map(|c| c.ns.to_owned()), Some("urn:z".to_owned()));
    }

    #[test]
    fn an_answer_goes_back_to_where_the_request_came_from() {
        let request = Stanza::new(head(Kind::Iq(IqType::Get)), "<ping xmlns='urn:xmpp:ping'/>");
        assert_eq!(
            written(&request.result(None)),
            "<iq from='b@y' to='a@x/r' type='result' id='i&apos;1'/>"
        );
        let error = request.error(&StanzaCondition::ServiceUnavailable.into()).unwrap();
        assert!(written(&error).starts_with(
            "<iq from='b@y' to='a@x/r' type='error' id='i&apos;1'><error type='cancel'>"
        ));
        assert_eq!(error.error(&StanzaCondition::ServiceUnavailable.into()), None);
        assert_eq!(request.result(None).error(&StanzaCondition::ServiceUnavailable.into()), None);
    }
}

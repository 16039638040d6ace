//! Owns what grows out of the parser's events: canonical bytes by [`xmpp::writer`], the index of a stanza's
//! children made in passing, and the finished events of one feed, which share one buffer.

use std::sync::Arc;

use bytes::Bytes;
use rxml::NcName;
use xmpp::{Element, Head, Stanza, StanzaCondition, StreamCondition, StreamError, ns, writer};

use super::fault::{fault, too_much};
use super::scope::{NameId, Scope};
use super::tag::{Attribute, Tag};
use super::{Event, StreamHeader, head, plain};
use crate::Limits;

/// An element that is open. The first one is the stream.
struct Frame {
    name: NcName,
    ns: NameId,
    /// Where the element's canonical bytes begin, from the beginning of all.
    start: usize,
    /// Namespaces that the canonical bytes declare from the first-level element down to here.
    declared: usize,
    /// The canonical opening tag still lacks its end, until it is known whether there is content.
    unfinished: bool,
}

/// The first-level element that is being read.
enum Current {
    Stanza(Box<Unbound>),
    Nonza,
}

/// A stanza whose content still stands in the builder's buffer.
struct Unbound {
    head: Head,
    fault: Option<StanzaCondition>,
    children: xmpp::stanza::Index,
}

/// A finished event.
enum Draft {
    Ready(Event),
    /// With where its content begins and ends.
    Stanza(Unbound, usize, usize),
}

pub(super) struct Builder {
    /// The content namespace of the stream (RFC 6120 §4.8.2).
    content: &'static str,
    /// Whether the root need not be a stream.
    takes_any_root: bool,
    /// The stream's `xml:lang`.
    lang: Option<Arc<str>>,
    scope: Scope,
    tag: Option<Tag>,
    /// Room for the attributes of the next tag.
    room: Vec<Attribute>,
    frames: Vec<Frame>,
    current: Option<Current>,
    /// Where the canonical bytes of the current first-level element begin.
    start: usize,
    canonical: Vec<u8>,
    drafts: Vec<Draft>,
}

impl Builder {
    pub(super) fn new(content: &'static str) -> Self {
        Self {
            content,
            takes_any_root: false,
            lang: None,
            scope: Scope::default(),
            tag: None,
            room: Vec::new(),
            frames: Vec::new(),
            current: None,
            start: 0,
            canonical: Vec::new(),
            drafts: Vec::new(),
        }
    }

    /// The root need not be a stream; what it is will be told.
    pub(super) fn expect_any_root(&mut self) {
        self.takes_any_root = true;
    }

    /// Between two first-level elements: reads a whole plain stanza, and says how long it was. None, where
    /// there is none; then nothing has changed.
    pub(super) fn plain(&mut self, input: &[u8], limits: &Limits) -> Option<usize> {
        if self.scope.name(self.scope.default_ns()) != self.content {
            return None;
        }
        let start = self.canonical.len();
        let read = plain::read(input, self.content, limits, &mut self.canonical);
        let fits = self.canonical.len() - start <= limits.stanza_bytes;
        let Some(plain) = read.filter(|_| fits) else {
            self.canonical.truncate(start);
            return None;
        };
        let (head, fault) = head::read(&plain.attributes, self.lang.as_ref());
        self.start = start;
        self.stanza_closed(Unbound { head, fault, children: plain.children });
        Some(plain.eaten)
    }

    /// `<name`
    pub(super) fn open(
        &mut self,
        name: rxml::RawQName,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        if self.frames.len() > limits.depth {
            return Err(too_much("elements nested too deep"));
        }
        self.scope.open();
        self.tag = Some(Tag::new(name, std::mem::take(&mut self.room), limits)?);
        Ok(())
    }

    /// `name='value'`
    pub(super) fn attribute(
        &mut self,
        name: rxml::RawQName,
        value: String,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        match &mut self.tag {
            Some(tag) => tag.attribute(name, value, &mut self.scope, limits),
            None => Ok(()),
        }
    }

    /// `>`
    pub(super) fn opened(&mut self, limits: &Limits) -> Result<(), StreamError> {
        let Some(mut tag) = self.tag.take() else {
            return Ok(());
        };
        tag.resolve(&self.scope)?;
        match self.frames.len() {
            0 => self.stream_opened(tag),
            1 => self.first_level_opened(tag)?,
            _ => self.element_opened(tag),
        }
        self.check_declared(limits)?;
        self.check_size(limits)
    }

    /// Character data, references resolved.
    pub(super) fn text(&mut self, text: &str, limits: &Limits) -> Result<(), StreamError> {
        if self.current.is_none() {
            return match text.trim_matches([' ', '\t', '\r', '\n']) {
                "" => Ok(()),
                _ => Err(fault(StreamCondition::BadFormat, "text between stanzas")),
            };
        }
        self.finish_tag();
        writer::text(&mut self.canonical, text);
        self.check_size(limits)
    }

    /// The end of the newest element. Says whether a first-level element, or the stream, ended.
    pub(super) fn close(&mut self, limits: &Limits) -> Result<bool, StreamError> {
        let Some(frame) = self.frames.pop() else {
            return Ok(false);
        };
        let level = self.frames.len();
        let is_stanza = matches!(self.current, Some(Current::Stanza(_)));
        // Neither the stream's own tags nor a stanza's are among the canonical bytes.
        if level > 1 || (level == 1 && !is_stanza) {
            self.write_end(&frame);
        }
        self.scope.close();
        self.check_size(limits)?;
        match level {
            0 => self.drafts.push(Draft::Ready(Event::Close)),
            1 => self.first_level_closed()?,
            2 => self.note_child(frame.start),
            _ => {}
        }
        Ok(level <= 1)
    }

    /// Whether the stream itself has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether an event is complete that was not delivered yet.
    pub(super) fn has_drafts(&self) -> bool {
        !self.drafts.is_empty()
    }

    /// Moves the finished events out. Their stanzas share one buffer, just large enough; bytes of an
    /// unfinished one stay.
    pub(super) fn deliver(&mut self, out: &mut Vec<Event>) {
        let done = match self.current {
            Some(_) => self.start,
            None => self.canonical.len(),
        };
        let shared = Bytes::copy_from_slice(&self.canonical[..done]);
        out.extend(self.drafts.drain(..).map(|draft| draft.into_event(&shared)));
        self.canonical.drain(..done);
        self.start = 0;
        for frame in &mut self.frames {
            frame.start = frame.start.saturating_sub(done);
        }
    }

    /// Gives room that only stood in reserve back.
    pub(super) fn release(&mut self) {
        self.scope.release();
        self.frames.shrink_to_fit();
        self.drafts.shrink_to_fit();
        self.room = Vec::new();
        self.canonical.shrink_to_fit();
    }

    /// Bytes on the heap while nothing is being read.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let drafts = self.drafts.capacity() * size_of::<Draft>();
        let lang = self.lang.as_ref().map_or(0, |lang| lang.len() + 16);
        let frames = self.frames.capacity() * size_of::<Frame>();
        let room = self.room.capacity() * size_of::<Attribute>();
        self.scope.heap_bytes() + room + drafts + lang + frames + self.canonical.capacity()
    }

    fn stream_opened(&mut self, tag: Tag) {
        let default = self.scope.name(self.scope.default_ns());
        let header = StreamHeader::read(&tag, &self.scope, default, self.content);
        self.lang = header.lang.as_deref().map(Arc::from);
        let event = match self.takes_any_root {
            true => Event::Nonza(root(&self.scope, &tag)),
            false => Event::Open(header),
        };
        self.drafts.push(Draft::Ready(event));
        self.push_frame(tag, 0, false);
    }

    fn first_level_opened(&mut self, tag: Tag) -> Result<(), StreamError> {
        self.start = self.canonical.len();
        let ns = self.scope.name(tag.ns);
        let is_handshake = COMPONENTS.contains(&ns) && tag.name.as_str() == "handshake";
        if ns != self.content || is_handshake {
            if ns != self.content && is_content(ns) {
                let text = "not the content namespace of this stream";
                return Err(fault(StreamCondition::InvalidNamespace, text));
            }
            self.current = Some(Current::Nonza);
            write_start(&mut self.canonical, &self.scope, &tag, "");
            self.push_frame(tag, self.start, true);
            return Ok(());
        }
        if !["message", "presence", "iq"].contains(&tag.name.as_str()) {
            return Err(fault(StreamCondition::UnsupportedStanzaType, "no stanza"));
        }
        let (head, fault) = head::read(&tag.attributes(), self.lang.as_ref());
        let children = xmpp::stanza::Index::new();
        self.current = Some(Current::Stanza(Box::new(Unbound { head, fault, children })));
        self.push_frame(tag, self.start, false);
        Ok(())
    }

    fn element_opened(&mut self, tag: Tag) {
        self.finish_tag();
        let start = self.canonical.len();
        let parent = self.frames.last().map_or(NameId::NONE, |frame| frame.ns);
        let parent = self.scope.name(parent);
        write_start(&mut self.canonical, &self.scope, &tag, parent);
        self.push_frame(tag, start, true);
    }

    fn first_level_closed(&mut self) -> Result<(), StreamError> {
        match self.current.take() {
            Some(Current::Stanza(stanza)) => self.stanza_closed(*stanza),
            Some(Current::Nonza) => {
                let element = Element::parse(&self.canonical[self.start..]).map_err(|_| {
                    fault(StreamCondition::InternalServerError, "element not readable")
                })?;
                self.canonical.truncate(self.start);
                self.drafts.push(Draft::Ready(Event::Nonza(element)));
            }
            None => {}
        }
        Ok(())
    }

    /// The stanza that began at [`Self::start`] is complete.
    fn stanza_closed(&mut self, mut stanza: Unbound) {
        let Unbound { head, fault, children } = &mut stanza;
        *fault = fault.or_else(|| head::count_fault(head.kind, children.len()));
        self.drafts.push(Draft::Stanza(stanza, self.start, self.canonical.len()));
    }

    /// Enters a direct child of the current stanza in the index.
    fn note_child(&mut self, start: usize) {
        let (from, to) = (start - self.start, self.canonical.len() - self.start);
        if let Some(Current::Stanza(stanza)) = &mut self.current {
            // Both fit: `check_size` holds a stanza far below 4 GiB.
            stanza.children.extend(u32::try_from(from).ok().zip(u32::try_from(to).ok()));
        }
    }

    fn push_frame(&mut self, tag: Tag, start: usize, unfinished: bool) {
        let above = match self.frames.last() {
            Some(parent) if self.frames.len() > 1 => {
                parent.declared + usize::from(!self.scope.same(parent.ns, tag.ns))
            }
            _ => 0,
        };
        let foreign = tag.attributes.iter().filter(|attribute| {
            // The prefix `xml` needs no declaration.
            ![NameId::NONE, NameId::XML].contains(&attribute.ns)
        });
        let declared = above + foreign.count();
        self.room = tag.attributes;
        self.room.clear();
        self.frames.push(Frame { name: tag.name, ns: tag.ns, start, declared, unfinished });
    }

    fn write_end(&mut self, frame: &Frame) {
        if frame.unfinished {
            writer::empty_end(&mut self.canonical);
        } else {
            writer::close(&mut self.canonical, frame.name.as_str());
        }
    }

    /// The newest element has content: its opening tag gets its end.
    fn finish_tag(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && frame.unfinished
        {
            frame.unfinished = false;
            writer::open_end(&mut self.canonical);
        }
    }

    /// Canonical bytes can declare more than came in, and must stay within what this parser takes.
    fn check_declared(&self, limits: &Limits) -> Result<(), StreamError> {
        match self.frames.last() {
            Some(frame) if frame.declared > limits.namespaces => {
                Err(too_much("too many namespaces"))
            }
            _ => Ok(()),
        }
    }

    /// Canonical bytes can be more than came in: escapes, and declarations that many elements shared.
    fn check_size(&self, limits: &Limits) -> Result<(), StreamError> {
        if self.canonical.len() - self.start > limits.stanza_bytes && self.current.is_some() {
            return Err(too_much("stanza too large"));
        }
        Ok(())
    }
}

fn root(scope: &Scope, tag: &Tag) -> Element {
    let name = tag.name.as_str().to_owned();
    let root = Element::new(name, scope.name(tag.ns).to_owned());
    tag.attributes.iter().fold(root, |root, attribute| {
        let (name, value) = (attribute.name.as_str().to_owned(), attribute.value.clone());
        match attribute.ns {
            NameId::NONE => root.with_attr(name, value),
            ns => root.with_attr_ns(name, scope.name(ns).to_owned(), value),
        }
    })
}

fn write_start(out: &mut Vec<u8>, scope: &Scope, tag: &Tag, parent_ns: &str) {
    writer::open_start(out, tag.name.as_str(), scope.name(tag.ns), parent_ns);
    for (index, attribute) in tag.attributes.iter().enumerate() {
        let (name, value) = (attribute.name.as_str(), attribute.value.as_str());
        match attribute.ns {
            NameId::NONE => writer::attribute(out, name, value),
            ns => writer::foreign_attribute(out, index, (scope.name(ns), name), value),
        }
    }
}

impl Draft {
    fn into_event(self, shared: &Bytes) -> Event {
        match self {
            Self::Ready(event) => event,
            Self::Stanza(unbound, start, end) => {
                let Unbound { head, fault, children } = unbound;
                let stanza = Stanza::indexed(head, shared.slice(start..end), children);
                match fault {
                    Some(condition) => Event::BadStanza { stanza, condition },
                    None => Event::Stanza(stanza),
                }
            }
        }
    }
}

/// The content namespaces of components (XEP-0114 §3).
const COMPONENTS: [&str; 2] = [ns::COMPONENT_ACCEPT, ns::COMPONENT_CONNECT];

/// Whether a namespace is the content of some stream.
fn is_content(ns: &str) -> bool {
    ns == ns::CLIENT || ns == ns::SERVER || COMPONENTS.contains(&ns)
}

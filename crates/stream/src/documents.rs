//! Owns the reading of a stream whose elements are documents of their own: messages of a WebSocket (RFC 7395
//! §3.3). What comes out are the same events as those of a stream that is one document.

use xmpp::{Element, StreamCondition, StreamError, ns, writer};

use crate::framing::WEBSOCKET_NS;
use crate::{Event, Limits, Parser, StreamHeader};

/// Reads one client's messages.
pub struct Documents {
    /// Within a root element of our own, which declares no default namespace.
    parser: Parser,
    /// Whether the client has opened the present stream.
    is_open: bool,
}

impl Documents {
    /// For a new connection.
    pub fn new(limits: Limits) -> Self {
        let mut parser = Parser::new(limits);
        begin(&mut parser, None);
        Self { parser, is_open: false }
    }

    /// The stream starts anew, after SASL (RFC 7395 §3.7).
    pub fn reset(&mut self) {
        self.parser.reset();
        begin(&mut self.parser, None);
        self.is_open = false;
    }

    /// Sets other limits, from the next message on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.parser.set_limits(limits);
    }

    /// Reads one message: exactly one element, which declares what it uses (RFC 7395 §3.3.3).
    ///
    /// # Errors
    /// What the stream must be closed with.
    pub fn read(&mut self, message: &[u8]) -> Result<Event, StreamError> {
        let message = without_declaration(message);
        if message.first() != Some(&b'<') {
            return Err(fault(StreamCondition::BadFormat, "a message must begin with an element"));
        }
        let mut events = Vec::new();
        self.parser.feed(message, &mut events)?;
        let is_whole = self.parser.is_between() && events.len() == 1;
        // A closing tag that was never opened would end our own root.
        match events.pop().filter(|event| is_whole && *event != Event::Close) {
            Some(Event::Nonza(element)) => Ok(self.frame(element)),
            Some(event) => Ok(event),
            None => Err(fault(StreamCondition::BadFormat, "a message must be one element")),
        }
    }

    /// The elements of framing stand for the tags of a stream.
    fn frame(&mut self, element: Element) -> Event {
        let is_framing = element.ns() == WEBSOCKET_NS;
        match element.name() {
            "open" if is_framing => Event::Open(self.open(&element)),
            "close" if is_framing => Event::Close,
            // RFC 7395 §3.3.2
            "open" | "close" if !self.is_open => {
                let fault = Some(StreamCondition::InvalidNamespace);
                Event::Open(StreamHeader { fault, ..self.open(&element) })
            }
            _ => Event::Nonza(element),
        }
    }

    fn open(&mut self, element: &Element) -> StreamHeader {
        let value = |name| element.attr(name).map(str::to_owned);
        let header = StreamHeader {
            to: value("to"),
            from: value("from"),
            id: value("id"),
            version: value("version"),
            lang: element.lang().map(str::to_owned),
            content: ns::CLIENT.to_owned(),
            fault: None,
        };
        self.is_open = true;
        self.parser.reset();
        begin(&mut self.parser, header.lang.as_deref());
        header
    }
}

/// Opens the root that stanzas stand in. Its language becomes theirs (RFC 6120 §8.1.5).
fn begin(parser: &mut Parser, lang: Option<&str>) {
    let mut root = Vec::new();
    writer::open_start(&mut root, "stream:stream", ns::NONE, ns::NONE);
    writer::attribute(&mut root, "xmlns:stream", ns::STREAM);
    if let Some(lang) = lang {
        writer::attribute(&mut root, "xml:lang", lang);
    }
    writer::open_end(&mut root);
    // Where even this is too much for the limits, the next message will be too.
    let _opened = parser.feed(&root, &mut Vec::new());
}

/// An XML declaration is not recommended, and means nothing (RFC 7395 §3.3.3).
fn without_declaration(message: &[u8]) -> &[u8] {
    let is_declared = message.strip_prefix(b"<?xml").is_some_and(|rest| {
        rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    });
    let end = message.windows(2).position(|pair| pair == b"?>").filter(|_| is_declared);
    let rest = end.and_then(|end| message.get(end + 2..)).unwrap_or(message);
    if is_declared { rest.trim_ascii_start() } else { rest }
}

fn fault(condition: StreamCondition, text: &str) -> StreamError {
    StreamError::from(condition).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='x' version='1.0'/>";

    fn opened(open: &str) -> Documents {
        let mut documents = Documents::new(Limits::default());
        assert!(matches!(documents.read(open.as_bytes()), Ok(Event::Open(_))));
        documents
    }

    fn condition(message: &str) -> StreamCondition {
        opened(OPEN).read(message.as_bytes()).expect_err(message).condition
    }

    // RFC 7395 §3.3.2, §3.6
    #[test]
    fn open_and_close_stand_for_the_tags_of_a_stream() {
        let mut documents = Documents::new(Limits::default());
        let event = documents.read(OPEN.as_bytes());
        let Ok(Event::Open(header)) = event else { panic!("{event:?}") };
        assert_eq!((header.to.as_deref(), header.version.as_deref()), (Some("x"), Some("1.0")));
        assert_eq!((header.fault, header.content.as_str()), (None, ns::CLIENT));
        let close = b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
        assert_eq!(documents.read(close), Ok(Event::Close));
    }

    #[test]
    fn a_header_of_another_namespace_is_an_invalid_namespace() {
        let mut documents = Documents::new(Limits::default());
        let event = documents.read(b"<open xmlns='urn:other' to='x' version='1.0'/>");
        let Ok(Event::Open(header)) = event else { panic!("{event:?}") };
        assert_eq!(header.fault, Some(StreamCondition::InvalidNamespace));
    }

    #[test]
    fn each_stanza_says_its_namespace_and_has_the_language_of_its_stream() {
        let open = OPEN.replace("to=", "xml:lang='de' to=");
        let mut documents = opened(&open);
        let message = b"<message xmlns='jabber:client' to='a@x'><body>hi</body></message>";
        let event = documents.read(message);
        let Ok(Event::Stanza(stanza)) = event else { panic!("{event:?}") };
        assert_eq!(stanza.head().lang.as_deref(), Some("de"));
        let mut out = Vec::new();
        stanza.write(&mut out);
        let written = "<message to='a@x' xml:lang='de'><body>hi</body></message>";
        assert_eq!(String::from_utf8(out).unwrap(), written);
        assert!(matches!(documents.read(b"<message to='a@x'/>"), Ok(Event::Nonza(_))));
    }

    #[test]
    fn what_one_message_declares_means_nothing_in_the_next() {
        let mut documents = opened(OPEN);
        let message = "<c:message xmlns:c='jabber:client' xml:lang='fr'/>";
        assert!(matches!(documents.read(message.as_bytes()), Ok(Event::Stanza(_))));
        let error = documents.read(b"<c:message/>").expect_err("the prefix is gone");
        assert_eq!(error.condition, StreamCondition::BadNamespacePrefix);
    }

    #[test]
    fn a_message_is_one_element_and_begins_with_it() {
        for message in [
            "",
            " ",
            "<a xmlns='u'/><b xmlns='u'/>",
            "<a xmlns='u'>",
            " <a xmlns='u'/>",
            "</stream:stream>",
        ] {
            assert_eq!(condition(message), StreamCondition::BadFormat, "{message:?}");
        }
        assert_eq!(condition("<a xmlns='u'/>text"), StreamCondition::BadFormat);
        assert_eq!(condition("<!DOCTYPE a><a/>"), StreamCondition::RestrictedXml);
        assert_eq!(condition("<?pi?><a/>"), StreamCondition::RestrictedXml);
    }

    #[test]
    fn an_xml_declaration_is_passed_over() {
        let mut documents = Documents::new(Limits::default());
        let declared = format!("<?xml version='1.0'?>\n{OPEN}");
        assert!(matches!(documents.read(declared.as_bytes()), Ok(Event::Open(_))));
    }

    #[test]
    fn the_total_before_login_holds_over_messages_and_streams() {
        let limits = Limits { total_bytes: Some(2_000), ..Limits::BEFORE_LOGIN };
        let mut documents = Documents::new(limits);
        let refused = (0..100).position(|_| documents.read(OPEN.as_bytes()).is_err());
        assert!(refused.is_some_and(|messages| messages < 2_000 / OPEN.len()), "{refused:?}");
    }
}

//! Owns how a stream's own elements are laid down: in one long document (RFC 6120 §4.2), or each as a
//! document of its own in a WebSocket message (RFC 7395 §3), or in the bodies of HTTP (XEP-0206).

use xmpp::{Element, Stanza, StreamError, ns, writer};

/// The namespace of `<open/>` and `<close/>` (RFC 7395 §3.3.2).
pub(crate) const WEBSOCKET_NS: &str = "urn:ietf:params:xml:ns:xmpp-framing";

/// How first-level elements are put on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// One document for the whole stream.
    #[default]
    Tcp,
    /// A document for each element; each [`crate::machine::Effect::Write`] is one message.
    WebSocket,
    /// Elements that declare what they use, in a wrapper that says itself what a header would.
    Bosh,
}

/// What a response stream header says (RFC 6120 §4.7).
pub(crate) struct Response<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: Option<&'a str>,
    pub(crate) id: &'a str,
    pub(crate) version: Option<&'static str>,
}

impl Framing {
    pub(crate) fn header(self, response: &Response<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Tcp => {
                out.extend_from_slice(b"<?xml version='1.0'?>");
                writer::open_start(&mut out, "stream:stream", ns::CLIENT, "");
                writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
            }
            Self::WebSocket => writer::open_start(&mut out, "open", WEBSOCKET_NS, ""),
            Self::Bosh => return out,
        }
        writer::attribute(&mut out, "from", response.from);
        if let Some(to) = response.to {
            writer::attribute(&mut out, "to", to);
        }
        writer::attribute(&mut out, "id", response.id);
        if let Some(version) = response.version {
            writer::attribute(&mut out, "version", version);
        }
        writer::attribute(&mut out, "xml:lang", "en");
        match self {
            Self::Tcp => writer::open_end(&mut out),
            Self::WebSocket | Self::Bosh => writer::empty_end(&mut out),
        }
        out
    }

    pub(crate) fn features(self, features: &[Element]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(b"<stream:features");
        if self != Self::Tcp {
            writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
        }
        writer::open_end(&mut out);
        for feature in features {
            feature.write(&mut out, "");
        }
        writer::close(&mut out, "stream:features");
        out
    }

    pub(crate) fn error(self, error: &StreamError) -> Vec<u8> {
        let mut out = Vec::new();
        error.write(&mut out);
        match (self, out.strip_prefix(b"<stream:error")) {
            (Self::WebSocket | Self::Bosh, Some(rest)) => {
                let mut declared = b"<stream:error".to_vec();
                writer::attribute(&mut declared, "xmlns:stream", ns::STREAM);
                declared.extend_from_slice(rest);
                declared
            }
            _ => out,
        }
    }

    /// An element that is no stanza.
    pub(crate) fn element(self, element: &Element) -> Vec<u8> {
        element.to_bytes()
    }

    /// Appends a stanza as this framing wants it.
    pub fn stanza(self, stanza: &Stanza, out: &mut Vec<u8>) {
        match self {
            Self::Tcp => stanza.write(out),
            Self::WebSocket | Self::Bosh => stanza.write_forwarded(out),
        }
    }

    pub(crate) fn close(self) -> Vec<u8> {
        match self {
            Self::Tcp => b"</stream:stream>".to_vec(),
            Self::WebSocket => Element::new("close", WEBSOCKET_NS).to_bytes(),
            Self::Bosh => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use xmpp::StreamCondition;

    use super::*;

    fn response() -> Response<'static> {
        Response { from: "x", to: Some("a@x"), id: "i", version: Some("1.0") }
    }

    #[test]
    fn a_stream_is_one_document() {
        let whole = [
            Framing::Tcp.header(&response()),
            Framing::Tcp.features(&[Element::new("bind", ns::BIND)]),
            Framing::Tcp.error(&StreamCondition::Reset.into()),
            Framing::Tcp.close(),
        ];
        assert_eq!(
            String::from_utf8(whole.concat()).unwrap(),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' from='x' to='a@x' id='i' version='1.0' \
             xml:lang='en'><stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
             </stream:features><stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error></stream:stream>"
        );
    }

    #[test]
    fn each_websocket_message_is_a_document() {
        let features = Framing::WebSocket.features(&[]);
        let error = Framing::WebSocket.error(&StreamCondition::Reset.into());
        for (bytes, name, ns) in [
            (Framing::WebSocket.header(&response()), "open", WEBSOCKET_NS),
            (features, "features", ns::STREAM),
            (error, "error", ns::STREAM),
            (Framing::WebSocket.close(), "close", WEBSOCKET_NS),
        ] {
            let element = Element::parse(&bytes).unwrap();
            assert!(element.is(name, ns), "{element:?}");
        }
    }
}

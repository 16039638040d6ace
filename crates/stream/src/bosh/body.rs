//! Owns `<body/>` as a client sends it (XEP-0124 §6, §7.1): its attributes, and the elements in it.

use xmpp::{Element, ns};

use super::{NS, XMPP_NS};
use crate::{Event, Limits, Parser, StreamHeader};

/// The largest number that a request may have (XEP-0124 §14.1).
const RID_MAX: u64 = 9_007_199_254_740_991;

/// A request, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Its number.
    pub rid: u64,
    /// Which session it is of; none asks for a new one.
    pub sid: Option<String>,
    /// The key that proves that it is from who sent the one before (XEP-0124 §15).
    pub key: Option<String>,
    /// The first key of another sequence.
    pub newkey: Option<String>,
    /// The client ends the session.
    pub terminates: bool,
    /// Seconds for which the client will not be heard of.
    pub pause: Option<u32>,
    /// The stream starts anew (XEP-0206 §5).
    pub restarts: bool,
    /// The newest version of BOSH that the client knows; none for a very old client.
    pub version: Option<(u32, u32)>,
    /// The longest that a request may be held, in seconds, as the client wishes.
    pub wait: u32,
    /// The most requests that may be held, as the client wishes.
    pub hold: u32,
    /// What would stand in the header of a stream.
    pub header: StreamHeader,
    /// The content type that responses must have; none for that of XML.
    pub content: Option<String>,
    /// What the client says.
    pub payload: Vec<Event>,
}

/// What cannot be read: `bad-request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no request of BOSH")]
pub struct MalformedBody;

impl Body {
    /// Reads a request.
    ///
    /// # Errors
    /// It is no XML, no `<body/>`, over the limits, or has no number.
    pub fn parse(bytes: &[u8], limits: Limits) -> Result<Self, MalformedBody> {
        let mut parser = Parser::for_bodies(limits);
        let mut events = Vec::new();
        parser.feed(bytes, &mut events).map_err(|_| MalformedBody)?;
        if events.pop() != Some(Event::Close) || events.is_empty() {
            return Err(MalformedBody);
        }
        let Event::Nonza(body) = events.remove(0) else { return Err(MalformedBody) };
        if !body.is("body", NS) {
            return Err(MalformedBody);
        }
        Self::read(&body, events)
    }

    fn read(body: &Element, payload: Vec<Event>) -> Result<Self, MalformedBody> {
        let value = |name| body.attr(name).map(str::to_owned);
        let seconds = |name, default| match body.attr(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| MalformedBody),
        };
        let rid: u64 = body.attr("rid").and_then(|rid| rid.parse().ok()).ok_or(MalformedBody)?;
        if !(1..=RID_MAX).contains(&rid) {
            return Err(MalformedBody);
        }
        let pause = body.attr("pause").map(|_| seconds("pause", 0)).transpose()?;
        let restarts = body.attr_ns("restart", XMPP_NS);
        Ok(Self {
            rid,
            sid: value("sid"),
            key: value("key"),
            newkey: value("newkey"),
            terminates: body.attr("type") == Some("terminate"),
            pause,
            restarts: matches!(restarts, Some("true" | "1")),
            version: body.attr("ver").and_then(version),
            wait: seconds("wait", u32::MAX)?,
            hold: seconds("hold", 1)?,
            header: StreamHeader {
                to: value("to"),
                from: value("from"),
                id: None,
                // A stream that is carried so is one of XMPP 1.0 (XEP-0206 §3).
                version: Some(body.attr_ns("version", XMPP_NS).unwrap_or("1.0").to_owned()),
                lang: body.lang().map(str::to_owned),
                content: ns::CLIENT.to_owned(),
                fault: None,
            },
            content: value("content"),
            payload,
        })
    }

    /// Whether the client has nothing to say, and only waits.
    pub(super) fn is_empty(&self) -> bool {
        self.payload.is_empty() && !self.terminates && !self.restarts && self.pause.is_none()
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Body, MalformedBody> {
        Body::parse(text.as_bytes(), Limits::default())
    }

    #[test]
    fn a_request_has_attributes_and_stanzas() {
        let body = parse(
            "<body rid='1573741820' xmlns='http://jabber.org/protocol/httpbind' to='x' wait='60' hold='1' \
             xml:lang='de' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'>\
             <presence xmlns='jabber:client'/> <r xmlns='urn:xmpp:sm:3'/></body>",
        )
        .expect("it is right");
        assert_eq!((body.rid, body.wait, body.hold), (1_573_741_820, 60, 1));
        assert_eq!((body.header.to.as_deref(), body.sid.as_deref()), (Some("x"), None));
        let [Event::Stanza(presence), Event::Nonza(asks)] = &body.payload[..] else {
            panic!("{:?}", body.payload);
        };
        assert_eq!(presence.head().lang.as_deref(), Some("de"));
        assert!(asks.is("r", ns::SM));
        let restart = parse(
            "<body rid='2' sid='s' xmlns='http://jabber.org/protocol/httpbind' xmpp:restart='true' \
             xmlns:xmpp='urn:xmpp:xbosh' pause='5' type='terminate'/>",
        );
        let restart = restart.expect("it is right");
        assert!(restart.restarts && restart.terminates && !restart.is_empty());
        assert_eq!((restart.pause, restart.sid.as_deref()), (Some(5), Some("s")));
    }

    #[test]
    fn what_is_no_request_is_malformed() {
        let body = |attributes: &str, content: &str| {
            format!("<body xmlns='{NS}' {attributes}>{content}</body>")
        };
        for text in [
            String::new(),
            "rid=1".to_owned(),
            "<body rid='1'/>".to_owned(),
            format!("<html xmlns='{NS}' rid='1'/>"),
            body("", ""),
            body("rid='0'", ""),
            body("rid='-1'", ""),
            body("rid='9007199254740992'", ""),
            body("rid='1' wait='soon'", ""),
            body("rid='1' pause=''", ""),
            body("rid='1'", "text"),
            body("rid='1'", "<presence xmlns='jabber:client'>"),
            body("rid='1' rid='2'", ""),
            format!("<body xmlns='{NS}' rid='1'>"),
            format!("<!DOCTYPE a><body xmlns='{NS}' rid='1'/>"),
        ] {
            assert_eq!(parse(&text), Err(MalformedBody), "{text}");
        }
        let deep = "<a xmlns='u'>".repeat(100) + &"</a>".repeat(100);
        assert_eq!(parse(&body("rid='1'", &deep)), Err(MalformedBody));
    }
}

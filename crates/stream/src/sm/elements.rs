//! Owns the elements of stream management (XEP-0198): reading what the peer asks, building what it is told.

use xmpp::{Element, StanzaCondition, StreamCondition, StreamError, ns};

/// What a peer asks of stream management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `<enable/>` (XEP-0198 §3).
    Enable {
        /// The peer wants to be able to resume.
        resume: bool,
        /// The longest time, in seconds, that it would like to have for it.
        max: Option<u32>,
    },
    /// `<resume/>` (XEP-0198 §5).
    Resume {
        /// The id of the former stream.
        previd: String,
        /// How many stanzas the peer has handled there.
        h: u32,
    },
    /// `<a/>`: so many stanzas are handled (XEP-0198 §4).
    Handled(u32),
    /// `<r/>`: how many are handled? (XEP-0198 §4)
    Ask,
}

/// An element of the namespace that says nothing that can be understood. For `<enable/>` and `<resume/>`
/// the answer is [`failed`] with `bad-request`; otherwise the stream must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an element of stream management")]
pub struct Malformed;

impl Request {
    /// Reads an element of the namespace [`ns::SM`].
    ///
    /// # Errors
    /// When a name is unknown, or an attribute is missing or no number.
    pub fn parse(element: &Element) -> Result<Self, Malformed> {
        let h = || element.attr("h").and_then(number).ok_or(Malformed);
        match element.name() {
            _ if element.ns() != ns::SM => Err(Malformed),
            "r" => Ok(Self::Ask),
            "a" => h().map(Self::Handled),
            "enable" => Ok(Self::Enable {
                resume: matches!(element.attr("resume"), Some("true" | "1")),
                max: element.attr("max").and_then(number),
            }),
            "resume" => Ok(Self::Resume {
                previd: element.attr("previd").ok_or(Malformed)?.to_owned(),
                h: h()?,
            }),
            _ => Err(Malformed),
        }
    }
}

/// What is told about a stream that is now managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabled<'a> {
    /// The id by which the stream can be resumed; none if it cannot.
    pub id: Option<&'a str>,
    /// For how many seconds it can be.
    pub max: Option<u32>,
    /// Where to connect to for that (XEP-0198 §3).
    pub location: Option<&'a str>,
}

impl Enabled<'_> {
    /// `<enabled/>` (XEP-0198 §3).
    pub fn to_element(self) -> Element {
        Element::new("enabled", ns::SM)
            .with_attr_opt("id", self.id)
            .with_attr_opt("resume", self.id.map(|_| "true"))
            .with_attr_opt("max", self.max.map(|max| max.to_string()))
            .with_attr_opt("location", self.location)
    }
}

/// `<resumed/>`: the former stream goes on; `h` of the peer's stanzas are handled (XEP-0198 §5).
pub fn resumed(previd: &str, h: u32) -> Element {
    Element::new("resumed", ns::SM).with_attr("previd", previd).with_attr("h", h.to_string())
}

/// `<failed/>`; `h` where a stream is gone but its count is known (XEP-0198 §5, §6).
pub fn failed(condition: StanzaCondition, h: Option<u32>) -> Element {
    Element::new("failed", ns::SM)
        .with_attr_opt("h", h.map(|h| h.to_string()))
        .with_child(Element::new(condition.name(), ns::STANZAS))
}

/// `<a/>` (XEP-0198 §4).
pub fn handled(h: u32) -> Element {
    Element::new("a", ns::SM).with_attr("h", h.to_string())
}

/// `<r/>` (XEP-0198 §4).
pub fn ask() -> Element {
    Element::new("r", ns::SM)
}

/// What a stream is closed with whose peer acknowledged more than it was sent (XEP-0198 §6).
pub fn too_high(h: u32, sent: u32) -> StreamError {
    let detail = Element::new("handled-count-too-high", ns::SM)
        .with_attr("h", h.to_string())
        .with_attr("send-count", sent.to_string());
    StreamError::from(StreamCondition::UndefinedCondition)
        .with_text(format!("{h} stanzas acknowledged, but {sent} sent"))
        .with_detail(detail)
}

/// An unsigned number of XML Schema; a sign or spaces are no part of it.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &str) -> Result<Request, Malformed> {
        Request::parse(
            &Element::parse(xml.replace("/>", " xmlns='urn:xmpp:sm:3'/>").as_bytes()).unwrap(),
        )
    }

    fn text(element: &Element) -> String {
        String::from_utf8(element.to_bytes()).unwrap()
    }

    #[test]
    fn requests_are_understood() {
        assert_eq!(parse("<r/>"), Ok(Request::Ask));
        assert_eq!(parse("<a h='4294967295'/>"), Ok(Request::Handled(u32::MAX)));
        assert_eq!(parse("<enable/>"), Ok(Request::Enable { resume: false, max: None }));
        assert_eq!(
            parse("<enable resume='1' max='60'/>"),
            Ok(Request::Enable { resume: true, max: Some(60) })
        );
        assert_eq!(
            parse("<resume previd='x' h='0'/>"),
            Ok(Request::Resume { previd: "x".to_owned(), h: 0 })
        );
    }

    #[test]
    fn requests_that_say_nothing_are_malformed() {
        for xml in [
            "<a/>",
            "<a h=''/>",
            "<a h='-1'/>",
            "<a h='+1'/>",
            "<a h=' 1'/>",
            "<a h='4294967296'/>",
            "<resume h='1'/>",
            "<resume previd='x'/>",
            "<resume previd='x' h='y'/>",
            "<resumed previd='x' h='1'/>",
        ] {
            assert_eq!(parse(xml), Err(Malformed), "{xml}");
        }
        assert_eq!(Request::parse(&Element::new("r", "urn:xmpp:sm:2")), Err(Malformed));
    }

    #[test]
    fn answers_are_written_as_specified() {
        let enabled = Enabled { id: Some("i"), max: Some(600), location: None };
        assert_eq!(
            text(&enabled.to_element()),
            "<enabled xmlns='urn:xmpp:sm:3' id='i' resume='true' max='600'/>"
        );
        assert_eq!(text(&Enabled::default().to_element()), "<enabled xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(text(&resumed("i", 3)), "<resumed xmlns='urn:xmpp:sm:3' previd='i' h='3'/>");
        assert_eq!(
            text(&failed(StanzaCondition::ItemNotFound, Some(3))),
            "<failed xmlns='urn:xmpp:sm:3' h='3'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        );
        assert_eq!(text(&handled(2)), "<a xmlns='urn:xmpp:sm:3' h='2'/>");
        assert_eq!(text(&ask()), "<r xmlns='urn:xmpp:sm:3'/>");
        let detail = too_high(10, 8).detail.unwrap();
        assert_eq!(
            text(&detail),
            "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/>"
        );
    }
}

//! Owns how the elements of a stream between servers are laid down (RFC 6120 §4.7, XEP-0220 §2).

use xmpp::{Element, StanzaCondition, StanzaError, StreamError, ns, writer};

/// Server dialback (XEP-0220 §2.4.1).
pub(crate) const DIALBACK: &str = "jabber:server:dialback";
/// That errors of dialback do not end the stream (XEP-0220 §2.4.2).
pub(crate) const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Stanzas both ways on one stream, and that this is offered (XEP-0288 §2).
pub(crate) const BIDI: &str = "urn:xmpp:bidi";
pub(crate) const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// The mechanism by which certificates prove who a server is (XEP-0178 §3).
pub(crate) const EXTERNAL: &str = "EXTERNAL";

/// A stream header.
pub(crate) struct Header<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: Option<&'a str>,
    /// Given by whoever accepts the stream.
    pub(crate) id: Option<&'a str>,
}

pub(crate) fn header(header: &Header<'_>) -> Vec<u8> {
    let mut out = b"<?xml version='1.0'?>".to_vec();
    writer::open_start(&mut out, "stream:stream", ns::SERVER, "");
    writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
    // By convention the prefix is `db` (XEP-0220 §2.4.1).
    writer::attribute(&mut out, "xmlns:db", DIALBACK);
    writer::attribute(&mut out, "from", header.from);
    if let Some(to) = header.to {
        writer::attribute(&mut out, "to", to);
    }
    if let Some(id) = header.id {
        writer::attribute(&mut out, "id", id);
    }
    writer::attribute(&mut out, "version", "1.0");
    writer::attribute(&mut out, "xml:lang", "en");
    writer::open_end(&mut out);
    out
}

pub(crate) fn features(features: &[Element]) -> Vec<u8> {
    let mut out = b"<stream:features>".to_vec();
    for feature in features {
        feature.write(&mut out, "");
    }
    writer::close(&mut out, "stream:features");
    out
}

pub(crate) fn error(error: &StreamError) -> Vec<u8> {
    let mut out = Vec::new();
    error.write(&mut out);
    out
}

pub(crate) const CLOSE: &[u8] = b"</stream:stream>";

/// Which element of dialback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Between the server that wants to send and the one that shall receive.
    Result,
    /// Between the one that receives and the one that knows the key.
    Verify,
}

/// What an element of dialback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Saying<'a> {
    /// A key, to be looked at.
    Key(&'a str),
    /// The key is right.
    Valid,
    /// It is not.
    Invalid,
    /// Nobody can say (XEP-0220 §2.5).
    Error(StanzaCondition),
}

/// An element of dialback: from whom, to whom, and of a `verify` the id of the stream in question.
pub(crate) fn dialback(
    step: Step,
    (from, to): (&str, &str),
    id: Option<&str>,
    saying: &Saying<'_>,
) -> Vec<u8> {
    let name = match step {
        Step::Result => "db:result",
        Step::Verify => "db:verify",
    };
    let mut out = format!("<{name}").into_bytes();
    writer::attribute(&mut out, "from", from);
    writer::attribute(&mut out, "to", to);
    if let Some(id) = id {
        writer::attribute(&mut out, "id", id);
    }
    match saying {
        Saying::Key(key) => {
            writer::open_end(&mut out);
            writer::text(&mut out, key);
            writer::close(&mut out, name);
        }
        Saying::Valid => {
            writer::attribute(&mut out, "type", "valid");
            writer::empty_end(&mut out);
        }
        Saying::Invalid => {
            writer::attribute(&mut out, "type", "invalid");
            writer::empty_end(&mut out);
        }
        Saying::Error(condition) => {
            writer::attribute(&mut out, "type", "error");
            writer::open_end(&mut out);
            StanzaError::from(*condition).to_element().write(&mut out, "");
            writer::close(&mut out, name);
        }
    }
    out
}

/// The condition in an element of dialback that tells of an error.
pub(crate) fn condition(element: &Element) -> Option<StanzaCondition> {
    // It is qualified by the stream's content namespace, whose real name is told here (XEP-0220 §2.5).
    let error = element.children().find(|it| it.name() == "error")?;
    let named = |condition: &&StanzaCondition| error.child(condition.name(), ns::STANZAS).is_some();
    StanzaCondition::ALL.iter().find(named).copied()
}

/// What a stream error says, in words for people.
pub(crate) fn stream_error(element: &Element) -> String {
    let condition =
        element.children().find(|child| child.ns() == ns::STREAMS && child.name() != "text");
    let condition = condition.map_or("undefined-condition", Element::name);
    match element.child("text", ns::STREAMS).map(Element::text).filter(|text| !text.is_empty()) {
        Some(text) => {
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            format!("{condition} ({text})")
        }
        None => condition.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_dialback_carry_their_usual_prefix() {
        let key = dialback(Step::Verify, ("a", "b"), Some("i"), &Saying::Key("k"));
        assert_eq!(key, b"<db:verify from='a' to='b' id='i'>k</db:verify>");
        let valid = dialback(Step::Result, ("a", "b"), None, &Saying::Valid);
        assert_eq!(valid, b"<db:result from='a' to='b' type='valid'/>");
        let error = Saying::Error(StanzaCondition::ItemNotFound);
        let error = String::from_utf8(dialback(Step::Result, ("a", "b"), None, &error)).unwrap();
        assert!(error.contains("<error type='cancel'><item-not-found xmlns="), "{error}");
    }

    #[test]
    fn what_a_peer_says_of_its_error_is_short_and_has_no_control_characters() {
        let text = Element::new("text", ns::STREAMS).with_text(format!("a\n{}", "b".repeat(500)));
        let error = Element::new("error", ns::STREAM)
            .with_child(Element::new("host-unknown", ns::STREAMS))
            .with_child(text);
        let said = stream_error(&error);
        assert!(said.starts_with("host-unknown (ab") && said.len() < 250, "{said}");
    }
}

//! Owns how the elements of a stream between servers are laid down (RFC 6120 §4.7, XEP-0220 §2).

use xmpp::{Element, StanzaCondition, StanzaError, StreamCondition, StreamError, ns, writer};

use crate::pairs::PairId;

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

/// What is taken on a stream (XEP-0478 §2.1).
pub(crate) fn limits(max_bytes: usize) -> Element {
    let most = Element::new("max-bytes", ns::STREAM_LIMITS).with_text(max_bytes.to_string());
    Element::new("limits", ns::STREAM_LIMITS).with_child(most)
}

/// The most bytes of one stanza that the other end takes, by its features; none where it does not say.
pub(crate) fn max_bytes(features: &Element) -> Option<usize> {
    let limits = features.child("limits", ns::STREAM_LIMITS)?;
    limits.child("max-bytes", ns::STREAM_LIMITS)?.text().trim().parse().ok()
}

/// Whether a `version` is 1.0 or later: its numbers are compared as such (RFC 6120 §4.7.5).
pub(crate) fn is_current(version: Option<&str>) -> bool {
    let numbers = version.and_then(|version| version.trim().split_once('.'));
    let parsed = numbers.map(|(major, minor)| (major.parse::<u32>(), minor.parse::<u32>()));
    matches!(parsed, Some((Ok(1..), Ok(_))))
}

pub(crate) fn error(error: &StreamError) -> Vec<u8> {
    let mut out = Vec::new();
    error.write(&mut out);
    out
}

pub(crate) const CLOSE: &[u8] = b"</stream:stream>";

/// Which element of dialback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Between the server that wants to send and the one that shall receive.
    Result,
    /// Between the one that receives and the one that knows the key, of the stream with this id.
    Verify(&'a str),
}

/// What an element of dialback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DialbackElement<'a> {
    /// A key, to be looked at.
    Key(&'a str),
    /// The key is right.
    Valid,
    /// It is not.
    Invalid,
    /// Nobody can say (XEP-0220 §2.5).
    Error(StanzaCondition),
}

/// An element of dialback, from a domain of ours to one of theirs.
pub(crate) fn dialback(step: Step<'_>, pair: &PairId, element: &DialbackElement<'_>) -> Vec<u8> {
    let (name, id) = match step {
        Step::Result => ("db:result", None),
        Step::Verify(id) => ("db:verify", Some(id)),
    };
    let mut out = format!("<{name}").into_bytes();
    writer::attribute(&mut out, "from", pair.local.as_str());
    writer::attribute(&mut out, "to", pair.remote.as_str());
    if let Some(id) = id {
        writer::attribute(&mut out, "id", id);
    }
    match element {
        DialbackElement::Key(key) => {
            writer::open_end(&mut out);
            writer::text(&mut out, key);
            writer::close(&mut out, name);
        }
        DialbackElement::Valid => {
            writer::attribute(&mut out, "type", "valid");
            writer::empty_end(&mut out);
        }
        DialbackElement::Invalid => {
            writer::attribute(&mut out, "type", "invalid");
            writer::empty_end(&mut out);
        }
        DialbackElement::Error(condition) => {
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

/// Where the domain is instead, of a stream error that says so (RFC 6120 §4.9.3.19).
pub(crate) fn other_host(error: &Element) -> Option<String> {
    let host = error.child(StreamCondition::SeeOtherHost.name(), ns::STREAMS)?.text();
    Some(host.trim().to_owned()).filter(|host| !host.is_empty() && error.is("error", ns::STREAM))
}

/// The condition of a stream error.
pub(crate) fn stream_condition(element: &Element) -> &str {
    let condition =
        element.children().find(|child| child.ns() == ns::STREAMS && child.name() != "text");
    condition.map_or("undefined-condition", Element::name)
}

/// What a stream error says, in words for people.
pub(crate) fn stream_error(element: &Element) -> String {
    let condition = stream_condition(element);
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
        let [local, remote] = ["a", "b"].map(|name| xmpp::BareJid::parse(name).unwrap());
        let pair = PairId { local, remote };
        let key = dialback(Step::Verify("i"), &pair, &DialbackElement::Key("k"));
        assert_eq!(key, b"<db:verify from='a' to='b' id='i'>k</db:verify>");
        let valid = dialback(Step::Result, &pair, &DialbackElement::Valid);
        assert_eq!(valid, b"<db:result from='a' to='b' type='valid'/>");
        let error = DialbackElement::Error(StanzaCondition::ItemNotFound);
        let error = String::from_utf8(dialback(Step::Result, &pair, &error)).unwrap();
        assert!(error.contains("<error type='cancel'><item-not-found xmlns="), "{error}");
    }

    #[test]
    fn limits_are_read_as_they_are_written() {
        let features = |limits| Element::new("features", ns::STREAM).with_child(limits);
        assert_eq!(max_bytes(&features(limits(10_000))), Some(10_000));
        let wrong = limits(1).child("max-bytes", ns::STREAM_LIMITS).unwrap().clone();
        assert_eq!(max_bytes(&features(wrong)), None);
        assert_eq!(max_bytes(&Element::new("features", ns::STREAM)), None);
    }

    #[test]
    fn versions_are_compared_number_by_number() {
        for current in ["1.0", "1.1", "01.00", "2.0", "10.0"] {
            assert!(is_current(Some(current)), "{current}");
        }
        for older in ["0.9", "", "1", "1.", ".0", "one.0", "1.0.0", "0.10"] {
            assert!(!is_current(Some(older)), "{older}");
        }
        assert!(!is_current(None));
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

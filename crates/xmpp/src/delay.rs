//! XEP-0203 Delayed Delivery, version 2.0. When a stanza was sent that is delivered late.

use crate::datetime::{self, Utc};
use crate::{Element, Features, Jid, Stanza, ns};

/// A note of a delay, as others wrote it. Nobody vouches for it (§5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// Who sent the stanza or held it up.
    pub from: Option<Jid>,
    /// When it was sent first: microseconds since 1970-01-01 UTC.
    pub unix_micros: i64,
    /// Why, in words for people; may be empty.
    pub reason: String,
}

/// The note that `from` held a stanza up that was sent at this time (microseconds since
/// 1970-01-01 UTC). A natural-language reason may be added as text.
#[must_use]
pub fn element(from: Option<&Jid>, unix_micros: u64) -> Element {
    Element::new("delay", ns::DELAY)
        .with_attr_opt("from", from.map(Jid::to_string))
        .with_attr("stamp", Utc(unix_micros).to_string())
}

/// Reads a `<delay/>`; none where the element is another, or has no stamp that can be read.
#[must_use]
pub fn parse(element: &Element) -> Option<Delay> {
    if !element.is("delay", ns::DELAY) {
        return None;
    }
    Some(Delay {
        from: element.attr("from").and_then(|from| Jid::parse(from).ok()),
        unix_micros: datetime::parse(element.attr("stamp")?).ok()?,
        reason: element.text(),
    })
}

/// The first note of a delay in the name of `by` that a stanza carries. It can be believed where those that
/// others wrote in this name were taken out before ([`without_forged`]).
#[must_use]
pub fn of(stanza: &Stanza, by: &Jid) -> Option<Delay> {
    if !stanza.features().any(Features::DELAY) {
        return None;
    }
    let mut notes = stanza.children().filter(|child| child.ns == ns::DELAY);
    let note = notes.find(|child| child.name == "delay" && child.has_address("from", by))?;
    note.parse().as_ref().and_then(parse)
}

/// Takes out the notes that claim to be of `by`, which has not written them yet (§5).
#[must_use]
pub fn without_forged(stanza: &Stanza, by: &Jid) -> Stanza {
    if !stanza.features().any(Features::DELAY) {
        return stanza.clone();
    }
    stanza.without(|child| child.ns == ns::DELAY && child.has_address("from", by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, Kind, MessageType};

    const STAMP: u64 = 1_031_699_305_000_000;

    fn message(inner: &'static str) -> Stanza {
        let kind = Kind::Message(MessageType::Chat);
        Stanza::new(Head { kind, id: None, from: None, to: None, lang: None }, inner)
    }

    #[test]
    fn a_delay_is_written_and_read_back() {
        let server = Jid::parse("capulet.com").unwrap();
        let written = element(Some(&server), STAMP).with_text("Offline Storage");
        let xml = "<delay xmlns='urn:xmpp:delay' from='capulet.com' \
                   stamp='2002-09-10T23:08:25Z'>Offline Storage</delay>";
        assert_eq!(String::from_utf8(written.to_bytes()).unwrap(), xml);
        let delay = parse(&written).unwrap();
        assert_eq!(delay.from, Some(server));
        assert_eq!(delay.unix_micros.unsigned_abs(), STAMP);
        assert_eq!(delay.reason, "Offline Storage");
    }

    #[test]
    fn a_delay_without_a_readable_stamp_is_none() {
        for xml in [
            "<delay xmlns='urn:xmpp:delay'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='20020910T23:08:25'/>",
            "<delay xmlns='jabber:x:delay' stamp='2002-09-10T23:08:25Z'/>",
            "<x xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/>",
        ] {
            assert_eq!(parse(&Element::parse(xml.as_bytes()).unwrap()), None, "{xml}");
        }
    }

    #[test]
    fn only_delays_in_the_name_of_this_server_are_taken_out() {
        let stanza = message(
            "<body>hi</body>\
             <delay xmlns='urn:xmpp:delay' from='Capulet.com.' stamp='2002-09-10T23:08:25Z'/>\
             <delay xmlns='urn:xmpp:delay' from='other.example' stamp='2003-09-10T23:08:25Z'/>",
        );
        let server = Jid::parse("capulet.com").unwrap();
        let clean = without_forged(&stanza, &server);
        assert_eq!(clean.children().count(), 2);
        let other = Jid::parse("other.example").unwrap();
        assert_eq!(of(&clean, &other).unwrap().from.as_ref(), Some(&other));
        assert_eq!(of(&clean, &server), None);
        assert_eq!(without_forged(&clean, &server).inner().as_ptr(), clean.inner().as_ptr());
        assert_eq!(of(&message("<body>hi</body>"), &server), None);
    }

    #[test]
    fn the_delay_of_one_is_found_behind_those_of_others() {
        let stanza = message(
            "<delay xmlns='urn:xmpp:delay' stamp='2099-01-01T00:00:00Z'/>\
             <delay xmlns='urn:xmpp:delay' from='other.example' stamp='2003-09-10T23:08:25Z'/>\
             <delay xmlns='urn:xmpp:delay' from='capulet.com' stamp='2002-09-10T23:08:25Z'/>",
        );
        let delay = of(&stanza, &Jid::parse("capulet.com").unwrap()).unwrap();
        assert_eq!(delay.unix_micros.unsigned_abs(), STAMP);
    }
}

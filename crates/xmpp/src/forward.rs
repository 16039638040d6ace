//! XEP-0297 Stanza Forwarding, version 1.0. One stanza inside another, by copying its bytes.

use crate::{Element, Head, Jid, Kind, Stanza, ns, writer};

/// Appends `<forwarded/>` around a stanza, with the note of when it was received first, where there
/// is one (§3.2). The stanza inside says that it is of `jabber:client` (§3.2 rule 3). The element
/// declares its namespace, so it may stand in any other element of another namespace.
pub fn write(out: &mut Vec<u8>, stanza: &Stanza, delay: Option<&Element>) {
    writer::open_start(out, "forwarded", ns::FORWARD, "");
    writer::open_end(out);
    if let Some(delay) = delay {
        delay.write(out, ns::FORWARD);
    }
    stanza.write_forwarded(out);
    writer::close(out, "forwarded");
}

/// Appends an element that holds a forwarded stanza and nothing else, as carbons and archives send
/// it (§3.2 rule 5). `wrapper` is its name and namespace.
pub fn write_in(
    out: &mut Vec<u8>,
    wrapper: (&str, &str),
    attributes: &[(&str, &str)],
    stanza: &Stanza,
    delay: Option<&Element>,
) {
    let (name, namespace) = wrapper;
    writer::open_start(out, name, namespace, "");
    for (attribute, value) in attributes {
        writer::attribute(out, attribute, value);
    }
    writer::open_end(out);
    write(out, stanza, delay);
    writer::close(out, name);
}

/// What stands in the `<forwarded/>` of an element, if it is of `jabber:client`.
#[must_use]
pub fn inner(wrapper: &Element) -> Option<&Element> {
    let forwarded = wrapper.child("forwarded", ns::FORWARD)?;
    forwarded.children().find(|child| child.ns() == ns::CLIENT)
}

/// The stanza that an element of `jabber:client` stands for; none where it is none, or has an address that is none.
#[must_use]
pub fn read(element: &Element) -> Option<Stanza> {
    if element.ns() != ns::CLIENT {
        return None;
    }
    let jid = |name| element.attr(name).map(Jid::parse).transpose();
    let (from, to) = (jid("from").ok()?, jid("to").ok()?);
    let head = Head {
        kind: Kind::parse(element.name(), element.attr("type")).ok()?,
        id: element.attr("id").map(Into::into),
        from,
        to,
        lang: element.lang().map(Into::into),
    };
    let mut content = Vec::new();
    for child in element.children() {
        child.write(&mut content, ns::CLIENT);
    }
    Some(Stanza::new(head, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageType, delay};

    fn stanza() -> Stanza {
        let head = Head {
            kind: Kind::Message(MessageType::Chat),
            id: Some("0202197".into()),
            from: Some(Jid::parse("juliet@capulet.lit/orchard").unwrap()),
            to: Some(Jid::parse("romeo@montague.lit").unwrap()),
            lang: None,
        };
        Stanza::new(
            head,
            "<body>&lt;3</body><mood xmlns='http://jabber.org/protocol/mood'><amorous/></mood>",
        )
    }

    const INNER: &str = "<message xmlns='jabber:client' from='juliet@capulet.lit/orchard' \
        to='romeo@montague.lit' type='chat' id='0202197'><body>&lt;3</body>\
        <mood xmlns='http://jabber.org/protocol/mood'><amorous/></mood></message>";

    #[test]
    fn a_forwarded_stanza_keeps_its_bytes_and_its_namespace() {
        let mut out = Vec::new();
        write(&mut out, &stanza(), Some(&delay::element(None, 1_278_803_305_000_000)));
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            format!(
                "<forwarded xmlns='urn:xmpp:forward:0'>\
                 <delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>{INNER}</forwarded>"
            )
        );
        let tree = Element::parse(&out).unwrap();
        let message = tree.child("message", ns::CLIENT).unwrap();
        assert_eq!(message.child("body", ns::CLIENT).unwrap().text(), "<3");
    }

    #[test]
    fn what_was_forwarded_is_read_again() {
        let mut out = Vec::new();
        write(&mut out, &stanza(), None);
        let forwarded = Element::parse(&out).unwrap();
        let inner = forwarded.children().next().unwrap();
        assert_eq!(read(inner), Some(stanza()));
        for wrong in [
            "<iq xmlns='jabber:client' type='x'/>",
            "<message xmlns='urn:x'/>",
            "<message xmlns='jabber:client' to='@'/>",
            "<body xmlns='jabber:client'/>",
        ] {
            assert_eq!(read(&Element::parse(wrong.as_bytes()).unwrap()), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrapper_has_its_attributes_and_the_forwarded_stanza() {
        let mut out = Vec::new();
        let attributes = [("queryid", "f'27"), ("id", "28482")];
        write_in(&mut out, ("result", ns::MAM), &attributes, &stanza(), None);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "<result xmlns='urn:xmpp:mam:2' queryid='f&apos;27' id='28482'>\
                 <forwarded xmlns='urn:xmpp:forward:0'>{INNER}</forwarded></result>"
            )
        );
    }
}

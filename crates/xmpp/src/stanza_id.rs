//! XEP-0359 Unique and Stable Stanza IDs, version 0.7.0. Only who assigns an id may be named in
//! `by`; what others put there in that name is taken out.

use std::borrow::Cow;

use crate::stanza::Child;
use crate::{BareJid, Element, Features, Jid, Stanza, ns};

/// The note that `by` (the account for one-to-one messages, the room for groupchat) knows a message
/// as `id` (§3 rules 5 to 7).
#[must_use]
pub fn element(id: &str, by: &BareJid) -> Element {
    Element::new("stanza-id", ns::STANZA_ID).with_attr("id", id).with_attr("by", by.as_str())
}

/// The id that `by` gave to a message, if the message carries one. The caller knows whether the
/// message came a way on which nobody else could write it (§6).
#[must_use]
pub fn find(stanza: &Stanza, by: &Jid) -> Option<String> {
    if !stanza.features().any(Features::STANZA_ID) {
        return None;
    }
    stanza.children().find(|child| is_by(child, by))?.attr("id").map(Cow::into_owned)
}

/// Takes out every `<stanza-id/>` in the name of `by`, which the entity `by` does before it adds its
/// own, and also where it adds none (§3 rule 2). All others stay (rule 3). The buffer stays shared
/// where there is nothing to take out.
#[must_use]
pub fn without_forged(stanza: &Stanza, by: &Jid) -> Stanza {
    if !stanza.features().any(Features::STANZA_ID) {
        return stanza.clone();
    }
    stanza.without(|child| is_by(child, by))
}

/// The stanza with the id that `by` gives to it, and with no other in that name (§3 rule 4).
#[must_use]
pub fn with_id(stanza: &Stanza, id: &str, by: &BareJid) -> Stanza {
    without_forged(stanza, by).with_child(&element(id, by))
}

fn is_by(child: &Child<'_>, by: &Jid) -> bool {
    child.ns == ns::STANZA_ID && child.name == "stanza-id" && child.has_address("by", by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, Kind, MessageType};

    fn message(inner: &'static str) -> Stanza {
        let kind = Kind::Message(MessageType::Chat);
        Stanza::new(Head { kind, id: None, from: None, to: None, lang: None }, inner)
    }

    fn romeo() -> BareJid {
        BareJid::parse("romeo@montague.lit").unwrap()
    }

    const FORGED: &str = "<body>hi</body>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='romeo@montague.lit'/>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='ROMEO@Montague.lit.' id='2'/>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='3' by='&#x72;omeo@montague.lit'><x/></stanza-id>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='4' by='room@muc.example.com'/>\
        <stanza-id xmlns='urn:xmpp:sid:0' id='5'/>\
        <origin-id xmlns='urn:xmpp:sid:0' id='6'/>";

    #[test]
    fn every_spelling_of_a_forged_assigner_is_taken_out_and_nothing_else() {
        let clean = without_forged(&message(FORGED), &romeo());
        let inner = String::from_utf8(clean.inner().to_vec()).unwrap();
        for (id, stays) in [(1, false), (2, false), (3, false), (4, true), (5, true), (6, true)] {
            assert_eq!(inner.contains(&format!("id='{id}'")), stays, "{id}");
        }
        assert!(inner.starts_with("<body>hi</body>"));
    }

    #[test]
    fn a_message_without_ids_keeps_its_buffer() {
        let stanza = message("<body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='6'/>");
        let same = without_forged(&stanza, &romeo());
        assert_eq!(same.inner().as_ptr(), stanza.inner().as_ptr());
        assert_eq!(find(&stanza, &romeo()), None);
    }

    #[test]
    fn the_id_that_is_given_is_the_only_one_in_that_name() {
        let stanza = with_id(&message(FORGED), "28482-98726-73623", &romeo());
        assert_eq!(find(&stanza, &romeo()).as_deref(), Some("28482-98726-73623"));
        let room = Jid::parse("room@muc.example.com").unwrap();
        assert_eq!(find(&stanza, &room).as_deref(), Some("4"));
        let last = stanza.children().last().unwrap();
        assert_eq!(
            last.bytes,
            b"<stanza-id xmlns='urn:xmpp:sid:0' id='28482-98726-73623' by='romeo@montague.lit'/>"
        );
    }
}

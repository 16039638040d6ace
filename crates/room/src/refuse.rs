//! Owns how a room says no: errors name the room as the one who refuses (XEP-0045 §7.2), and a name that
//! was given up says where people went.

use entity::Context;
use xmpp::{Element, Head, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns};

use crate::Room;
use crate::birth::Tombstone;

/// Answers a stanza with an error; what must not be answered is left alone.
pub(crate) fn refuse(
    room: &Room,
    stanza: &Stanza,
    error: impl Into<StanzaError>,
    cx: &mut Context<'_, Room>,
) {
    let error = error.into().to_element();
    answer(room, stanza, error, cx);
}

/// The room was destroyed (RFC 6120 §8.3.3.5): with the address of its successor, if there is one.
pub(crate) fn refuse_for_good(
    room: &Room,
    stanza: &Stanza,
    stone: &Tombstone,
    cx: &mut Context<'_, Room>,
) {
    let mut gone = Element::new(StanzaCondition::Gone.name(), ns::STANZAS);
    if let Some(venue) = &stone.venue {
        gone = gone.with_text(format!("xmpp:{venue}?join"));
    }
    let mut error = Element::new("error", "").with_attr("type", "cancel").with_child(gone);
    if let Some(reason) = &stone.reason {
        error.push(
            Element::new("text", ns::STANZAS).with_attr_ns("lang", ns::XML, "en").with_text(reason),
        );
    }
    answer(room, stanza, error, cx);
}

/// An error from an occupant's side as another one gets it: none of what may name an address stays (§17.4 rule 3),
/// neither who says it, nor where he has gone, nor words for people.
pub(crate) fn nameless(error: &Element) -> Element {
    let conditions = error.children().filter(|child| !child.is("text", ns::STANZAS));
    let conditions = conditions.map(|child| match child.ns() {
        ns::STANZAS => Element::new(child.name().to_owned(), ns::STANZAS),
        _ => child.clone(),
    });
    let nameless = Element::new("error", "").with_attr_opt("type", error.attr("type"));
    nameless.with_children(conditions.collect::<Vec<_>>())
}

fn answer(room: &Room, stanza: &Stanza, error: Element, cx: &mut Context<'_, Room>) {
    // What may be answered at all is known to the stanza (RFC 6120 §8.3.1).
    let Some(draft) = stanza.error(&StanzaCondition::UndefinedCondition.into()) else { return };
    let Head { to: Some(to), .. } = draft.head() else { return };
    // The room does not talk to itself.
    if to.bare_str() == room.jid.as_str() {
        return;
    }
    let error = error.with_attr("by", room.jid.as_str());
    let mut content = Vec::new();
    if matches!(stanza.kind(), Kind::Presence(_)) {
        content.push(Element::new("x", ns::MUC));
    }
    content.push(error);
    let mut head = draft.head().clone();
    head.from = head.from.or_else(|| Some(Jid::from(room.jid.clone())));
    cx.send(Stanza::build(head, &content));
}

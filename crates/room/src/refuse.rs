//! Owns how a room says no: errors name the room as the one who refuses (XEP-0045 §7.2), and a name that
//! was given up says where people went.

use entity::Context;
use xmpp::{Element, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns};

use crate::Room;
use crate::asked;
use crate::birth::Tombstone;
use crate::tell::{Audience, tell};

/// Answers a stanza with an error; what must not be answered is left alone.
pub(crate) fn refuse(
    room: &Room,
    stanza: &Stanza,
    error: impl Into<StanzaError>,
    cx: &mut Context<'_, Room>,
) {
    let mut error = error.into();
    let wrong = error.payload.take().map(|payload| *payload);
    answer(room, stanza, wrong, error.to_element(), cx);
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
    answer(room, stanza, None, error, cx);
}

/// An error from an occupant's side as another one gets it: none of what may name an address stays (§17.4 rule 3),
/// neither who says it, nor where they have gone, nor words for people.
pub(crate) fn nameless(error: &Element) -> Element {
    let conditions = error.children().filter(|child| !child.is("text", ns::STANZAS));
    let conditions = conditions.map(|child| match child.ns() {
        ns::STANZAS => Element::new(child.name().to_owned(), ns::STANZAS),
        _ => child.clone(),
    });
    let nameless = Element::new("error", "").with_attr_opt("type", error.attr("type"));
    nameless.with_children(conditions.collect::<Vec<_>>())
}

/// Answers a stanza of which the room takes no notice otherwise, so that its second copy need not know of the answer.
pub(crate) fn turn_away(
    room: &Room,
    stanza: &Stanza,
    condition: StanzaCondition,
    cx: &mut Context<'_, Room>,
) {
    let error = StanzaError::from(condition).to_element();
    answer_to(room, stanza, None, error).into_iter().for_each(|answer| cx.send(answer));
}

/// `wrong`: the part of the stanza that the error is about, where it says so.
fn answer(
    room: &Room,
    stanza: &Stanza,
    wrong: Option<Element>,
    error: Element,
    cx: &mut Context<'_, Room>,
) {
    let Some(answer) = answer_to(room, stanza, wrong, error) else { return };
    match (answer.kind(), answer.head().to.as_ref().and_then(Jid::to_full)) {
        (Kind::Presence(_), Some(client)) => {
            let told = answer.with_head(|head| head.to = None);
            tell(room, told, Audience::One(client), cx);
        }
        _ => asked::take(room, answer).into_iter().for_each(|it| cx.send(it)),
    }
}

fn answer_to(
    room: &Room,
    stanza: &Stanza,
    wrong: Option<Element>,
    error: Element,
) -> Option<Stanza> {
    // What may be answered at all is known to the stanza (RFC 6120 §8.3.1).
    let draft = stanza.error(&StanzaCondition::UndefinedCondition.into())?;
    let to = draft.head().to.as_ref()?;
    // The room does not talk to itself.
    if to.bare_str() == room.jid.as_str() {
        return None;
    }
    let mut head = draft.head().clone();
    head.from = head.from.or_else(|| Some(Jid::from(room.jid.clone())));
    let is_entry = matches!(stanza.kind(), Kind::Presence(_)) && !to.is_bare();
    let entry = is_entry.then(|| Element::new("x", ns::MUC));
    let error = error.with_attr("by", room.jid.as_str());
    let content: Vec<Element> = wrong.into_iter().chain(entry).chain([error]).collect();
    Some(Stanza::build(head, &content))
}

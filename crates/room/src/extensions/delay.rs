//! XEP-0203 Delayed Delivery, version 2.0: notes of a delay in the name of the room are the room's own; and when
//! something was said to all, only an owner says, who may bring along what was said elsewhere (XEP-0045 §7.9).

use entity::{Context, Extension, Passage, Verdict};
use xmpp::{BareJid, Features, Stanza, delay, ns};

use crate::Room;
use crate::affiliation::Affiliation;

/// Notes of a delay.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0203",
    title: "Delayed Delivery",
    version: "2.0",
    features: &[ns::DELAY],
    inbound: Some(inbound),
    ..Extension::NONE
};

/// Newcomers are told a message's time by the room (XEP-0045 §7.2.13): nobody backdates what they say.
fn inbound(room: &mut Room, passage: &mut Passage, _: &mut Context<'_, Room>) -> Verdict {
    let speaker = passage.session.and_then(|number| room.occupants.get(number));
    let is_owner = speaker.is_some_and(|it| room.affiliation_of(&it.who) == Affiliation::Owner);
    if !is_owner && passage.stanza.features().any(Features::DELAY) {
        passage.stanza = passage.stanza.without(|child| child.ns == ns::DELAY);
    }
    Verdict::Pass
}

/// §5
pub(crate) fn strip(room: &BareJid, stanza: &Stanza) -> Stanza {
    delay::without_forged(stanza, room)
}

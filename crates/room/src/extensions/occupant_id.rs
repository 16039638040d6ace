//! XEP-0421 Occupant identifiers for semi-anonymous MUCs, version 1.0.1: an id that stays with somebody over
//! nicks and visits, made of the room's secret and his address, which it does not tell.

use entity::{Context, Extension, Passage, Verdict};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use xmpp::{BareJid, Element, Stanza, ns};

use crate::Room;

/// Ids of occupants.
pub const EXTENSION: Extension<Room> = Extension {
    number: "0421",
    title: "Occupant identifiers for semi-anonymous MUCs",
    version: "1.0.1",
    features: &[ns::OCCUPANT_ID],
    inbound: Some(mark),
    ..Extension::NONE
};

/// §3.2
fn mark(room: &mut Room, passage: &mut Passage, _: &mut Context<'_, Room>) -> Verdict {
    let speaker = passage.session.and_then(|number| room.occupants.get(number));
    if let Some(speaker) = speaker {
        passage.stanza = passage.stanza.with_child_bytes(&speaker.marks);
    }
    Verdict::Pass
}

/// §4: only the room attaches one.
pub(crate) fn strip(stanza: &Stanza) -> Stanza {
    stanza.without(|child| child.ns == ns::OCCUPANT_ID)
}

/// §4.1: HMAC of the bare address under the room's secret.
pub(crate) fn element(secret: &[u8; 32], who: &BareJid) -> Element {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(who.as_str().as_bytes());
    let digest = mac.finalize().into_bytes();
    let id: String = digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect();
    Element::new("occupant-id", ns::OCCUPANT_ID).with_attr("id", id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(secret: u8, who: &str) -> String {
        let element = element(&[secret; 32], &BareJid::parse(who).unwrap());
        element.attr("id").unwrap().to_owned()
    }

    // §4.1
    #[test]
    fn an_id_is_stable_unique_and_of_one_room() {
        assert_eq!(id(1, "a@x"), id(1, "a@x"));
        assert_ne!(id(1, "a@x"), id(1, "b@x"));
        assert_ne!(id(1, "a@x"), id(2, "a@x"));
        assert_eq!(id(1, "a@x").len(), 40);
    }
}

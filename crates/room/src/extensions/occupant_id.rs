//! XEP-0421 Occupant identifiers for semi-anonymous MUCs, version 1.0.1: an id that stays with somebody over
//! nicks and visits, made of the room's secret and the address, which it does not tell.

use auth::Hash;
use data_encoding::HEXLOWER;
use entity::{Context, Extension, Passage, Verdict};
use xmpp::{BareJid, Element, Stanza, ns};

use crate::Room;
use crate::speaker::Speaker;

/// Ids of occupants.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0421",
    title: "Occupant identifiers for semi-anonymous MUCs",
    version: "1.0.1",
    features: &[ns::OCCUPANT_ID],
    inbound: Some(mark),
    ..Extension::NONE
};

/// §3.2
fn mark(room: &mut Room, passage: &mut Passage, _: &mut Context<'_, Room>) -> Verdict {
    if let Some(speaker) = Speaker::of_passage(room, passage) {
        passage.stanza = passage.stanza.with_child_bytes(&speaker.marks(room));
    }
    Verdict::Pass
}

/// §4: only the room attaches one.
pub(crate) fn strip(stanza: &Stanza) -> Stanza {
    stanza.without(|child| child.ns == ns::OCCUPANT_ID)
}

/// §4.1: HMAC of the bare address under the room's secret.
pub(crate) fn element(secret: &[u8; 32], who: &BareJid) -> Element {
    let digest = Hash::Sha256.hmac(secret, &[who.as_str().as_bytes()]);
    Element::new("occupant-id", ns::OCCUPANT_ID).with_attr("id", HEXLOWER.encode(&digest[..20]))
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

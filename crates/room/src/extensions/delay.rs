//! XEP-0203 Delayed Delivery, version 2.0: notes of a delay in the name of the room are the room's own.

use entity::Extension;
use xmpp::{BareJid, Stanza, delay, ns};

use crate::Room;

/// Notes of a delay.
pub const EXTENSION: Extension<Room> = Extension {
    number: "0203",
    title: "Delayed Delivery",
    version: "2.0",
    features: &[ns::DELAY],
    ..Extension::NONE
};

/// §5
pub(crate) fn strip(room: &BareJid, stanza: &Stanza) -> Stanza {
    delay::without_forged(stanza, room)
}

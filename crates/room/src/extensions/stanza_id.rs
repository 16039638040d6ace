//! XEP-0359 Unique and Stable Stanza IDs, version 0.7.0: ids in the room's name that the room did not give are
//! taken out. The archive gives them.

use entity::Extension;
use xmpp::{BareJid, Stanza, ns, stanza_id};

use crate::Room;

/// Stanza ids of a room.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0359",
    title: "Unique and Stable Stanza IDs",
    version: "0.7.0",
    features: &[ns::STANZA_ID],
    ..Extension::NONE
};

/// §3 rule 2: also where no id is added.
pub(crate) fn strip(room: &BareJid, stanza: &Stanza) -> Stanza {
    stanza_id::without_forged(stanza, room)
}

//! XEP-0410 MUC Self-Ping (Schrödinger's Chat), version 1.1.0: the room itself answers a client that asks
//! whether it is still inside.

use entity::Extension;
use xmpp::ns;
use xmpp::stanza::Child;

use crate::Room;
use crate::occupant::Occupant;

/// Pings to oneself.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0410",
    title: "MUC Self-Ping (Schrödinger's Chat)",
    version: "1.1.0",
    features: &[ns::SELF_PING],
    ..Extension::NONE
};

/// §3.3: whether an occupant pings their own nick. Who is not inside was told `not-acceptable` before.
pub(crate) fn is_one(asker: &Occupant, nick: &str, payload: &Child<'_>) -> bool {
    asker.nick() == nick && payload.name == "ping" && payload.ns == ns::PING
}

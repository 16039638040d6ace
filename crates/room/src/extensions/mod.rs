//! Owns the ordered list of a room's extensions, one file each, and the few words they share.
//!
//! The order is the order in which a message to all meets them:
//! 1. `muc` takes out what only rooms may say, and `delay` what only owners may, before anybody looks at it;
//! 2. `slow_mode` refuses before anything is kept;
//! 3. `occupant_id` marks the message before `archive` keeps it.

pub(crate) mod affiliation_versions;
pub(crate) mod archive;
pub(crate) mod avatar;
pub(crate) mod delay;
pub(crate) mod disco;
pub(crate) mod hats;
pub(crate) mod moderation;
pub(crate) mod muc;
pub(crate) mod occupant_id;
pub(crate) mod ping;
pub(crate) mod register;
pub(crate) mod retraction;
pub(crate) mod self_ping;
pub(crate) mod slow_mode;
pub(crate) mod stanza_id;
pub(crate) mod subscriptions;
pub(crate) mod vcard;

use bytes::Bytes;
use entity::{Commanded, Extension, Extensions};
use store::ArchiveId;
use xmpp::{BareJid, Element, Stanza};

use crate::Room;

/// The extensions of a room, in order.
pub static EXTENSIONS: Extensions<Room> = Extensions::new(LIST);

impl Commanded for Room {
    fn extensions() -> &'static Extensions<Self> {
        &EXTENSIONS
    }
}

const LIST: &[Extension<Room>] = &[
    muc::EXTENSION,
    delay::EXTENSION,
    stanza_id::EXTENSION,
    slow_mode::EXTENSION,
    retraction::EXTENSION,
    moderation::EXTENSION,
    occupant_id::EXTENSION,
    archive::EXTENSION,
    archive::SEARCH,
    affiliation_versions::EXTENSION,
    Extension::DISCO,
    Extension::COMMANDS,
    hats::EXTENSION,
    register::EXTENSION,
    ping::EXTENSION,
    self_ping::EXTENSION,
    vcard::EXTENSION,
    avatar::EXTENSION,
    subscriptions::EXTENSION,
];

/// A stanza of an occupant without what only the room may say.
pub(crate) fn clean(room: &BareJid, stanza: &Stanza) -> Stanza {
    let clean = muc::strip(stanza);
    let clean = hats::strip(&occupant_id::strip(&clean));
    delay::strip(room, &stanza_id::strip(room, &clean))
}

/// What is attached to all that the room says of somebody, in canonical bytes.
pub(crate) fn marks(room: &Room, who: &BareJid) -> Bytes {
    match &room.birth {
        Some(birth) => occupant_id::element(&birth.secret, who).to_bytes().into(),
        None => Bytes::new(),
    }
}

/// The id that the room's archive gives to a message (XEP-0359).
pub(crate) fn stanza_id_of(room: &Room, id: ArchiveId) -> Element {
    xmpp::stanza_id::element(&room.shared.config.ids.write(id), &room.jid)
}

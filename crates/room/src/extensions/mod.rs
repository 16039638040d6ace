//! Owns the ordered list of a room's extensions, one file each, and the few words they share.
//!
//! The order is the order in which a message to all meets them:
//! 1. `muc` takes out what only rooms may say, and `delay` what only owners may, before anybody looks at it;
//! 2. `slow_mode` refuses before anything is kept;
//! 3. `occupant_id` marks the message before `archive` keeps it.

pub mod affiliation_versions;
pub mod archive;
pub mod avatar;
pub mod delay;
pub mod disco;
pub mod hats;
pub mod moderation;
pub mod muc;
pub mod occupant_id;
pub mod ping;
pub mod register;
pub mod retraction;
pub mod self_ping;
pub mod slow_mode;
pub mod stanza_id;
pub mod vcard;

use bytes::Bytes;
use entity::{Commanded, Extension, Extensions};
use store::ArchiveId;
use xmpp::{BareJid, Element, Stanza, StanzaCondition, StanzaError};

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

/// What an asker is told when the store refused to keep or to read something.
pub(crate) fn store_error(error: &store::Error) -> StanzaError {
    tracing::warn!(%error, "a room's rows were not kept or read");
    match error {
        store::Error::Full(_) => StanzaCondition::ResourceConstraint.into(),
        _ => StanzaCondition::InternalServerError.into(),
    }
}

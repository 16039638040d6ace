//! XEP-0486 MUC Avatars, version 0.1.0: the hashes of the pictures in a room's card, told by discovery.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use entity::Extension;
use sha1::{Digest, Sha1};
use store::Write;
use xmpp::{Element, ns};

use crate::{Room, birth};

/// Pictures of rooms.
pub(crate) const EXTENSION: Extension<Room> =
    Extension { number: "0486", title: "MUC Avatars", version: "0.1.0", ..Extension::NONE };

/// Most pictures of a card.
const PICTURES_MOST: usize = 8;

/// The hash of each picture (§3.3, §5.1; XEP-0153 §3.1).
pub(super) fn hashes(card: &Element) -> Vec<String> {
    let photos = card.children().filter(|it| it.is("PHOTO", ns::VCARD));
    let pictures = photos.filter_map(|photo| {
        let text = photo.child("BINVAL", ns::VCARD)?.text();
        let compact: String = text.split_whitespace().collect();
        STANDARD.decode(compact).ok()
    });
    let hash = |bytes: Vec<u8>| HEXLOWER.encode(&Sha1::digest(bytes));
    pictures.take(PICTURES_MOST).map(hash).collect()
}

/// Keeps them where the room finds them when it is loaded.
pub(super) fn put(room: &Room, hashes: &[String]) -> Write {
    birth::put(&room.jid, birth::AVATAR, hashes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_has_the_hash_of_its_bytes() {
        let card = "<vCard xmlns='vcard-temp'><FN>x</FN>\
            <PHOTO><TYPE>image/png</TYPE><BINVAL>YWJj\n</BINVAL></PHOTO>\
            <PHOTO><BINVAL>!</BINVAL></PHOTO></vCard>";
        let hashes = hashes(&Element::parse(card.as_bytes()).unwrap());
        assert_eq!(hashes, ["a9993e364706816aba3e25717850c26c9cd0d89d"]);
    }
}

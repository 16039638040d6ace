//! XEP-0054 vcard-temp, version 1.3.0: the card of a room, which its owners write and everybody may read.

use entity::extension::Who;
use entity::refuse::store_error;
use entity::{Answer, Context, Extension, Iq, Request};
use store::{Key, Kind, Write};
use xmpp::{Element, IqType, StanzaCondition, StanzaError, ns};

use crate::Room;
use crate::affiliation::Affiliation;
use crate::extensions::avatar;
use crate::iq::reply;
use crate::presence;

/// The vCard of a room.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0054",
    title: "vcard-temp",
    version: "1.3.0",
    features: &[ns::VCARD],
    iqs: &[
        Iq { ty: IqType::Get, name: "vCard", ns: ns::VCARD, who: Who::Anybody, handle: get },
        Iq { ty: IqType::Set, name: "vCard", ns: ns::VCARD, who: Who::Anybody, handle: set },
    ],
    ..Extension::NONE
};

/// The largest card.
pub(crate) const MAX_BYTES: usize = 128 << 10;

/// §3.1
fn get(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let (key, stanza) = (key(room), request.stanza.clone());
    cx.read(
        move |store, fence| store.get(fence, key),
        move |room, cx, answer| {
            let card = match answer {
                Ok(Some(bytes)) => Element::parse(&bytes)
                    .map(Some)
                    .map_err(|_| StanzaCondition::InternalServerError.into()),
                Ok(None) => Err(StanzaCondition::ItemNotFound.into()),
                Err(error) => Err(store_error(&error)),
            };
            reply(room, &stanza, card, cx);
        },
    );
    Ok(Answer::Later)
}

/// §3.2, XEP-0486 §3.2
fn set(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    if room.affiliation_of(&from.bare()) < Affiliation::Owner {
        let error = StanzaError::from(StanzaCondition::Forbidden);
        return Err(error.with_text("only owners write the card of a room"));
    }
    let bytes = request.payload.to_bytes();
    if bytes.len() > MAX_BYTES {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_text("the card is too large"));
    }
    let card = match request.payload.children().next() {
        Some(_) => Write::Put(key(room), bytes.into()),
        None => Write::Delete(key(room)),
    };
    let hashes = avatar::hashes(&request.payload);
    let writes = vec![card, avatar::put(room, &hashes)];
    let stanza = request.stanza.clone();
    cx.commit_then(writes, move |room, cx, result| match result {
        Ok(()) => {
            room.avatar = hashes;
            reply(room, &stanza, Ok(None), cx);
            presence::announce(room, &[presence::codes([104])], cx);
        }
        Err(error) => reply(room, &stanza, Err(store_error(&error)), cx),
    });
    Ok(Answer::Later)
}

fn key(room: &Room) -> Key {
    Key::new(room.jid.clone(), Kind::Vcard, bytes::Bytes::new())
}

//! XEP-0398 User Avatar to vCard-Based Avatars Conversion, version 1.0.0, of XEP-0084, version 1.1.4, and XEP-0153,
//! version 1.1.1: a published avatar is seen in the card by all who may read it, a photo in a card is published, and
//! presence says the hash.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use entity::refuse::store_error;
use entity::{Context, Extension, LoadError, Passage, Slot, SlotKind, Verdict};
use nodes::collection::{Source, keys, payloads};
use nodes::{Asker, Outcome, access};
use sha1::{Digest, Sha1};
use store::{Key, Kind, Write, get_all};
use xmpp::{BareJid, Element, Kind as StanzaKind, PresenceType, StanzaError, ns};

use crate::User;
use crate::pep;

/// The conversion, which its owner sees nothing of.
pub(crate) const EXTENSION: Extension<User> = Extension {
    number: "0398",
    title: "User Avatar to vCard-Based Avatars Conversion",
    version: "1.0.0",
    features: &[ns::AVATAR_CONVERSION],
    outbound: Some(outbound),
    slots: &[SlotKind::of::<Hash>()],
    ..Extension::NONE
};

/// Avatars as items.
pub(crate) const PUBLISHED: Extension<User> =
    Extension { number: "0084", title: "User Avatar", version: "1.1.4", ..Extension::NONE };

/// Avatars in cards, their hash in presence.
pub(crate) const IN_CARD: Extension<User> =
    Extension { number: "0153", title: "vCard-Based Avatars", version: "1.1.1", ..Extension::NONE };

/// A node that is made for the photo of a card is as public as the card is.
const PUBLIC: pep::Options = &[("pubsub#access_model", "open")];

/// The row of [`Kind::Setting`]: the hash of the avatar that holds.
const ITEM: &str = "avatar";

/// The SHA-1 of the avatar, in hexadecimal. Comes out of the rows.
struct Hash(String);

impl Slot for Hash {
    const NAME: &'static str = "avatar";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// Takes the account's row.
pub(super) fn load(user: &mut User) -> Result<(), LoadError> {
    let Some(row) = super::take_setting(user, ITEM) else { return Ok(()) };
    let hash = str::from_utf8(&row.value).map_err(|_| LoadError { kind: Kind::Setting })?;
    user.slots.get_or_make(|| Hash(hash.to_owned()));
    Ok(())
}

/// §4: presence says the hash, unless it says that there is no photo.
fn outbound(user: &mut User, passage: &mut Passage, _: &mut Context<'_, User>) -> Verdict {
    let stanza = &passage.stanza;
    if stanza.kind() != StanzaKind::Presence(PresenceType::Available) {
        return Verdict::Pass;
    }
    let Some(Hash(hash)) = user.slots.get::<Hash>() else { return Verdict::Pass };
    let said = stanza.child("x", ns::VCARD_UPDATE);
    let photo = said.as_ref().and_then(|x| x.child("photo", ns::VCARD_UPDATE));
    match photo.map(|photo| photo.text()) {
        Some(text) if text.is_empty() || text == *hash => {}
        _ => {
            let photo = Element::new("photo", ns::VCARD_UPDATE).with_text(hash);
            let x = Element::new("x", ns::VCARD_UPDATE).with_child(photo);
            let is_x =
                |child: &xmpp::stanza::Child<'_>| child.name == "x" && child.ns == ns::VCARD_UPDATE;
            passage.stanza = stanza.without(is_x).with_child(&x);
        }
    }
    Verdict::Pass
}

/// Something was changed on the node of metadata: another hash holds, or none.
pub(crate) fn changed(user: &mut User, verb: &Element, cx: &mut Context<'_, User>) {
    if verb.attr("node") != Some(ns::AVATAR_METADATA) {
        return;
    }
    let item = verb.child("item", ns::PUBSUB).filter(|_| verb.name() == "publish");
    let info = item.and_then(|item| item.child("metadata", ns::AVATAR_METADATA)).and_then(own_info);
    let hash = info.and_then(|info| info.attr("id"));
    if hash.is_none() && user.slots.get::<Hash>().is_some() {
        strip_card(user, cx);
    }
    set_hash(user, hash, cx);
}

/// An avatar that was taken back does not go on in the card.
fn strip_card(user: &User, cx: &mut Context<'_, User>) {
    let key = Key::new(user.jid.clone(), Kind::Vcard, Bytes::new());
    let wanted = key.clone();
    cx.read(
        move |store, fence| store.get(fence, wanted),
        move |_, cx, card| {
            let card = card.ok().flatten().and_then(|card| Element::parse(&card).ok());
            let Some(card) = card.filter(|card| card.child("PHOTO", ns::VCARD).is_some()) else {
                return;
            };
            cx.commit(vec![Write::Put(key, without_photo(Some(&card)).to_bytes().into())]);
        },
    );
}

fn without_photo(card: Option<&Element>) -> Element {
    let others = card.into_iter().flat_map(Element::children);
    let others = others.filter(|child| !child.is("PHOTO", ns::VCARD)).cloned();
    Element::new("vCard", ns::VCARD).with_children(others)
}

/// The image that is an item here, and not somewhere on the web (§3.1).
fn own_info(metadata: &Element) -> Option<&Element> {
    let infos = metadata.children().filter(|child| child.is("info", ns::AVATAR_METADATA));
    infos.into_iter().find(|info| info.attr("url").is_none())
}

fn set_hash(user: &mut User, hash: Option<&str>, cx: &mut Context<'_, User>) {
    let is_hash = |hash: &&str| hash.len() == 40 && hash.bytes().all(|it| it.is_ascii_hexdigit());
    let hash = hash.filter(is_hash).map(str::to_ascii_lowercase);
    let before = user.slots.get::<Hash>().map(|Hash(hash)| hash);
    if before == hash.as_ref() {
        return;
    }
    user.slots.clear::<Hash>();
    let key = Key::new(user.jid.clone(), Kind::Setting, ITEM);
    let write = match hash {
        Some(hash) => {
            let value = Bytes::from(hash.clone());
            user.slots.get_or_make(|| Hash(hash));
            Write::Put(key, value)
        }
        None => Write::Delete(key),
    };
    cx.commit_then(vec![write], |_, _, kept| {
        if let Err(error) = kept {
            drop(store_error(&error));
        }
    });
}

/// The rows that show the avatar to somebody: data, then metadata; none where there is none, or they may not read it (§7).
fn rows(user: &User, who: &BareJid, now: u64) -> Option<[Source; 2]> {
    let Hash(hash) = user.slots.get::<Hash>()?;
    let collection = pep::collection(user)?;
    let asker = Asker { who, now, people: &pep::people(user) };
    let of = |name: &str, id: Option<&str>| {
        let node = collection.get(name)?;
        access::read(node, asker).ok()?;
        let head = match id {
            Some(id) => node.item(id),
            None => node.items.last(),
        };
        Some(collection.source(name, head?))
    };
    Some([of(ns::AVATAR_DATA, Some(hash))?, of(ns::AVATAR_METADATA, None)?])
}

/// §3.1: the card as somebody sees it, with the published avatar as its photo. `card`: as it is kept, if it is.
pub(crate) fn show_in_card(
    user: &User,
    card: Option<Element>,
    who: &BareJid,
    cx: &mut Context<'_, User>,
    then: impl FnOnce(&mut User, &mut Context<'_, User>, Option<Element>) + 'static,
) {
    let Some(sources) = rows(user, who, cx.now.unix_micros) else {
        // Who may not read the avatar sees none that it has replaced.
        let hidden = user.slots.get::<Hash>().is_some() && *who != user.jid;
        let card = if hidden { card.map(|card| without_photo(Some(&card))) } else { card };
        return cx.read(|_, _| Box::pin(async { Ok(()) }), move |user, cx, _| then(user, cx, card));
    };
    let wanted = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, wanted),
        move |user, cx, rows| {
            let photo = rows.ok().and_then(|rows| photo(&payloads(&sources, rows)));
            let card = match photo {
                Some(photo) => Some(with_photo(card, photo)),
                None => card,
            };
            then(user, cx, card);
        },
    );
}

fn photo(read: &[Option<Bytes>]) -> Option<Element> {
    let [Some(data), Some(metadata)] = read else { return None };
    let data = Element::parse(data).ok().filter(|data| data.is("data", ns::AVATAR_DATA))?;
    let metadata = Element::parse(metadata).ok()?;
    let ty = own_info(&metadata)?.attr("type").unwrap_or("image/png").to_owned();
    let word = |name: &'static str, text: String| Element::new(name, ns::VCARD).with_text(text);
    let photo = Element::new("PHOTO", ns::VCARD).with_child(word("TYPE", ty));
    Some(photo.with_child(word("BINVAL", data.text())))
}

fn with_photo(card: Option<Element>, photo: Element) -> Element {
    without_photo(card.as_ref()).with_child(photo)
}

/// A photo in a card.
struct Photo {
    /// The SHA-1 of the image, in hexadecimal.
    id: String,
    ty: String,
    /// How large the image is.
    bytes: usize,
    /// The image in base64.
    data: String,
}

impl Photo {
    fn of(card: &Element) -> Option<Self> {
        let photo = card.child("PHOTO", ns::VCARD)?;
        let text = |name| photo.child(name, ns::VCARD).map(Element::text).unwrap_or_default();
        let data: String = text("BINVAL").split_ascii_whitespace().collect();
        let image = STANDARD.decode(&data).ok().filter(|image| !image.is_empty())?;
        let id = HEXLOWER.encode(&Sha1::digest(&image));
        Some(Self { id, ty: text("TYPE"), bytes: image.len(), data })
    }

    fn is_avatar(&self, user: &User) -> bool {
        user.slots.get::<Hash>().is_some_and(|Hash(hash)| *hash == self.id)
    }
}

/// A card was written. Its photo is published, unless it is the avatar already (§3.2). One that the card had before and
/// has no more is the avatar no more. What was published otherwise stays: there are clients that write cards and know
/// of no photos.
pub(crate) fn follow_card(
    user: &mut User,
    before: Option<&Element>,
    card: &Element,
    cx: &mut Context<'_, User>,
) {
    match (Photo::of(card), before.and_then(Photo::of)) {
        (Some(photo), _) if !photo.is_avatar(user) => publish_photo(user, photo, cx),
        (None, Some(before)) if before.is_avatar(user) => take_back(user, cx),
        _ => {}
    }
}

fn publish_photo(user: &mut User, photo: Photo, cx: &mut Context<'_, User>) {
    let Photo { id, ty, bytes, data } = photo;
    let data = Element::new("data", ns::AVATAR_DATA).with_text(data);
    let info = Element::new("info", ns::AVATAR_METADATA)
        .with_attr("bytes", bytes.to_string())
        .with_attr("id", &id)
        .with_attr("type", ty);
    let metadata = Element::new("metadata", ns::AVATAR_METADATA).with_child(info);
    let from = user.jid.clone().into();
    let outcome = pep::act(user, &from, cx, |collection, turn| {
        let mut both = pep::publish(collection, (ns::AVATAR_DATA, &id, data), PUBLIC, turn)?;
        let metadata = (ns::AVATAR_METADATA, &id[..], metadata);
        let second = pep::publish(collection, metadata, PUBLIC, turn)?;
        both.writes.extend(second.writes);
        both.notices.extend(second.notices);
        both.held.extend(second.held);
        Ok(both)
    });
    hold(user, outcome, Some(&id), cx);
}

/// Says that there is no avatar (XEP-0084 §3.5).
fn take_back(user: &mut User, cx: &mut Context<'_, User>) {
    let from = user.jid.clone().into();
    let outcome = pep::act(user, &from, cx, |collection, turn| {
        let none = Element::new("metadata", ns::AVATAR_METADATA);
        pep::publish(collection, (ns::AVATAR_METADATA, "none", none), PUBLIC, turn)
    });
    hold(user, outcome, None, cx);
}

/// What a card says holds from now on, if it could be published.
fn hold(
    user: &mut User,
    outcome: Result<Outcome, StanzaError>,
    hash: Option<&str>,
    cx: &mut Context<'_, User>,
) {
    match outcome {
        Ok(outcome) => {
            set_hash(user, hash, cx);
            pep::finish(user, (outcome, None), cx);
        }
        Err(error) => tracing::debug!(?error, "the photo of a card is not published"),
    }
}

//! Owns the Directory entity: a room service at its own address (XEP-0045 §6.1 to §6.3). It knows which rooms
//! there are and who made them, lists those that are public, and says whether one more may be made. Rooms
//! tell it of their beginning, their settings and their end, in words that only addresses of the service can
//! send. All that it knows is in its rows, but who is in the midst of a command. Rooms that do not stay may have ended
//! with a member: it looks after them when it is loaded.

mod answers;
mod commands;
mod disco;
mod midst;
mod subscriptions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use entity::command::Sessions;
use entity::{Context, Entity, LoadError, Mirror, Timer, answer};
use proto::snapshot::SnapshotError;
use proto::{Body, Envelope, Now, Route};
use store::{Key, Kind as RowKind, Row, Write};
use xmpp::{
    BareJid, Element, Head, Jid, Kind, MessageType, PresenceType, Stanza, StanzaCondition,
    StanzaError,
};

pub use answers::EXTENSIONS;

use crate::birth::NS;
use crate::{Room, Shared};

/// A room service.
pub struct Directory {
    /// Its address, a domain.
    pub jid: BareJid,
    /// The rooms.
    rooms: BTreeMap<BareJid, Listing>,
    /// How many rooms each has made that are still there.
    made: HashMap<BareJid, usize>,
    /// It has looked after rooms that do not stay.
    looked: bool,
    /// Who is in the midst of a command.
    sessions: Sessions,
    shared: Arc<Shared>,
}

/// What the directory knows of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listing {
    creator: BareJid,
    name: String,
    public: bool,
    persistent: bool,
}

impl Listing {
    fn to_element(&self) -> Element {
        Element::new("listed", NS)
            .with_attr("creator", self.creator.as_str())
            .with_attr("name", &self.name)
            .with_attr_opt("public", self.public.then_some("true"))
            .with_attr_opt("persistent", self.persistent.then_some("true"))
    }

    fn read(listed: &Element) -> Option<Self> {
        Some(Self {
            creator: BareJid::parse(listed.attr("creator")?).ok()?,
            name: listed.attr("name")?.to_owned(),
            public: listed.attr("public").is_some(),
            persistent: listed.attr("persistent").is_some(),
        })
    }
}

/// Whether a stanza is a word of a room's own service: nobody else sends from a bare domain of ours.
pub(crate) fn is_word(stanza: &Stanza, room: &BareJid) -> bool {
    let from = stanza.head().from.as_ref();
    matches!(stanza.kind(), Kind::Message(_)) && from.is_some_and(|from| *from == *room.domain())
}

/// A word between a room and its service.
pub(crate) fn word(from: Jid, to: Jid, content: Element) -> Stanza {
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: None,
        from: Some(from),
        to: Some(to),
        lang: None,
    };
    Stanza::build(head, &[content])
}

/// A room tells its service something.
pub(crate) fn tell(room: &Room, content: Element, cx: &mut Context<'_, Room>) {
    cx.send(word(room.jid.clone().into(), room.jid.domain().into(), content));
}

/// A room tells what it is.
pub(crate) fn list(room: &Room, cx: &mut Context<'_, Room>) {
    let Some(birth) = &room.birth else { return };
    let listing = Listing {
        creator: birth.creator.clone(),
        name: room.settings.name.clone(),
        public: room.settings.public,
        persistent: room.settings.persistent,
    };
    tell(room, listing.to_element(), cx);
}

/// What the service says to each of its rooms on this member when it stops (§11.2).
#[must_use]
pub fn words_of_stopping(shared: &Shared) -> Vec<Stanza> {
    let (rooms, _) = shared.occupied();
    let stop = |room: BareJid| word(room.domain().into(), room.into(), Element::new("stop", NS));
    rooms.into_iter().map(stop).collect()
}

/// The order of an operator to destroy a room (XEP-0045 §10.9), in the name of the service.
#[must_use]
pub fn order_to_destroy(room: &BareJid, reason: Option<&str>) -> Stanza {
    order(room, xmpp::IqType::Set, "destroy", &destruction_of(reason, None))
}

/// What such an order says: why the room ends, and where its people may go.
fn destruction_of(reason: Option<&str>, venue: Option<&Jid>) -> Element {
    let reason = reason.map(|it| Element::new("reason", xmpp::ns::MUC_OWNER).with_text(it));
    let destroy = Element::new("destroy", xmpp::ns::MUC_OWNER)
        .with_attr_opt("jid", venue.map(Jid::as_str))
        .with_children(reason);
    Element::new("query", xmpp::ns::MUC_OWNER).with_child(destroy)
}

/// A request to a room in the name of the service, which has an owner's rights.
#[must_use]
pub fn order(room: &BareJid, ty: xmpp::IqType, id: &str, payload: &Element) -> Stanza {
    let head = Head {
        kind: Kind::Iq(ty),
        id: Some(id.into()),
        from: Some(room.domain().into()),
        to: Some(room.clone().into()),
        lang: None,
    };
    Stanza::build(head, std::slice::from_ref(payload))
}

impl Entity for Directory {
    type Shared = Shared;

    const KINDS: &'static [RowKind] = &[RowKind::Listing];
    const NAME: &'static str = "rooms";

    fn load(route: &Route, rows: Vec<Row>, shared: &Arc<Shared>) -> Result<Self, LoadError> {
        let unreadable = LoadError { kind: RowKind::Listing };
        let Route::Room(jid) = route else { return Err(unreadable) };
        let mut directory = Self {
            jid: jid.clone(),
            rooms: BTreeMap::new(),
            made: HashMap::new(),
            looked: false,
            sessions: Sessions::default(),
            shared: Arc::clone(shared),
        };
        for row in rows {
            let room = str::from_utf8(&row.item).ok().and_then(|text| BareJid::parse(text).ok());
            let listing = Element::parse(&row.value).ok().as_ref().and_then(Listing::read);
            let (room, listing) = room.zip(listing).ok_or(unreadable)?;
            directory.place(room, listing);
        }
        Ok(directory)
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else {
            debug_assert!(false, "a word for somebody else came to a room service");
            return;
        };
        if !std::mem::replace(&mut self.looked, true) {
            self.look(cx);
        }
        if let Some(room) = self.room_that_speaks(&stanza) {
            return self.hear(&room, &stanza, cx);
        }
        match stanza.kind() {
            Kind::Iq(ty) if ty.is_request() => answer::answer(&EXTENSIONS, self, stanza, cx),
            Kind::Iq(_) => commands::answered(self, &stanza, cx),
            Kind::Message(ty) if ty != MessageType::Error => {
                cx.send_error(&stanza, StanzaCondition::ServiceUnavailable);
            }
            Kind::Presence(PresenceType::Available) => {
                cx.send_error(&stanza, StanzaCondition::JidMalformed);
            }
            _ => {}
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, now: Now) -> bool {
        self.sessions.open(now.unix_micros).next().is_none()
    }

    fn snapshot(&self, now: Now) -> Option<Bytes> {
        midst::snapshot(&self.sessions, now)
    }

    fn restore(&mut self, snapshot: &[u8], _: &mut Context<'_, Self>) -> Result<(), SnapshotError> {
        self.sessions = midst::restore(snapshot)?;
        Ok(())
    }

    fn mirror(&mut self, anew: bool, cx: &mut Context<'_, Self>) -> Mirror {
        midst::mirror(&mut self.sessions, anew, cx.now)
    }
}

impl Directory {
    fn room_that_speaks(&self, stanza: &Stanza) -> Option<BareJid> {
        let from = stanza.head().from.as_ref()?;
        let is_room = from.is_bare() && from.localpart().is_some();
        let is_ours = is_room && from.domainpart() == self.jid.as_str();
        (is_ours && matches!(stanza.kind(), Kind::Message(_))).then(|| from.bare())
    }

    fn hear(&mut self, room: &BareJid, stanza: &Stanza, cx: &mut Context<'_, Self>) {
        if let Some(create) = stanza.child("create", NS) {
            let creator = create.attr("creator").and_then(|jid| BareJid::parse(jid).ok());
            let Some(creator) = creator else { return };
            return match self.may_make(room, &creator) {
                Ok(()) => {
                    let listing =
                        Listing { creator, name: String::new(), public: false, persistent: false };
                    self.keep(room, listing, cx);
                    let from = self.jid.clone().into();
                    cx.send(word(from, room.clone().into(), Element::new("created", NS)));
                }
                Err(error) => cx.send_error(stanza, error),
            };
        }
        if let Some(listing) = stanza.child("listed", NS).as_ref().and_then(Listing::read) {
            self.keep(room, listing, cx);
        } else if stanza.find("ended", NS).is_some() {
            self.forget(room);
            cx.commit(vec![Write::Delete(self.key(room))]);
        }
    }

    /// Whether somebody may make one more room (§14.6).
    fn may_make(&self, room: &BareJid, creator: &BareJid) -> Result<(), StanzaError> {
        let shared = &self.shared;
        if shared.is_admin(creator) || self.rooms.contains_key(room) {
            return Ok(());
        }
        if self.rooms.len() >= shared.config.rooms {
            return Err(StanzaCondition::ResourceConstraint.into());
        }
        let made = self.made.get(creator).copied().unwrap_or(0);
        match made < shared.config.rooms_per_account {
            true => Ok(()),
            false => Err(StanzaCondition::NotAllowed.into()),
        }
    }

    /// A room that has ended says so, and one that is there and empty ends.
    fn look(&self, cx: &mut Context<'_, Self>) {
        for (room, _) in self.rooms.iter().filter(|(_, listing)| !listing.persistent) {
            let look = Element::new("look", NS);
            cx.send(word(self.jid.clone().into(), room.clone().into(), look));
        }
    }

    fn keep(&mut self, room: &BareJid, listing: Listing, cx: &mut Context<'_, Self>) {
        if self.rooms.get(room) != Some(&listing) {
            let value = listing.to_element().to_bytes();
            cx.commit(vec![Write::Put(self.key(room), value.into())]);
            self.place(room.clone(), listing);
        }
    }

    fn place(&mut self, room: BareJid, listing: Listing) {
        self.forget(&room);
        *self.made.entry(listing.creator.clone()).or_default() += 1;
        self.rooms.insert(room, listing);
    }

    fn forget(&mut self, room: &BareJid) {
        let Some(listing) = self.rooms.remove(room) else { return };
        if let Some(made) = self.made.get_mut(&listing.creator) {
            *made -= 1;
            if *made == 0 {
                self.made.remove(&listing.creator);
            }
        }
    }

    fn key(&self, room: &BareJid) -> Key {
        Key::new(self.jid.clone(), RowKind::Listing, Bytes::from(room.as_str().to_owned()))
    }
}

//! Owns what operators and the process itself do with rooms: listing, showing, asking, destroying, stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use auth::Seal;
use entity::Entity;
use futures_util::future::BoxFuture;
use proto::{Body, Route};
use room::{Affiliation, Room};
use router::Router;
use store::{Kind, SharedStore};
use tokio::sync::oneshot;
use tokio::time::timeout;
use web::rooms::{Later, RoomDetail, RoomRow, Rooms};
use xmpp::{BareJid, Element, IqType, Jid, Stanza};

use crate::config::Config;
use crate::foundation::Foundation;

/// The rooms of this server, for administration.
#[derive(Clone)]
pub(crate) struct Held {
    store: SharedStore,
    router: Router,
    pub(crate) shared: Arc<room::Shared>,
    /// How many questions it has put to rooms.
    asked: Arc<AtomicU64>,
}

/// A room answers in a turn or two, or it is on its way elsewhere.
const PATIENCE: Duration = Duration::from_secs(4);

impl Held {
    /// Rooms of this member, which are yet to be entered.
    pub(crate) fn new(
        config: &Config,
        foundation: &Foundation,
        router: &Router,
    ) -> anyhow::Result<Self> {
        let seal = Seal::new(&foundation.secret(b"commands of room services"));
        let settings = room::Config { ids: foundation.archive_ids(), seal, ..config.room()? };
        let (store, router) = (Arc::clone(&foundation.store), router.clone());
        let shared = Arc::new(room::Shared::new(settings));
        Ok(Self { store, router, shared, asked: Arc::default() })
    }

    /// A room as it is kept; none where there is none.
    async fn load(&self, jid: &BareJid) -> Result<Option<Room>, store::Error> {
        let Some(fence) = self.router.owners_fence(jid) else { return Ok(None) };
        let rows = self.store.load(fence, jid.clone(), Room::KINDS).await?;
        // It counts nobody: what it knows goes with it.
        let shared = Arc::new(room::Shared::new(self.shared.config.clone()));
        let room = Room::load(&Route::Room(jid.clone()), rows, &shared).ok();
        Ok(room.filter(Room::is_there))
    }

    fn row(room: &Room) -> RoomRow {
        RoomRow {
            jid: room.jid.to_string(),
            name: room.settings.name.clone(),
            public: room.settings.public,
            persistent: room.settings.persistent,
            member: None,
            occupants: None,
        }
    }

    fn detail(room: &Room) -> RoomDetail {
        let people = |affiliation| {
            room.affiliations.addresses(affiliation).map(ToString::to_string).collect()
        };
        let subject = room.subject.as_ref().and_then(|it| it.child("subject", ""));
        let birth = room.birth.as_ref();
        RoomDetail {
            row: Self::row(room),
            description: room.settings.description.clone(),
            subject: subject.map(|it| it.text()).unwrap_or_default(),
            creator: birth.map(|birth| birth.creator.to_string()).unwrap_or_default(),
            created: birth.map_or(0, |birth| birth.at / 1_000_000),
            members_only: room.settings.members_only,
            moderated: room.settings.moderated,
            password_protected: room.settings.password.is_some(),
            non_anonymous: room.settings.addresses_shown,
            archived: room.settings.archived,
            owners: people(Affiliation::Owner),
            admins: people(Affiliation::Admin),
            members: room.affiliations.count(Affiliation::Member),
            outcasts: room.affiliations.count(Affiliation::Outcast),
        }
    }
}

impl Rooms for Held {
    fn occupants(&self, room: &BareJid) -> usize {
        self.shared.occupants(room)
    }

    fn list(&self, after: Option<BareJid>, limit: usize) -> Later<Vec<RoomRow>> {
        let held = self.clone();
        Box::pin(async move {
            let (mut rows, mut after) = (Vec::new(), after);
            // A page of tombstones alone is not the end.
            loop {
                let owners = held.store.owners(Kind::Room, after, limit).await?;
                for jid in &owners {
                    rows.extend(held.load(jid).await?.map(|room| Self::row(&room)));
                }
                if owners.len() < limit || !rows.is_empty() {
                    return Ok(rows);
                }
                after = owners.last().cloned();
            }
        })
    }

    fn show(&self, room: BareJid) -> Later<Option<RoomDetail>> {
        let held = self.clone();
        Box::pin(async move { Ok(held.load(&room).await?.map(|room| Self::detail(&room))) })
    }

    fn destroy(&self, room: &BareJid, reason: Option<&str>) {
        let order = room::directory::order_to_destroy(room, reason);
        // Refused only by a room with a full mailbox; the operator sees it in the next listing.
        tell(order, &self.router);
    }

    fn ask(
        &self,
        room: &BareJid,
        set: bool,
        payload: &Element,
    ) -> BoxFuture<'static, Option<Element>> {
        let id = format!("order-{}", self.asked.fetch_add(1, Ordering::Relaxed));
        let ty = if set { IqType::Set } else { IqType::Get };
        let order = room::directory::order(room, ty, &id, payload);
        let (shared, router) = (Arc::clone(&self.shared), self.router.clone());
        Box::pin(async move {
            let (tells, answer) = oneshot::channel();
            // Whoever does not wait any more needs no answer.
            let hears = Box::new(move |answer| drop(tells.send(answer)));
            if !shared.await_answer(&id, hears) {
                return None;
            }
            tell(order, &router);
            let answer = timeout(PATIENCE, answer).await;
            shared.give_up(&id);
            let mut bytes = Vec::new();
            answer.ok()?.ok()?.write(&mut bytes);
            Element::parse(&bytes).ok()
        })
    }
}

/// Tells the occupants of every room here that the service stops (XEP-0045 §11.2), and gives the words a
/// moment to leave before the gates close.
pub(crate) async fn stop(rooms: &room::Shared, router: &Router) {
    // A room that another member has taken a moment ago goes on there.
    let is_here = |word: &Stanza| {
        word.head().to.as_ref().is_some_and(|room| router.fence(&room.bare()).is_some())
    };
    let mut words = room::directory::words_of_stopping(rooms);
    words.retain(is_here);
    if words.is_empty() {
        return;
    }
    words.into_iter().for_each(|word| tell(word, router));
    for _ in 0..MOMENTS {
        tokio::time::sleep(MOMENT).await;
        if rooms.occupied().1 == 0 {
            break;
        }
    }
    tokio::time::sleep(MOMENT).await;
}

const MOMENT: Duration = Duration::from_millis(20);
const MOMENTS: usize = 50;

/// Sends one of its rooms a stanza of the service.
fn tell(stanza: Stanza, router: &Router) {
    let Some(room) = stanza.head().to.as_ref().map(Jid::bare) else { return };
    router.order(Route::Room(room), Body::Stanza(stanza));
}

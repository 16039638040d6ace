//! Owns the administration of rooms over HTTP: the words. What is done is known to who holds the rooms.

mod ask;
pub mod orders;
pub mod people;

use std::future::Future;
use std::pin::Pin;

use actix_web::{HttpResponse, web};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use xmpp::{BareJid, Element};

use crate::administration::{PAGE, Problem};
use crate::serve::Shared;

/// A room, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// The address.
    pub jid: String,
    /// The name for people.
    pub name: String,
    /// It is in the service's list.
    pub public: bool,
    /// It stays when it is empty.
    pub persistent: bool,
    /// The name of the member that acts for it; none while none does.
    pub member: Option<String>,
    /// How many are in it; none where that member did not say so in time.
    pub occupants: Option<usize>,
}

/// A room with what its owner has chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomDetail {
    /// As in a listing.
    #[serde(flatten)]
    pub row: RoomRow,
    /// What it is about.
    pub description: String,
    /// The subject.
    pub subject: String,
    /// Who made it.
    pub creator: String,
    /// When, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// Only members enter.
    pub members_only: bool,
    /// Newcomers only listen.
    pub moderated: bool,
    /// A password is needed.
    pub password_protected: bool,
    /// Real addresses are shown to everybody.
    pub non_anonymous: bool,
    /// Messages are archived.
    pub archived: bool,
    /// Its owners.
    pub owners: Vec<String>,
    /// Its admins.
    pub admins: Vec<String>,
    /// How many members it has.
    pub members: usize,
    /// How many are banned.
    pub outcasts: usize,
}

/// What is answered later.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, store::Error>>>>;

/// Who holds the rooms. What it says of a room leaves open where the room is, and who is inside.
pub trait Rooms: Send + Sync {
    /// How many are in a room that this member acts for.
    fn occupants(&self, room: &BareJid) -> usize;

    /// Rooms behind `after`, in order.
    fn list(&self, after: Option<BareJid>, limit: usize) -> Later<Vec<RoomRow>>;

    /// One room; none where there is none.
    fn show(&self, room: BareJid) -> Later<Option<RoomDetail>>;

    /// Orders a room to end, telling its occupants why.
    fn destroy(&self, room: &BareJid, reason: Option<&str>);

    /// Asks a room that this member acts for in the name of its service, which has an owner's rights: the answer, a result
    /// or an error; none where it does not come in time. `set`: the request is of that type, otherwise of type get.
    fn ask(
        &self,
        room: &BareJid,
        set: bool,
        payload: &Element,
    ) -> BoxFuture<'static, Option<Element>>;
}

#[derive(Deserialize)]
struct Page {
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Why {
    reason: Option<String>,
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/rooms", web::get().to(list))
        .route("/api/v1/rooms/{jid}", web::get().to(show))
        .route("/api/v1/rooms/{jid}", web::delete().to(destroy))
        .configure(orders::routes)
        .configure(people::routes);
}

async fn list(shared: web::Data<Shared>, page: web::Query<Page>) -> HttpResponse {
    let after = page.after.as_deref().and_then(|after| BareJid::parse(after).ok());
    let limit = page.limit.unwrap_or(PAGE).min(PAGE);
    let members = &shared.services.members;
    match members.rooms.list(after, limit).await {
        Ok(mut rows) => {
            members.occupy(rows.iter_mut()).await;
            HttpResponse::Ok().json(rows)
        }
        Err(error) => failed(&error),
    }
}

async fn show(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    let Ok(room) = BareJid::parse(&jid) else { return missing(&jid) };
    let members = &shared.services.members;
    match members.rooms.show(room).await {
        Ok(Some(mut detail)) => {
            members.occupy([&mut detail.row]).await;
            HttpResponse::Ok().json(detail)
        }
        Ok(None) => missing(&jid),
        Err(error) => failed(&error),
    }
}

async fn destroy(
    shared: web::Data<Shared>,
    jid: web::Path<String>,
    why: web::Query<Why>,
) -> HttpResponse {
    let Ok(room) = BareJid::parse(&jid) else { return missing(&jid) };
    let rooms = &shared.services.members.rooms;
    match rooms.show(room.clone()).await {
        Ok(Some(_)) => {
            rooms.destroy(&room, why.reason.as_deref());
            tracing::info!(jid = %room, "room destroyed by an administrator");
            HttpResponse::NoContent().finish()
        }
        Ok(None) => missing(&jid),
        Err(error) => failed(&error),
    }
}

fn missing(jid: &str) -> HttpResponse {
    HttpResponse::NotFound().json(Problem { error: format!("there is no room {jid}") })
}

fn failed(error: &store::Error) -> HttpResponse {
    HttpResponse::ServiceUnavailable().json(Problem { error: error.to_string() })
}

//! Owns how operators ask a room over HTTP: by the requests of XEP-0045, in the name of its service, and the room's answer is
//! theirs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use proto::Route;
use xmpp::{BareJid, Element, StanzaCondition, ns};

use crate::administration::Problem;
use crate::members::Members;

/// Why it is not done.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    error: String,
}

/// The address of a room of this server, whether or not there is one.
pub(super) fn address(members: &Members, text: &str) -> Result<BareJid, Refusal> {
    let room = BareJid::parse(text).ok().filter(|room| room.localpart().is_some());
    let is_ours = |room: &BareJid| {
        let route = Route::of(&room.clone().into(), members.router.hosts());
        matches!(route, Route::Room(_))
    };
    room.filter(is_ours).ok_or_else(|| {
        let error = format!("{text} is no address of a room here: write it as name@service");
        Refusal::new(StatusCode::NOT_FOUND, error)
    })
}

/// What a room answers, if that is no error.
pub(super) async fn ask(
    members: &Members,
    room: &BareJid,
    set: bool,
    payload: &Element,
) -> Result<Element, Refusal> {
    let Some(answer) = members.ask_room(room, set, payload).await else {
        let error = format!("{room} has not answered in time: try again");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error));
    };
    match answer.child("error", answer.ns()) {
        Some(error) => Err(Refusal::of(room, error)),
        None => Ok(answer),
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: String) -> Self {
        Self { status, error }
    }

    pub(super) fn unclear() -> Self {
        let error = "the room's answer is not understood".to_owned();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }

    fn of(room: &BareJid, error: &Element) -> Self {
        const KNOWN: [(StanzaCondition, StatusCode); 4] = [
            (StanzaCondition::ItemNotFound, StatusCode::NOT_FOUND),
            (StanzaCondition::Conflict, StatusCode::CONFLICT),
            (StanzaCondition::ServiceUnavailable, StatusCode::NOT_IMPLEMENTED),
            (StanzaCondition::InternalServerError, StatusCode::SERVICE_UNAVAILABLE),
        ];
        let is = |(condition, _): &&(StanzaCondition, StatusCode)| {
            error.child(condition.name(), ns::STANZAS).is_some()
        };
        let status = KNOWN.iter().find(is).map(|(_, status)| *status);
        let text = error.child("text", ns::STANZAS).map(Element::text);
        let name = || error.children().next().map(|it| it.name().to_owned()).unwrap_or_default();
        match status {
            Some(StatusCode::NOT_FOUND) => {
                Self::new(StatusCode::NOT_FOUND, format!("there is no room {room}"))
            }
            status => Self::new(
                status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
                format!("{room} refuses: {}", text.unwrap_or_else(name)),
            ),
        }
    }
}

pub(super) fn answer(done: Result<HttpResponse, Refusal>) -> HttpResponse {
    done.unwrap_or_else(|Refusal { status, error }| {
        HttpResponse::build(status).json(Problem { error })
    })
}

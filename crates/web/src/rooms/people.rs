//! Owns the lists of a room's people for operators over HTTP: who is what to it, and who is inside (XEP-0045 §8.5, §9).

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use xmpp::{BareJid, Element, ns};

use super::ask::{Refusal, address, answer, ask};
use crate::members::Members;
use crate::serve::Shared;

/// People of one page (XEP-0059): as many as a room gives.
const PAGE: usize = 1_000;

/// Somebody on a list of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their address; of who is inside, that of the client that came last.
    pub jid: String,
    /// What they are to it for long.
    pub affiliation: String,
    /// What they may do there now, if they are inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Their nick; outside, the one that they have registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nick: Option<String>,
    /// Why, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What somebody is to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAffiliation {
    /// `owner`, `admin`, `member`, `outcast`, or `none`.
    pub affiliation: String,
    /// Why, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct Which {
    affiliation: Option<String>,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/rooms/{jid}/affiliations", web::get().to(affiliations))
        .route("/api/v1/rooms/{jid}/affiliations/{who}", web::put().to(affiliate))
        .route("/api/v1/rooms/{jid}/occupants", web::get().to(occupants));
}

async fn affiliations(
    shared: web::Data<Shared>,
    jid: web::Path<String>,
    which: web::Query<Which>,
) -> HttpResponse {
    let all = ["owner", "admin", "member", "outcast"];
    let lists = match &which.affiliation {
        Some(one) => vec![one.as_str()],
        None => all.to_vec(),
    };
    list(&shared.services.members, &jid, "affiliation", &lists).await
}

async fn occupants(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    let roles = ["moderator", "participant", "visitor"];
    list(&shared.services.members, &jid, "role", &roles).await
}

async fn affiliate(
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
    new: web::Json<NewAffiliation>,
) -> HttpResponse {
    let members = &shared.services.members;
    let (jid, who) = &*path;
    let done = async {
        let room = address(members, jid)?;
        let mut item = Element::new("item", ns::MUC_ADMIN)
            .with_attr("jid", who)
            .with_attr("affiliation", &new.affiliation);
        if let Some(reason) = &new.reason {
            item.push(Element::new("reason", ns::MUC_ADMIN).with_text(reason));
        }
        let query = Element::new("query", ns::MUC_ADMIN).with_child(item);
        ask(members, &room, true, &query).await?;
        let affiliation = &new.affiliation;
        tracing::info!(jid = %room, "made {who} {affiliation}, as an administrator has asked");
        Ok(HttpResponse::NoContent().finish())
    };
    answer(done.await)
}

/// The people of these lists, of each as many pages as there are.
async fn list(members: &Members, jid: &str, kind: &'static str, lists: &[&str]) -> HttpResponse {
    let done = async {
        let room = address(members, jid)?;
        let mut people: Vec<Person> = Vec::new();
        for list in lists {
            let mut after = None;
            loop {
                let page = page(members, &room, (kind, list), after).await?;
                after = page.last;
                people.extend(page.people);
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(HttpResponse::Ok().json(people))
    };
    answer(done.await)
}

/// People of a list.
struct Page {
    people: Vec<Person>,
    /// Where the next page begins, if there may be one.
    last: Option<String>,
}

async fn page(
    members: &Members,
    room: &BareJid,
    (kind, list): (&'static str, &str),
    after: Option<String>,
) -> Result<Page, Refusal> {
    let mut set = Element::new("set", ns::RSM);
    set.push(Element::new("max", ns::RSM).with_text(PAGE.to_string()));
    if let Some(after) = after {
        set.push(Element::new("after", ns::RSM).with_text(after));
    }
    let item = Element::new("item", ns::MUC_ADMIN).with_attr(kind, list);
    let query = Element::new("query", ns::MUC_ADMIN).with_child(item).with_child(set);
    let answer = ask(members, room, false, &query).await?;
    let query = answer.child("query", ns::MUC_ADMIN).ok_or_else(Refusal::unclear)?;
    let people: Vec<Person> = query.children().filter_map(person).collect();
    let set = query.child("set", ns::RSM).filter(|_| people.len() == PAGE);
    let last = set.and_then(|set| set.child("last", ns::RSM)).map(Element::text);
    Ok(Page { people, last })
}

fn person(item: &Element) -> Option<Person> {
    let attr = |name| item.attr(name).map(str::to_owned);
    Some(Person {
        jid: attr("jid")?,
        affiliation: attr("affiliation")?,
        role: attr("role"),
        nick: attr("nick"),
        reason: item.child("reason", ns::MUC_ADMIN).map(Element::text),
    })
}

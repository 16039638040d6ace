//! Owns what operators order of rooms over HTTP: to be made, and to be otherwise (XEP-0045 §10.1.3, §10.2).

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, Element, ns};

use super::ask::{Refusal, address, answer, ask};
use crate::members::Members;
use crate::serve::Shared;

/// What only this server reads.
const ROOMS: &str = "urn:rookery:rooms:0";

/// A room that is to be made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoom {
    /// The address.
    pub jid: String,
    /// Who owns it; at least one.
    pub owners: Vec<String>,
    /// Its settings by name; what is absent is as usual.
    #[serde(default)]
    pub settings: Settings,
}

/// Values by names of settings: as in the form of the room's configuration, or without what stands before the name itself.
/// Several values stand behind each other with commas, lines behind each other with line feeds.
pub type Settings = BTreeMap<String, String>;

/// A setting of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The name.
    pub name: String,
    /// What it means.
    pub label: String,
    /// What holds.
    pub values: Vec<String>,
    /// What may be chosen, where that is limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/rooms", web::post().to(create))
        .route("/api/v1/rooms/{jid}/settings", web::get().to(settings))
        .route("/api/v1/rooms/{jid}/settings", web::patch().to(change));
}

async fn create(shared: web::Data<Shared>, new: web::Json<NewRoom>) -> HttpResponse {
    let members = &shared.services.members;
    let done = async {
        let room = address(members, &new.jid)?;
        let mut settings = new.settings.clone();
        settings.insert("roomowners".to_owned(), new.owners.join(","));
        let create = || Element::new("create", ROOMS);
        let is_there = |refusal: Refusal| match refusal.status {
            StatusCode::CONFLICT => {
                Refusal::new(StatusCode::CONFLICT, format!("there is a room {room} already"))
            }
            _ => refusal,
        };
        let offered = ask(members, &room, false, &create()).await.map_err(is_there)?;
        let form = filled(&read_form(offered.child("create", ROOMS))?, &settings)?;
        let order = create().with_child(form.to_element());
        ask(members, &room, true, &order).await.map_err(is_there)?;
        tracing::info!(jid = %room, "room made by an administrator");
        Ok(HttpResponse::NoContent().finish())
    };
    answer(done.await)
}

async fn settings(shared: web::Data<Shared>, jid: web::Path<String>) -> HttpResponse {
    let members = &shared.services.members;
    let done = async {
        let room = address(members, &jid)?;
        let rows: Vec<Setting> =
            form(members, &room).await?.fields.iter().filter_map(row).collect();
        Ok(HttpResponse::Ok().json(rows))
    };
    answer(done.await)
}

async fn change(
    shared: web::Data<Shared>,
    jid: web::Path<String>,
    settings: web::Json<Settings>,
) -> HttpResponse {
    let members = &shared.services.members;
    let done = async {
        let room = address(members, &jid)?;
        let form = filled(&form(members, &room).await?, &settings)?;
        let query = Element::new("query", ns::MUC_OWNER).with_child(form.to_element());
        ask(members, &room, true, &query).await?;
        tracing::info!(jid = %room, "room configured by an administrator");
        Ok(HttpResponse::NoContent().finish())
    };
    answer(done.await)
}

/// The form of a room's configuration.
async fn form(members: &Members, room: &BareJid) -> Result<Form, Refusal> {
    let answer = ask(members, room, false, &Element::new("query", ns::MUC_OWNER)).await?;
    read_form(answer.child("query", ns::MUC_OWNER))
}

fn read_form(wrapper: Option<&Element>) -> Result<Form, Refusal> {
    let x = wrapper.and_then(|wrapper| wrapper.child("x", ns::DATA_FORMS));
    x.and_then(|x| Form::parse(x).ok()).ok_or_else(Refusal::unclear)
}

fn row(field: &Field) -> Option<Setting> {
    let is_hidden = matches!(field.ty, Some(FieldType::Hidden | FieldType::Fixed));
    (!is_hidden).then(|| Setting {
        name: short(&field.var).to_owned(),
        label: field.label.clone().unwrap_or_default(),
        values: field.values.clone(),
        options: field.options.iter().map(|option| option.value.clone()).collect(),
    })
}

/// The name of a setting without what all have in common.
fn short(var: &str) -> &str {
    let common = ["muc#roomconfig_", "rookery#roomconfig_", "muc#"];
    common.iter().find_map(|common| var.strip_prefix(common)).unwrap_or(var)
}

/// An answer to a form with these values alone.
fn filled(offered: &Form, settings: &Settings) -> Result<Form, Refusal> {
    let mut form = Form::new(FormKind::Submit, ns::MUC_CONFIG);
    for (name, value) in settings {
        let is_it = |field: &&Field| field.var == *name || short(&field.var) == name;
        let field = offered.fields.iter().find(is_it).ok_or_else(|| {
            let error = format!("rooms have no setting {name:?}: see `rookery room settings`");
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, error)
        })?;
        let ty = field.ty.unwrap_or(FieldType::TextSingle);
        let part = if ty == FieldType::TextMulti { '\n' } else { ',' };
        let values: Vec<&str> = match ty.is_multi() {
            true => value.split(part).map(str::trim).filter(|it| !it.is_empty()).collect(),
            false => vec![value],
        };
        form = form.with(Field::new(ty, field.var.clone()).with_values(values));
    }
    Ok(form)
}

//! Owns the commands about the people of a room: who is what to it, and who is inside (XEP-0045 §8.5, §9, §10).

use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::forms::{Field, FieldType, Form, Table};
use xmpp::{Element, IqType, Stanza, StanzaCondition, StanzaError, ns};

use super::super::Directory;
use super::asks::ask;
use super::{LISTED_MOST, REASON, address, columns, form, line, room_of, text, title, value};

pub(super) const AFFILIATIONS: &str = "urn:rookery:rooms:0#affiliations";
pub(super) const AFFILIATE: &str = "urn:rookery:rooms:0#affiliate";
pub(super) const OCCUPANTS: &str = "urn:rookery:rooms:0#occupants";

const WHO: &str = "jid";
const AFFILIATION: &str = "affiliation";
const ALL: &str = "all";
/// Lists of people, as people call them, and as they are named.
const LISTS: [(&str, &str); 4] =
    [("Owners", "owner"), ("Admins", "admin"), ("Members", "member"), ("Banned", "outcast")];
const ROLES: [&str; 3] = ["moderator", "participant", "visitor"];

pub(super) fn whose(_: &Directory) -> Form {
    let lists = Field::new(FieldType::ListSingle, AFFILIATION).with_label("Which of them");
    let lists = lists.with_value(ALL).with_option("All", ALL);
    let lists = LISTS.iter().fold(lists, |field, (label, name)| field.with_option(*label, *name));
    form("Whose people?").with(address()).with(lists)
}

pub(super) fn affiliations(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let which = text(form, AFFILIATION)?.filter(|which| *which != ALL);
    let lists = LISTS.iter().map(|(_, name)| *name);
    let lists = lists.filter(|name| which.is_none_or(|which| which == *name));
    list(directory, run, form, (AFFILIATION, lists.collect()), cx)
}

pub(super) fn where_at(_: &Directory) -> Form {
    form("Who is in which room?").with(address())
}

pub(super) fn occupants(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    list(directory, run, form, ("role", ROLES.to_vec()), cx)
}

/// Asks a room for some of its lists.
fn list(
    directory: &Directory,
    run: &Run,
    form: Option<&Form>,
    (kind, lists): (&'static str, Vec<&'static str>),
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let room = room_of(directory, form)?;
    let items = lists.iter().map(|list| Element::new("item", ns::MUC_ADMIN).with_attr(kind, *list));
    let most = Element::new("max", ns::RSM).with_text(LISTED_MOST.to_string());
    let query = Element::new("query", ns::MUC_ADMIN)
        .with_children(items)
        .with_child(Element::new("set", ns::RSM).with_child(most));
    ask(directory, run, (&room, IqType::Get, &query), cx)
}

/// What a room has said of its people, as a table; none where it has said something else.
pub(super) fn table(node: &str, answer: &Stanza) -> Option<Element> {
    let query = answer.child("query", ns::MUC_ADMIN)?;
    let rows: Vec<&Element> = query.children().filter(|it| it.is("item", ns::MUC_ADMIN)).collect();
    let count = query.child("set", ns::RSM).and_then(|set| set.child("count", ns::RSM));
    let count = count.and_then(|count| count.text().parse().ok()).unwrap_or(rows.len());
    let is_inside = node == OCCUPANTS;
    let shown: &[(FieldType, &str, &str)] = match is_inside {
        true => &[
            (FieldType::TextSingle, "nick", "Nick"),
            (FieldType::JidSingle, WHO, "Address"),
            (FieldType::TextSingle, "role", "Role"),
            (FieldType::TextSingle, AFFILIATION, "Affiliation"),
        ],
        false => &[
            (FieldType::JidSingle, WHO, "Address"),
            (FieldType::TextSingle, AFFILIATION, "Affiliation"),
            (FieldType::TextSingle, "nick", "Nick"),
            (FieldType::TextSingle, REASON, "Reason"),
        ],
    };
    let cell = |row: &Element, var: &str| {
        let reason = || row.child(REASON, ns::MUC_ADMIN).map(Element::text);
        let known = if var == REASON { reason() } else { row.attr(var).map(str::to_owned) };
        value(var, &known.unwrap_or_default())
    };
    let items = rows
        .iter()
        .take(LISTED_MOST)
        .map(|row| shown.iter().map(|(_, var, _)| cell(row, var)).collect())
        .collect();
    let title = Some(title(count, if is_inside { "occupants" } else { "people" }));
    Some(Table { title, reported: columns(shown), items }.to_element())
}

pub(super) fn affiliation(_: &Directory) -> Form {
    let who = Field::new(FieldType::JidSingle, WHO).with_label("Who").required();
    let what = Field::new(FieldType::ListSingle, AFFILIATION).with_label("Affiliation").required();
    let what = [
        ("Owner", "owner"),
        ("Admin", "admin"),
        ("Member", "member"),
        ("None", "none"),
        ("Banned", "outcast"),
    ]
    .iter()
    .fold(what, |field, (label, name)| field.with_option(*label, *name));
    form("Who is to be what?").with(address()).with(who).with(what).with(line(REASON, "Reason"))
}

/// The room says whether that may be.
pub(super) fn affiliate(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let room = room_of(directory, form)?;
    let who = text(form, WHO)?.ok_or(StanzaCondition::NotAcceptable)?;
    let what = text(form, AFFILIATION)?.ok_or(StanzaCondition::NotAcceptable)?;
    let reason = text(form, REASON)?;
    let reason = reason.map(|text| Element::new(REASON, ns::MUC_ADMIN).with_text(text));
    let item = Element::new("item", ns::MUC_ADMIN)
        .with_attr("jid", who)
        .with_attr("affiliation", what)
        .with_children(reason);
    let query = Element::new("query", ns::MUC_ADMIN).with_child(item);
    ask(directory, run, (&room, IqType::Set, &query), cx)
}

//! XEP-0050 Ad-Hoc Commands, version 1.3.0: with which those who administer the service list its rooms, hidden
//! ones too, and end one of them.

use entity::command::{Outcome, Run};
use entity::{Command, Commanded, Context, Extensions};
use xmpp::command::note;
use xmpp::forms::{Field, FieldType, Form, FormKind, Table};
use xmpp::{BareJid, Element, Jid, StanzaCondition, StanzaError};

use super::{Directory, EXTENSIONS, Listing, order_to_destroy};
use crate::birth::NS;

impl Commanded for Directory {
    const COMMANDS: &'static [Command<Self>] = &[
        Command {
            node: "urn:rookery:rooms:0#list",
            name: "List all rooms",
            may: is_admin,
            form: Some(|_| {
                let words = Field::new(FieldType::TextSingle, WORDS);
                form("Which rooms?").with(words.with_label("Part of the address or the name"))
            }),
            run: |directory, _, form, _| Ok(Outcome::Completed(Some(list(directory, form)?))),
        },
        Command {
            node: "urn:rookery:rooms:0#destroy",
            name: "End a room",
            may: is_admin,
            form: Some(|_| {
                let room = Field::new(FieldType::JidSingle, ROOM).with_label("Address").required();
                let reason = Field::new(FieldType::TextSingle, REASON);
                form("Which room is to end?").with(room).with(reason.with_label("Reason"))
            }),
            run: destroy,
        },
    ];

    fn extensions() -> &'static Extensions<Self> {
        &EXTENSIONS
    }
}

const WORDS: &str = "words";
const ROOM: &str = "room";
const REASON: &str = "reason";
/// Most rooms of one answer; where there are more, it says so.
const LISTED_MOST: usize = 200;

fn is_admin(directory: &Directory, asker: &Jid) -> bool {
    directory.shared.is_admin(&asker.bare())
}

fn form(question: &str) -> Form {
    Form::new(FormKind::Form, NS).with_title("Rooms", question)
}

fn list(directory: &Directory, form: Option<&Form>) -> Result<Element, StanzaError> {
    let words = form.map(|form| form.text(WORDS)).transpose()?.flatten().unwrap_or_default();
    let words = words.to_lowercase();
    let is_meant = |(jid, listing): &(&BareJid, &Listing)| {
        jid.as_str().contains(&words) || listing.name.to_lowercase().contains(&words)
    };
    let meant: Vec<_> = directory.rooms.iter().filter(is_meant).collect();
    let title = match meant.len() {
        all if all > LISTED_MOST => format!("The first {LISTED_MOST} of {all} rooms"),
        all => format!("{all} rooms"),
    };
    let value = |var, value: &str| Field {
        ty: None,
        ..Field::new(FieldType::TextSingle, var).with_value(value)
    };
    let flag = |is: bool| if is { "1" } else { "0" };
    let row = |(jid, listing): &(&BareJid, &Listing)| {
        vec![
            value(ROOM, jid.as_str()),
            value("name", &listing.name),
            value("creator", listing.creator.as_str()),
            value("public", flag(listing.public)),
            value("persistent", flag(listing.persistent)),
        ]
    };
    let column = |ty, var, label: &str| Field::new(ty, var).with_label(label);
    let reported = vec![
        column(FieldType::JidSingle, ROOM, "Address"),
        column(FieldType::TextSingle, "name", "Name"),
        column(FieldType::JidSingle, "creator", "Made by"),
        column(FieldType::Boolean, "public", "Listed"),
        column(FieldType::Boolean, "persistent", "Stays"),
    ];
    let items = meant.iter().take(LISTED_MOST).map(row).collect();
    Ok(Table { title: Some(title), reported, items }.to_element())
}

/// The room tells its people, and the directory when nothing of it is left (XEP-0045 §10.9).
fn destroy(
    directory: &mut Directory,
    _: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let form = form.ok_or(StanzaCondition::BadRequest)?;
    let room = form.jid(ROOM)?.ok_or(StanzaCondition::NotAcceptable)?.bare();
    if !directory.rooms.contains_key(&room) {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let reason = form.text(REASON)?.filter(|reason| !reason.is_empty());
    cx.send(order_to_destroy(&room, reason));
    Ok(Outcome::Completed(Some(note(format!("{room} ends.")))))
}

//! XEP-0050 Ad-Hoc Commands, version 1.3.0: owns what those who administer the service do with its rooms: all of them
//! listed, hidden ones too, one made, changed, ended, and its people seen and changed (XEP-0045 §8.5, §9, §10). What a
//! room is asked, it decides itself, as when operators ask by HTTP.
//!
//! | module | owns |
//! |---|---|
//! | `asks` | what a room is asked, and how its answer finds who has asked |
//! | `orders` | rooms made, changed and ended |
//! | `people` | who is what to a room, and who is inside |

mod asks;
mod orders;
mod people;

use entity::command::{Outcome, Runs, Second, Sessions};
use entity::{Command, Commanded, Extensions};
use xmpp::forms::{Field, FieldType, Form, FormKind, Table};
use xmpp::{BareJid, Element, Jid, StanzaCondition, StanzaError};

use super::{Directory, EXTENSIONS, Listing};
use crate::birth::NS;

pub(super) use asks::answered;

impl Commanded for Directory {
    const COMMANDS: &'static [Command<Self>] = &[
        command(LIST, "List all rooms", asks_for_words, |directory, _, form, _| {
            Ok(Outcome::Completed(Some(list(directory, form)?)))
        }),
        command(orders::CREATE, "Make a room", orders::creation, orders::create),
        Command {
            second: Some(Second { back: orders::which, run: orders::configure }),
            ..command(
                orders::CONFIGURE,
                "Configure a room",
                |directory| orders::which(directory, ""),
                orders::show,
            )
        },
        command(people::AFFILIATIONS, "List people of a room", people::whose, people::affiliations),
        command(
            people::AFFILIATE,
            "Make somebody owner, admin or member of a room, or ban them",
            people::affiliation,
            people::affiliate,
        ),
        command(people::OCCUPANTS, "List who is in a room", people::where_at, people::occupants),
        command(orders::DESTROY, "End a room", orders::destruction, orders::destroy),
    ];

    fn extensions() -> &'static Extensions<Self> {
        &EXTENSIONS
    }

    fn sessions(&mut self) -> Option<&mut Sessions> {
        Some(&mut self.sessions)
    }
}

const LIST: &str = "urn:rookery:rooms:0#list";

const WORDS: &str = "words";
const ROOM: &str = "room";
const REASON: &str = "reason";
/// Most rows of one answer; where there are more, it says so.
const LISTED_MOST: usize = 200;

const fn command(
    node: &'static str,
    name: &'static str,
    form: fn(&Directory) -> Form,
    run: Runs<Directory>,
) -> Command<Directory> {
    Command { node, name, may: is_admin, form: Some(form), run, second: None }
}

fn is_admin(directory: &Directory, asker: &Jid) -> bool {
    directory.shared.is_admin(&asker.bare())
}

fn form(question: &str) -> Form {
    Form::new(FormKind::Form, NS).with_title("Rooms", question)
}

fn line(var: &str, label: &str) -> Field {
    Field::new(FieldType::TextSingle, var).with_label(label)
}

/// Asks for a room.
fn address() -> Field {
    Field::new(FieldType::JidSingle, ROOM).with_label("Address").required()
}

/// The room that a form names.
///
/// # Errors
/// `not-acceptable` for what is no address of a room of this service.
fn room_of(directory: &Directory, form: Option<&Form>) -> Result<BareJid, StanzaError> {
    let jid = form.map(|form| form.jid(ROOM)).transpose()?.flatten();
    let jid = jid.ok_or(StanzaCondition::NotAcceptable)?;
    let is_ours = jid.is_bare() && jid.localpart().is_some();
    match is_ours && jid.domainpart() == directory.jid.as_str() {
        true => Ok(jid.bare()),
        false => {
            let text = format!("{jid} is no room of {}", directory.jid);
            Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text(text))
        }
    }
}

/// A text that was filled in with something.
fn text<'a>(form: Option<&'a Form>, var: &str) -> Result<Option<&'a str>, StanzaError> {
    let text = form.map(|form| form.text(var)).transpose()?.flatten();
    Ok(text.filter(|text| !text.is_empty()))
}

/// The columns of a table.
fn columns(columns: &[(FieldType, &str, &str)]) -> Vec<Field> {
    let column =
        |(ty, var, label): &(FieldType, &str, &str)| Field::new(*ty, *var).with_label(*label);
    columns.iter().map(column).collect()
}

fn value(var: &str, value: &str) -> Field {
    Field { ty: None, ..Field::new(FieldType::TextSingle, var).with_value(value) }
}

/// How many there are of something, and whether all of them are shown.
fn title(all: usize, what: &str) -> String {
    match all > LISTED_MOST {
        true => format!("The first {LISTED_MOST} of {all} {what}"),
        false => format!("{all} {what}"),
    }
}

fn asks_for_words(_: &Directory) -> Form {
    form("Which rooms?").with(line(WORDS, "Part of the address or the name"))
}

fn list(directory: &Directory, form: Option<&Form>) -> Result<Element, StanzaError> {
    let words = text(form, WORDS)?.unwrap_or_default().to_lowercase();
    let is_meant = |(jid, listing): &(&BareJid, &Listing)| {
        jid.as_str().contains(&words) || listing.name.to_lowercase().contains(&words)
    };
    let meant: Vec<_> = directory.rooms.iter().filter(is_meant).collect();
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
    let reported = columns(&[
        (FieldType::JidSingle, ROOM, "Address"),
        (FieldType::TextSingle, "name", "Name"),
        (FieldType::JidSingle, "creator", "Made by"),
        (FieldType::Boolean, "public", "Listed"),
        (FieldType::Boolean, "persistent", "Stays"),
    ]);
    let items = meant.iter().take(LISTED_MOST).map(row).collect();
    Ok(Table { title: Some(title(meant.len(), "rooms")), reported, items }.to_element())
}

//! XEP-0317 Hats, version 0.3.1: commands by which admins make hats and say who wears them.

use entity::command::{Command, Outcome, Run};
use entity::refuse::store_error;
use entity::{Context, Extension};
use xmpp::forms::{Field, FieldType, Form, FormKind, Table};
use xmpp::{Element, Jid, Stanza, StanzaCondition, StanzaError, ns};

use crate::Room;
use crate::affiliation::{Affiliation, Role};
use crate::hats::{Change, Hat};
use crate::iq::reply;
use crate::presence::{self, News};

/// Hats.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0317",
    title: "Hats",
    version: "0.3.1",
    features: &[ns::HATS],
    commands: &[
        Command {
            node: "urn:xmpp:hats:commands:create",
            name: "Create or change a hat",
            may: is_admin,
            form: Some(description),
            run: |room, run, form, cx| {
                let text = |var| text(form, var);
                let hat = Hat::new(text(URI)?, text(TITLE)?, text(HUE)?)?;
                apply(room, run, Change::Put(hat), cx)
            },
            second: None,
        },
        Command {
            node: "urn:xmpp:hats:commands:destroy",
            name: "Destroy a hat",
            may: is_admin,
            form: Some(|room| form(room, "Which hat is to go?", false)),
            run: |room, run, form, cx| {
                let uri = text(form, URI)?.to_owned();
                apply(room, run, Change::Remove(uri), cx)
            },
            second: None,
        },
        Command {
            node: "urn:xmpp:hats:commands:list",
            name: "List the hats",
            may: is_of_the_room,
            form: None,
            run: |room, _, _, _| Ok(Outcome::Completed(Some(list(room)))),
            second: None,
        },
        Command {
            node: "urn:xmpp:hats:commands:assign",
            name: "Give somebody a hat",
            may: is_admin,
            form: Some(|room| form(room, "Who is to wear which hat?", true)),
            run: |room, run, form, cx| {
                let change = Change::Wear(person(form)?, text(form, URI)?.to_owned());
                apply(room, run, change, cx)
            },
            second: None,
        },
        Command {
            node: "urn:xmpp:hats:commands:unassign",
            name: "Take a hat from somebody",
            may: is_admin,
            form: Some(|room| form(room, "Who is to lose which hat?", true)),
            run: |room, run, form, cx| {
                let change = Change::Doff(person(form)?, text(form, URI)?.to_owned());
                apply(room, run, change, cx)
            },
            second: None,
        },
        Command {
            node: "urn:xmpp:hats:commands:list-assigned",
            name: "List who wears which hat",
            may: is_admin,
            form: None,
            run: |room, _, _, _| Ok(Outcome::Completed(Some(assigned(room)))),
            second: None,
        },
    ],
    ..Extension::NONE
};

const URI: &str = "hats#uri";
const TITLE: &str = "hats#title";
const HUE: &str = "hats#hue";
const JID: &str = "hats#jid";

fn is_admin(room: &Room, asker: &Jid) -> bool {
    room.standing_of(asker).affiliation >= Affiliation::Admin
}

fn is_of_the_room(room: &Room, asker: &Jid) -> bool {
    let standing = room.standing_of(asker);
    standing.role > Role::None || standing.affiliation >= Affiliation::Member
}

/// §3.1: what hats somebody wears is the room's to tell.
pub(crate) fn strip(stanza: &Stanza) -> Stanza {
    stanza.without(|child| child.ns == ns::HATS)
}

/// What a client compares to see whether it knows the hats (§2).
pub(super) fn hash(room: &Room) -> Option<String> {
    use data_encoding::HEXLOWER;
    use sha1::Digest;
    if room.hats.all().is_empty() {
        return None;
    }
    let mut uris: Vec<&str> = room.hats.all().iter().map(|hat| hat.uri.as_str()).collect();
    uris.sort_unstable();
    let digest = sha1::Sha1::digest(uris.join("\n"));
    Some(HEXLOWER.encode(&digest))
}

fn description(_: &Room) -> Form {
    let line = |var, label: &str| Field::new(FieldType::TextSingle, var).with_label(label);
    Form::new(FormKind::Form, ns::HATS_COMMANDS)
        .with_title("A hat", "One that has this URI already is changed.")
        .with(line(TITLE, "Title").required())
        .with(line(URI, "URI").required())
        .with(line(HUE, "Hue, 0 to 360"))
}

/// A form that asks for one of the hats, and perhaps for somebody.
fn form(room: &Room, question: &str, asks_for_person: bool) -> Form {
    let hats = room.hats.all().iter();
    let choice = Field::new(FieldType::ListSingle, URI).with_label("Hat").required();
    let choice = hats.fold(choice, |choice, hat| choice.with_option(&hat.title, &hat.uri));
    let mut form = Form::new(FormKind::Form, ns::HATS_COMMANDS).with_title("Hats", question);
    if asks_for_person {
        let person = Field::new(FieldType::JidSingle, JID).with_label("Address");
        form = form.with(person.required());
    }
    form.with(choice)
}

fn text<'a>(form: Option<&'a Form>, var: &str) -> Result<&'a str, StanzaError> {
    let text = form.map(|form| form.text(var)).transpose()?.flatten();
    Ok(text.unwrap_or_default())
}

fn person(form: Option<&Form>) -> Result<xmpp::BareJid, StanzaError> {
    let jid = form.map(|form| form.jid(JID)).transpose()?.flatten();
    let jid = jid.ok_or(StanzaCondition::NotAcceptable)?;
    match jid.localpart() {
        Some(_) => Ok(jid.bare()),
        None => Err(StanzaCondition::NotAcceptable.into()),
    }
}

/// §3.4
fn list(room: &Room) -> Element {
    let row =
        |hat: &Hat| vec![value(TITLE, &hat.title), value(URI, &hat.uri), value(HUE, &hat.hue)];
    let reported = vec![column(TITLE, "Title"), column(URI, "URI"), column(HUE, "Hue")];
    let items = room.hats.all().iter().map(row).collect();
    Table { title: Some("Hats".to_owned()), reported, items }.to_element()
}

/// §3.7
fn assigned(room: &Room) -> Element {
    let row = |(who, hat): (&xmpp::BareJid, &Hat)| {
        let who = value(JID, who.as_str());
        vec![who, value(URI, &hat.uri), value(TITLE, &hat.title), value(HUE, &hat.hue)]
    };
    let columns = [(JID, "Address"), (URI, "URI"), (TITLE, "Title"), (HUE, "Hue")];
    let reported = columns.map(|(var, label)| column(var, label)).to_vec();
    let items = room.hats.worn().map(row).collect();
    Table { title: Some("Who wears which hat".to_owned()), reported, items }.to_element()
}

fn column(var: &str, label: &str) -> Field {
    Field::new(FieldType::TextSingle, var).with_label(label)
}

fn value(var: &str, value: &str) -> Field {
    Field { ty: None, ..Field::new(FieldType::TextSingle, var).with_value(value) }
}

/// Keeps a change; then everybody sees it: the list that changed, and each head (§3.2, §3.3, §3.5, §3.6).
fn apply(
    room: &mut Room,
    run: &Run,
    change: Change,
    cx: &mut Context<'_, Room>,
) -> Result<Outcome, StanzaError> {
    let changed = room.hats.changed(&room.jid, change)?;
    let run = run.clone();
    room.queue.block();
    cx.commit_then(changed.writes, move |room, cx, kept| {
        match kept {
            Ok(()) => {
                let before = std::mem::replace(&mut room.hats, changed.hats);
                reply(room, &run.request, Ok(Some(run.completed(None))), cx);
                if before.all() != room.hats.all() {
                    presence::announce(room, &[presence::codes([104])], cx);
                }
                for occupant in room.occupants.iter().filter(|it| changed.heads.contains(&it.who)) {
                    presence::tell_all(
                        room,
                        occupant,
                        &News::of(room, occupant),
                        occupant.role,
                        cx,
                    );
                }
            }
            Err(error) => reply(room, &run.request, Err(store_error(&error)), cx),
        }
        room.queue.unblock();
        room.drain(cx);
    });
    Ok(Outcome::Later)
}

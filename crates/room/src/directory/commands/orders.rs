//! Owns the commands by which rooms are made, changed and ended (XEP-0045 §10.1, §10.2, §10.9).

use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::command::Fault;
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, Element, IqType, StanzaCondition, StanzaError, ns};

use super::super::{Directory, destruction_of};
use super::asks::ask;
use super::{REASON, address, form, line, room_of, text};
use crate::order;
use crate::owner::OWNERS;

pub(super) const CREATE: &str = "urn:rookery:rooms:0#create";
pub(super) const CONFIGURE: &str = "urn:rookery:rooms:0#configure";
pub(super) const DESTROY: &str = "urn:rookery:rooms:0#destroy";

const VENUE: &str = "venue";
/// What is asked of a room that is to be made; everything else is as usual until it is configured.
const OF_NEW: [&str; 4] = [
    "muc#roomconfig_roomname",
    "muc#roomconfig_roomdesc",
    "muc#roomconfig_publicroom",
    "muc#roomconfig_membersonly",
];

pub(super) fn creation(directory: &Directory) -> Form {
    let owners = Field::new(FieldType::JidMulti, OWNERS);
    let owners = owners.with_label("Owners; nobody: whoever makes it");
    let all = crate::form::form(FormKind::Form, &directory.shared.config.defaults);
    let asked = OF_NEW.iter().filter_map(|var| all.field(var).cloned());
    let form = form("The room stays, and is as rooms usually are until it is configured.");
    asked.fold(form.with(address()).with(owners), Form::with)
}

/// The room makes itself ([`crate::order`]).
pub(super) fn create(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let room = room_of(directory, form)?;
    let values = |var: &str| form.and_then(|form| form.values(var)).unwrap_or_default();
    let mut owners: Vec<String> =
        values(OWNERS).iter().filter(|owner| !owner.is_empty()).cloned().collect();
    if owners.is_empty() {
        owners.push(run.asker.bare().to_string());
    }
    let new = Form::new(FormKind::Submit, ns::MUC_CONFIG);
    let new = new.with(Field::new(FieldType::JidMulti, OWNERS).with_values(owners));
    let given = form.into_iter().flat_map(|form| &form.fields);
    let given = given.filter(|field| OF_NEW.contains(&field.var.as_str()));
    let new = given.cloned().fold(new, Form::with);
    let payload = order::creation(&new);
    ask(directory, run, (&room, IqType::Set, &payload), cx)
}

/// Asks for the room; it is filled in for who comes back.
pub(super) fn which(_: &Directory, room: &str) -> Form {
    let room = Some(room).filter(|room| !room.is_empty());
    form("Which room is to be configured?").with(address().with_values(room))
}

/// The room is asked for its form.
pub(super) fn show(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let room = room_of(directory, form)?;
    let query = Element::new("query", ns::MUC_OWNER);
    ask(directory, run, (&room, IqType::Get, &query), cx)
}

/// The form goes to the room, whose it is.
pub(super) fn configure(
    directory: &mut Directory,
    run: &Run,
    room: &str,
    filled: &Form,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    if filled.form_type().is_some_and(|ty| ty != ns::MUC_CONFIG) {
        return Err(Fault::BadPayload.into());
    }
    let room = BareJid::parse(room).map_err(|_| StanzaCondition::InternalServerError)?;
    // XEP-0050 §3.5.1: one that cancels counts as one that changes nothing.
    let filled = Form { kind: FormKind::Submit, ..filled.clone() };
    let query = Element::new("query", ns::MUC_OWNER).with_child(filled.to_element());
    ask(directory, run, (&room, IqType::Set, &query), cx)
}

pub(super) fn destruction(_: &Directory) -> Form {
    let venue = Field::new(FieldType::JidSingle, VENUE);
    form("Which room is to end?")
        .with(address())
        .with(line(REASON, "Reason"))
        .with(venue.with_label("Where people may go instead"))
}

/// The room tells its people, and answers when nothing of it is left.
pub(super) fn destroy(
    directory: &mut Directory,
    run: &Run,
    form: Option<&Form>,
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let room = room_of(directory, form)?;
    let venue = form.map(|form| form.jid(VENUE)).transpose()?.flatten();
    let payload = destruction_of(text(form, REASON)?, venue.as_ref());
    ask(directory, run, (&room, IqType::Set, &payload), cx)
}

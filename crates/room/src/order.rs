//! Owns rooms that the service itself makes, as an operator orders: how one would be is asked for first, as a form
//! (XEP-0045 §10.1.3), and with its answer the room is there, configured, with owners, and nobody inside.

use entity::Context;
use xmpp::forms::Form;
use xmpp::{BareJid, Element, IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns};

use crate::affiliation::Affiliation;
use crate::affiliations::Entry;
use crate::birth::NS;
use crate::create::{self, New};
use crate::iq::reply;
use crate::room::{Phase, Room};
use crate::settings::Settings;
use crate::{directory, form, owner};

/// The payload of such a request.
const CREATE: &str = "create";

/// Whether the service asks for it: nobody else sends from its address.
pub(crate) fn is_one(stanza: &Stanza, room: &BareJid) -> bool {
    let is_of_service = stanza.head().from.as_ref().is_some_and(|from| *from == *room.domain());
    is_of_service && stanza.find(CREATE, NS).is_some()
}

/// How the service asks for one.
pub(crate) fn creation(form: &Form) -> Element {
    Element::new(CREATE, NS).with_child(form.to_element())
}

/// Why it is not obeyed where there is a room.
pub(crate) fn taken(room: &BareJid) -> StanzaError {
    let text = format!("there is a room {room} already");
    StanzaError::from(StanzaCondition::Conflict).with_text(text)
}

/// Answers it, where there is no room.
pub(crate) fn obey(room: &mut Room, request: Stanza, cx: &mut Context<'_, Room>) {
    let usual = Settings { persistent: true, ..create::usual(room) };
    if request.kind() == Kind::Iq(IqType::Get) {
        let form = owner::form(room, &usual);
        return reply(room, &request, Ok(Some(creation(&form))), cx);
    }
    match read(room, &request, &usual) {
        Ok(new) => make(room, request, new, cx),
        Err(error) => reply(room, &request, Err(error), cx),
    }
}

/// What is to be made.
///
/// # Errors
/// `bad-request` without a form, `not-acceptable` for one that makes no sense: without an owner, or of a room that would
/// end at once since nobody is inside.
fn read(room: &Room, request: &Stanza, usual: &Settings) -> Result<New, StanzaError> {
    let create = request.child(CREATE, NS).ok_or(StanzaCondition::BadRequest)?;
    let form = Form::submitted(&create, ns::MUC_CONFIG)?.ok_or(StanzaCondition::BadRequest)?;
    let settings = form::read(&form, usual, room.shared.config.history)?;
    if !settings.persistent {
        return Err(not_acceptable("a room that nobody enters is there only if it stays"));
    }
    let listed = |var| -> Result<Vec<BareJid>, StanzaError> {
        let list: Vec<BareJid> =
            form.jids(var)?.unwrap_or_default().iter().map(Jid::bare).collect();
        match list.iter().all(|jid| jid.localpart().is_some()) && list.len() <= owner::LISTED_MOST {
            true => Ok(list),
            false => Err(not_acceptable("owners and admins are people, and not that many")),
        }
    };
    let (owners, admins) = (listed(owner::OWNERS)?, listed(owner::ADMINS)?);
    let creator = owners.first().cloned();
    let creator = creator.ok_or_else(|| not_acceptable("a room has an owner"))?;
    let entry = |affiliation| Entry { affiliation, ..Entry::default() };
    let mut people: Vec<(BareJid, Entry)> = Vec::new();
    for (list, affiliation) in [(owners, Affiliation::Owner), (admins, Affiliation::Admin)] {
        for who in list {
            if people.iter().all(|(known, _)| *known != who) {
                people.push((who, entry(affiliation)));
            }
        }
    }
    Ok(New { creator, people, settings, locked: false })
}

fn not_acceptable(text: &str) -> StanzaError {
    StanzaError::from(StanzaCondition::NotAcceptable).with_text(text)
}

/// Whoever comes meanwhile waits.
fn make(room: &mut Room, request: Stanza, new: New, cx: &mut Context<'_, Room>) {
    let request = request.detached();
    let before = std::mem::replace(&mut room.phase, Phase::Ending);
    room.queue.block();
    cx.stay();
    create::anew(room, new, cx, move |room, cx, made| {
        match made {
            Ok(()) => {
                room.phase = Phase::Open;
                directory::list(room, cx);
                reply(room, &request, Ok(None), cx);
            }
            Err(error) => {
                tracing::warn!(jid = %room.jid, %error, "a room could not be made");
                room.phase = before;
                let error = StanzaCondition::InternalServerError.into();
                reply(room, &request, Err(error), cx);
            }
        }
        room.queue.unblock();
        room.drain(cx);
    });
}

//! Owns what only owners may (XEP-0045 §10): the configuration, shown and changed, and the order to destroy.

use entity::{Answer, Context, Request};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, Element, Jid, Stanza, StanzaCondition, StanzaError, ns};

use crate::affiliate::{self, Change};
use crate::affiliation::{Affiliation, Role};
use crate::exit::{self, Removal};
use crate::iq::reply;
use crate::keep::go_on;
use crate::nick_change;
use crate::presence;
use crate::room::{Phase, Room};
use crate::settings::{Settings, codes_of_change};
use crate::{birth, create, destroy, directory, form, reveal, subscribe};

pub(crate) const ADMINS: &str = "muc#roomconfig_roomadmins";
pub(crate) const OWNERS: &str = "muc#roomconfig_roomowners";

/// The form (§10.1.3, §10.2).
pub(crate) fn get(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    check_owner(room, request)?;
    let form = form(room, &room.settings);
    Ok(Answer::Result(Element::new("query", ns::MUC_OWNER).with_child(form.to_element())))
}

/// The same with settings that hold, or would.
pub(crate) fn form(room: &Room, settings: &Settings) -> Form {
    let name = room.jid.localpart().unwrap_or_default();
    let people = |affiliation| {
        let list = room.affiliations.of_affiliation(affiliation);
        list.map(|(jid, _)| jid.to_string()).take(LISTED_MOST).collect::<Vec<_>>()
    };
    form::form(FormKind::Form, settings)
        .with_title(format!("Configuration of {name}"), "Choose how the room works.")
        .with(jids(ADMINS, "Admins", people(Affiliation::Admin)))
        .with(jids(OWNERS, "Owners", people(Affiliation::Owner)))
}

/// Where there are more admins or owners, the form does not change them.
pub(crate) const LISTED_MOST: usize = 200;

fn jids(var: &str, label: &str, list: Vec<String>) -> Field {
    Field::new(FieldType::JidMulti, var).with_label(label).with_values(list)
}

/// A form that was filled in, or an order to destroy (§10.9).
pub(crate) fn set(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    check_owner(room, request)?;
    if let Some(order) = request.payload.child("destroy", ns::MUC_OWNER) {
        let farewell = destroy::Farewell::read(order);
        destroy::destroy(room, &farewell, request.stanza.clone(), cx);
        return Ok(Answer::Later);
    }
    let Some(answer) = Form::submitted(&request.payload, ns::MUC_CONFIG)? else {
        return Ok(cancel(room, request, cx));
    };
    let settings = form::read(&answer, &room.settings, room.shared.config.history)?;
    let people = affiliate::plan(room, people_of(room, &answer)?, cx)?;
    configure(room, settings, people, request.stanza.clone(), cx);
    Ok(Answer::Later)
}

fn check_owner(room: &Room, request: &Request) -> Result<(), StanzaError> {
    let from = request.stanza.head().from.as_ref().map(Jid::bare);
    let affiliation = from.map(|from| room.affiliation_of(&from)).unwrap_or_default();
    match affiliation {
        Affiliation::Owner => Ok(()),
        _ if matches!(room.phase, Phase::Locked) => Err(StanzaCondition::ItemNotFound.into()),
        _ => Err(StanzaCondition::Forbidden.into()),
    }
}

/// A room whose first configuration is cancelled is no room (§10.1.3); a later one leaves it as it is.
fn cancel(room: &mut Room, request: &Request, cx: &mut Context<'_, Room>) -> Answer {
    if matches!(room.phase, Phase::Locked) {
        destroy::destroy(room, &destroy::Farewell::default(), request.stanza.clone(), cx);
        return Answer::Later;
    }
    Answer::Done
}

/// The changes of admins and owners that a form asks for: its lists are full lists (§10.1.3).
fn people_of(room: &Room, form: &Form) -> Result<Vec<Change>, StanzaError> {
    let listed = |var| -> Result<Option<Vec<BareJid>>, StanzaError> {
        Ok(form.jids(var)?.map(|jids| jids.iter().map(Jid::bare).collect()))
    };
    let fits = |affiliation| room.affiliations.count(affiliation) <= LISTED_MOST;
    let owners = listed(OWNERS)?.filter(|_| fits(Affiliation::Owner));
    let admins = listed(ADMINS)?.filter(|_| fits(Affiliation::Admin));
    // Whoever is named in both lists is not less by it.
    let is_owner = |who: &BareJid| match &owners {
        Some(owners) => owners.contains(who),
        None => room.affiliations.of(who) == Affiliation::Owner,
    };
    let mut changes: Vec<Change> = Vec::new();
    for (list, affiliation) in [(&owners, Affiliation::Owner), (&admins, Affiliation::Admin)] {
        let Some(list) = list else { continue };
        let is_new = |who: &&BareJid| room.affiliations.of(who) != affiliation;
        let of_list = |who: &&BareJid| affiliation == Affiliation::Owner || !is_owner(who);
        for who in list.iter().filter(is_new).filter(of_list) {
            add(&mut changes, who, affiliation)?;
        }
        for (who, _) in room.affiliations.of_affiliation(affiliation) {
            // §10.4: who is no owner any more is an admin; who is no admin any more, a member.
            let less = match affiliation {
                Affiliation::Owner if admins.as_ref().is_none_or(|it| it.contains(who)) => {
                    Affiliation::Admin
                }
                _ => Affiliation::Member,
            };
            if !list.contains(who) && changes.iter().all(|change| change.who != *who) {
                add(&mut changes, who, less)?;
            }
        }
    }
    let keeps =
        |who: &BareJid| changes.iter().all(|it| it.who != *who || it.to == Affiliation::Owner);
    let stays = room.affiliations.of_affiliation(Affiliation::Owner).any(|(who, _)| keeps(who));
    if !stays && changes.iter().all(|change| change.to != Affiliation::Owner) {
        return Err(StanzaCondition::Conflict.into());
    }
    Ok(changes)
}

fn add(changes: &mut Vec<Change>, who: &BareJid, to: Affiliation) -> Result<(), StanzaError> {
    if who.localpart().is_none() {
        return Err(StanzaCondition::NotAcceptable.into());
    }
    if changes.iter().all(|change| change.who != *who) {
        changes.push(Change { who: who.clone(), to, nick: None, reason: None, tells: true });
    }
    Ok(())
}

/// Keeps settings and people, all of it or nothing; then they hold, and everybody whom they concern is told.
fn configure(
    room: &mut Room,
    settings: Settings,
    mut people: affiliate::Plan,
    request: Stanza,
    cx: &mut Context<'_, Room>,
) {
    let lost = subscribe::lost_with(room, &settings, people.changes());
    let mut writes = std::mem::take(&mut people.writes);
    writes.push(birth::put(&room.jid, birth::SETTINGS, form::to_bytes(&settings)));
    writes.extend(create::unlocking(room));
    writes.extend(subscribe::rows(room, &lost));
    let from = request.head().from.as_ref();
    let actor = from.and_then(|from| room.occupants.of_session(from));
    let actor = actor.map(|actor| actor.nick().to_owned());
    room.queue.block();
    cx.commit_then(writes, move |room, cx, result| {
        match result {
            Ok(()) => {
                affiliate::apply(room, people, actor.as_deref(), cx, |_, _| {});
                configured(room, settings, &lost, &request, cx);
            }
            Err(error) => {
                tracing::warn!(jid = %room.jid, %error, "a room's settings were not kept");
                let error = StanzaCondition::InternalServerError.into();
                reply(room, &request, Err(error), cx);
            }
        }
        go_on(room, cx);
    });
}

/// It is kept. `lost`: who does not hear the room any more.
fn configured(
    room: &mut Room,
    settings: Settings,
    lost: &[BareJid],
    request: &Stanza,
    cx: &mut Context<'_, Room>,
) {
    let was_locked = matches!(room.phase, Phase::Locked);
    create::unlock(room, cx);
    let before = std::mem::replace(&mut room.settings, settings);
    directory::list(room, cx);
    reply(room, request, Ok(None), cx);
    if !was_locked {
        tell(room, &before, cx);
    }
    subscribe::end(room, lost, cx);
    follow(room, &before, cx);
}

/// §10.2.1
fn tell(room: &Room, before: &Settings, cx: &mut Context<'_, Room>) {
    let codes = codes_of_change(before, &room.settings);
    if !codes.is_empty() {
        presence::announce(room, &[presence::codes(codes)], cx);
    }
}

/// What new settings mean to those who are inside.
fn follow(room: &mut Room, before: &Settings, cx: &mut Context<'_, Room>) {
    if room.settings.members_only && !before.members_only {
        let strangers = room
            .occupants
            .iter()
            .filter(|it| room.affiliation_of(&it.who) < Affiliation::Member)
            .map(|it| it.number);
        for number in strangers.collect::<Vec<_>>() {
            exit::remove(room, number, &Removal { code: 322, ..Removal::default() }, cx);
        }
    }
    if room.settings.moderated != before.moderated && !room.settings.moderated {
        // Everybody has a voice where none is needed (§5.1.1, note to table 3).
        give_voice_to_all(room, cx);
    }
    presence::show_and_hide(room, before.broadcast, cx);
    if room.settings.addresses_shown && !before.addresses_shown {
        reveal::to_all(room, cx);
    }
    if room.settings.nicks_locked && !before.nicks_locked {
        let registered = room.occupants.iter().filter_map(|occupant| {
            let entry = room.affiliations.get(&occupant.who)?;
            Some((occupant.number, entry.nick.clone()?))
        });
        for (number, nick) in registered.collect::<Vec<_>>() {
            nick_change::assign(room, number, &nick, cx);
        }
    }
    // Nobody is there to leave a room that does not stay (§4.2).
    exit::end_if_empty(room, cx);
}

fn give_voice_to_all(room: &mut Room, cx: &mut Context<'_, Room>) {
    let silent = room.occupants.iter().filter(|occupant| occupant.role == Role::Visitor);
    for number in silent.map(|occupant| occupant.number).collect::<Vec<_>>() {
        crate::admin::give_role(room, number, Role::Participant, None, None, cx);
    }
}

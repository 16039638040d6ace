//! XEP-0077 In-Band Registration, version 2.4: people register a nick with a room and become members of it
//! (XEP-0045 §7.10). Where that lets somebody do what they may not do yet, admins are asked (§9.9).

use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request};
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{BareJid, Element, FullJid, IqType, Jid, Stanza, StanzaCondition, StanzaError, ns};

use crate::affiliate::{self, Change};
use crate::affiliation::{Affiliation, Role};
use crate::iq::reply;
use crate::keep::keep;
use crate::rate::too_many;
use crate::registrations::{self, Registration};
use crate::room::Phase;
use crate::tell::{self, Audience, tell};
use crate::{Room, admin, voice};

/// Registration with a room.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0077",
    title: "In-Band Registration",
    version: "2.4",
    features: FEATURES,
    iqs: &[
        Iq { ty: IqType::Get, name: "query", ns: ns::REGISTER, who: Who::Anybody, handle: get },
        Iq { ty: IqType::Set, name: "query", ns: ns::REGISTER, who: Who::Anybody, handle: set },
    ],
    ..Extension::NONE
};

/// Where it works ([`works_for`]).
pub(super) const FEATURES: &[&str] = &[ns::REGISTER, ns::MUC_REGISTER];
const NICK: &str = "muc#register_roomnick";

/// What is asked (§7.10).
fn get(
    room: &mut Room,
    request: &Request,
    _: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let who = may_register(room, request)?;
    let query = Element::new("query", ns::REGISTER);
    let nick = room.affiliations.get(&who).and_then(|entry| entry.nick.as_deref());
    if let Some(nick) = nick {
        let word = |name: &'static str| Element::new(name, ns::REGISTER);
        let known = query.with_child(word("registered"));
        return Ok(Answer::Result(known.with_child(word("username").with_text(nick))));
    }
    let form = Form::new(FormKind::Form, ns::MUC_REGISTER)
        .with_title("Registration with the room", "Choose the nick that shall be yours.")
        .with(Field::new(FieldType::TextSingle, NICK).with_label("Desired nickname").required());
    Ok(Answer::Result(query.with_child(form.to_element())))
}

/// A filled form, or the wish to be forgotten (XEP-0077 §3.2).
fn set(
    room: &mut Room,
    request: &Request,
    cx: &mut Context<'_, Room>,
) -> Result<Answer, StanzaError> {
    let who = may_register(room, request)?;
    let standing = room.affiliation_of(&who);
    if request.payload.child("remove", ns::REGISTER).is_some() {
        // Who is more than a member loses their nick alone.
        let to = if standing == Affiliation::Member { Affiliation::None } else { standing };
        register(room, who, to, Box::default(), request.stanza.clone(), cx);
        return Ok(Answer::Later);
    }
    let Some(form) = Form::submitted(&request.payload, ns::MUC_REGISTER)? else {
        return Ok(Answer::Done);
    };
    let nick = form.text(NICK)?.filter(|nick| !nick.is_empty());
    let nick = admin::reserve(room, &who, nick.ok_or(StanzaCondition::BadRequest)?)?;
    if standing == Affiliation::None && gains(room, request) {
        wait(room, who, nick, request.stanza.clone(), cx);
        return Ok(Answer::Later);
    }
    let to = standing.max(Affiliation::Member);
    register(room, who, to, nick, request.stanza.clone(), cx);
    Ok(Answer::Later)
}

/// Whether somebody may register: who has an affiliation reserves a nick.
pub(super) fn works_for(room: &Room, asker: Affiliation) -> bool {
    asker >= Affiliation::Member || (asker == Affiliation::None && room.settings.registration)
}

/// Whether being a member gives more to who asks, who is none, than a nick: a way into the room (§7.2.5, §7.2.6),
/// or a voice in it (§5.1), which a moderator may have taken from them.
fn gains(room: &Room, request: &Request) -> bool {
    let from = request.stanza.head().from.as_ref();
    let role = from.map_or(Role::None, |from| room.standing_of(from).role);
    let least = match &room.settings {
        settings if settings.members_only => return true,
        settings if settings.moderated => Role::Participant,
        settings if settings.password.is_some() => Role::Visitor,
        _ => Role::None,
    };
    role < least
}

/// Who asks.
///
/// # Errors
/// `item-not-found` in a room that waits for its configuration; `not-allowed` for who is kept from it, since he was
/// banned or is nobody; `service-unavailable` where nobody becomes a member so: the room does not name the feature to him
/// either (§7.10).
fn may_register(room: &Room, request: &Request) -> Result<BareJid, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let who = from.bare();
    let standing = room.affiliation_of(&who);
    if matches!(room.phase, Phase::Locked) && standing < Affiliation::Owner {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    if standing == Affiliation::Outcast || who.localpart().is_none() {
        return Err(StanzaCondition::NotAllowed.into());
    }
    match works_for(room, standing) {
        true => Ok(who),
        false => Err(StanzaCondition::ServiceUnavailable.into()),
    }
}

fn register(
    room: &mut Room,
    who: BareJid,
    to: Affiliation,
    nick: Box<str>,
    stanza: Stanza,
    cx: &mut Context<'_, Room>,
) {
    // What they waited for they have, or do not want any more.
    let waits = room.registrations.iter().any(|it| it.who == who);
    let also = waits.then(|| registrations::delete(&room.jid, &who)).into_iter().collect();
    let change = Change { who: who.clone(), to, nick: Some(nick), reason: None, tells: false };
    affiliate::change(room, vec![change], also, None, cx, move |room, cx, done| {
        if done.is_ok() {
            room.registrations.remove(&who);
        }
        reply(room, &stanza, done.map(|()| None), cx);
    });
}

/// §9.9
fn wait(room: &mut Room, who: BareJid, nick: Box<str>, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let number = room.next_id(cx.now).0;
    let new = Registration { who, nick, number };
    let writes = room.registrations.put(&room.jid, &new);
    keep(room, writes, stanza.clone(), cx, move |room, cx| {
        let admins = voice::deciders(room, |_, it| it >= Affiliation::Admin);
        tell(room, voice::asked(room, &question(&new)), Audience::Listed(admins), cx);
        room.registrations.add(new);
        reply(room, &stanza, Ok(None), cx);
    });
}

/// An admin who comes is asked what waits.
pub(crate) fn remind(room: &Room, admin: &FullJid, cx: &mut Context<'_, Room>) {
    for registration in room.registrations.iter() {
        let form = voice::asked(room, &question(registration));
        tell::also(room, form.with_to(admin.clone().into()), cx);
    }
}

fn question(Registration { who, nick, .. }: &Registration) -> Form {
    Form::new(FormKind::Form, ns::MUC_REGISTER)
        .with_title("Registration request", "Tick the box to let this person become a member.")
        .with(
            Field::new(FieldType::TextSingle, NICK)
                .with_label("Desired nickname")
                .with_value(&**nick),
        )
        .with(
            Field::new(FieldType::JidSingle, "muc#jid")
                .with_label("User ID")
                .with_value(who.as_str()),
        )
        .with(
            Field::boolean("muc#register_allow", false)
                .with_label("Allow this person to register with the room?"),
        )
}

/// An admin decides. Several may want one nick: their form says whose request it answers, unless there is but one.
///
/// # Errors
/// `forbidden` from who is no admin, `item-not-found` where nobody waits, `bad-request` where several do and none of
/// them is named, `not-allowed` for who was banned since, `conflict` for a nick that is another's by now.
pub(crate) fn approve(
    room: &mut Room,
    stanza: &Stanza,
    form: &Form,
    cx: &mut Context<'_, Room>,
) -> Result<(), StanzaError> {
    let from = stanza.head().from.as_ref().map(Jid::bare).ok_or(StanzaCondition::BadRequest)?;
    if room.affiliation_of(&from) < Affiliation::Admin {
        return Err(StanzaCondition::Forbidden.into());
    }
    if !room.may_order(&from, cx) {
        return Err(too_many("decisions"));
    }
    let nick = form.text(NICK)?.ok_or(StanzaCondition::BadRequest)?;
    let named = form.jid("muc#jid")?;
    let is_meant = |it: &&Registration| {
        let is_named = |named: &Jid| named.bare_str() == it.who.as_str();
        *it.nick == *nick && named.as_ref().is_none_or(is_named)
    };
    let meant: Vec<&Registration> = room.registrations.iter().filter(is_meant).collect();
    let who = match &meant[..] {
        [] => return Err(StanzaCondition::ItemNotFound.into()),
        [one] => one.who.clone(),
        _ => return Err(StanzaCondition::BadRequest.into()),
    };
    let verdict = match form.boolean("muc#register_allow")? {
        Some(true) => admission(room, &who, nick).map(Some),
        _ => Ok(None),
    };
    let (change, verdict) = match verdict {
        Ok(change) => (change, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let decided = vec![registrations::delete(&room.jid, &who)];
    let (changes, stanza) = (change.into_iter().collect(), stanza.clone());
    affiliate::change(room, changes, decided, None, cx, move |room, cx, done| {
        if done.is_ok() {
            room.registrations.remove(&who);
        }
        match done.and(verdict) {
            Ok(()) => room.fan_outs.acted(cx.origin()),
            Err(error) => crate::refuse::refuse(room, &stanza, error, cx),
        }
    });
    Ok(())
}

/// What becomes of whoever is let in.
fn admission(room: &Room, who: &BareJid, nick: &str) -> Result<Change, StanzaError> {
    let now = room.affiliation_of(who);
    if now == Affiliation::Outcast {
        return Err(StanzaCondition::NotAllowed.into());
    }
    let nick = Some(admin::reserve(room, who, nick)?);
    let to = now.max(Affiliation::Member);
    Ok(Change { who: who.clone(), to, nick, reason: None, tells: true })
}

//! XEP-0077 In-Band Registration, version 2.4: people register a nick with a room and become members of it
//! (XEP-0045 §7.10). Where that lets somebody do what they may not do yet, admins are asked (§9.9).

use std::collections::VecDeque;

use bytes::Bytes;
use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request, Slot, SlotKind};
use prost::Message;
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{
    BareJid, Element, ErrorType, FullJid, IqType, Jid, Stanza, StanzaCondition, StanzaError, ns,
};

use crate::affiliate::{self, Change};
use crate::affiliation::{Affiliation, Role};
use crate::deeds::{self, Deed};
use crate::iq::reply;
use crate::room::Phase;
use crate::snapshot::{self, pb};
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
    slots: &[SlotKind::of::<Waiting>()],
    ..Extension::NONE
};

/// Where it works ([`works_for`]).
pub(super) const FEATURES: &[&str] = &[ns::REGISTER, ns::MUC_REGISTER];
const NICK: &str = "muc#register_roomnick";
/// Most registrations that wait for an admin; the oldest is given up.
const WAITING_MOST: usize = 100;

/// Who waits for an admin, with the nick that they want; oldest first.
#[derive(Debug, Default)]
struct Waiting(VecDeque<pb::Registration>);

impl Slot for Waiting {
    const NAME: &'static str = "register";

    fn encode(&self) -> Option<Bytes> {
        let registrations: Vec<pb::Registration> = self.0.iter().cloned().collect();
        let is_some = !registrations.is_empty();
        is_some.then(|| pb::Registrations { registrations }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        pb::Registrations::decode(value).ok().map(|it| Self(it.registrations.into()))
    }
}

/// Somebody waits for an admin; what they wanted before, they do not want any more.
pub(crate) fn waits(room: &mut Room, registration: pb::Registration) {
    let Waiting(waiting) = room.slots.get_or_make(Waiting::default);
    waiting.retain(|known| known.who != registration.who);
    if waiting.len() >= WAITING_MOST {
        waiting.pop_front();
    }
    waiting.push_back(registration);
}

/// They do not wait any more.
pub(crate) fn decided(room: &mut Room, registration: &pb::Registration) {
    let Waiting(waiting) = room.slots.get_or_make(Waiting::default);
    waiting.retain(|known| known != registration);
}

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
    if !room.may_ask(&who, cx) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_type(ErrorType::Wait).with_text("too many registrations"));
    }
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
        wait(room, &who, nick, cx);
        return Ok(Answer::Done);
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
fn may_register(room: &Room, request: &Request) -> Result<BareJid, StanzaError> {
    let from = request.stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let who = from.bare();
    let standing = room.affiliation_of(&who);
    if matches!(room.phase, Phase::Locked) && standing < Affiliation::Owner {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    match works_for(room, standing) && who.localpart().is_some() {
        true => Ok(who),
        false => Err(StanzaCondition::NotAllowed.into()),
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
    let change = Change { who, to, nick: Some(nick), reason: None, tells: false };
    affiliate::change(room, vec![change], None, cx, move |room, cx, done| {
        reply(room, &stanza, done.map(|()| None), cx);
    });
}

/// §9.9
fn wait(room: &mut Room, who: &BareJid, nick: Box<str>, cx: &mut Context<'_, Room>) {
    let registration = pb::Registration { who: who.to_string(), nick: nick.into() };
    let admins = voice::deciders(room, |_, it| it >= Affiliation::Admin);
    tell(room, voice::asked(room, &question(&registration)), Audience::Listed(admins), cx);
    deeds::act(room, Deed::Registers(registration));
}

/// An admin who comes is asked what waits.
pub(crate) fn remind(room: &Room, admin: &FullJid, cx: &mut Context<'_, Room>) {
    let Some(Waiting(waiting)) = room.slots.get::<Waiting>() else { return };
    for registration in waiting {
        let form = voice::asked(room, &question(registration));
        tell::also(room, form.with_to(admin.clone().into()), cx);
    }
}

fn question(pb::Registration { who, nick }: &pb::Registration) -> Form {
    Form::new(FormKind::Form, ns::MUC_REGISTER)
        .with_title("Registration request", "Tick the box to let this person become a member.")
        .with(
            Field::new(FieldType::TextSingle, NICK).with_label("Desired nickname").with_value(nick),
        )
        .with(Field::new(FieldType::JidSingle, "muc#jid").with_label("User ID").with_value(who))
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
    let nick = form.text(NICK)?.ok_or(StanzaCondition::BadRequest)?.to_owned();
    let named = form.jid("muc#jid")?;
    let waiting = room.slots.get::<Waiting>().into_iter().flat_map(|Waiting(waiting)| waiting);
    let mut meant = waiting.filter(|it| {
        it.nick == nick && named.as_ref().is_none_or(|named| named.bare_str() == it.who)
    });
    let registration = meant.next().cloned().ok_or(StanzaCondition::ItemNotFound)?;
    if meant.next().is_some() {
        return Err(StanzaCondition::BadRequest.into());
    }
    let who = snapshot::bare(&registration.who).map_err(|_| StanzaCondition::ItemNotFound)?;
    deeds::act(room, Deed::Decided(registration));
    if form.boolean("muc#register_allow")? != Some(true) {
        return Ok(());
    }
    if room.affiliation_of(&who) == Affiliation::Outcast {
        return Err(StanzaCondition::NotAllowed.into());
    }
    let nick = admin::reserve(room, &who, &nick)?;
    let to = room.affiliation_of(&who).max(Affiliation::Member);
    let change = Change { who, to, nick: Some(nick), reason: None, tells: true };
    let stanza = stanza.clone();
    affiliate::change(room, vec![change], None, cx, move |room, cx, done| {
        if let Err(error) = done {
            crate::refuse::refuse(room, &stanza, error, cx);
        }
    });
    Ok(())
}

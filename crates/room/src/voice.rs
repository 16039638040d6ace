//! Owns forms that are sent to a room as messages: requests for voice and their approval (XEP-0045 §7.13,
//! §8.6), and the approval of registrations (§9.9).

use entity::Context;
use xmpp::forms::{Field, FieldType, Form, FormKind};
use xmpp::{Head, Jid, Kind, MessageType, Stanza, StanzaCondition, StanzaError, ns};

use crate::affiliation::{Affiliation, Role};
use crate::extensions::register;
use crate::keep::keep;
use crate::occupant::Occupant;
use crate::rate::too_many;
use crate::refuse::refuse;
use crate::room::Room;
use crate::tell::{Audience, tell};
use crate::{admin, rules, voices};

/// Whether a message brings a form.
pub(crate) fn is_form(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message(MessageType::Normal)
        && stanza.find("x", ns::DATA_FORMS).is_some()
}

/// A form of an occupant.
pub(crate) fn submitted(room: &mut Room, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    if let Err(error) = read(room, stanza, cx) {
        refuse(room, stanza, error, cx);
    }
}

fn read(room: &mut Room, stanza: &Stanza, cx: &mut Context<'_, Room>) -> Result<(), StanzaError> {
    let x = stanza.child("x", ns::DATA_FORMS).ok_or(StanzaCondition::BadRequest)?;
    let form = Form::parse(&x)?;
    match (form.kind, form.form_type()) {
        // Who does not want to decide need not.
        (FormKind::Cancel, _) => Ok(()),
        (FormKind::Submit, Some(ns::MUC_REQUEST)) => match form.boolean("muc#request_allow")? {
            Some(allow) => approve(room, stanza, &form, allow, cx),
            None => request(room, stanza, &form, cx),
        },
        (FormKind::Submit, Some(ns::MUC_REGISTER)) => register::approve(room, stanza, &form, cx),
        _ => Err(StanzaCondition::BadRequest.into()),
    }
}

/// §7.13: the moderators are asked.
fn request(
    room: &mut Room,
    stanza: &Stanza,
    form: &Form,
    cx: &mut Context<'_, Room>,
) -> Result<(), StanzaError> {
    let number = room.sender_of(stanza).ok_or(StanzaCondition::NotAcceptable)?;
    if form.text("muc#role")?.is_some_and(|role| role != Role::Participant.as_str()) {
        return Err(StanzaCondition::BadRequest.into());
    }
    if !room.may_send(number, cx) {
        return Err(too_many("requests"));
    }
    let Some(occupant) = room.occupants.get(number) else { return Ok(()) };
    if occupant.role != Role::Visitor {
        return Err(StanzaCondition::NotAllowed.into());
    }
    let real = stanza.head().from.as_ref().map(ToString::to_string).unwrap_or_default();
    let question = Form::new(FormKind::Form, ns::MUC_REQUEST)
        .with_title("Voice request", "Tick the box to let this person speak.")
        .with(
            Field::new(FieldType::ListSingle, "muc#role")
                .with_label("Requested role")
                .with_option("Participant", "participant")
                .with_value("participant"),
        )
        .with(Field::new(FieldType::JidSingle, "muc#jid").with_label("User ID").with_value(real))
        .with(
            Field::new(FieldType::TextSingle, "muc#roomnick")
                .with_label("Room nickname")
                .with_value(occupant.nick()),
        )
        .with(Field::boolean("muc#request_allow", false).with_label("Grant voice to this person?"));
    let moderators = deciders(room, |role, _| role == Role::Moderator);
    tell(room, asked(room, &question), Audience::Listed(moderators), cx);
    room.fan_outs.acted(cx.origin());
    Ok(())
}

/// The clients of those who may decide.
pub(crate) fn deciders(room: &Room, decides: impl Fn(Role, Affiliation) -> bool) -> Vec<Jid> {
    let all = room.occupants.iter();
    let all = all.filter(|it| decides(it.role, room.affiliation_of(&it.who)));
    all.flat_map(Occupant::clients).collect()
}

/// A form of the room, for whom it may concern.
pub(crate) fn asked(room: &Room, form: &Form) -> Stanza {
    let head = Head {
        kind: Kind::Message(MessageType::Normal),
        id: None,
        from: Some(Jid::from(room.jid.clone())),
        to: None,
        lang: None,
    };
    Stanza::build(head, &[form.to_element()])
}

/// §8.6
fn approve(
    room: &mut Room,
    stanza: &Stanza,
    form: &Form,
    allow: bool,
    cx: &mut Context<'_, Room>,
) -> Result<(), StanzaError> {
    let from = stanza.head().from.as_ref().ok_or(StanzaCondition::BadRequest)?;
    let actor = room.standing_of(from);
    if actor.role != Role::Moderator {
        return Err(StanzaCondition::Forbidden.into());
    }
    if !allow {
        return Ok(());
    }
    if !room.may_order(&from.bare(), cx) {
        return Err(too_many("decisions"));
    }
    let nick = form.text("muc#roomnick")?.ok_or(StanzaCondition::BadRequest)?;
    let visitor = room.occupants.iter().find(|occupant| occupant.nick() == nick);
    let visitor = visitor.ok_or(StanzaCondition::ItemNotFound)?;
    // The nick may be somebody else's by now.
    if let Some(real) = form.jid("muc#jid")?
        && visitor.who.as_str() != real.bare_str()
    {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let target =
        rules::Standing { affiliation: room.affiliation_of(&visitor.who), role: visitor.role };
    rules::change_role(actor, target, Role::Participant, false)?;
    if target.role != Role::Visitor {
        return Ok(());
    }
    let (number, role) = (visitor.number, Role::Participant);
    let mut voices = voices::given(room, [(&visitor.who, target.affiliation, role)])?;
    let actor = room.occupants.of_session(from).map(|actor| actor.nick().to_owned());
    let writes = std::mem::take(&mut voices.writes);
    keep(room, writes, stanza.clone(), cx, move |room, cx| {
        room.voices.apply(voices);
        admin::give_role(room, number, role, actor.as_deref(), None, cx);
        room.fan_outs.acted(cx.origin());
    });
    Ok(())
}

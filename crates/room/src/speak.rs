//! Owns messages to all (XEP-0045 §7.4): who may speak, and that a message is reflected to everybody, in one
//! order for all, after the archive has it. One that the archive refuses is answered with an error and
//! nobody hears it.

use entity::extension::Passage;
use entity::{Context, Verdict};
use store::{ArchiveId, Write};
use xmpp::{ErrorType, Features, Stanza, StanzaCondition, StanzaError};

use crate::affiliation::Role;
use crate::extensions::{EXTENSIONS, retraction, store_error};
use crate::nick_change::sender;
use crate::queue::{Kept, Waiting};
use crate::refuse::refuse;
use crate::room::{Phase, Room};
use crate::{presence, subject};

/// A message of type `groupchat` to the room.
pub(crate) fn speak(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    // It was kept before the former owner died, and has been sent again since.
    if room.fan_outs.has_known(cx.origin()) {
        return;
    }
    let number = match may_speak(room, &stanza, cx) {
        Ok(number) => number,
        Err(error) => return refuse(room, &stanza, error, cx),
    };
    match retraction::retracted(room, &stanza) {
        Some(id) => if_author(room, id, stanza, cx),
        None => say(room, number, stanza, cx),
    }
}

/// Nobody takes back what is not his (XEP-0424 §5), nor learns by trying whose it is who may not speak. Until the
/// archive has said whose it is, all wait.
fn if_author(room: &mut Room, id: ArchiveId, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let waiting = Waiting::of_turn(stanza.detached(), cx);
    room.queue.block();
    retraction::find(room, id, cx, move |room, cx, row| {
        let Waiting { stanza, origin, receipt } = waiting;
        cx.set_cause(origin, receipt);
        let from = stanza.head().from.as_ref().map(xmpp::Jid::bare);
        room.queue.unblock();
        match row {
            Ok(Some(row)) if from.as_ref() != Some(&row.peer) => {
                refuse(room, &stanza, StanzaCondition::Forbidden, cx);
            }
            Ok(_) => match sender(room, &stanza) {
                Some(number) => say(room, number, stanza, cx),
                None => refuse(room, &stanza, StanzaCondition::NotAcceptable, cx),
            },
            Err(error) => refuse(room, &stanza, store_error(&error), cx),
        }
        room.drain(cx);
    });
}

fn say(room: &mut Room, number: u64, stanza: Stanza, cx: &mut Context<'_, Room>) {
    let passage = Passage { stanza: stanza.clone(), session: Some(number), writes: Vec::new() };
    match stages(room, passage, cx) {
        Ok(Some(passage)) => keep(room, &stanza, passage, cx),
        Ok(None) => {}
        Err(error) => refuse(room, &stanza, error, cx),
    }
}

/// The number of the occupant who speaks.
///
/// # Errors
/// `item-not-found` in a room that waits for its configuration (§17.2 rule 3), `not-acceptable` for who is
/// not inside, `forbidden` for who has no voice (§7.4) or may not change the subject (§8.1).
fn may_speak(room: &mut Room, stanza: &Stanza, cx: &Context<'_, Room>) -> Result<u64, StanzaError> {
    let number = sender(room, stanza).ok_or(StanzaCondition::NotAcceptable)?;
    if matches!(room.phase, Phase::Locked) {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let role = room.occupants.get(number).map_or(Role::None, |occupant| occupant.role);
    let may = match subject::is_change(stanza) {
        true => subject::may_change(room, role),
        false => role >= Role::Participant,
    };
    if !may {
        return Err(StanzaCondition::Forbidden.into());
    }
    if !room.may_send(number, cx) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_type(ErrorType::Wait).with_text("too many messages"));
    }
    Ok(number)
}

/// Through the extensions, in list order. None: one of them has seen to it.
fn stages(
    room: &mut Room,
    mut passage: Passage,
    cx: &mut Context<'_, Room>,
) -> Result<Option<Passage>, StanzaError> {
    let number = passage.session;
    let speaker = number.and_then(|number| room.occupants.get(number));
    if let Some(speaker) = speaker {
        let from = speaker.jid.clone().into();
        passage.stanza = passage.stanza.with_head(|head| {
            head.from = Some(from);
            head.to = None;
        });
    }
    for stage in EXTENSIONS.iter().filter_map(|extension| extension.inbound) {
        match stage(room, &mut passage, cx) {
            Verdict::Pass => {}
            Verdict::Stop => return Ok(None),
            Verdict::Refuse(error) => return Err(error),
        }
    }
    Ok(Some(passage))
}

/// To the store; from there to everybody.
fn keep(room: &mut Room, asked: &Stanza, passage: Passage, cx: &mut Context<'_, Room>) {
    let Passage { stanza, mut writes, .. } = passage;
    if subject::is_change(&stanza) {
        writes.push(subject::put(room, &stanza, cx.now));
    }
    // Nobody reads what goes through the parser's own buffer for longer than a turn.
    let (asked, stanza) = (asked.detached(), stanza.detached());
    let archived = writes.iter().find_map(|write| match write {
        Write::Append(_, row) => Some(row.id),
        _ => None,
    });
    let is_archived = archived.is_some();
    let id = archived.unwrap_or_else(|| room.next_id(cx.now));
    room.queue.append(id);
    cx.commit_then(writes, move |room, cx, result| {
        let asked = Waiting::of_turn(asked, cx);
        room.queue.answered(Kept { id, asked, stanza, result, is_archived });
        while let Some(kept) = room.queue.next_kept() {
            settle(room, kept, cx);
        }
        room.drain(cx);
    });
}

/// The store has answered: everybody hears the message, or its sender hears why nobody does.
fn settle(room: &mut Room, kept: Kept, cx: &mut Context<'_, Room>) {
    let Kept { id, asked, stanza, result, is_archived } = kept;
    let Waiting { stanza: asked, origin, receipt } = asked;
    cx.set_cause(origin, receipt);
    if let Err(error) = result {
        tracing::warn!(jid = %room.jid, %error, "a message to a room was not kept");
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return refuse(room, &asked, error.with_text("the message could not be kept"), cx);
    }
    if !is_archived {
        room.fan_outs.say(id, &stanza, origin);
    }
    reflect(room, id, &stanza, cx);
    if let Some(from) = &asked.head().from {
        retraction::heard(room, from.bare(), &stanza, cx);
    }
}

fn reflect(room: &mut Room, id: ArchiveId, stanza: &Stanza, cx: &mut Context<'_, Room>) {
    if subject::is_change(stanza) {
        subject::changed(room, stanza, cx.now);
    } else if stanza.features().any(Features::BODY.with(Features::ENCRYPTED)) {
        let most = room.shared.config.history;
        room.history.push(&room.jid, id, stanza, most);
    }
    presence::reflect(room, id, stanza, cx);
}

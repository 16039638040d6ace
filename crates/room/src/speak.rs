//! Owns messages to all (XEP-0045 §7.4): who may speak, and that a message is reflected to everybody, in one
//! order for all, after the archive has it. One that the archive refuses is answered with an error and
//! nobody hears it.

use entity::extension::Passage;
use entity::refuse::store_error;
use entity::{Context, Verdict};
use store::{ArchiveId, ArchiveRow, Write};
use xmpp::{ErrorType, Features, Origin, Stanza, StanzaCondition, StanzaError};

use crate::affiliation::Role;
use crate::extensions::{EXTENSIONS, retraction};
use crate::fan_out::Copied;
use crate::queue::{Kept, Waiting};
use crate::refuse::refuse;
use crate::room::{Phase, Room};
use crate::speaker::Speaker;
use crate::{presence, subject, tell};

/// A message of type `groupchat` to the room.
pub(crate) fn speak(room: &mut Room, stanza: Stanza, cx: &mut Context<'_, Room>) {
    // It was kept before the former owner died, and has been sent again since.
    if room.fan_outs.has_known(cx.origin()) || room.fan_outs.has_acted(cx.origin()) {
        return;
    }
    if let Err(error) = may_speak(room, &stanza, cx) {
        return refuse(room, &stanza, error, cx);
    }
    match retraction::retracted(room, &stanza) {
        Some(id) => if_author(room, id, stanza, cx),
        None => say(room, stanza, None, cx),
    }
}

/// Nobody takes back what is not theirs (XEP-0424 §5), nor learns by trying whose it is who may not speak. Until the
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
            Ok(row) => say(room, stanza, row, cx),
            Err(error) => refuse(room, &stanza, store_error(&error), cx),
        }
        room.drain(cx);
    });
}

/// `taken_back`: the row that the message takes back.
fn say(
    room: &mut Room,
    stanza: Stanza,
    taken_back: Option<ArchiveRow>,
    cx: &mut Context<'_, Room>,
) {
    let Some(passage) = passage(room, &stanza) else {
        return refuse(room, &stanza, StanzaCondition::NotAcceptable, cx);
    };
    match stages(room, passage, cx) {
        Ok(Some(passage)) => keep(room, &stanza, passage, taken_back, cx),
        Ok(None) => {}
        Err(error) => refuse(room, &stanza, error, cx),
    }
}

/// A message on its way to all, in the name of the speaker; none of who may not be heard at all.
fn passage(room: &Room, stanza: &Stanza) -> Option<Passage> {
    let speaker = Speaker::of_client(room, stanza.head().from.as_ref()?)?;
    let from = speaker.jid(room)?.into();
    let stanza = stanza.with_head(|head| {
        head.from = Some(from);
        head.to = None;
    });
    Some(Passage { stanza, session: speaker.number(), writes: Vec::new() })
}

/// Whether somebody may speak to all.
///
/// # Errors
/// `item-not-found` in a room that waits for its configuration (§17.2 rule 3), `not-acceptable` for who is
/// not inside and does not hear the room either, `forbidden` for who has no voice (§7.4) or may not change the subject
/// (§8.1).
fn may_speak(room: &mut Room, stanza: &Stanza, cx: &Context<'_, Room>) -> Result<(), StanzaError> {
    let from = stanza.head().from.as_ref();
    let speaker = from.and_then(|from| Speaker::of_client(room, from));
    let speaker = speaker.ok_or(StanzaCondition::NotAcceptable)?;
    if matches!(room.phase, Phase::Locked) {
        return Err(StanzaCondition::ItemNotFound.into());
    }
    let role = speaker.role(room);
    let may = match subject::is_change(stanza) {
        true => subject::may_change(room, role),
        false => role >= Role::Participant,
    };
    if !may {
        return Err(StanzaCondition::Forbidden.into());
    }
    let may = match speaker {
        Speaker::Inside(occupant) => {
            let number = occupant.number;
            room.may_send(number, cx)
        }
        Speaker::Outside(who, _) => {
            let who = who.clone();
            room.may_say(&who, cx)
        }
    };
    if !may {
        let error = StanzaError::from(StanzaCondition::PolicyViolation);
        return Err(error.with_type(ErrorType::Wait).with_text("too many messages"));
    }
    Ok(())
}

/// Through the extensions, in list order. None: one of them has seen to it.
fn stages(
    room: &mut Room,
    mut passage: Passage,
    cx: &mut Context<'_, Room>,
) -> Result<Option<Passage>, StanzaError> {
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
fn keep(
    room: &mut Room,
    asked: &Stanza,
    passage: Passage,
    taken_back: Option<ArchiveRow>,
    cx: &mut Context<'_, Room>,
) {
    let Passage { stanza, mut writes, .. } = passage;
    if let Some(row) = &taken_back {
        writes.extend(retraction::burial(room, row, &stanza, cx.now));
    }
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
    let buried = taken_back.map(|row| row.id);
    let id = archived.unwrap_or_else(|| room.next_id(cx.now));
    let cause = cx.origin();
    room.queue.append(id);
    cx.commit_then(writes, move |room, cx, result| {
        let asked = Waiting::of_turn(asked, cx);
        let copied = match result.is_ok() && !is_archived {
            true => copy(room, id, &stanza, cause, cx),
            false => None,
        };
        room.queue.answered(Kept { id, asked, stanza, result, copied, buried });
        go_on(room, cx);
    });
}

/// What no archive has the second copy must have before anybody hears it: a new owner that did not know it would tell it
/// once more as something else when its sender's server says it again. Where there is one: when it has it. Who only
/// says that he writes waits for nothing.
fn copy(
    room: &Room,
    id: ArchiveId,
    stanza: &Stanza,
    cause: Origin,
    cx: &Context<'_, Room>,
) -> Option<Copied> {
    const WORDS: Features = Features::BODY.with(Features::ENCRYPTED).with(Features::SUBJECT);
    room.fan_outs.say(|| tell::message(id, stanza, cause));
    room.fan_outs.acted(cause);
    let waits = cx.has_standby && stanza.features().any(WORDS);
    if waits { room.fan_outs.copy(cx.waker()) } else { None }
}

/// Messages whose turn it is are heard; then comes what has waited behind them.
pub(crate) fn go_on(room: &mut Room, cx: &mut Context<'_, Room>) {
    while let Some(kept) = room.queue.next_kept() {
        settle(room, kept, cx);
    }
    room.drain(cx);
}

/// The store has answered: everybody hears the message, or its sender hears why nobody does.
fn settle(room: &mut Room, kept: Kept, cx: &mut Context<'_, Room>) {
    let Kept { id, asked, stanza, result, buried, .. } = kept;
    let Waiting { stanza: asked, origin, receipt } = asked;
    cx.set_cause(origin, receipt);
    if let Err(error) = result {
        tracing::warn!(jid = %room.jid, %error, "a message to a room was not kept");
        let error = StanzaError::from(StanzaCondition::ResourceConstraint);
        return refuse(room, &asked, error.with_text("the message could not be kept"), cx);
    }
    if let Some(buried) = buried {
        retraction::forget(room, buried);
    }
    reflect(room, id, &stanza, cx);
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

//! Owns what a room is asked because somebody runs a command, and how its answer comes to them.
//!
//! A room is asked in the name of its service, which has an owner's rights, wherever it lives. Nothing is remembered
//! meanwhile: who runs which command stands, sealed, in the id of the request, and so comes back with the answer, to
//! whichever member acts for the service then.

use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::command::{self, Fault, Stage};
use xmpp::forms::Form;
use xmpp::{BareJid, Element, Head, IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError, ns};

use super::super::{Directory, order};
use super::{orders, people};

/// What a sealed id is for.
const PURPOSE: &str = "a command";

/// Asks a room; the command goes on, or ends, with its answer.
pub(super) fn ask(
    directory: &Directory,
    run: &Run,
    (room, ty, payload): (&BareJid, IqType, &Element),
    cx: &mut Context<'_, Directory>,
) -> Result<Outcome, StanzaError> {
    let id = run.request.head().id.as_deref().ok_or(StanzaCondition::BadRequest)?;
    let words = [run.node(), run.session(), run.asker.as_str(), id, room.as_str()];
    let id = directory.shared.config.seal.close(PURPOSE, &words);
    cx.send(order(room, ty, &id, payload));
    Ok(Outcome::Later)
}

/// A room has answered, or cannot be reached. What answers no such request is ignored.
pub(in crate::directory) fn answered(
    directory: &mut Directory,
    answer: &Stanza,
    cx: &mut Context<'_, Directory>,
) {
    let Head { id: Some(id), from: Some(from), .. } = answer.head() else { return };
    let Some(words) = directory.shared.config.seal.open(PURPOSE, id) else { return };
    let [node, session, asker, id, room] = &words[..] else { return };
    let (Ok(asker), Ok(room)) = (Jid::parse(asker), BareJid::parse(room)) else { return };
    if from.as_str() != room.as_str() {
        return;
    }
    let head = Head {
        kind: Kind::Iq(IqType::Set),
        id: Some(id.as_str().into()),
        from: Some(asker),
        to: Some(directory.jid.clone().into()),
        lang: None,
    };
    let request = Stanza::new(head, "");
    if let Some(error) = answer.child("error", "") {
        let refused = request.result(None).with_head(|head| head.kind = Kind::Iq(IqType::Error));
        return cx.send(refused.with_child(&error));
    }
    match follow(directory, (node, session), &room, answer, cx) {
        Ok(outcome) => cx.send(request.result(Some(&outcome))),
        Err(error) => cx.send_error(&request, error),
    }
}

/// What whoever runs the command is told.
fn follow(
    directory: &mut Directory,
    (node, session): (&str, &str),
    room: &BareJid,
    answer: &Stanza,
    cx: &mut Context<'_, Directory>,
) -> Result<Element, StanzaError> {
    let outcome = match node {
        orders::CREATE => command::note(format!("{room} is there.")),
        orders::DESTROY => command::note(format!("{room} has ended.")),
        people::AFFILIATE => command::note(format!("{room} has changed what they are to it.")),
        people::AFFILIATIONS | people::OCCUPANTS => {
            people::table(node, answer).ok_or(StanzaCondition::InternalServerError)?
        }
        orders::CONFIGURE => {
            let Some(query) = answer.child("query", ns::MUC_OWNER) else {
                directory.sessions.end(session);
                let note = command::note(format!("{room} is configured."));
                return Ok(command::completed(node, session, Some(note)));
            };
            let form = query.child("x", ns::DATA_FORMS).map(Form::parse);
            let form = form.ok_or(StanzaCondition::InternalServerError)??;
            // It may have been given up meanwhile.
            if !directory.sessions.go_on(session, Some(room.as_str()), cx.now.unix_micros) {
                return Err(Fault::SessionExpired.into());
            }
            return Ok(command::executing(node, session, Stage::Second, &form));
        }
        _ => return Err(StanzaCondition::InternalServerError.into()),
    };
    Ok(command::completed(node, session, Some(outcome)))
}

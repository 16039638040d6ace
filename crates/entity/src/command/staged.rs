//! XEP-0050 Ad-Hoc Commands, version 1.3.0: owns how a command of two forms goes on, back, to its end, or is given up
//! (§2.4.2, §2.4.3, §3.4).

use xmpp::command::{self, Action, Fault, Stage};
use xmpp::forms::Form;
use xmpp::{Jid, StanzaCondition, StanzaError};

use super::{Command, Commanded, Outcome, Run, check};
use crate::context::Context;
use crate::entity::Entity;
use crate::extension::{Answer, Request};

/// The second form of a command. What it asks for is found out when the first one is there: [`Command::run`] is given that
/// one, and sends the second ([`Run::executing`], [`super::Sessions::go_on`]).
pub struct Second<E: Entity> {
    /// The first form again, for who goes back: as it was filled in, for what it has led to.
    pub back: fn(&E, &str) -> Form,
    /// Runs it, with what the first form has led to and the second as it was filled in.
    pub run: RunsSecond<E>,
}

/// What runs a command to its end.
pub type RunsSecond<E> =
    fn(&mut E, &Run, &str, &Form, &mut Context<'_, E>) -> Result<Outcome, StanzaError>;

/// Answers a request for a command of two forms.
pub(super) fn answer<E: Commanded>(
    entity: &mut E,
    (command, second): (&Command<E>, &Second<E>),
    (asked, asker): (&command::Command, Jid),
    request: &Request,
    cx: &mut Context<'_, E>,
) -> Result<Answer, StanzaError> {
    let first = command.form.ok_or(StanzaCondition::InternalServerError)?;
    let (name, about) = find(entity, command.node, asked, &asker, cx)?;
    let run = Run { asker, request: request.stanza.clone(), node: command.node, session: name };
    let outcome = match (asked.action, about, &asked.form) {
        (Action::Cancel, ..) => {
            sessions(entity)?.end(&run.session);
            return Ok(Answer::Result(command::canceled(run.node, &run.session)));
        }
        (Action::Execute, None, None) => {
            let form = first(entity);
            return Ok(Answer::Result(run.executing(Stage::First, &form)));
        }
        (Action::Execute | Action::Next, None, Some(filled)) => {
            check(filled, &first(entity))?;
            (command.run)(entity, &run, Some(filled), cx)?
        }
        (Action::Prev, Some(about), _) => {
            sessions(entity)?.go_on(&run.session, None, cx.now.unix_micros);
            let form = (second.back)(entity, &about);
            return Ok(Answer::Result(run.executing(Stage::First, &form)));
        }
        (Action::Execute | Action::Complete, Some(about), Some(filled)) => {
            (second.run)(entity, &run, &about, filled, cx)?
        }
        (Action::Next, None, None) | (Action::Execute | Action::Complete, Some(_), None) => {
            return Err(Fault::BadPayload.into());
        }
        (Action::Prev | Action::Complete, None, _) | (Action::Next, Some(_), _) => {
            return Err(Fault::BadAction.into());
        }
    };
    Ok(match outcome {
        Outcome::Completed(outcome) => {
            sessions(entity)?.end(&run.session);
            Answer::Result(run.completed(outcome))
        }
        Outcome::Later => Answer::Later,
    })
}

/// The session that is gone on with, and what its first form has led to. A request without one begins it, if it may (§4.1).
fn find<E: Commanded>(
    entity: &mut E,
    node: &str,
    asked: &command::Command,
    asker: &Jid,
    cx: &mut Context<'_, E>,
) -> Result<(String, Option<String>), StanzaError> {
    let (now, cause) = (cx.now.unix_micros, cx.origin());
    let sessions = sessions(entity)?;
    match (&asked.session, asked.action) {
        (Some(name), _) => {
            let about = sessions.find(name, (asker, node), now)?;
            Ok((name.clone(), about.map(str::to_owned)))
        }
        (None, Action::Execute) => Ok((sessions.begin(cause, asker, node, now), None)),
        (None, _) => Err(Fault::BadSession.into()),
    }
}

/// An entity that has such commands keeps who is in the midst of them.
fn sessions<E: Commanded>(entity: &mut E) -> Result<&mut super::Sessions, StanzaError> {
    entity.sessions().ok_or_else(|| StanzaCondition::InternalServerError.into())
}

//! Owns the few words that the commands of a server share.

use std::future::Future;
use std::sync::Arc;

use accounts::Administration;
use entity::Context;
use entity::command::{Outcome, Run};
use xmpp::{Element, Jid, StanzaCondition, StanzaError};

use crate::Domain;

/// Whether somebody administers the domain, as the configuration says.
pub(super) fn is_admin(domain: &Domain, asker: &Jid) -> bool {
    let administration = domain.shared.administration.as_ref();
    administration.is_some_and(|administration| administration.is_admin(&domain.jid, &asker.bare()))
}

/// What an operator's words are done with.
pub(super) fn administration(domain: &Domain) -> Result<&Arc<Administration>, StanzaError> {
    domain.shared.administration.as_ref().ok_or_else(|| StanzaCondition::ServiceUnavailable.into())
}

/// Ends a command with what comes of this, in a later turn.
pub(super) fn later(
    run: &Run,
    cx: &mut Context<'_, Domain>,
    work: impl Future<Output = Result<Option<Element>, StanzaError>> + Send + 'static,
) -> Result<Outcome, StanzaError> {
    let ends = run.clone();
    answer_later(run, cx, async move { Ok(ends.completed(work.await?)) })
}

/// Answers in a later turn, with an end or a form.
pub(super) fn answer_later(
    run: &Run,
    cx: &mut Context<'_, Domain>,
    work: impl Future<Output = Result<Element, StanzaError>> + Send + 'static,
) -> Result<Outcome, StanzaError> {
    let run = run.clone();
    cx.read(
        move |_, _| Box::pin(async move { Ok(work.await) }),
        move |_, cx, done| match done {
            Ok(Ok(answer)) => cx.send(run.request.result(Some(&answer))),
            Ok(Err(error)) => cx.send_error(&run.request, error),
            Err(_) => cx.send_error(&run.request, StanzaCondition::InternalServerError),
        },
    );
    Ok(Outcome::Later)
}

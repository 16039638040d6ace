//! XEP-0050 Ad-Hoc Commands, version 1.3.0: the commands that other extensions give a server, and the few words
//! that they share.

use std::future::Future;
use std::sync::Arc;

use accounts::Administration;
use entity::command::{Outcome, Run};
use entity::extension::Who;
use entity::{Answer, Context, Extension, Iq, Request, command};
use xmpp::{Element, IqType, Jid, StanzaCondition, StanzaError, ns};

use crate::Domain;
use crate::extensions::EXTENSIONS;

/// Commands of the server.
pub const EXTENSION: Extension<Domain> = Extension {
    number: "0050",
    title: "Ad-Hoc Commands",
    version: "1.3.0",
    features: &[ns::COMMANDS],
    iqs: &[Iq {
        ty: IqType::Set,
        name: "command",
        ns: ns::COMMANDS,
        who: Who::Anybody,
        handle: answer,
    }],
    ..Extension::NONE
};

fn answer(
    domain: &mut Domain,
    request: &Request,
    cx: &mut Context<'_, Domain>,
) -> Result<Answer, StanzaError> {
    command::answer(&EXTENSIONS, domain, request, cx)
}

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

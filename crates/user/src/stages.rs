//! Owns the way of a stanza, and of the news of a session, through the extensions of an account in list
//! order.

use entity::extension::SessionEvent;
use entity::{Context, Extension, Passage, Verdict};
use store::Write;
use xmpp::{Stanza, StanzaError};

use crate::User;
use crate::extensions::{EXTENSIONS, deliver};

/// What an own client sent, on its way out. None: a stage has seen to it.
pub(crate) fn outbound(
    user: &mut User,
    passage: Passage,
    cx: &mut Context<'_, User>,
) -> Option<Passage> {
    pass(user, passage, |extension| extension.outbound, cx)
}

/// What somebody sent to the account, on its way in. None: a stage has seen to it.
pub(crate) fn inbound(
    user: &mut User,
    passage: Passage,
    cx: &mut Context<'_, User>,
) -> Option<Passage> {
    pass(user, passage, |extension| extension.inbound, cx)
}

/// Tells every extension what happened to a session.
pub(crate) fn announce(
    user: &mut User,
    session: u64,
    event: SessionEvent,
    cx: &mut Context<'_, User>,
) {
    for stage in EXTENSIONS.iter().filter_map(|extension| extension.session) {
        stage(user, session, event, cx);
    }
}

/// Keeps the rows of a stanza that is on its way or was delivered, which nothing takes back.
pub(crate) fn keep(writes: Vec<Write>, cx: &mut Context<'_, User>) {
    if writes.is_empty() {
        return;
    }
    cx.commit_then(writes, |user, cx, result| {
        if let Err(error) = result {
            cx.shared.figures.drops.of("not_archived").add_one();
            tracing::error!(jid = %user.jid, %error, "a delivered message was not archived");
        }
    });
}

type Pick = fn(&Extension<User>) -> Option<entity::extension::Stage<User>>;

fn pass(
    user: &mut User,
    mut passage: Passage,
    stage_of: Pick,
    cx: &mut Context<'_, User>,
) -> Option<Passage> {
    for stage in EXTENSIONS.iter().filter_map(stage_of) {
        match stage(user, &mut passage, cx) {
            Verdict::Pass => {}
            Verdict::Stop => {
                keep(passage.writes, cx);
                return None;
            }
            Verdict::Refuse(error) => {
                refuse(user, &passage.stanza, passage.session, &error, cx);
                return None;
            }
        }
    }
    Some(passage)
}

/// Answers with an error. An own session hears it at once, in the name of whom the stanza was for.
pub(crate) fn refuse(
    user: &User,
    stanza: &Stanza,
    session: Option<u64>,
    error: &StanzaError,
    cx: &mut Context<'_, User>,
) {
    match (session, stanza.error(error)) {
        (Some(session), Some(answer)) => deliver(user, session, answer, cx),
        (None, Some(answer)) if answer.head().to.is_some() => cx.send(answer),
        _ => {}
    }
}

//! Owns the answers to IQ requests to the account itself, by its own sessions (RFC 6120 §10.3.3) and by
//! others (RFC 6121 §8.5.2.1.3).

use entity::extension::Who;
use entity::{Answer, Context, Iq, Request};
use xmpp::{Element, Kind, Stanza, StanzaCondition, StanzaError};

use crate::extensions::{EXTENSIONS, guests, reply};
use crate::{User, pep, stages};

/// Answers a request. `session`: of the account's own, if it is one that asks.
///
/// A request that only the owner may make is forbidden to others (RFC 6121 §2.3.3), also where there is no such
/// account: RFC 6121 §8.5.1 would have it unavailable there, but then it would tell who has an account here,
/// which XEP-0030 §8 and XEP-0054 §3.3 want to be kept.
///
/// What a component answers in the server's place goes there (XEP-0355 §4.3).
pub(crate) fn answer(
    user: &mut User,
    session: Option<u64>,
    stanza: Stanza,
    cx: &mut Context<'_, User>,
) {
    let knows = |node: &str| pep::collection(user).is_some_and(|nodes| nodes.get(node).is_some());
    match cx.shared.powers.delegate(&stanza, (&user.jid.domain(), &user.jid), knows) {
        Some(delegated) => cx.send(delegated),
        None => answer_as(user, session, session.is_some(), stanza, cx),
    }
}

/// Answers a request of somebody who may ask what only the owner may.
pub(crate) fn answer_owner(user: &mut User, stanza: Stanza, cx: &mut Context<'_, User>) {
    answer_as(user, None, true, stanza, cx);
}

fn answer_as(
    user: &mut User,
    session: Option<u64>,
    is_owner: bool,
    stanza: Stanza,
    cx: &mut Context<'_, User>,
) {
    let understood = understand(&stanza, is_owner).and_then(|it| guests::check(user, &stanza, it));
    let (iq, payload) = match understood {
        Ok(understood) => understood,
        Err(error) => return stages::refuse(user, &stanza, session, &error, cx),
    };
    let request = Request { stanza, payload, session };
    let answer = match (iq.handle)(user, &request, cx) {
        Ok(Answer::Later) => return,
        Ok(Answer::Done) => Ok(None),
        Ok(Answer::Result(payload)) => Ok(Some(payload)),
        Err(error) => Err(error),
    };
    reply(user, &request, answer, cx);
}

/// A request has exactly one child (RFC 6120 §8.2.3), somebody must know it, and the asker must be one who
/// may ask.
fn understand(
    stanza: &Stanza,
    is_owner: bool,
) -> Result<(&'static Iq<User>, Element), StanzaError> {
    let (mut children, Kind::Iq(ty)) = (stanza.children(), stanza.kind()) else {
        return Err(StanzaCondition::BadRequest.into());
    };
    let (Some(child), None) = (children.next(), children.next()) else {
        let error = StanzaError::from(StanzaCondition::BadRequest);
        return Err(error.with_text("a request has exactly one child"));
    };
    let iq = EXTENSIONS.iq(ty, child.name, child.ns).ok_or(StanzaCondition::ServiceUnavailable)?;
    if iq.who == Who::Owner && !is_owner {
        return Err(StanzaCondition::Forbidden.into());
    }
    let payload = child.parse().ok_or(StanzaCondition::BadRequest)?;
    Ok((iq, payload))
}

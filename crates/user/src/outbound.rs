//! Owns what the account's own clients send (RFC 6120 §8.1.1, §10.3): requests to the account are answered,
//! everything else goes through the stages and on its way.

#[cfg(test)]
mod tests;

use entity::{Context, Passage};
use proto::session::UserEvent;
use proto::{Body, Route, SessionId};
use xmpp::{Kind, Stanza, StanzaCondition, StanzaError, StreamCondition};

use crate::pep::interest;
use crate::{User, inbound, iq, presence, stages};

/// A stanza of one of the account's sessions, stamped with its full address.
pub(crate) fn receive(user: &mut User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    if user.sessions.get(session).is_none() {
        return of_nobody(user, session, stanza, cx);
    }
    let own = stanza.head().to.as_ref().is_none_or(|to| *to == *user.jid);
    match stanza.kind() {
        Kind::Iq(ty) if own && ty.is_request() => iq::answer(user, Some(session), stanza, cx),
        // An answer to nothing that the account has asked is ignored (§10.3.3 rule 3).
        Kind::Iq(_) if own => {
            if !interest::answered(user, &stanza, cx) {
                inbound::nobody_there(cx);
            }
        }
        Kind::Message(_) if stanza.head().to.is_none() => {
            let to = user.jid.clone().into();
            onward(user, session, stanza.with_to(to), cx);
        }
        Kind::Iq(_) | Kind::Message(_) | Kind::Presence(_) => onward(user, session, stanza, cx),
    }
}

/// The session has lost its resource to another one, or the account has lost its table of sessions: the
/// session ends. Messages go their way all the same; anything else could be answered to another client.
fn of_nobody(user: &mut User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    let route = Route::Session(SessionId { account: user.jid.clone(), uid: session });
    let lost = StanzaError::from(StanzaCondition::InternalServerError);
    match stanza.kind() {
        Kind::Message(_) if stanza.head().to.is_some() => onward(user, session, stanza, cx),
        _ => {
            if let Some(answer) = stanza.error(&lost) {
                cx.tell(route.clone(), Body::Stanza(answer));
            }
        }
    }
    let error = StreamCondition::InternalServerError.into();
    cx.tell(route, Body::User(UserEvent::End(error)));
}

fn onward(user: &mut User, session: u64, stanza: Stanza, cx: &mut Context<'_, User>) {
    let passage = Passage { stanza, session: Some(session), writes: Vec::new() };
    let Some(Passage { stanza, writes, .. }) = stages::outbound(user, passage, cx) else { return };
    match stanza.kind() {
        Kind::Presence(_) => presence::outbound(user, session, stanza, cx),
        Kind::Message(_) | Kind::Iq(_) => cx.send(stanza),
    }
    stages::keep(writes, cx);
}

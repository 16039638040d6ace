//! Owns resource binding (RFC 6120 §7): resources given, made, refused and taken over.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use entity::Context;
use entity::extension::SessionEvent;
use proto::session::{ConnectionCommand, UserEvent};
use proto::{Body, ConnectionId, Route, SessionId};
use xmpp::{FullJid, Origin, StanzaCondition, StanzaError, StreamCondition, StreamError};

use crate::extensions::carbons;
use crate::sessions::SessionEntry;
use crate::{User, stages};

/// What a client wants.
#[derive(Debug)]
pub(crate) struct BindRequest {
    /// Who asks.
    pub connection: ConnectionId,
    /// The resource, prepared; none: the server makes one.
    pub resource: Option<Arc<str>>,
    /// Of the IQ, given back with the answer.
    pub iq_id: Arc<str>,
    /// Carbons from the beginning.
    pub carbons: bool,
}

/// Binds a resource. One that is in use changes hands: its session ends with `conflict` (§7.7.2.2,
/// third behaviour), since it is nearly always a dead connection of the same client.
pub(crate) fn bind(user: &mut User, request: BindRequest, cx: &mut Context<'_, User>) {
    let BindRequest { connection, resource, iq_id, carbons } = request;
    let bound = allow(user).and_then(|()| address(user, resource.as_deref(), cx));
    let bound = bound.and_then(|jid| make_room(user, &jid, cx).map(|()| jid));
    let jid = match bound {
        Ok(jid) => jid,
        Err(error) => {
            let command = ConnectionCommand::BindRefused { error, iq_id };
            return cx.tell(Route::Connection(connection), Body::ToConnection(command));
        }
    };
    let id = SessionId { account: user.jid.clone(), uid: Origin::session_number(cx.random_u64()) };
    let uid = id.uid;
    user.sessions.insert(SessionEntry::new(id.clone(), jid.clone()));
    if carbons {
        carbons::begin(user, uid);
    }
    let event = UserEvent::Start { connection, jid, iq_id };
    cx.tell(Route::Session(id), Body::User(event));
    stages::announce(user, uid, SessionEvent::Bound, cx);
}

/// Ends a session from the user's side, at once for everybody who sees its presence.
pub(crate) fn end(user: &mut User, session: u64, error: StreamError, cx: &mut Context<'_, User>) {
    let Some(entry) = user.sessions.get(session) else { return };
    let route = Route::Session(entry.id.clone());
    cx.tell(route, Body::User(UserEvent::End(error)));
    user.forget_session(session, cx);
}

/// The account was there when the client signed in; it may have gone since.
fn allow(user: &User) -> Result<(), StanzaError> {
    if user.exists { Ok(()) } else { Err(StanzaCondition::NotAuthorized.into()) }
}

fn address(
    user: &User,
    resource: Option<&str>,
    cx: &mut Context<'_, User>,
) -> Result<FullJid, StanzaError> {
    let made = resource.is_none().then(|| random_resource(cx));
    let resource = resource.or(made.as_deref()).unwrap_or_default();
    user.jid.with_resource(resource).map_err(|_| StanzaCondition::BadRequest.into())
}

/// 128 random bits (§7.6): whoever does not see the presence of a resource cannot guess its address.
fn random_resource(cx: &mut Context<'_, User>) -> String {
    format!("{:016x}{:016x}", cx.random_u64(), cx.random_u64())
}

/// At the limit a session that waits to be resumed gives way, the oldest first; where all are attached,
/// the newcomer is refused (§7.6.2.1).
fn make_room(
    user: &mut User,
    jid: &FullJid,
    cx: &mut Context<'_, User>,
) -> Result<(), StanzaError> {
    if let Some(entry) = user.sessions.of_resource(jid.resource()) {
        let session = entry.id.uid;
        end(user, session, StreamCondition::Conflict.into(), cx);
    }
    if user.sessions.len() < cx.shared.accounts.sessions {
        return Ok(());
    }
    let waiting = user.sessions.iter().find(|entry| !entry.attached).map(|entry| entry.id.uid);
    let session = waiting.ok_or(StanzaCondition::ResourceConstraint)?;
    end(user, session, StreamCondition::ResourceConstraint.into(), cx);
    Ok(())
}

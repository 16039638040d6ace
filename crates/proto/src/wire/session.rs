//! Owns what connections, sessions and users say to each other, on the wire.

use std::sync::Arc;
use std::time::Duration;

use super::address::{
    decode_bare, decode_connection, decode_full, decode_session, encode_connection, encode_session,
    encode_text,
};
use super::pb::connection_command::Kind as CommandKind;
use super::pb::connection_event::Kind as EventKind;
use super::pb::user_event::Kind as UserKind;
use super::stanza::{
    decode_stanza_error, decode_stream_error, encode_stanza_error, encode_stream_error,
};
use super::{WireError, pb, stanza};
use crate::route::{ConnectionId, SessionId};
use crate::session::{ClientState, ConnectionCommand, ConnectionEvent, Gone, UserEvent};
use crate::snapshot::SessionSnapshot;

pub(super) fn encode_event(
    connection: ConnectionId,
    event: &ConnectionEvent,
) -> pb::ConnectionEvent {
    let signal = |signal: pb::Signal| EventKind::Signal(signal.into());
    let kind = match event {
        ConnectionEvent::Bind { resource, iq_id, carbons } => EventKind::Bind(pb::Bind {
            resource: resource.as_deref().map(str::to_owned),
            iq_id: iq_id.as_ref().to_owned(),
            carbons: *carbons,
        }),
        ConnectionEvent::Resume { secret, h } => {
            EventKind::Resume(pb::Resume { secret: bytes::Bytes::copy_from_slice(secret), h: *h })
        }
        ConnectionEvent::Stanza(stanza) => EventKind::Stanza(stanza::encode(stanza)),
        ConnectionEvent::Answered(answer) => {
            EventKind::Answered(pb::Answered { answer: answer.as_ref().map(stanza::encode) })
        }
        ConnectionEvent::Enable { resume, max } => {
            EventKind::Enable(pb::Enable { resume: *resume, max: max.map(micros) })
        }
        ConnectionEvent::Ack { h } => EventKind::Ack(*h),
        ConnectionEvent::ClientState(ClientState::Active) => signal(pb::Signal::Active),
        ConnectionEvent::ClientState(ClientState::Inactive) => signal(pb::Signal::Inactive),
        ConnectionEvent::Drained => signal(pb::Signal::Drained),
        ConnectionEvent::Clogged => signal(pb::Signal::Clogged),
        ConnectionEvent::Gone(Gone::Closed) => signal(pb::Signal::Closed),
        ConnectionEvent::Gone(Gone::Lost) => signal(pb::Signal::Lost),
    };
    pb::ConnectionEvent { connection: Some(encode_connection(connection)), kind: Some(kind) }
}

pub(super) fn decode_event(
    message: pb::ConnectionEvent,
) -> Result<(ConnectionId, ConnectionEvent), WireError> {
    let connection = decode_some_connection(message.connection)?;
    let event = match message.kind.ok_or(WireError::Missing("event of a connection"))? {
        EventKind::Bind(pb::Bind { resource, iq_id, carbons }) => ConnectionEvent::Bind {
            resource: resource.map(Arc::from),
            iq_id: iq_id.into(),
            carbons,
        },
        EventKind::Resume(pb::Resume { secret, h }) => {
            let secret = secret[..].try_into().map_err(|_| WireError::Invalid("secret"))?;
            ConnectionEvent::Resume { secret, h }
        }
        EventKind::Stanza(stanza) => ConnectionEvent::Stanza(stanza::decode(stanza)?),
        EventKind::Answered(pb::Answered { answer }) => {
            ConnectionEvent::Answered(answer.map(stanza::decode).transpose()?)
        }
        EventKind::Enable(pb::Enable { resume, max }) => {
            ConnectionEvent::Enable { resume, max: max.map(Duration::from_micros) }
        }
        EventKind::Ack(h) => ConnectionEvent::Ack { h },
        EventKind::Signal(signal) => decode_signal(signal)?,
    };
    Ok((connection, event))
}

fn decode_signal(signal: i32) -> Result<ConnectionEvent, WireError> {
    Ok(match pb::Signal::try_from(signal) {
        Ok(pb::Signal::Active) => ConnectionEvent::ClientState(ClientState::Active),
        Ok(pb::Signal::Inactive) => ConnectionEvent::ClientState(ClientState::Inactive),
        Ok(pb::Signal::Drained) => ConnectionEvent::Drained,
        Ok(pb::Signal::Clogged) => ConnectionEvent::Clogged,
        Ok(pb::Signal::Closed) => ConnectionEvent::Gone(Gone::Closed),
        Ok(pb::Signal::Lost) => ConnectionEvent::Gone(Gone::Lost),
        Ok(pb::Signal::Unspecified) | Err(_) => return Err(WireError::Invalid("signal")),
    })
}

pub(super) fn encode_command(command: &ConnectionCommand) -> pb::ConnectionCommand {
    let kind = match command {
        ConnectionCommand::Bound { session, jid, iq_id } => CommandKind::Bound(pb::Bound {
            session: Some(encode_session(session)),
            jid: encode_text(jid.as_str()),
            iq_id: iq_id.as_ref().to_owned(),
        }),
        ConnectionCommand::BindRefused { error, iq_id } => {
            CommandKind::BindRefused(pb::BindRefused {
                error: Some(encode_stanza_error(error)),
                iq_id: iq_id.as_ref().to_owned(),
            })
        }
        ConnectionCommand::Resumed { session, jid, h, previd } => {
            CommandKind::Resumed(pb::Resumed {
                session: Some(encode_session(session)),
                jid: encode_text(jid.as_str()),
                h: *h,
                previd: previd.as_ref().to_owned(),
            })
        }
        ConnectionCommand::ResumeFailed { h } => {
            CommandKind::ResumeFailed(pb::ResumeFailed { h: *h })
        }
        ConnectionCommand::Enabled { id, max } => CommandKind::Enabled(pb::Enabled {
            id: id.as_deref().map(str::to_owned),
            max: micros(*max),
        }),
        ConnectionCommand::Stanza(stanza) => CommandKind::Stanza(stanza::encode(stanza)),
        ConnectionCommand::Nonza(bytes) => CommandKind::Nonza(bytes.clone()),
        ConnectionCommand::Handled { h, open } => {
            let open = u64::try_from(*open).unwrap_or(u64::MAX);
            CommandKind::Handled(pb::Handled { h: *h, open })
        }
        ConnectionCommand::Keep(session) => CommandKind::Keep(session.encode()),
        ConnectionCommand::Close(error) => {
            CommandKind::Close(pb::Close { error: error.as_ref().map(encode_stream_error) })
        }
    };
    pb::ConnectionCommand { kind: Some(kind) }
}

pub(super) fn decode_command(
    message: pb::ConnectionCommand,
) -> Result<ConnectionCommand, WireError> {
    Ok(match message.kind.ok_or(WireError::Missing("command to a connection"))? {
        CommandKind::Bound(pb::Bound { session, jid, iq_id }) => ConnectionCommand::Bound {
            session: decode_some_session(session)?,
            jid: decode_full(&jid)?,
            iq_id: iq_id.into(),
        },
        CommandKind::BindRefused(pb::BindRefused { error, iq_id }) => {
            ConnectionCommand::BindRefused {
                error: decode_stanza_error(error)?,
                iq_id: iq_id.into(),
            }
        }
        CommandKind::Resumed(pb::Resumed { session, jid, h, previd }) => {
            ConnectionCommand::Resumed {
                session: decode_some_session(session)?,
                jid: decode_full(&jid)?,
                h,
                previd: previd.into(),
            }
        }
        CommandKind::ResumeFailed(pb::ResumeFailed { h }) => ConnectionCommand::ResumeFailed { h },
        CommandKind::Enabled(pb::Enabled { id, max }) => {
            ConnectionCommand::Enabled { id: id.map(Arc::from), max: Duration::from_micros(max) }
        }
        CommandKind::Stanza(stanza) => ConnectionCommand::Stanza(stanza::decode(stanza)?),
        CommandKind::Nonza(bytes) if str::from_utf8(&bytes).is_ok() => {
            ConnectionCommand::Nonza(bytes)
        }
        CommandKind::Nonza(_) => return Err(WireError::Invalid("UTF-8 in a nonza")),
        CommandKind::Handled(pb::Handled { h, open }) => {
            ConnectionCommand::Handled { h, open: usize::try_from(open).unwrap_or(usize::MAX) }
        }
        CommandKind::Keep(session) => ConnectionCommand::Keep(decode_kept(&session)?),
        CommandKind::Close(pb::Close { error }) => {
            ConnectionCommand::Close(error.map(decode_stream_error).transpose()?)
        }
    })
}

pub(super) fn encode_user(event: &UserEvent) -> pb::UserEvent {
    let kind = match event {
        UserEvent::Start { connection, jid, iq_id } => UserKind::Start(pb::Start {
            connection: Some(encode_connection(*connection)),
            jid: encode_text(jid.as_str()),
            iq_id: iq_id.as_ref().to_owned(),
        }),
        UserEvent::End(error) => UserKind::End(encode_stream_error(error)),
        UserEvent::Outbound { session, stanza } => UserKind::Outbound(pb::Outbound {
            session: *session,
            stanza: Some(stanza::encode(stanza)),
        }),
        UserEvent::Ended { session, unacknowledged } => UserKind::Ended(pb::Ended {
            session: *session,
            unacknowledged: unacknowledged.iter().map(stanza::encode).collect(),
        }),
        UserEvent::Stored { mark, stanza } => {
            UserKind::Stored(pb::Stored { mark: *mark, stanza: Some(stanza::encode(stanza)) })
        }
        UserEvent::Taken { session, mark } => {
            UserKind::Taken(pb::Taken { session: *session, mark: *mark })
        }
        UserEvent::ClientState { session, state } => {
            let active = *state == ClientState::Active;
            UserKind::State(pb::State { session: *session, active })
        }
        UserEvent::Kept(session) => UserKind::Kept(session.encode()),
        UserEvent::AccountChanged => UserKind::AccountChanged(pb::AccountChanged {}),
        UserEvent::Befriend(contact) => UserKind::Befriend(encode_text(contact.as_str())),
        UserEvent::Attached { session, attached, unacknowledged } => {
            UserKind::Attached(pb::Attached {
                session: *session,
                attached: *attached,
                unacknowledged: unacknowledged.iter().map(stanza::encode).collect(),
            })
        }
    };
    pb::UserEvent { kind: Some(kind) }
}

pub(super) fn decode_user(message: pb::UserEvent) -> Result<UserEvent, WireError> {
    Ok(match message.kind.ok_or(WireError::Missing("event of a user"))? {
        UserKind::Start(pb::Start { connection, jid, iq_id }) => UserEvent::Start {
            connection: decode_some_connection(connection)?,
            jid: decode_full(&jid)?,
            iq_id: iq_id.into(),
        },
        UserKind::End(error) => UserEvent::End(decode_stream_error(error)?),
        UserKind::Outbound(pb::Outbound { session, stanza }) => {
            UserEvent::Outbound { session, stanza: stanza::decode_some(stanza)? }
        }
        UserKind::Ended(pb::Ended { session, unacknowledged }) => {
            let stanzas = unacknowledged.into_iter().map(stanza::decode);
            UserEvent::Ended { session, unacknowledged: stanzas.collect::<Result<_, _>>()? }
        }
        UserKind::Stored(pb::Stored { mark, stanza }) => {
            UserEvent::Stored { mark, stanza: stanza::decode_some(stanza)? }
        }
        UserKind::Taken(pb::Taken { session, mark }) => UserEvent::Taken { session, mark },
        UserKind::State(pb::State { session, active }) => {
            let state = if active { ClientState::Active } else { ClientState::Inactive };
            UserEvent::ClientState { session, state }
        }
        UserKind::Kept(session) => UserEvent::Kept(decode_kept(&session)?),
        UserKind::AccountChanged(pb::AccountChanged {}) => UserEvent::AccountChanged,
        UserKind::Befriend(contact) => UserEvent::Befriend(decode_bare(&contact)?),
        UserKind::Attached(pb::Attached { session, attached, unacknowledged }) => {
            let stanzas = unacknowledged.into_iter().map(stanza::decode);
            let unacknowledged = stanzas.collect::<Result<_, _>>()?;
            UserEvent::Attached { session, attached, unacknowledged }
        }
    })
}

fn decode_kept(bytes: &[u8]) -> Result<Box<SessionSnapshot>, WireError> {
    SessionSnapshot::decode(bytes).map(Box::new).map_err(|_| WireError::Invalid("snapshot"))
}

fn decode_some_connection(message: Option<pb::Connection>) -> Result<ConnectionId, WireError> {
    decode_connection(&message.ok_or(WireError::Missing("connection"))?)
}

fn decode_some_session(message: Option<pb::Session>) -> Result<SessionId, WireError> {
    decode_session(message.ok_or(WireError::Missing("session"))?)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

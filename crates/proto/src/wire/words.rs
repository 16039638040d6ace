//! Owns what connections, sessions and users say to each other, on the wire.

use std::sync::Arc;
use std::time::Duration;

use super::address::{
    decode_bare, decode_connection, decode_full, decode_session, encode_connection, encode_session,
    encode_text,
};
use super::pb::edge_word::Word as EdgeMessage;
use super::pb::home_word::Word as HomeMessage;
use super::pb::user_word::Word as UserMessage;
use super::stanza::{
    decode_stanza_error, decode_stream_error, encode_stanza_error, encode_stream_error,
};
use super::{WireError, pb, stanza};
use crate::route::{ConnectionId, SessionId};
use crate::session::{ClientState, EdgeWord, Gone, HomeWord, UserWord};
use crate::snapshot::SessionSnapshot;

pub(super) fn encode_edge(connection: ConnectionId, word: &EdgeWord) -> pb::EdgeWord {
    let signal = |signal: pb::Signal| EdgeMessage::Signal(signal.into());
    let word = match word {
        EdgeWord::Bind { resource, iq_id, carbons } => EdgeMessage::Bind(pb::Bind {
            resource: resource.as_deref().map(str::to_owned),
            iq_id: iq_id.as_ref().to_owned(),
            carbons: *carbons,
        }),
        EdgeWord::Resume { secret, h } => {
            EdgeMessage::Resume(pb::Resume { secret: bytes::Bytes::copy_from_slice(secret), h: *h })
        }
        EdgeWord::Stanza(stanza) => EdgeMessage::Stanza(stanza::encode(stanza)),
        EdgeWord::Answered(answer) => {
            EdgeMessage::Answered(pb::Answered { answer: answer.as_ref().map(stanza::encode) })
        }
        EdgeWord::Enable { resume, max } => {
            EdgeMessage::Enable(pb::Enable { resume: *resume, max: max.map(micros) })
        }
        EdgeWord::Ack { h } => EdgeMessage::Ack(*h),
        EdgeWord::ClientState(ClientState::Active) => signal(pb::Signal::Active),
        EdgeWord::ClientState(ClientState::Inactive) => signal(pb::Signal::Inactive),
        EdgeWord::Drained => signal(pb::Signal::Drained),
        EdgeWord::Clogged => signal(pb::Signal::Clogged),
        EdgeWord::Gone(Gone::Closed) => signal(pb::Signal::Closed),
        EdgeWord::Gone(Gone::Lost) => signal(pb::Signal::Lost),
    };
    pb::EdgeWord { connection: Some(encode_connection(connection)), word: Some(word) }
}

pub(super) fn decode_edge(message: pb::EdgeWord) -> Result<(ConnectionId, EdgeWord), WireError> {
    let connection = decode_some_connection(message.connection)?;
    let word = match message.word.ok_or(WireError::Missing("word of a connection"))? {
        EdgeMessage::Bind(pb::Bind { resource, iq_id, carbons }) => {
            EdgeWord::Bind { resource: resource.map(Arc::from), iq_id: iq_id.into(), carbons }
        }
        EdgeMessage::Resume(pb::Resume { secret, h }) => {
            let secret = secret[..].try_into().map_err(|_| WireError::Invalid("secret"))?;
            EdgeWord::Resume { secret, h }
        }
        EdgeMessage::Stanza(stanza) => EdgeWord::Stanza(stanza::decode(stanza)?),
        EdgeMessage::Answered(pb::Answered { answer }) => {
            EdgeWord::Answered(answer.map(stanza::decode).transpose()?)
        }
        EdgeMessage::Enable(pb::Enable { resume, max }) => {
            EdgeWord::Enable { resume, max: max.map(Duration::from_micros) }
        }
        EdgeMessage::Ack(h) => EdgeWord::Ack { h },
        EdgeMessage::Signal(signal) => decode_signal(signal)?,
    };
    Ok((connection, word))
}

fn decode_signal(signal: i32) -> Result<EdgeWord, WireError> {
    Ok(match pb::Signal::try_from(signal) {
        Ok(pb::Signal::Active) => EdgeWord::ClientState(ClientState::Active),
        Ok(pb::Signal::Inactive) => EdgeWord::ClientState(ClientState::Inactive),
        Ok(pb::Signal::Drained) => EdgeWord::Drained,
        Ok(pb::Signal::Clogged) => EdgeWord::Clogged,
        Ok(pb::Signal::Closed) => EdgeWord::Gone(Gone::Closed),
        Ok(pb::Signal::Lost) => EdgeWord::Gone(Gone::Lost),
        Ok(pb::Signal::Unspecified) | Err(_) => return Err(WireError::Invalid("signal")),
    })
}

pub(super) fn encode_home(word: &HomeWord) -> pb::HomeWord {
    let word = match word {
        HomeWord::Bound { session, jid, iq_id } => HomeMessage::Bound(pb::Bound {
            session: Some(encode_session(session)),
            jid: encode_text(jid.as_str()),
            iq_id: iq_id.as_ref().to_owned(),
        }),
        HomeWord::BindRefused { error, iq_id } => HomeMessage::BindRefused(pb::BindRefused {
            error: Some(encode_stanza_error(error)),
            iq_id: iq_id.as_ref().to_owned(),
        }),
        HomeWord::Resumed { session, jid, h, previd } => HomeMessage::Resumed(pb::Resumed {
            session: Some(encode_session(session)),
            jid: encode_text(jid.as_str()),
            h: *h,
            previd: previd.as_ref().to_owned(),
        }),
        HomeWord::ResumeFailed { h } => HomeMessage::ResumeFailed(pb::ResumeFailed { h: *h }),
        HomeWord::Enabled { id, max } => HomeMessage::Enabled(pb::Enabled {
            id: id.as_deref().map(str::to_owned),
            max: micros(*max),
        }),
        HomeWord::Stanza(stanza) => HomeMessage::Stanza(stanza::encode(stanza)),
        HomeWord::Nonza(bytes) => HomeMessage::Nonza(bytes.clone()),
        HomeWord::Handled { h, open } => {
            let open = u64::try_from(*open).unwrap_or(u64::MAX);
            HomeMessage::Handled(pb::Handled { h: *h, open })
        }
        HomeWord::Keep(session) => HomeMessage::Keep(session.encode()),
        HomeWord::Close(error) => {
            HomeMessage::Close(pb::Close { error: error.as_ref().map(encode_stream_error) })
        }
    };
    pb::HomeWord { word: Some(word) }
}

pub(super) fn decode_home(message: pb::HomeWord) -> Result<HomeWord, WireError> {
    Ok(match message.word.ok_or(WireError::Missing("word of a session"))? {
        HomeMessage::Bound(pb::Bound { session, jid, iq_id }) => HomeWord::Bound {
            session: decode_some_session(session)?,
            jid: decode_full(&jid)?,
            iq_id: iq_id.into(),
        },
        HomeMessage::BindRefused(pb::BindRefused { error, iq_id }) => {
            HomeWord::BindRefused { error: decode_stanza_error(error)?, iq_id: iq_id.into() }
        }
        HomeMessage::Resumed(pb::Resumed { session, jid, h, previd }) => HomeWord::Resumed {
            session: decode_some_session(session)?,
            jid: decode_full(&jid)?,
            h,
            previd: previd.into(),
        },
        HomeMessage::ResumeFailed(pb::ResumeFailed { h }) => HomeWord::ResumeFailed { h },
        HomeMessage::Enabled(pb::Enabled { id, max }) => {
            HomeWord::Enabled { id: id.map(Arc::from), max: Duration::from_micros(max) }
        }
        HomeMessage::Stanza(stanza) => HomeWord::Stanza(stanza::decode(stanza)?),
        HomeMessage::Nonza(bytes) if str::from_utf8(&bytes).is_ok() => HomeWord::Nonza(bytes),
        HomeMessage::Nonza(_) => return Err(WireError::Invalid("UTF-8 in a nonza")),
        HomeMessage::Handled(pb::Handled { h, open }) => {
            HomeWord::Handled { h, open: usize::try_from(open).unwrap_or(usize::MAX) }
        }
        HomeMessage::Keep(session) => HomeWord::Keep(decode_kept(&session)?),
        HomeMessage::Close(pb::Close { error }) => {
            HomeWord::Close(error.map(decode_stream_error).transpose()?)
        }
    })
}

pub(super) fn encode_user(word: &UserWord) -> pb::UserWord {
    let word = match word {
        UserWord::Start { connection, jid, iq_id } => UserMessage::Start(pb::Start {
            connection: Some(encode_connection(*connection)),
            jid: encode_text(jid.as_str()),
            iq_id: iq_id.as_ref().to_owned(),
        }),
        UserWord::End(error) => UserMessage::End(encode_stream_error(error)),
        UserWord::Outbound { session, stanza } => UserMessage::Outbound(pb::Outbound {
            session: *session,
            stanza: Some(stanza::encode(stanza)),
        }),
        UserWord::Ended { session, unacknowledged } => UserMessage::Ended(pb::Ended {
            session: *session,
            unacknowledged: unacknowledged.iter().map(stanza::encode).collect(),
        }),
        UserWord::Stored { mark, stanza } => {
            UserMessage::Stored(pb::Stored { mark: *mark, stanza: Some(stanza::encode(stanza)) })
        }
        UserWord::Taken { session, mark } => {
            UserMessage::Taken(pb::Taken { session: *session, mark: *mark })
        }
        UserWord::ClientState { session, state } => {
            let active = *state == ClientState::Active;
            UserMessage::State(pb::State { session: *session, active })
        }
        UserWord::Kept(session) => UserMessage::Kept(session.encode()),
        UserWord::AccountChanged => UserMessage::AccountChanged(pb::AccountChanged {}),
        UserWord::Befriend(contact) => UserMessage::Befriend(encode_text(contact.as_str())),
        UserWord::Attached { session, attached, unacknowledged } => {
            UserMessage::Attached(pb::Attached {
                session: *session,
                attached: *attached,
                unacknowledged: unacknowledged.iter().map(stanza::encode).collect(),
            })
        }
    };
    pb::UserWord { word: Some(word) }
}

pub(super) fn decode_user(message: pb::UserWord) -> Result<UserWord, WireError> {
    Ok(match message.word.ok_or(WireError::Missing("word of a user"))? {
        UserMessage::Start(pb::Start { connection, jid, iq_id }) => UserWord::Start {
            connection: decode_some_connection(connection)?,
            jid: decode_full(&jid)?,
            iq_id: iq_id.into(),
        },
        UserMessage::End(error) => UserWord::End(decode_stream_error(error)?),
        UserMessage::Outbound(pb::Outbound { session, stanza }) => {
            UserWord::Outbound { session, stanza: stanza::decode_some(stanza)? }
        }
        UserMessage::Ended(pb::Ended { session, unacknowledged }) => {
            let stanzas = unacknowledged.into_iter().map(stanza::decode);
            UserWord::Ended { session, unacknowledged: stanzas.collect::<Result<_, _>>()? }
        }
        UserMessage::Stored(pb::Stored { mark, stanza }) => {
            UserWord::Stored { mark, stanza: stanza::decode_some(stanza)? }
        }
        UserMessage::Taken(pb::Taken { session, mark }) => UserWord::Taken { session, mark },
        UserMessage::State(pb::State { session, active }) => {
            let state = if active { ClientState::Active } else { ClientState::Inactive };
            UserWord::ClientState { session, state }
        }
        UserMessage::Kept(session) => UserWord::Kept(decode_kept(&session)?),
        UserMessage::AccountChanged(pb::AccountChanged {}) => UserWord::AccountChanged,
        UserMessage::Befriend(contact) => UserWord::Befriend(decode_bare(&contact)?),
        UserMessage::Attached(pb::Attached { session, attached, unacknowledged }) => {
            let stanzas = unacknowledged.into_iter().map(stanza::decode);
            let unacknowledged = stanzas.collect::<Result<_, _>>()?;
            UserWord::Attached { session, attached, unacknowledged }
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

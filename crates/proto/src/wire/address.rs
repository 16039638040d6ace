//! Owns routes, addresses and origins on the wire.

use bytes::Bytes;
use xmpp::{BareJid, Bucket, Epoch, FullJid, Jid, Origin, Shard};

use super::WireError;
use super::pb::copy::Of;
use super::pb::envelope::{Origin as Cause, To};
use super::pb::{self, ClientOrigin, ShardOrigin};
use crate::envelope::Target;
use crate::member::{ArbiterId, MemberId};
use crate::route::{
    ConnectionId, CopyId, RemoteId, Route, ServiceId, ServiceKind, SessionId, StreamId,
};

pub(super) fn encode_route(route: &Route) -> To {
    match route {
        Route::User(jid) => To::User(encode_text(jid.as_str())),
        Route::Session(session) => To::Session(encode_session(session)),
        Route::Room(jid) => To::Room(encode_text(jid.as_str())),
        Route::Nodes(jid) => To::Nodes(encode_text(jid.as_str())),
        Route::Service(id) => To::Service(encode_service(id)),
        Route::Domain(jid) => To::Domain(encode_text(jid.as_str())),
        Route::Remote(id) => To::Remote(encode_text(id.domain.as_str())),
        Route::Component(jid) => To::Component(encode_text(jid.as_str())),
        Route::Stream(stream) => To::Stream(encode_stream(stream)),
        Route::Connection(connection) => To::Connection(encode_connection(*connection)),
        Route::Copy(copy) => To::Copy(encode_copy(copy)),
        Route::Member(member) => To::Member(member.0),
    }
}

/// The lane of a route to another server; 0 of every other one.
pub(super) fn encode_lane(route: &Route) -> u32 {
    match route {
        Route::Remote(id) => id.lane.into(),
        _ => 0,
    }
}

fn encode_stream(stream: &StreamId) -> pb::StreamId {
    let StreamId { domain, member, number } = stream;
    pb::StreamId { domain: encode_text(domain.as_str()), member: member.0, number: *number }
}

fn encode_copy(CopyId { member, of }: &CopyId) -> pb::Copy {
    let of = match &**of {
        Route::User(jid) => Some(Of::User(encode_text(jid.as_str()))),
        Route::Session(session) => Some(Of::Session(encode_session(session))),
        Route::Room(jid) => Some(Of::Room(encode_text(jid.as_str()))),
        Route::Nodes(jid) => Some(Of::Nodes(encode_text(jid.as_str()))),
        // Nothing else has a copy.
        _ => None,
    };
    pb::Copy { member: member.0, of }
}

fn decode_copy(pb::Copy { member, of }: pb::Copy) -> Result<CopyId, WireError> {
    let of = match of.ok_or(WireError::Missing("entity of a copy"))? {
        Of::User(jid) => Route::User(decode_bare(&jid)?),
        Of::Session(session) => Route::Session(decode_session(session)?),
        Of::Room(jid) => Route::Room(decode_bare(&jid)?),
        Of::Nodes(jid) => Route::Nodes(decode_bare(&jid)?),
    };
    Ok(CopyId { member: MemberId(member), of: Box::new(of) })
}

/// `lane` is that of a route to another server. `near` is an address that the route's is often a part of: its string is
/// shared then.
pub(super) fn decode_route(to: To, lane: u32, near: Option<&Jid>) -> Result<Route, WireError> {
    let bare = |text: Bytes| match near {
        Some(near) if near.bare_str().as_bytes() == &text[..] => Ok(near.bare()),
        _ => decode_bare(&text),
    };
    Ok(match to {
        To::User(jid) => Route::User(bare(jid)?),
        To::Session(session) => Route::Session(decode_session(session)?),
        To::Room(jid) => Route::Room(bare(jid)?),
        To::Nodes(jid) => Route::Nodes(bare(jid)?),
        To::Service(id) => Route::Service(Box::new(decode_service(&id)?)),
        To::Domain(jid) => Route::Domain(bare(jid)?),
        To::Remote(jid) => {
            let lane = u8::try_from(lane).map_err(|_| WireError::Invalid("lane"))?;
            Route::Remote(RemoteId { domain: decode_bare(&jid)?, lane })
        }
        To::Component(jid) => Route::Component(decode_bare(&jid)?),
        To::Stream(pb::StreamId { domain, member, number }) => {
            let (domain, member) = (decode_bare(&domain)?, MemberId(member));
            Route::Stream(Box::new(StreamId { domain, member, number }))
        }
        To::Connection(connection) => Route::Connection(decode_connection(&connection)?),
        To::Copy(copy) => Route::Copy(decode_copy(copy)?),
        To::Member(member) => Route::Member(MemberId(member)),
    })
}

pub(super) fn encode_session(session: &SessionId) -> pb::Session {
    pb::Session { account: encode_text(session.account.as_str()), uid: session.uid }
}

pub(super) fn decode_session(session: pb::Session) -> Result<SessionId, WireError> {
    Ok(SessionId { account: decode_bare(&session.account)?, uid: session.uid })
}

fn encode_service(ServiceId { service, kind, by }: &ServiceId) -> pb::Service {
    let kind = match kind {
        ServiceKind::Upload => pb::ServiceKind::Upload,
        ServiceKind::Proxy => pb::ServiceKind::Proxy,
        ServiceKind::Rooms => pb::ServiceKind::Rooms,
    };
    let (service, by) = (encode_text(service.as_str()), encode_text(by.as_str()));
    pb::Service { service, kind: kind.into(), by }
}

fn decode_service(message: &pb::Service) -> Result<ServiceId, WireError> {
    let kind = match message.kind() {
        pb::ServiceKind::Upload => ServiceKind::Upload,
        pb::ServiceKind::Proxy => ServiceKind::Proxy,
        pb::ServiceKind::Rooms => ServiceKind::Rooms,
        pb::ServiceKind::Unknown => return Err(WireError::Invalid("kind of a service")),
    };
    Ok(ServiceId { service: decode_bare(&message.service)?, kind, by: decode_bare(&message.by)? })
}

pub(super) fn encode_connection(connection: ConnectionId) -> pb::Connection {
    pb::Connection {
        member: connection.member.0,
        arbiter: connection.arbiter.0.into(),
        number: connection.number,
    }
}

pub(super) fn decode_connection(connection: &pb::Connection) -> Result<ConnectionId, WireError> {
    let arbiter = u16::try_from(connection.arbiter).map_err(|_| WireError::Invalid("arbiter"))?;
    Ok(ConnectionId {
        member: MemberId(connection.member),
        arbiter: ArbiterId(arbiter),
        number: connection.number,
    })
}

pub(super) fn encode_origin(origin: Origin) -> Cause {
    match origin {
        Origin::Client { session, seq, part } => {
            Cause::Client(ClientOrigin { session, seq, part: part.into() })
        }
        Origin::Shard { shard, epoch, counter } => {
            Cause::Shard(ShardOrigin { shard: shard.number().into(), epoch: epoch.0, counter })
        }
    }
}

pub(super) fn decode_origin(origin: Cause) -> Result<Origin, WireError> {
    match origin {
        Cause::Client(ClientOrigin { session, seq, part }) => {
            let part = u16::try_from(part).map_err(|_| WireError::Invalid("part of an origin"))?;
            Ok(Origin::Client { session, seq, part })
        }
        Cause::Shard(ShardOrigin { shard, epoch, counter }) => {
            let shard = u16::try_from(shard).ok().and_then(Shard::new);
            let shard = shard.ok_or(WireError::Invalid("shard"))?;
            Ok(Origin::Shard { shard, epoch: Epoch(epoch), counter })
        }
    }
}

pub(super) fn decode_bucket(number: u32) -> Result<Bucket, WireError> {
    u16::try_from(number).ok().and_then(Bucket::new).ok_or(WireError::Invalid("bucket"))
}

pub(super) fn encode_text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// An address as our own members write it: normalised already.
pub(super) fn decode_jid(text: &[u8]) -> Result<Jid, WireError> {
    let text = str::from_utf8(text).map_err(|_| WireError::Invalid("UTF-8 in an address"))?;
    let jid = Jid::parse(text).map_err(|_| WireError::Invalid("address"))?;
    if jid.as_str() == text { Ok(jid) } else { Err(WireError::Invalid("normalised address")) }
}

pub(super) fn decode_bare(text: &[u8]) -> Result<BareJid, WireError> {
    BareJid::try_from(decode_jid(text)?).map_err(|_| WireError::Invalid("bare address"))
}

pub(super) fn decode_full(text: &[u8]) -> Result<FullJid, WireError> {
    FullJid::try_from(decode_jid(text)?).map_err(|_| WireError::Invalid("full address"))
}

pub(super) fn encode_target(target: &Target) -> pb::Target {
    pb::Target { jid: encode_text(target.jid.as_str()), part: target.part.into() }
}

pub(super) fn decode_target(pb::Target { jid, part }: pb::Target) -> Result<Target, WireError> {
    let part = u16::try_from(part).map_err(|_| WireError::Invalid("part"))?;
    Ok(Target { jid: decode_jid(&jid)?, part })
}

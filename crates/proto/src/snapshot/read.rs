//! Owns the way from messages to a snapshot: what contradicts itself is refused, and nothing panics.

use std::time::Duration;

use xmpp::{
    BareJid, Element, Epoch, FullJid, Jid, Kind, Origin, PresenceType, Shard, Stanza, kept,
};

use super::{
    Counts, DrainSnapshot, EntitySnapshot, EntrySnapshot, QueuedStanza, Resumption,
    SessionSnapshot, SessionState, SlotSnapshot, SnapshotError, StreamSnapshot, Term,
    TimerSnapshot, UserSnapshot, pb,
};
use crate::member::{ArbiterId, MemberId};
use crate::route::{ConnectionId, Route, SessionId};
use crate::seen::{Key, Seen};
use crate::session::ClientState;

type Read<T> = Result<T, SnapshotError>;

fn stanza(bytes: &[u8]) -> Read<Stanza> {
    let stanza = kept::read(bytes).filter(|_| Element::parse(bytes).is_ok());
    stanza.ok_or(SnapshotError("stanza"))
}

fn bare(text: &str) -> Read<BareJid> {
    BareJid::parse(text).map_err(|_| SnapshotError("address"))
}

fn all<T, M>(messages: Vec<M>) -> Read<Vec<T>>
where
    T: TryFrom<M, Error = SnapshotError>,
{
    messages.into_iter().map(T::try_from).collect()
}

fn route(address: pb::entity_snapshot::Address) -> Read<Route> {
    use pb::entity_snapshot::Address;
    Ok(match address {
        Address::User(jid) => Route::User(bare(&jid)?),
        Address::Room(jid) => Route::Room(bare(&jid)?),
        Address::Nodes(jid) => Route::Nodes(bare(&jid)?),
        Address::Session(pb::SessionAddress { account, uid }) => {
            Route::Session(SessionId { account: bare(&account)?, uid })
        }
    })
}

impl TryFrom<pb::EntitySnapshot> for EntitySnapshot {
    type Error = SnapshotError;

    fn try_from(message: pb::EntitySnapshot) -> Read<Self> {
        let pb::EntitySnapshot { address, state, timers, handed_over } = message;
        let route = route(address.ok_or(SnapshotError("address"))?)?;
        let timer = |pb::Timer { name, number, due }| TimerSnapshot { name, number, due };
        let timers = timers.into_iter().map(timer).collect();
        Ok(Self { route, state, timers, handed_over })
    }
}

impl TryFrom<pb::UserSnapshot> for UserSnapshot {
    type Error = SnapshotError;

    fn try_from(message: pb::UserSnapshot) -> Read<Self> {
        let sessions: Vec<SessionSnapshot> = all(message.sessions)?;
        let twice = |(index, session): (usize, &SessionSnapshot)| {
            sessions.iter().take(index).any(|before| before.uid == session.uid)
        };
        if sessions.iter().enumerate().any(twice) {
            return Err(SnapshotError("sessions"));
        }
        Ok(Self {
            sessions,
            last_id: message.last_id,
            slots: message.slots.into_iter().map(Into::into).collect(),
            refused: message.refused.iter().map(|bytes| stanza(bytes)).collect::<Result<_, _>>()?,
            failures: message.failures,
        })
    }
}

impl TryFrom<pb::SessionSnapshot> for SessionSnapshot {
    type Error = SnapshotError;

    fn try_from(message: pb::SessionSnapshot) -> Read<Self> {
        let stream: Option<StreamSnapshot> = message.stream.map(TryInto::try_into).transpose()?;
        let connection = message.connection.map(TryInto::try_into).transpose()?;
        if connection.is_none() && stream.as_ref().is_some_and(|stream| stream.resuming.is_some()) {
            return Err(SnapshotError("connection"));
        }
        Ok(Self {
            uid: message.uid,
            jid: FullJid::parse(&message.jid).map_err(|_| SnapshotError("address"))?,
            connection,
            resumption: message.resumption.map(TryInto::try_into).transpose()?,
            stream,
            entry: message.entry.map(TryInto::try_into).transpose()?,
            term: message.term.map(|pb::Term { epoch, since }| Term { epoch: Epoch(epoch), since }),
        })
    }
}

impl TryFrom<pb::SessionState> for SessionState {
    type Error = SnapshotError;

    fn try_from(message: pb::SessionState) -> Read<Self> {
        use pb::session_state::State;
        match message.state.ok_or(SnapshotError("form"))? {
            State::Live(session) => Ok(Self::Live(Box::new(session.try_into()?))),
            State::Expired(pb::Expired { secret: bytes, h }) => {
                Ok(Self::Expired { secret: secret(&bytes)?, h })
            }
        }
    }
}

fn secret(bytes: &[u8]) -> Read<[u8; 16]> {
    bytes.try_into().map_err(|_| SnapshotError("secret"))
}

impl TryFrom<pb::Connection> for ConnectionId {
    type Error = SnapshotError;

    fn try_from(pb::Connection { member, arbiter, number }: pb::Connection) -> Read<Self> {
        let arbiter = u16::try_from(arbiter).map_err(|_| SnapshotError("connection"))?;
        Ok(Self { member: MemberId(member), arbiter: ArbiterId(arbiter), number })
    }
}

impl TryFrom<pb::Resumption> for Resumption {
    type Error = SnapshotError;

    fn try_from(message: pb::Resumption) -> Read<Self> {
        Ok(Self {
            secret: secret(&message.secret)?,
            max: Duration::from_micros(message.max),
            deadline: message.deadline,
        })
    }
}

impl TryFrom<pb::Stream> for StreamSnapshot {
    type Error = SnapshotError;

    fn try_from(message: pb::Stream) -> Read<Self> {
        let queue: Vec<QueuedStanza> = all(message.queue)?;
        let counts: Option<Counts> = message.counts.map(Into::into);
        let handed = usize::try_from(message.handed).unwrap_or(usize::MAX);
        let counted = counts.is_none_or(|counts| counts.handled <= message.seq);
        if handed > queue.len() || !counted || message.acked.checked_add(1 << 32).is_none() {
            return Err(SnapshotError("count"));
        }
        Ok(Self {
            seq: message.seq,
            counts,
            acked: message.acked,
            handed: message.handed,
            queue,
            held: all(message.held)?,
            state: if message.inactive { ClientState::Inactive } else { ClientState::Active },
            clogged: message.clogged,
            resuming: message.resuming,
            marks: message
                .marks
                .into_iter()
                .map(|pb::Mark { place, mark }| (place, mark))
                .collect(),
            let_out: message.let_out,
            seen: seen(message.seen)?,
            again_until: message.again_until,
        })
    }
}

impl From<pb::Counts> for Counts {
    fn from(message: pb::Counts) -> Self {
        Self {
            handled: message.handled,
            asked: message.asked,
            unasked: (message.unasked_stanzas, message.unasked_bytes),
            listening: message.listening,
        }
    }
}

impl TryFrom<pb::Item> for QueuedStanza {
    type Error = SnapshotError;

    fn try_from(pb::Item { stanza: bytes, at, mark, origin }: pb::Item) -> Read<Self> {
        let origin = origin.map(TryInto::try_into).transpose()?;
        Ok(Self { stanza: stanza(&bytes)?, at, mark, origin })
    }
}

impl TryFrom<pb::Origin> for Origin {
    type Error = SnapshotError;

    fn try_from(pb::Origin { cause, number, part, shard }: pb::Origin) -> Read<Self> {
        let part = u16::try_from(part).map_err(|_| SnapshotError("origin"))?;
        let Some(shard) = shard else {
            return Ok(Self::Client { session: cause, seq: number, part });
        };
        let shard =
            u16::try_from(shard).ok().and_then(Shard::new).ok_or(SnapshotError("origin"))?;
        Ok(Self::Shard { shard, epoch: Epoch(cause), counter: number })
    }
}

/// More windows than this are no session's.
const WINDOWS: usize = 1_024;

fn seen(windows: Vec<pb::Window>) -> Read<Seen> {
    let read = |window: pb::Window| {
        let part = u16::try_from(window.part).ok()?;
        let key = Key { cause: (window.cause, window.shard), part, sender: window.sender };
        Some((key, window.last, window.bits.try_into().ok()?))
    };
    let count = windows.len();
    let windows: Option<Vec<_>> = windows.into_iter().map(read).collect();
    let windows = windows.filter(|_| count <= WINDOWS).ok_or(SnapshotError("window"))?;
    Ok(Seen::restored(windows.into_iter()))
}

impl TryFrom<pb::Entry> for EntrySnapshot {
    type Error = SnapshotError;

    fn try_from(message: pb::Entry) -> Read<Self> {
        let presence = message.presence.map(|bytes| stanza(&bytes)).transpose()?;
        let shown = |stanza: &Stanza| stanza.kind() == Kind::Presence(PresenceType::Available);
        if !presence.as_ref().is_none_or(|presence| message.available && shown(presence)) {
            return Err(SnapshotError("presence"));
        }
        let jid = |text: &String| Jid::parse(text).map_err(|_| SnapshotError("address"));
        Ok(Self {
            available: message.available,
            presence,
            priority: message.priority.try_into().map_err(|_| SnapshotError("priority"))?,
            interested: message.interested,
            directed: message.directed.iter().map(jid).collect::<Result<_, _>>()?,
            inside: message.inside.iter().map(jid).collect::<Result<_, _>>()?,
            attached: message.attached,
            takes_since: message.takes_since,
            slots: message.slots.into_iter().map(Into::into).collect(),
            drain: message.drain.map(Into::into),
        })
    }
}

impl From<pb::Slot> for SlotSnapshot {
    fn from(pb::Slot { name, value }: pb::Slot) -> Self {
        Self { name, value }
    }
}

impl From<pb::Drain> for DrainSnapshot {
    fn from(pb::Drain { after, under_way, caught_up }: pb::Drain) -> Self {
        let stored = |pb::Stored { id, size }| (id, size);
        Self { after, under_way: under_way.into_iter().map(stored).collect(), caught_up }
    }
}

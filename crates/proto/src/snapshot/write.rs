//! Owns the way from a snapshot to its messages.

use xmpp::{Origin, Stanza, kept};

use super::{
    Counts, DrainSnapshot, EntrySnapshot, QueuedStanza, Resumption, SessionSnapshot, SessionState,
    SlotSnapshot, StreamSnapshot, TimerSnapshot, UserSnapshot, pb,
};
use crate::route::{ConnectionId, Route};
use crate::seen::Window;
use crate::session::ClientState;
use crate::time::micros;

pub(super) fn address(route: &Route) -> Option<pb::entity_snapshot::Address> {
    use pb::entity_snapshot::Address;
    match route {
        Route::User(jid) => Some(Address::User(jid.to_string())),
        Route::Room(jid) => Some(Address::Room(jid.to_string())),
        Route::Nodes(jid) => Some(Address::Nodes(jid.to_string())),
        Route::Session(id) => Some(Address::Session(pb::SessionAddress {
            account: id.account.to_string(),
            uid: id.uid,
        })),
        Route::Service(_)
        | Route::Domain(_)
        | Route::Remote(_)
        | Route::Component(_)
        | Route::Stream(_)
        | Route::Connection(_)
        | Route::Copy(_)
        | Route::Member(_) => None,
    }
}

fn stanza(stanza: &Stanza) -> bytes::Bytes {
    kept::write(stanza)
}

impl From<&TimerSnapshot> for pb::Timer {
    fn from(timer: &TimerSnapshot) -> Self {
        Self { name: timer.name.clone(), number: timer.number, due: timer.due }
    }
}

impl From<&UserSnapshot> for pb::UserSnapshot {
    fn from(user: &UserSnapshot) -> Self {
        Self {
            sessions: user.sessions.iter().map(Into::into).collect(),
            last_id: user.last_id,
            slots: user.slots.iter().map(Into::into).collect(),
            refused: user.refused.iter().map(stanza).collect(),
            failures: user.failures,
        }
    }
}

impl From<&SessionSnapshot> for pb::SessionSnapshot {
    fn from(session: &SessionSnapshot) -> Self {
        Self {
            uid: session.uid,
            jid: session.jid.to_string(),
            connection: session.connection.map(Into::into),
            resumption: session.resumption.map(Into::into),
            stream: session.stream.as_ref().map(Into::into),
            entry: session.entry.as_ref().map(Into::into),
            term: session.term.map(|term| pb::Term { epoch: term.epoch.0, since: term.since }),
        }
    }
}

impl From<&SessionState> for pb::SessionState {
    fn from(state: &SessionState) -> Self {
        use pb::session_state::State;
        let state = match state {
            SessionState::Live(session) => State::Live((&**session).into()),
            SessionState::Expired { secret, h } => {
                State::Expired(pb::Expired { secret: secret.to_vec().into(), h: *h })
            }
        };
        Self { state: Some(state) }
    }
}

impl From<ConnectionId> for pb::Connection {
    fn from(ConnectionId { member, arbiter, number }: ConnectionId) -> Self {
        Self { member: member.0, arbiter: arbiter.0.into(), number }
    }
}

impl From<Resumption> for pb::Resumption {
    fn from(resumption: Resumption) -> Self {
        Self {
            secret: resumption.secret.to_vec().into(),
            max: micros(resumption.max),
            deadline: resumption.deadline,
        }
    }
}

impl From<&StreamSnapshot> for pb::Stream {
    fn from(stream: &StreamSnapshot) -> Self {
        Self {
            seq: stream.seq,
            counts: stream.counts.map(Into::into),
            acked: stream.acked,
            handed: stream.handed,
            queue: stream.queue.iter().map(Into::into).collect(),
            held: stream.held.iter().map(Into::into).collect(),
            inactive: stream.state == ClientState::Inactive,
            clogged: stream.clogged,
            resuming: stream.resuming,
            marks: stream.marks.iter().map(|&(place, mark)| pb::Mark { place, mark }).collect(),
            let_out: stream.let_out,
            seen: stream.seen.windows().map(Into::into).collect(),
            again_until: stream.again_until,
        }
    }
}

impl From<Counts> for pb::Counts {
    fn from(counts: Counts) -> Self {
        Self {
            handled: counts.handled,
            asked: counts.asked,
            unasked_stanzas: counts.unasked.0,
            unasked_bytes: counts.unasked.1,
            listening: counts.listening,
        }
    }
}

impl From<&QueuedStanza> for pb::Item {
    fn from(item: &QueuedStanza) -> Self {
        let origin = item.origin.map(Into::into);
        Self { stanza: stanza(&item.stanza), at: item.at, mark: item.mark, origin }
    }
}

impl From<Origin> for pb::Origin {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Client { session, seq, part } => {
                Self { cause: session, number: seq, part: part.into(), shard: None }
            }
            Origin::Shard { shard, epoch, counter } => Self {
                cause: epoch.0,
                number: counter,
                part: 0,
                shard: Some(shard.number().into()),
            },
        }
    }
}

impl From<&Window> for pb::Window {
    fn from(window: &Window) -> Self {
        let (cause, shard) = window.key.cause;
        let (part, sender) = (window.key.part.into(), window.key.sender);
        let numbers = &window.numbers;
        Self { cause, shard, part, sender, last: numbers.last, bits: numbers.bits.to_vec() }
    }
}

impl From<&EntrySnapshot> for pb::Entry {
    fn from(entry: &EntrySnapshot) -> Self {
        Self {
            available: entry.available,
            presence: entry.presence.as_ref().map(stanza),
            priority: entry.priority.into(),
            interested: entry.interested,
            directed: entry.directed.iter().map(ToString::to_string).collect(),
            inside: entry.inside.iter().map(ToString::to_string).collect(),
            attached: entry.attached,
            takes_since: entry.takes_since,
            slots: entry.slots.iter().map(Into::into).collect(),
            drain: entry.drain.as_ref().map(Into::into),
        }
    }
}

impl From<&SlotSnapshot> for pb::Slot {
    fn from(slot: &SlotSnapshot) -> Self {
        Self { name: slot.name.clone(), value: slot.value.clone() }
    }
}

impl From<&DrainSnapshot> for pb::Drain {
    fn from(drain: &DrainSnapshot) -> Self {
        let stored = |&(id, size): &(u64, u64)| pb::Stored { id, size };
        Self {
            after: drain.after,
            under_way: drain.under_way.iter().map(stored).collect(),
            caught_up: drain.caught_up,
        }
    }
}

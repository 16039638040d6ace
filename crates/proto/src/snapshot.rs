//! Owns the live state of entities as data (proto/session.proto): what they know beyond their rows, so that
//! they go on elsewhere or later. Knows how it is written, not what an entity does with it.
//!
//! **Stanzas that are under way.** A snapshot is taken between turns, when no answer of the store is
//! awaited. What a client sent is in it as a count: stanzas that are handled. Those whose receipts are
//! still open at that moment are not in it; whoever holds the connection still has them and sends them
//! again, or, where nobody does, the client itself after it has resumed with the h of the snapshot
//! (XEP-0198 §5). They take the same places in the count again, so that what they had caused already is
//! known by its origin.

mod change;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use change::{NOBODY, WINDOWS, identity};

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use xmpp::{Epoch, FullJid, Jid, Origin, Stanza};

use crate::route::{ConnectionId, Route};
use crate::seen::Seen;
use crate::session::ClientState;

/// The messages of `proto/session.proto`.
#[expect(unreachable_pub, unnameable_types, reason = "generated code is public throughout")]
#[expect(clippy::large_enum_variant, reason = "generated code, and short-lived")]
mod pb {
    include!(concat!(env!("OUT_DIR"), "/rookery.session.rs"));
}

/// Bytes that are no snapshot, or one that contradicts itself: the field that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} of a snapshot cannot be")]
pub struct SnapshotError(pub &'static str);

/// An entity, as whoever goes on with it needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySnapshot {
    /// Its address: a user, a session or a room.
    pub route: Route,
    /// What the entity itself wrote.
    pub state: Bytes,
    /// The turns that are due.
    pub timers: Vec<TimerSnapshot>,
    /// When another member handed it over, in microseconds since 1970-01-01 UTC by the clock of that one: by it everything
    /// here is due. None: by the clock of whoever goes on with it.
    pub handed_over: Option<u64>,
}

/// A turn that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerSnapshot {
    /// The timer's name.
    pub name: String,
    /// And its number.
    pub number: u64,
    /// When, in microseconds since 1970-01-01 UTC.
    pub due: u64,
}

/// What a user knows beyond its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSnapshot {
    /// Its sessions, oldest first: without what only the session itself keeps.
    pub sessions: Vec<SessionSnapshot>,
    /// The last id given to a row of its archive or offline store.
    pub last_id: u64,
    /// What extensions keep of the account.
    pub slots: Vec<SlotSnapshot>,
    /// Messages that the store did not take, oldest first.
    pub refused: Vec<Stanza>,
    /// How often it was tried in vain to store them.
    pub failures: u32,
}

/// A session and what its user keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSnapshot {
    /// [`crate::SessionId::uid`].
    pub uid: u64,
    /// Its address.
    pub jid: FullJid,
    /// The connection that holds it; none: it waits to be resumed.
    pub connection: Option<ConnectionId>,
    /// None: it cannot be resumed.
    pub resumption: Option<Resumption>,
    /// What the session itself keeps; none in a stub.
    pub stream: Option<StreamSnapshot>,
    /// What its user keeps of it.
    pub entry: Option<EntrySnapshot>,
    /// Since when its second copy is where it is; none: it has none.
    pub term: Option<Term>,
}

/// Since when a second copy is where it is. Of two copies the one with the later term is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// Of the shard's owner.
    pub epoch: Epoch,
    /// Microseconds by a clock of that owner's.
    pub since: u64,
}

/// The state of the entity that a session is.
#[derive(Clone, PartialEq, Eq)]
pub enum SessionState {
    /// It goes on.
    Live(Box<SessionSnapshot>),
    /// Nobody resumed it in time.
    Expired {
        /// The secret half of [`crate::ResumptionId`].
        secret: [u8; 16],
        /// Stanzas of the client that were handled, modulo 2^32.
        h: u32,
    },
}

/// How a session is resumed (XEP-0198 §5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    /// The secret half of [`crate::ResumptionId`].
    pub secret: [u8; 16],
    /// How long it may wait.
    pub max: Duration,
    /// When it has waited for too long, in microseconds since 1970-01-01 UTC; none while it does not wait.
    pub deadline: Option<u64>,
}

/// What a session keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSnapshot {
    /// Stanzas of the client that are handled, from the first one on.
    pub seq: u64,
    /// Stream management; none: the client does not count.
    pub counts: Option<Counts>,
    /// Stanzas that the client has acknowledged.
    pub acked: u64,
    /// How many of the first ones of `queue` the connection has been given.
    pub handed: u32,
    /// What the client has not acknowledged, then what waits; oldest first.
    pub queue: Vec<QueuedStanza>,
    /// What is held back while nobody looks, oldest first.
    pub held: Vec<QueuedStanza>,
    /// Whether anybody looks (XEP-0352).
    pub state: ClientState,
    /// The connection takes no more for now.
    pub clogged: bool,
    /// The connection only resumes the session, with this h.
    pub resuming: Option<u32>,
    /// In a change ([`SessionSnapshot::absorb`]): marks of stanzas that the copy has, each with the stanza's place,
    /// from the first one on that was ever queued: 1, 2, …
    pub marks: Vec<(u64, u64)>,
    /// In a change: what was held back before is no longer.
    pub let_out: bool,
    /// What was ever queued or held back, as far as it may come again; in a change only where it begins.
    pub seen: Seen,
    /// Stanzas of the client up to this one, as `seq` counts, may have been acted on by a process that is gone.
    pub again_until: u64,
}

/// The counters of stream management (XEP-0198 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stanzas of the client that are handled since it counts; h is this modulo 2^32.
    pub handled: u64,
    /// Since when an `<r/>` is unanswered, in microseconds since 1970-01-01 UTC.
    pub asked: Option<u64>,
    /// Stanzas and bytes that the connection was given since the last `<r/>`.
    pub unasked: (u32, u32),
    /// A timer listens for answers.
    pub listening: bool,
}

/// A stanza for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedStanza {
    /// The stanza.
    pub stanza: Stanza,
    /// When it came, in microseconds since 1970-01-01 UTC.
    pub at: u64,
    /// Its mark where the user has it in store too ([`crate::session::UserEvent::Stored`]).
    pub mark: Option<u64>,
    /// Its identity, where it may come again.
    pub origin: Option<Origin>,
}

/// What a user keeps of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntrySnapshot {
    /// Whether it is available (RFC 6121 §4.2).
    pub available: bool,
    /// Its last available presence; none in a stub.
    pub presence: Option<Stanza>,
    /// Of that presence.
    pub priority: i8,
    /// It gets roster pushes.
    pub interested: bool,
    /// Whom it sent directed presence.
    pub directed: Vec<Jid>,
    /// Under which addresses rooms have let it in.
    pub inside: Vec<Jid>,
    /// Whether a socket is attached.
    pub attached: bool,
    /// Since when it takes messages, in microseconds since 1970-01-01 UTC.
    pub takes_since: Option<u64>,
    /// What extensions keep of it.
    pub slots: Vec<SlotSnapshot>,
    /// Stored messages that are on their way to it.
    pub drain: Option<DrainSnapshot>,
}

/// What an extension keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSnapshot {
    /// The slot's name.
    pub name: String,
    /// Of a shape that is the extension's own.
    pub value: Bytes,
}

/// Stored messages on their way to a session (XEP-0160).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainSnapshot {
    /// The last one that was handed on.
    pub after: Option<u64>,
    /// What the client does not have yet: id and bytes, oldest first.
    pub under_way: Vec<(u64, u64)>,
    /// Nothing is stored behind what was handed on.
    pub caught_up: bool,
}

impl SessionSnapshot {
    /// Who is there, and whom it told so: what a standby keeps of every session.
    #[must_use]
    pub fn stub(&self) -> Self {
        let entry = self.entry.as_ref().map(|entry| EntrySnapshot {
            available: entry.available,
            priority: entry.priority,
            interested: entry.interested,
            attached: entry.attached,
            directed: entry.directed.clone(),
            inside: entry.inside.clone(),
            ..EntrySnapshot::default()
        });
        Self { jid: self.jid.clone(), stream: None, entry, ..*self }
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::SessionSnapshot::from(self).encode_to_vec().into()
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no snapshot of a session, or one that contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        pb::SessionSnapshot::decode(bytes).map_err(|_| SnapshotError("form"))?.try_into()
    }
}

impl SessionState {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::SessionState::from(self).encode_to_vec().into()
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no state of a session, or one that contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        pb::SessionState::decode(bytes).map_err(|_| SnapshotError("form"))?.try_into()
    }
}

impl UserSnapshot {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        pb::UserSnapshot::from(self).encode_to_vec().into()
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no snapshot of a user, or one that contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        pb::UserSnapshot::decode(bytes).map_err(|_| SnapshotError("form"))?.try_into()
    }
}

impl EntitySnapshot {
    /// As bytes; none for an address that nothing of the kind stands at.
    #[must_use]
    pub fn encode(&self) -> Option<Bytes> {
        let address = write::address(&self.route)?;
        let timers = self.timers.iter().map(pb::Timer::from).collect();
        let state = self.state.clone();
        let (address, handed_over) = (Some(address), self.handed_over);
        let message = pb::EntitySnapshot { address, state, timers, handed_over };
        Some(message.encode_to_vec().into())
    }

    /// From bytes.
    ///
    /// # Errors
    /// When they are no snapshot of an entity.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        pb::EntitySnapshot::decode(bytes).map_err(|_| SnapshotError("form"))?.try_into()
    }
}

/// Without the secret, so that it cannot end up in a log.
impl std::fmt::Debug for Resumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumption")
            .field("max", &self.max)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

//! Owns the identity of what travels: which stanza of which session caused it.

use std::fmt;

use crate::place::{Epoch, Shard};

/// What caused an envelope or an archive row: the identity by which a repetition is known. One stanza may
/// cause several envelopes to one actor, told apart by `part`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A client's stanza: its session's number, its place in the session's input, and the part.
    Client {
        /// The session's number, which no other session ever has.
        session: u64,
        /// Counts the session's stanzas from 1.
        seq: u64,
        /// Counts what the stanza caused, from 0.
        part: u16,
    },
    /// What no client caused: an actor of this shard, acting by this epoch, as its n-th.
    Shard {
        /// The shard of the actor that made it.
        shard: Shard,
        /// Its epoch.
        epoch: Epoch,
        /// Counts up.
        counter: u64,
    },
}

/// A name for what came of it, which is the same when it is acted on again: three numbers, hexadecimal, with points between.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client { session, seq, part } => write!(f, "{session:x}.{seq:x}.{part:x}"),
            Self::Shard { shard, epoch, counter } => {
                write!(f, "{:x}.{:x}.{counter:x}", shard.number(), epoch.0)
            }
        }
    }
}

/// In the numbers of streams on which other servers send, and of no session.
const OF_SERVER: u64 = 1 << 63;

impl Origin {
    /// Of a stanza that another server has sent as its n-th on a stream, which `stream` tells from all others.
    #[must_use]
    pub fn of_server(stream: u64, seq: u64) -> Self {
        Self::Client { session: stream | OF_SERVER, seq, part: 0 }
    }

    /// The number of a session, or of whoever stands in the place of one, of random bits.
    #[must_use]
    pub fn session_number(random: u64) -> u64 {
        random & !OF_SERVER
    }

    /// Whether another server's stanza is the cause.
    #[must_use]
    pub fn is_of_server(self) -> bool {
        matches!(self, Self::Client { session, .. } if session & OF_SERVER != 0)
    }

    /// Of the cause itself, whichever part of it this is.
    #[must_use]
    pub fn first(self) -> Self {
        match self {
            Self::Client { session, seq, .. } => Self::Client { session, seq, part: 0 },
            Self::Shard { shard, epoch, counter } => {
                Self::Shard { shard, epoch, counter: counter & !0xffff }
            }
        }
    }

    /// Of something else that the same cause has, so many parts later.
    #[must_use]
    pub fn later(self, parts: u16) -> Self {
        match self {
            Self::Client { session, seq, part } => {
                Self::Client { session, seq, part: part.wrapping_add(parts) }
            }
            // The lowest bits count parts.
            Self::Shard { shard, epoch, counter } => {
                let part = u16::try_from(counter & 0xffff).unwrap_or(0).wrapping_add(parts);
                Self::Shard { shard, epoch, counter: counter & !0xffff | u64::from(part) }
            }
        }
    }
}

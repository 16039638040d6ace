//! Owns the trait of everything that has an address.

use std::sync::Arc;

use bytes::Bytes;
use proto::snapshot::SnapshotError;
use proto::{Envelope, Now, Route};
use store::{ArchiveId, Kind, Row};

use crate::context::{Context, Timer};
use crate::mirror::{Copy, Mirror, Taken};

/// A pure state machine with an address: an envelope or a timer in, effects out. It does no I/O, reads no
/// clock and draws no random numbers but those of its [`Context`].
pub trait Entity: Sized + Unpin + 'static {
    /// What all entities of this kind share: configuration, services. Never changes.
    type Shared: Send + Sync + 'static;

    /// What is loaded from the store before the first envelope. Empty: nothing, and no wait.
    const KINDS: &'static [Kind];

    /// The name in logs and metrics.
    const NAME: &'static str;

    /// The names of its timers, by which those of a snapshot are set again.
    const TIMERS: &'static [&'static str] = &[];

    /// Makes the entity from its rows.
    ///
    /// # Errors
    /// When a row cannot be read; whoever wrote to the entity gets `internal-server-error`.
    fn load(route: &Route, rows: Vec<Row>, shared: &Arc<Self::Shared>) -> Result<Self, LoadError>;

    /// Acts on an envelope.
    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>);

    /// Whether it must know the last row of its archive before it acts on this. Then it is told first
    /// ([`Entity::learn_last`]), and what comes meanwhile waits.
    fn needs_last(&self, envelope: &Envelope) -> bool {
        let _ = envelope;
        false
    }

    /// The last row of its archive; none: there is no row, or none that could be read.
    fn learn_last(&mut self, last: Option<ArchiveId>) {
        let _ = last;
    }

    /// Acts on a timer that it set.
    fn wake(&mut self, timer: Timer, cx: &mut Context<'_, Self>);

    /// Whether nothing would be lost if the entity were dropped now and loaded again later, out of its rows alone: then it
    /// is dropped when nobody has needed it for a while, whatever it has in its snapshot.
    fn may_sleep(&self, now: Now) -> bool;

    /// It is put to sleep, and will wake here: what others count of it stays as it is.
    fn rest(&mut self) {}

    /// What it knows beyond its rows and its timers, for [`Entity::restore`]; none: nothing. Asked between
    /// turns, when no answer of the store is awaited. An entity that may not sleep and has no snapshot
    /// stays where it is.
    fn snapshot(&self, now: Now) -> Option<Bytes> {
        let _ = now;
        None
    }

    /// Goes on from a snapshot, in a turn of its own before any other. The entity has just been loaded;
    /// its timers are set again after the turn.
    ///
    /// # Errors
    /// When the snapshot cannot be read; the entity is given up.
    fn restore(
        &mut self,
        snapshot: &[u8],
        cx: &mut Context<'_, Self>,
    ) -> Result<(), SnapshotError> {
        let _ = (snapshot, cx);
        Ok(())
    }

    /// What its second copy must learn, so that it outlives the death of the owner. Asked at the end of every turn,
    /// as a part of it, while there are other members: what the turn was caused by counts as handled when the copy
    /// has learned this. `anew`: the copy knows nothing yet, and wants a [`Mirror::Whole`].
    fn mirror(&mut self, anew: bool, cx: &mut Context<'_, Self>) -> Mirror {
        let _ = (anew, cx);
        Mirror::Nothing
    }

    /// Goes on after the death of the former owner, in a turn of its own before any other, with nothing but its
    /// rows loaded. Called where anybody has a copy of it, newest first, or claims to have something with it
    /// ([`Entity::announce`]).
    ///
    /// # Errors
    /// When what there is cannot be read; the entity is given up.
    fn take_over(
        &mut self,
        copies: Vec<Copy>,
        claims: Vec<Bytes>,
        cx: &mut Context<'_, Self>,
    ) -> Result<(), SnapshotError> {
        let _ = claims;
        match copies.first() {
            Some(newest) => self.restore(&newest.whole, cx),
            None => Ok(()),
        }
    }

    /// Other addresses have new owners after a death: it says what it has with them ([`Context::claim`]).
    fn announce(&mut self, taken: &Taken<'_>, cx: &mut Context<'_, Self>) {
        let _ = (taken, cx);
    }

    /// Whether nobody else holds responsibility for something of it ([`proto::Receipt`]). A snapshot of
    /// an entity that is not settled leaves that out, and somebody sends it again
    /// ([`proto::snapshot`]); where there is time, one waits until it is.
    fn is_settled(&self) -> bool {
        true
    }
}

/// A row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind:?} row cannot be read")]
pub struct LoadError {
    /// Of what kind.
    pub kind: Kind,
}

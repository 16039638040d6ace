//! Owns the trait of everything that has an address.

use std::sync::Arc;

use proto::{Envelope, Route};
use store::{Kind, Row};

use crate::context::{Context, Timer};

/// A pure state machine with an address: an envelope or a timer in, effects out. It does no I/O, reads no
/// clock and draws no random numbers but those of its [`Context`].
pub trait Entity: Sized + Unpin + 'static {
    /// What all entities of this kind share: configuration, services. Never changes.
    type Shared: Send + Sync + 'static;

    /// What is loaded from the store before the first envelope. Empty: nothing, and no wait.
    const KINDS: &'static [Kind];

    /// The name in logs and metrics.
    const NAME: &'static str;

    /// Makes the entity from its rows.
    ///
    /// # Errors
    /// When a row cannot be read; whoever wrote to the entity gets `internal-server-error`.
    fn load(route: &Route, rows: Vec<Row>, shared: &Arc<Self::Shared>) -> Result<Self, LoadError>;

    /// Acts on an envelope.
    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>);

    /// Acts on a timer that it set.
    fn wake(&mut self, timer: Timer, cx: &mut Context<'_, Self>);

    /// Whether nothing would be lost if the entity were dropped now and loaded again later.
    fn may_sleep(&self) -> bool;
}

/// A row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {kind:?} row cannot be read")]
pub struct LoadError {
    /// Of what kind.
    pub kind: Kind,
}

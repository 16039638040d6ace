//! Owns the way in for clients that come by way of HTTP: whoever serves that does the handshake of a WebSocket
//! (RFC 6455 §4), and hands its socket over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket::Upgraded;
use tokio::sync::watch;

use crate::admission::Permit;
use crate::connection;
use crate::gate::Shared;
use crate::listener::Kind;

/// Takes sockets.
#[derive(Clone)]
pub struct Handover {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) next: Arc<AtomicUsize>,
}

/// A place for one more client.
pub struct Place {
    handover: Handover,
    permit: Permit,
}

impl Handover {
    /// A place for a client from there; none where there are too many, or the gate takes no more.
    pub fn place(&self, peer: SocketAddr) -> Option<Place> {
        if *self.stopped.borrow() {
            return None;
        }
        self.place_for(peer, Kind::WebSocket)
    }

    pub(crate) fn place_for(&self, peer: SocketAddr, kind: Kind) -> Option<Place> {
        let mut permit = self.shared.admission.enter(kind)?;
        let has_room = permit.comes_from(peer.ip().to_canonical());
        has_room.then(|| Place { handover: self.clone(), permit })
    }
}

impl Place {
    /// Begins the connection, on one arbiter after the other.
    pub fn begin(self, upgraded: Upgraded) {
        self.spawn(move |permit, shared| connection::begin_upgraded(upgraded, permit, shared));
    }

    pub(crate) fn spawn(self, begin: impl FnOnce(Permit, Arc<Shared>) + Send + 'static) {
        let Self { handover: Handover { shared, next, .. }, permit } = self;
        let turn = next.fetch_add(1, Ordering::Relaxed) % shared.arbiters.len().max(1);
        if let Some(arbiter) = shared.arbiters.get(turn).cloned() {
            arbiter.spawn_fn(move || begin(permit, shared));
        }
    }
}

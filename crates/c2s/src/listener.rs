//! Owns listening: takes connections in, and hands each to an arbiter, all in turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use socket::Acceptor;
use socket2::{SockRef, TcpKeepalive};
use stream::Framing;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::connection::{self, Accepted};
use crate::gate::Shared;

/// A connection that has been silent for this long is probed by the kernel, so often, and so many times.
const PROBE: (Duration, Duration, u32) = (Duration::from_secs(120), Duration::from_secs(30), 4);
/// Sent bytes that nobody acknowledges for this long end the connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(120);

/// How a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the clear; STARTTLS is offered.
    Clear,
    /// With TLS (XEP-0368).
    Direct,
    /// In messages of a WebSocket (RFC 7395), with TLS beneath or not.
    WebSocket,
    /// In requests of HTTP (XEP-0206), with TLS beneath or not.
    Bosh,
}

impl Kind {
    /// How elements are laid down there.
    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::Clear | Self::Direct => Framing::Tcp,
            Self::WebSocket => Framing::WebSocket,
            Self::Bosh => Framing::Bosh,
        }
    }
}

/// Where the gate listens.
#[derive(Debug)]
pub(crate) struct Listening {
    /// The address, with the port that was given where 0 was asked for.
    pub(crate) address: SocketAddr,
    pub(crate) kind: Kind,
    socket: std::net::TcpListener,
}

/// Begins to listen; connections wait in the kernel until [`Listening::serve`].
pub(crate) fn listen(address: SocketAddr, kind: Kind) -> io::Result<Listening> {
    let socket = socket::bind(address)?;
    Ok(Listening { address: socket.local_addr()?, kind, socket })
}

impl Listening {
    /// Accepts on the first arbiter until `stop` says true.
    pub(crate) fn serve(
        self,
        shared: Arc<Shared>,
        arbiters: Vec<ArbiterHandle>,
        stop: watch::Receiver<bool>,
    ) {
        let Some(first) = arbiters.first().cloned() else { return };
        first.spawn_fn(move || {
            let Self { address, kind, socket } = self;
            match Acceptor::new(socket) {
                Ok(acceptor) => {
                    let intake = Intake { kind, shared, arbiters, next: 0 };
                    actix_rt::spawn(intake.run(acceptor, stop));
                }
                Err(error) => tracing::error!(%error, "cannot accept connections on {address}"),
            }
        });
    }
}

struct Intake {
    kind: Kind,
    shared: Arc<Shared>,
    arbiters: Vec<ArbiterHandle>,
    next: usize,
}

impl Intake {
    async fn run(mut self, mut acceptor: Acceptor, mut stop: watch::Receiver<bool>) {
        while let Some(accepted) = acceptor.next(&mut stop).await {
            match accepted {
                Ok((tcp, peer)) => self.take(tcp, peer),
                Err(error) => {
                    self.shared.metrics.accept_errors.add_one();
                    tracing::error!(%error, "cannot accept a connection of a client");
                }
            }
        }
    }

    fn take(&mut self, tcp: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.shared.admission.enter(self.kind) else { return };
        if let Err(error) = tune(&tcp) {
            tracing::debug!(%peer, %error, "a connection was gone at once");
            self.shared.metrics.refused.of("gone").add_one();
            return;
        }
        let Ok(tcp) = tcp.into_std() else { return };
        let accepted = Accepted { tcp, peer, kind: self.kind, permit };
        let shared = Arc::clone(&self.shared);
        let index = self.next % self.arbiters.len().max(1);
        self.next = index + 1;
        // The first arbiter is this one.
        match self.arbiters.get(index).filter(|_| index > 0) {
            Some(arbiter) => {
                arbiter.spawn_fn(move || connection::begin(accepted, shared));
            }
            None => connection::begin(accepted, shared),
        }
    }
}

/// Small stanzas leave at once; a peer that is gone without a word is noticed by the kernel.
fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    let (time, interval, retries) = PROBE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval);
    socket.set_tcp_keepalive(&keepalive.with_retries(retries))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

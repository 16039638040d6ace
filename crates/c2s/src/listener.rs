//! Owns listening: takes connections in, and hands each to an arbiter, all in turn.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use futures_util::future::{Either, select};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use stream::Framing;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::connection::{self, Newcomer};
use crate::gate::Shared;

/// Connections that the kernel holds ready.
const BACKLOG: i32 = 1_024;
/// The first and the longest time to wait when accepting fails.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
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

/// Begins to listen; connections wait in the kernel until [`Listening::serve`]. Where there is no IPv6, any
/// address of it means any address of IPv4.
pub(crate) fn listen(address: SocketAddr, kind: Kind) -> io::Result<Listening> {
    match open(address, kind) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && is_no_ipv6(&error) => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()), kind)
        }
        listening => listening,
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn open(address: SocketAddr, kind: Kind) -> io::Result<Listening> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // One socket for both families; where the system has it off, IPv6 alone.
        socket.set_only_v6(false).unwrap_or_default();
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = std::net::TcpListener::from(socket);
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
            match TcpListener::from_std(socket) {
                Ok(listener) => {
                    let acceptor = Acceptor { listener, kind, shared, arbiters, next: 0 };
                    actix_rt::spawn(acceptor.run(stop));
                }
                Err(error) => tracing::error!(%error, "cannot accept connections on {address}"),
            }
        });
    }
}

struct Acceptor {
    listener: TcpListener,
    kind: Kind,
    shared: Arc<Shared>,
    arbiters: Vec<ArbiterHandle>,
    next: usize,
}

impl Acceptor {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut wait = BACK_OFF.0;
        loop {
            let stopped = pin!(stop.wait_for(|stop| *stop));
            let accepted = match select(stopped, pin!(self.listener.accept())).await {
                Either::Left(_) => return,
                Either::Right((accepted, _)) => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => {
                    wait = BACK_OFF.0;
                    self.take(tcp, peer);
                }
                Err(error) if is_of_the_peer(&error) => {}
                // No descriptors or no memory: what is waiting keeps waiting.
                Err(error) => {
                    self.shared.metrics.accept_errors.add_one();
                    tracing::error!(%error, "cannot accept a connection; tries again in {wait:?}");
                    actix_rt::time::sleep(wait).await;
                    wait = (wait * 2).min(BACK_OFF.1);
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
        let newcomer = Newcomer { tcp, peer, kind: self.kind, permit };
        let shared = Arc::clone(&self.shared);
        let index = self.next % self.arbiters.len().max(1);
        self.next = index + 1;
        // The first arbiter is this one.
        match self.arbiters.get(index).filter(|_| index > 0) {
            Some(arbiter) => {
                arbiter.spawn_fn(move || connection::welcome(newcomer, shared));
            }
            None => connection::welcome(newcomer, shared),
        }
    }
}

/// The peer gave up while it waited; nothing is wrong here.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | WouldBlock)
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

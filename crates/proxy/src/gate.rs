//! Owns the gate of proxies: listeners, and a thread that takes clients in and carries bytes between them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use socket::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::carry::{Pace, carry};
use crate::hub::{Hub, Pass, Seat};
use crate::socks::{self, Step};

/// For a client to say what it wants.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Addresses that are listened on, before anybody is taken in.
pub struct Bound(Vec<std::net::TcpListener>);

/// The gate.
pub struct Gate {
    arbiter: Arbiter,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct GateError {
    address: SocketAddr,
    cause: io::Error,
}

/// Begins to listen.
///
/// # Errors
/// An address cannot be listened on.
pub fn bind(addresses: &[SocketAddr]) -> Result<Bound, GateError> {
    let open = |address: &SocketAddr| {
        socket::bind(*address).map_err(|cause| GateError { address: *address, cause })
    };
    addresses.iter().map(open).collect::<Result<_, _>>().map(Bound)
}

impl Bound {
    /// The port of the first address, as it was given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.0.first()?.local_addr().ok().map(|address| address.port())
    }

    /// The addresses, with the ports that were given.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

impl Gate {
    /// Takes clients in.
    #[must_use]
    pub fn start(bound: Bound, hub: &Arc<Hub>) -> Self {
        let arbiter = Arbiter::new();
        let hub = Arc::clone(hub);
        arbiter.spawn_fn(move || {
            let all = Pace::new(hub.config().bytes_per_second_of_all);
            let context = Rc::new(GateContext { hub, all });
            for listener in bound.0 {
                actix_rt::spawn(take_in(Rc::clone(&context), listener));
            }
        });
        Self { arbiter }
    }

    /// Lets go of every client.
    pub fn stop(self) {
        self.arbiter.stop();
        // A thread that panicked has said so.
        drop(self.arbiter.join());
    }
}

/// What all connections share.
struct GateContext {
    hub: Arc<Hub>,
    all: Pace,
}

async fn take_in(context: Rc<GateContext>, listener: std::net::TcpListener) {
    let mut acceptor = match Acceptor::new(listener) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!(%error, "bytestreams are not taken in"),
    };
    loop {
        match acceptor.accept().await {
            Ok((tcp, peer)) => {
                if let Some(pass) = context.hub.enter(peer.ip().to_canonical()) {
                    actix_rt::spawn(serve(Rc::clone(&context), tcp, pass));
                }
            }
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection for a bytestream");
            }
        }
    }
}

async fn serve(context: Rc<GateContext>, mut tcp: TcpStream, mut pass: Pass) {
    let refused = &context.hub.figures.refused;
    let mut seat = match timeout(HANDSHAKE, shake(&context.hub, &mut tcp)).await {
        Ok(Ok(Some(seat))) => seat,
        Ok(Ok(None)) => return,
        Ok(Err(_)) | Err(_) => return refused.of("socks").add_one(),
    };
    let patience = Duration::from_secs(context.hub.config().begin_seconds);
    match timeout(patience, seat.wait(&tcp)).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(_) => return refused.of("late").add_one(),
    }
    pass.carries();
    if let Some(both) = seat.meet(tcp).await {
        carry(both, &context.hub, &context.all).await;
    }
}

/// SOCKS5, up to the client's place at its bytestream; none where it has none.
async fn shake(hub: &Arc<Hub>, tcp: &mut TcpStream) -> io::Result<Option<Seat>> {
    let mut read = Vec::with_capacity(64);
    let mut is_greeted = false;
    loop {
        let step = if is_greeted { socks::request(&read) } else { socks::greeting(&read) };
        match step {
            Step::More if read.len() < socks::MOST => {
                let mut chunk = [0; 512];
                let most = (socks::MOST - read.len()).min(chunk.len());
                let count = tcp.read(chunk.get_mut(..most).unwrap_or_default()).await?;
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                read.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            Step::More => return Err(io::ErrorKind::InvalidData.into()),
            Step::Say(words, done) => {
                tcp.write_all(&words).await?;
                read.drain(..done);
                is_greeted = true;
            }
            Step::Wants(address, _) => {
                let Some(seat) = hub.sit(address) else {
                    tcp.write_all(&address.refused()).await?;
                    return Ok(None);
                };
                tcp.write_all(&address.granted()).await?;
                return Ok(Some(seat));
            }
            Step::Refuse(words) => {
                tcp.write_all(&words).await?;
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }
}

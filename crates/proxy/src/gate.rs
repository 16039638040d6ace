//! Owns the gate of proxies: listeners, and a thread that takes clients in and carries bytes between them.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::carry::{Pace, carry};
use crate::hub::{Hub, Pass, Seat};
use crate::socks::{self, Step};

/// For a client to say what it wants.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Before another attempt to accept, where one failed.
const PAUSE: Duration = Duration::from_millis(100);

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
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let open = |address: &SocketAddr| {
        open(address).map_err(|cause| GateError { address: *address, cause })
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
            let desk = Rc::new(Desk { hub, all });
            for listener in bound.0 {
                actix_rt::spawn(take_in(Rc::clone(&desk), listener));
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
struct Desk {
    hub: Arc<Hub>,
    all: Pace,
}

async fn take_in(desk: Rc<Desk>, listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "bytestreams are not taken in"),
    };
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                if let Some(pass) = desk.hub.enter(peer.ip().to_canonical()) {
                    actix_rt::spawn(serve(Rc::clone(&desk), tcp, pass));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for a bytestream");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(desk: Rc<Desk>, mut tcp: TcpStream, mut pass: Pass) {
    let refused = &desk.hub.figures.refused;
    let mut seat = match timeout(HANDSHAKE, shake(&desk.hub, &mut tcp)).await {
        Ok(Ok(Some(seat))) => seat,
        Ok(Ok(None)) => return,
        Ok(Err(_)) | Err(_) => return refused.of("socks").add_one(),
    };
    let patience = Duration::from_secs(desk.hub.config().begin_seconds);
    match timeout(patience, seat.wait(&tcp)).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(_) => return refused.of("late").add_one(),
    }
    pass.carries();
    if let Some(both) = seat.meet(tcp).await {
        carry(both, &desk.hub, &desk.all).await;
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

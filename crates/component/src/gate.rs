//! Owns the gate as a whole: a thread that speaks with components, started with the server, drained and stopped with it.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use meter::Pressure;
use router::{RemoteGate, Router};
use socket::Admission;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::connect;
use crate::hall::{Hall, Inbox};
use crate::line;
use crate::metrics::Metrics;
use crate::status::Status;

/// How often plans and clocks are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// How often it is looked whether all streams have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Before another attempt to accept, where one failed.
const PAUSE: Duration = Duration::from_millis(100);
/// Most connections at a time, and most from one address that have not proved anything.
const CONNECTIONS: usize = 1_024;
const STRANGERS: usize = 64;

/// Why the gate cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The thread ended at once.
    #[error("the thread for components did not start")]
    Thread,
}

/// The gate to components. Dropping it stops it.
pub struct Gate {
    arbiter: Arbiter,
    stop: watch::Sender<bool>,
    /// All streams have ended.
    is_over: Arc<AtomicBool>,
    addresses: Vec<SocketAddr>,
    status: Arc<Status>,
    /// The router knows it weakly.
    _inbox: Arc<dyn RemoteGate>,
}

impl Gate {
    /// Listens, and takes what the router has for components.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left open then.
    pub async fn start(
        config: Config,
        router: Router,
        (metrics, pressure): (Arc<Metrics>, Arc<Pressure>),
    ) -> Result<Self, GateError> {
        let listening = config.listen.iter().map(|address| open(*address));
        let listening = listening.collect::<Result<Vec<_>, _>>()?;
        let addresses = listening.iter().map(|(address, _)| *address).collect();
        let (inbox, mut envelopes) = Inbox::new();
        let gate: Arc<dyn RemoteGate> = Arc::clone(&inbox) as _;
        router.open_to_components(&gate);
        let (stop, stopping) = watch::channel(false);
        let is_over = Arc::<AtomicBool>::default();
        let status = Arc::<Status>::default();
        let desk = Arc::clone(&status);
        let (arbiter, over) = (Arbiter::new(), Arc::clone(&is_over));
        let (started, ready) = oneshot::channel();
        arbiter.spawn_fn(move || {
            let hall = Hall::new(&config, (router, metrics, desk), stopping);
            let taker = Rc::clone(&hall);
            actix_rt::spawn(async move {
                while let Some(envelope) = envelopes.recv().await {
                    inbox.took();
                    taker.take(envelope);
                }
            });
            for house in hall.listening() {
                actix_rt::spawn(connect::keep(Rc::clone(&hall), house));
            }
            actix_rt::spawn(look_after(Rc::clone(&hall), over));
            let admission = Admission::new((CONNECTIONS, STRANGERS), pressure);
            for (address, socket) in listening {
                match TcpListener::from_std(socket) {
                    Ok(listener) => {
                        let (hall, admission) = (Rc::clone(&hall), Arc::clone(&admission));
                        actix_rt::spawn(take_in(hall, admission, listener));
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot accept components on {address}");
                    }
                }
            }
            // Whoever waited has given up.
            started.send(()).ok();
        });
        ready.await.map_err(|_| GateError::Thread)?;
        Ok(Self { arbiter, stop, is_over, addresses, status, _inbox: gate })
    }

    /// The addresses that it listens on, with the ports that were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What can be asked of the gate by whoever outlives it not.
    pub fn desk(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Takes no more, and ends every stream in order, within `patience`.
    pub async fn drain(&self, patience: Duration) {
        self.stop.send_replace(true);
        let over = async {
            while !self.is_over.load(Ordering::Acquire) {
                sleep(LOOK).await;
            }
        };
        if timeout(patience, over).await.is_err() {
            tracing::warn!("a component did not take the end of its stream in time");
        }
    }

    /// Ends the thread, and everything on it, at once.
    pub fn end(&self) {
        self.arbiter.stop();
    }

    /// Ends the thread, and waits for that.
    pub fn stop(self) {
        self.stop.send_replace(true);
        self.arbiter.stop();
        // A thread that panicked has said so.
        drop(self.arbiter.join());
    }
}

/// Where there is no IPv6, any address of it means any address of IPv4.
fn open(address: SocketAddr) -> Result<(SocketAddr, std::net::TcpListener), GateError> {
    let opened = std::net::TcpListener::bind(address).or_else(|error| {
        if address.is_ipv6() && address.ip().is_unspecified() {
            return std::net::TcpListener::bind(("0.0.0.0", address.port())).map_err(|_| error);
        }
        Err(error)
    });
    let failed = |cause| GateError::Listen { address, cause };
    let opened = opened.map_err(failed)?;
    opened.set_nonblocking(true).map_err(failed)?;
    Ok((opened.local_addr().map_err(failed)?, opened))
}

/// Sweeps until the gate stops; then waits until all streams have ended.
async fn look_after(hall: Rc<Hall>, is_over: Arc<AtomicBool>) {
    while !*hall.stopping.borrow() {
        hall.sweep();
        let mut stopping = hall.stopping.clone();
        tokio::select! {
            () = sleep(SWEEP) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    while !hall.is_empty() {
        sleep(LOOK).await;
    }
    hall.give_up();
    is_over.store(true, Ordering::Release);
}

/// Accepts until the gate stops.
async fn take_in(hall: Rc<Hall>, admission: Arc<Admission>, listener: TcpListener) {
    let mut stopping = hall.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((tcp, address)) => match admission.enter_from(address.ip()) {
                Ok(permit) => {
                    actix_rt::spawn(line::welcome(Rc::clone(&hall), tcp, address, permit));
                }
                Err(why) => hall.metrics.turned_away.of(why).add_one(),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of a component");
                sleep(PAUSE).await;
            }
        }
    }
}

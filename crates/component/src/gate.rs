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
use socket::{Acceptor, Admission, Most};
use store::SharedStore;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::config::Config;
use crate::connect;
use crate::connection;
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::registry::{Ground, Registry};
use crate::status::Status;

/// How often plans and clocks are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// How often it is looked whether all streams have ended.
const LOOK: Duration = Duration::from_millis(20);
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
        store: SharedStore,
        metrics: Arc<Metrics>,
        pressure: Arc<Pressure>,
    ) -> Result<Self, GateError> {
        let listening = config.listen.iter().map(|address| open(*address));
        let listening = listening.collect::<Result<Vec<_>, _>>()?;
        let addresses = listening.iter().map(|(address, _)| *address).collect();
        let (inbox, mut envelopes) = Inbox::new();
        let gate: Arc<dyn RemoteGate> = Arc::clone(&inbox) as _;
        router.open_to_components(&gate);
        let (stop, stopping) = watch::channel(false);
        let (told, isolated) = watch::channel(false);
        let (lease, isolation) = (router.lease().clone(), config.isolation);
        let is_over = Arc::<AtomicBool>::default();
        let status = Arc::<Status>::default();
        let ground =
            Ground { router, store, metrics, status: Arc::clone(&status), stopping, isolated };
        let (arbiter, over) = (Arbiter::new(), Arc::clone(&is_over));
        let (started, ready) = oneshot::channel();
        arbiter.spawn_fn(move || {
            actix_rt::spawn(async move { lease.tell_loss(isolation, &told).await });
            let registry = Registry::new(&config, ground);
            let taker = Rc::clone(&registry);
            actix_rt::spawn(async move {
                while let Some(envelope) = envelopes.recv().await {
                    inbox.took();
                    taker.take(envelope);
                }
            });
            for registered in registry.listening() {
                actix_rt::spawn(connect::keep(Rc::clone(&registry), registered));
            }
            actix_rt::spawn(look_after(Rc::clone(&registry), over));
            let most = Most { all: CONNECTIONS, of_one_address: STRANGERS };
            let admission = Admission::new(most, pressure);
            for (address, socket) in listening {
                match Acceptor::new(socket) {
                    Ok(acceptor) => {
                        let (registry, admission) = (Rc::clone(&registry), Arc::clone(&admission));
                        actix_rt::spawn(take_in(registry, admission, acceptor));
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

    /// What operators ask of this gate. It holds parts of the gate: drop it first.
    pub fn status(&self) -> Arc<Status> {
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

fn open(address: SocketAddr) -> Result<(SocketAddr, std::net::TcpListener), GateError> {
    let failed = |cause| GateError::Listen { address, cause };
    let opened = socket::bind(address).map_err(failed)?;
    Ok((opened.local_addr().map_err(failed)?, opened))
}

/// Sweeps until the gate stops; then waits until all streams have ended.
async fn look_after(registry: Rc<Registry>, is_over: Arc<AtomicBool>) {
    while !*registry.stopping.borrow() {
        registry.sweep();
        let mut stopping = registry.stopping.clone();
        tokio::select! {
            () = sleep(SWEEP) => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    while !registry.is_empty() {
        sleep(LOOK).await;
    }
    registry.give_up();
    is_over.store(true, Ordering::Release);
}

/// Accepts until the gate stops. Who comes while this member is isolated finds the door closed.
async fn take_in(registry: Rc<Registry>, admission: Arc<Admission>, mut acceptor: Acceptor) {
    let mut stopping = registry.stopping.clone();
    while let Some(accepted) = acceptor.next(&mut stopping).await {
        match accepted {
            Ok(_) if *registry.isolated.borrow() => {}
            Ok((tcp, address)) => match admission.enter_from(address.ip()) {
                Ok(permit) => {
                    actix_rt::spawn(connection::welcome(
                        Rc::clone(&registry),
                        tcp,
                        address,
                        permit,
                    ));
                }
                Err(why) => registry.metrics.turned_away.of(why).add_one(),
            },
            Err(error) => tracing::error!(%error, "cannot accept a connection of a component"),
        }
    }
}

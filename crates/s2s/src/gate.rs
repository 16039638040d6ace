//! Owns the gate as a whole: a thread that speaks with other servers, started with the server, drained and stopped with
//! it.
//!
//! The thread is its own, so that whatever other servers do costs this server's own people nothing but that.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use meter::Pressure;
use proto::Route;
use router::{RemoteGate, Router};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::accept::{self, Hall};
use crate::budgets::OfDomains;
use crate::config::Config;
use crate::dial::Dialer;
use crate::dialback::Keys;
use crate::guests::Guests;
use crate::incoming::Common;
use crate::metrics::Metrics;
use crate::pairs::{Pair, Pairs, Standing};
use crate::posh::Shelf;
use crate::resolve::Resolver;
use crate::send::{self, Desk};
use crate::share::Streams;
use crate::status::{InboundLine, OutboundLine, Status};
use crate::tls::{Certificates, Start, provider};
use crate::trust::Trusted;
use socket::Admission;
use socket::Bounds;

/// How often stanzas that have waited too long are looked for.
const SWEEP: Duration = Duration::from_millis(250);
/// How often it is looked whether all has left.
const LOOK: Duration = Duration::from_millis(20);
/// Before another attempt to accept, where one failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What the gate asks of others.
pub struct Services {
    /// The way to actors.
    pub router: Router,
    /// Our certificates.
    pub certificates: Certificates,
    /// What dialback keys are made from: the same on every member and over restarts.
    pub dialback_secret: Vec<u8>,
    /// Where the gate counts.
    pub metrics: Arc<Metrics>,
    /// How much memory is left.
    pub pressure: Arc<Pressure>,
}

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
    /// The system's name servers are not known, or the keys that DNSSEC begins with.
    #[error("cannot set up lookups in DNS")]
    Resolver(#[source] hickory_resolver::net::NetError),
    /// The authorities that are trusted cannot be read.
    #[error("{0}")]
    Trust(String),
    /// The thread ended at once.
    #[error("the thread for other servers did not start")]
    Thread,
}

/// The gate to other servers. Dropping it stops it.
pub struct Gate {
    arbiter: Arbiter,
    pairs: Arc<Pairs>,
    guests: Arc<Guests>,
    trust: Arc<Trusted>,
    stop: watch::Sender<bool>,
    addresses: Vec<(Start, SocketAddr)>,
}

impl Gate {
    /// Listens, and takes what the router has for other domains.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left open then.
    pub async fn start(config: Config, services: Services) -> Result<Self, GateError> {
        let listening = listen_all(&config)?;
        let addresses = listening.iter().map(|(start, address, _)| (*start, *address)).collect();
        let Services { router, certificates, dialback_secret, metrics, pressure } = services;
        let rules = config.rules.clone();
        let resolver =
            Resolver::new((&config.name_servers, config.trust_anchor.as_deref()), &rules)
                .map_err(GateError::Resolver)?;
        let bounds = Bounds {
            items: rules.queue_stanzas,
            bytes: rules.queue_bytes,
            wait: Duration::from_secs(rules.wait_seconds),
        };
        let (pairs, beginning) =
            Pairs::new((bounds, rules.domains), router.clone(), Arc::clone(&metrics));
        let gate: Arc<dyn RemoteGate> = Arc::clone(&pairs) as _;
        router.open_to_others(&gate);
        let guests = Arc::<Guests>::default();
        let (stop, stopping) = watch::channel(false);
        let algorithms = provider().signature_verification_algorithms;
        let trust = Arc::new(Trusted::new(rules.ca_file.clone(), algorithms));
        let ground = Ground {
            trust: Arc::clone(&trust),
            config,
            router,
            resolver,
            certificates,
            keys: Keys::new(&dialback_secret),
            metrics,
            pressure,
            pairs: Arc::clone(&pairs),
            guests: Arc::clone(&guests),
            stopping,
        };
        let arbiter = Arbiter::new();
        let (started, ready) = oneshot::channel();
        arbiter.spawn_fn(move || {
            ground.work(listening, beginning);
            // Whoever waited has given up.
            started.send(()).ok();
        });
        ready.await.map_err(|_| GateError::Thread)?;
        Ok(Self { arbiter, pairs, guests, trust, stop, addresses })
    }

    /// The addresses of streams that begin in the clear, with the ports that were given.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Start::Upgraded)
    }

    /// The addresses of streams over TLS, with the ports that were given.
    pub fn addresses_tls(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Start::Direct)
    }

    /// What can be asked of the gate by whoever outlives it not.
    pub fn desk(&self) -> Arc<Status> {
        Arc::new(Status::new(Arc::clone(&self.pairs), Arc::clone(&self.guests)))
    }

    /// Reads again which authorities are trusted. Streams that are open stay so.
    ///
    /// # Errors
    /// The file cannot be read; those before are trusted still.
    pub fn reload(&self) -> Result<(), GateError> {
        self.trust.reload().map_err(GateError::Trust)
    }

    /// Takes no more, lets what waits go for `patience` at most, and ends every stream in order.
    pub async fn drain(&self, patience: Duration) {
        self.stop.send_replace(true);
        let gone = async {
            while self.pairs.waiting() > 0 || !self.guests.list().is_empty() || self.is_open() {
                sleep(LOOK).await;
            }
        };
        if timeout(patience, gone).await.is_err() {
            tracing::warn!(
                "{} stanzas for other servers did not leave in time",
                self.pairs.waiting()
            );
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

    fn is_open(&self) -> bool {
        let is_open = |pair: &Arc<Pair>| matches!(pair.standing(), Standing::Open { .. });
        self.pairs.all().iter().any(is_open)
    }

    fn addresses_of(&self, start: Start) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().filter(move |(of, _)| *of == start).map(|(_, address)| *address)
    }
}

type Listening = (Start, SocketAddr, std::net::TcpListener);

fn listen_all(config: &Config) -> Result<Vec<Listening>, GateError> {
    let clear = config.listen.iter().map(|address| (Start::Upgraded, *address));
    let direct = config.listen_tls.iter().map(|address| (Start::Direct, *address));
    let listen = |(start, address)| {
        let failed = |cause| GateError::Listen { address, cause };
        let (address, socket) = open(address).map_err(failed)?;
        Ok((start, address, socket))
    };
    clear.chain(direct).map(listen).collect()
}

/// Where there is no IPv6, any address of it means any address of IPv4.
fn open(address: SocketAddr) -> io::Result<(SocketAddr, std::net::TcpListener)> {
    let opened = std::net::TcpListener::bind(address).or_else(|error| {
        if address.is_ipv6() && address.ip().is_unspecified() {
            return std::net::TcpListener::bind(("0.0.0.0", address.port())).map_err(|_| error);
        }
        Err(error)
    })?;
    opened.set_nonblocking(true)?;
    Ok((opened.local_addr()?, opened))
}

/// What the thread begins with.
struct Ground {
    trust: Arc<Trusted>,
    config: Config,
    router: Router,
    resolver: Resolver,
    certificates: Certificates,
    keys: Keys,
    metrics: Arc<Metrics>,
    pressure: Arc<Pressure>,
    pairs: Arc<Pairs>,
    guests: Arc<Guests>,
    stopping: watch::Receiver<bool>,
}

impl Ground {
    /// On the thread itself.
    fn work(self, listening: Vec<Listening>, mut beginning: mpsc::UnboundedReceiver<Arc<Pair>>) {
        let rules = self.config.rules.clone();
        let hosts = self.router.clone();
        let is_ours = move |jid: &xmpp::BareJid| !matches!(hosts.route_of(jid), Route::Remote(_));
        let patience = Duration::from_secs(rules.negotiation_seconds);
        let rates = (rules.bytes_per_second, rules.stanzas_per_second);
        let of_domain = (rules.domain_bytes_per_second, rules.domain_stanzas_per_second);
        let dialer = Rc::new(Dialer {
            trust: self.trust,
            common: Arc::new(Common { is_ours: Box::new(is_ours), rules, keys: self.keys }),
            resolver: self.resolver,
            certificates: self.certificates,
            shelf: Shelf::default(),
            patience,
        });
        let of_domains = Rc::new(OfDomains::new(self.config.limits.then_some(of_domain)));
        let desk = Rc::new(Desk {
            of_domains: Rc::clone(&of_domains),
            pairs: Arc::clone(&self.pairs),
            dialer: Rc::clone(&dialer),
            router: self.router.clone(),
            metrics: Arc::clone(&self.metrics),
            idle: Duration::from_secs(dialer.common.rules.idle_seconds),
            streams: Streams::default(),
            stopping: self.stopping.clone(),
        });
        actix_rt::spawn(async move {
            while let Some(pair) = beginning.recv().await {
                actix_rt::spawn(send::serve(Rc::clone(&desk), pair));
            }
        });
        let pairs = Arc::clone(&self.pairs);
        actix_rt::spawn(async move {
            loop {
                sleep(SWEEP).await;
                pairs.sweep();
            }
        });
        let places = match self.config.limits {
            true => (dialer.common.rules.connections, dialer.common.rules.connections_per_address),
            false => (usize::MAX, usize::MAX),
        };
        let admission = Admission::new(places, self.pressure);
        let hall = Rc::new(Hall {
            dialer,
            pairs: self.pairs,
            router: self.router,
            metrics: self.metrics,
            guests: self.guests,
            patience,
            rates: self.config.limits.then_some(rates),
            of_domains,
            questions: Hall::questions(),
            stopping: self.stopping,
        });
        for (start, address, socket) in listening {
            match TcpListener::from_std(socket) {
                Ok(listener) => {
                    let hall = Rc::clone(&hall);
                    actix_rt::spawn(take_in(hall, Arc::clone(&admission), listener, start));
                }
                Err(error) => tracing::error!(%error, "cannot accept servers on {address}"),
            }
        }
    }
}

/// Accepts until the gate stops.
async fn take_in(hall: Rc<Hall>, admission: Arc<Admission>, listener: TcpListener, start: Start) {
    let mut stopping = hall.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((tcp, address)) => match admission.enter_from(address.ip()) {
                Ok(permit) => {
                    let hall = Rc::clone(&hall);
                    actix_rt::spawn(accept::welcome(hall, tcp, address, (start, permit)));
                }
                Err(why) => hall.metrics.turned_away.of(why).add_one(),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of another server");
                sleep(PAUSE).await;
            }
        }
    }
}

pub(crate) fn outbound(pair: &Pair, lane: Option<u8>, now: Duration) -> OutboundLine {
    let (state, address, reason, retry) = match pair.standing() {
        Standing::Idle => ("idle", None, None, None),
        Standing::Connecting(failure) => {
            ("connecting", None, failure.map(|it| it.to_string()), None)
        }
        Standing::Open { address, managed } => {
            let state = if managed { "open, acknowledged" } else { "open" };
            (state, Some(address.to_string()), None, None)
        }
        Standing::Shared => ("open, on a shared stream", None, None, None),
        Standing::Failed { failure, until } => {
            let retry = Some(until.saturating_sub(now).as_secs());
            ("failed", None, Some(failure.to_string()), retry)
        }
    };
    OutboundLine {
        local: pair.id.local.to_string(),
        remote: pair.id.remote.to_string(),
        lane,
        state,
        address,
        waiting: pair.waiting(),
        reason,
        retry_seconds: retry,
    }
}

pub(crate) fn inbound((address, domains): (SocketAddr, Vec<xmpp::BareJid>)) -> InboundLine {
    let domains = domains.iter().map(ToString::to_string).collect();
    InboundLine { address: address.to_string(), domains }
}

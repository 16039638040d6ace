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
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::accept::{self, Inbound, Questions};
use crate::budgets::OfDomains;
use crate::config::{Config, Rules};
use crate::dial::Dialer;
use crate::dialback::Keys;
use crate::guests::Guests;
use crate::incoming::Common;
use crate::inflow::Inlet;
use crate::metrics::Metrics;
use crate::pairs::{Pair, Pairs, Standing};
use crate::posh::PoshCache;
use crate::resolve::Resolver;
use crate::send::{self, Outbound};
use crate::share::Streams;
use crate::status::Status;
use crate::tls::{Certificates, Start, provider};
use crate::trust::Trusted;
use socket::{Acceptor, Admission, Allowance, Most};

/// How often stanzas that have waited too long are looked for.
const SWEEP: Duration = Duration::from_millis(250);
/// How often it is looked whether all has left.
const LOOK: Duration = Duration::from_millis(20);

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
    resolver: Arc<Resolver>,
    cache: Arc<PoshCache>,
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
        let resolver = Resolver::new(&config.name_servers, config.trust_anchor.as_deref(), &rules)
            .map(Arc::new)
            .map_err(GateError::Resolver)?;
        let (pairs, beginning) = Pairs::new(rules, router.clone(), Arc::clone(&metrics));
        let gate: Arc<dyn RemoteGate> = Arc::clone(&pairs) as _;
        router.open_to_others(&gate);
        let (guests, cache) = (Arc::<Guests>::default(), Arc::<PoshCache>::default());
        let (stop, stopping) = watch::channel(false);
        let algorithms = provider().signature_verification_algorithms;
        let trust = Arc::new(Trusted::new(config.rules.ca_file.clone(), algorithms));
        let ground = Ground {
            trust: Arc::clone(&trust),
            config,
            router,
            resolver: Arc::clone(&resolver),
            cache: Arc::clone(&cache),
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
        Ok(Self { arbiter, pairs, guests, trust, resolver, cache, stop, addresses })
    }

    /// The addresses of streams that begin in the clear, with the ports that were given.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Start::Upgraded)
    }

    /// The addresses of streams over TLS, with the ports that were given.
    pub fn addresses_tls(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Start::Direct)
    }

    /// What operators ask of this gate. It holds parts of the gate: drop it first.
    pub fn status(&self) -> Arc<Status> {
        let (pairs, guests) = (Arc::clone(&self.pairs), Arc::clone(&self.guests));
        let (resolver, cache) = (Arc::clone(&self.resolver), Arc::clone(&self.cache));
        Arc::new(Status::new(pairs, guests, resolver, cache))
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
        let socket = socket::bind(address).map_err(failed)?;
        Ok((start, socket.local_addr().map_err(failed)?, socket))
    };
    clear.chain(direct).map(listen).collect()
}

/// What the thread begins with.
struct Ground {
    trust: Arc<Trusted>,
    config: Config,
    router: Router,
    resolver: Arc<Resolver>,
    cache: Arc<PoshCache>,
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
        let rates = Allowance::per_second(rules.bytes_per_second, rules.stanzas_per_second);
        let of_domain =
            Allowance::per_second(rules.domain_bytes_per_second, rules.domain_stanzas_per_second);
        let dialer = Rc::new(Dialer {
            trust: self.trust,
            common: Arc::new(Common { is_ours: Box::new(is_ours), rules, keys: self.keys }),
            resolver: self.resolver,
            certificates: self.certificates,
            cache: self.cache,
            patience,
        });
        let inlet = Rc::new(Inlet {
            router: self.router.clone(),
            pairs: Arc::clone(&self.pairs),
            metrics: Arc::clone(&self.metrics),
            rates: self.config.limits.then_some(rates),
            of_domains: OfDomains::new(self.config.limits.then_some(of_domain)),
        });
        let outbound = Rc::new(Outbound {
            inlet: Rc::clone(&inlet),
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
                actix_rt::spawn(send::serve(Rc::clone(&outbound), pair));
            }
        });
        actix_rt::spawn(sweep(Arc::clone(&self.pairs)));
        let most = if self.config.limits { most(&dialer.common.rules) } else { Most::UNLIMITED };
        let of_one_domain = match self.config.limits {
            true => dialer.common.rules.connections_per_domain,
            false => usize::MAX,
        };
        let admission = Admission::new(most, self.pressure);
        let (told, isolated) = watch::channel(false);
        let (lease, isolation) = (self.router.lease().clone(), self.config.isolation);
        let inbound = Rc::new(Inbound {
            dialer,
            pairs: self.pairs,
            router: self.router,
            metrics: self.metrics,
            guests: self.guests,
            patience,
            of_one_domain,
            inlet,
            questions: Questions::default(),
            stopping: self.stopping,
            isolated,
        });
        actix_rt::spawn(async move { lease.tell_loss(isolation, &told).await });
        for (start, address, socket) in listening {
            match Acceptor::new(socket) {
                Ok(acceptor) => {
                    let inbound = Rc::clone(&inbound);
                    actix_rt::spawn(take_in(inbound, Arc::clone(&admission), acceptor, start));
                }
                Err(error) => tracing::error!(%error, "cannot accept servers on {address}"),
            }
        }
    }
}

/// How many connections there may be.
fn most(rules: &Rules) -> Most {
    Most { all: rules.connections, of_one_address: rules.connections_per_address }
}

/// Forgets what nobody waits for any more, once in a while.
async fn sweep(pairs: Arc<Pairs>) {
    loop {
        sleep(SWEEP).await;
        pairs.sweep();
    }
}

/// Accepts until the gate stops. Who comes while this member is isolated finds the door closed.
async fn take_in(
    inbound: Rc<Inbound>,
    admission: Arc<Admission>,
    mut acceptor: Acceptor,
    start: Start,
) {
    let mut stopping = inbound.stopping.clone();
    while let Some(accepted) = acceptor.next(&mut stopping).await {
        match accepted {
            Ok(_) if *inbound.isolated.borrow() => {}
            Ok((tcp, address)) => match admission.enter_from(address.ip()) {
                Ok(permit) => {
                    let inbound = Rc::clone(&inbound);
                    actix_rt::spawn(accept::welcome(inbound, tcp, address, start, permit));
                }
                Err(why) => inbound.metrics.turned_away.of(why).add_one(),
            },
            Err(error) => tracing::error!(%error, "cannot accept a connection of another server"),
        }
    }
}

//! Owns the gate as a whole: started with the server, drained and stopped with it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use accounts::Registrar;
use actix_rt::ArbiterHandle;
use meter::{Level, Pressure};
use router::Router;
use socket::Most;
use stream::features::StreamLimits;
use stream::{Features, machine};
use tokio::sync::watch;
use tokio::time::Instant;
use xmpp::{StreamCondition, StreamError};

use crate::accounts::Accounts;
use crate::admission::Admission;
use crate::bosh::Sessions;
use crate::budgets::Budgets;
use crate::config::{Config, ConfigError, Limits};
use crate::connection::registry;
use crate::handover::Handover;
use crate::isolation;
use crate::listener::{self, Kind};
use crate::metrics::{self, Metrics};
use crate::signin::Authenticator;
use crate::tls::Tls;

/// What the gate asks of others.
pub struct Services {
    /// The way to sessions.
    pub router: Router,
    /// Who may sign in.
    pub accounts: Arc<dyn Accounts>,
    /// Who registers strangers; none where nobody may register.
    pub registrar: Option<Arc<Registrar>>,
    /// What made-up salts for unknown users are made from: at least 32 random octets, the same on every
    /// member and over restarts.
    pub decoy_secret: Vec<u8>,
    /// What streams are offered beside TLS, SASL and binding (RFC 6120 §4.3.2); limits (XEP-0478) are
    /// filled in by the gate.
    pub features: Features,
    /// Where the gate counts.
    pub metrics: Arc<Metrics>,
    /// How much memory is left.
    pub pressure: Arc<Pressure>,
}

/// Why the gate cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A setting makes no sense.
    #[error("the configuration of the client gate is wrong")]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is no arbiter to run on.
    #[error("the client gate has no arbiter to run on")]
    NoArbiter,
}

/// How long dropped connections may take to say so to their sessions.
const DROPPED: Duration = Duration::from_secs(1);

/// How often a few streams are ended where a gate drips.
const STEP: Duration = Duration::from_millis(100);

/// Failed attempts to bind a resource before the stream is closed (RFC 6120 §7.7.3).
const BIND_FAILURES_MAX: u32 = 5;

/// The client gate. Dropping it stops it.
pub struct Gate {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    addresses: Vec<(Kind, SocketAddr)>,
}

/// What all connections of a gate share, on all threads.
pub(crate) struct Shared {
    /// Tells this gate's connections from those of another in the process.
    pub(crate) id: u64,
    pub(crate) config: Config,
    /// What clients may send where memory comes to its end: nothing at once above the average.
    frugal: Limits,
    pub(crate) tls: Tls,
    pub(crate) router: Router,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) registrar: Option<Arc<Registrar>>,
    streams: [Arc<machine::Config>; 4],
    pub(crate) bosh: Arc<Sessions>,
    pub(crate) metrics: Arc<Metrics>,
    pressure: Arc<Pressure>,
    pub(crate) admission: Admission,
    pub(crate) budgets: Arc<Budgets>,
    /// By the number of each arbiter, as the router counts them.
    pub(crate) arbiters: Vec<ArbiterHandle>,
}

impl Shared {
    /// How much a client may send now.
    pub(crate) fn limits(&self) -> &Limits {
        match self.pressure.level() {
            Level::Calm | Level::Tight => &self.config.limits,
            Level::Critical => &self.frugal,
        }
    }
}

impl Gate {
    /// Listens, and serves clients on `arbiters`: the threads that the router knows, in its order.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left open then.
    pub fn start(
        config: Config,
        tls: Tls,
        services: Services,
        arbiters: Vec<ArbiterHandle>,
    ) -> Result<Self, GateError> {
        static GATES: AtomicU64 = AtomicU64::new(0);
        config.check()?;
        if arbiters.is_empty() {
            return Err(GateError::NoArbiter);
        }
        let Services { router, accounts, registrar, decoy_secret, mut features, metrics, pressure } =
            services;
        features.guests.clone_from(&config.guests);
        features.register = registrar.iter().flat_map(|it| it.domains().cloned()).collect();
        let authenticator =
            Authenticator::new(&config, accounts, decoy_secret, Arc::clone(&metrics))?;
        let most = match config.limits.enabled {
            true => Most {
                all: config.c2s.connections,
                of_one_address: config.c2s.connections_per_address,
            },
            false => Most::UNLIMITED,
        };
        let streams = [Kind::Clear, Kind::Direct, Kind::WebSocket, Kind::Bosh];
        let streams =
            streams.map(|kind| Arc::new(stream_config(&config, &router, &features, kind)));
        let listening = listen_all(&config)?;
        let shared = Arc::new(Shared {
            id: GATES.fetch_add(1, Ordering::Relaxed),
            tls,
            router,
            authenticator: Arc::new(authenticator),
            registrar,
            streams,
            bosh: Arc::default(),
            frugal: Limits { bytes_burst: 0, stanzas_burst: 0, ..config.limits.clone() },
            admission: Admission::new(most, Arc::clone(&pressure), Arc::clone(&metrics)),
            metrics,
            pressure,
            budgets: Budgets::new(Instant::now()),
            arbiters,
            config,
        });
        let stop = watch::Sender::new(false);
        let addresses = listening.iter().map(|listening| (listening.kind, listening.address));
        let addresses = addresses.collect();
        serve(&shared, listening, &stop);
        Ok(Self { shared, stop, addresses })
    }

    /// The addresses of streams that begin in the clear, with the ports that were given.
    pub fn c2s_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Kind::Clear)
    }

    /// The addresses of streams over TLS (XEP-0368), with the ports that were given.
    pub fn c2s_tls_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses_of(Kind::Direct)
    }

    /// The way in for clients that come by way of HTTP.
    pub fn handover(&self) -> Handover {
        let (shared, stopped) = (Arc::clone(&self.shared), self.stop.subscribe());
        Handover { shared, stopped, next: Arc::default() }
    }

    /// Connections now.
    pub fn connections(&self) -> usize {
        self.shared.admission.count()
    }

    /// A function that counts the gate's connections, for metrics and administration.
    pub fn counter(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.admission.count()
    }

    /// Takes no more connections, ends every stream with `<system-shutdown/>`, and waits until all are
    /// closed, for `patience` at most. Sessions that can be resumed wait for their clients.
    pub async fn drain(&self, patience: Duration) {
        self.stop.send_replace(true);
        let error = StreamError::from(StreamCondition::SystemShutdown);
        self.everywhere(move |gate| registry::end_all(gate, &error));
        let empty = self.shared.admission.empty();
        if tokio::time::timeout(patience, empty).await.is_err() {
            let left = self.connections();
            tracing::warn!("{left} connections did not close in time");
            self.everywhere(registry::drop_all);
            let empty = self.shared.admission.empty();
            // Whoever is still there then has no connection that could say anything.
            tokio::time::timeout(DROPPED, empty).await.ok();
        }
    }

    /// Takes no more connections, and ends streams with `<system-shutdown/>` a few at a time, so that their clients do
    /// not all come back elsewhere at the same moment. Takes about as long as `over`.
    pub async fn drip(&self, over: Duration) {
        self.stop.send_replace(true);
        let error = StreamError::from(StreamCondition::SystemShutdown);
        let steps =
            usize::try_from(over.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX).max(1);
        let arbiters = self.shared.arbiters.len().max(1);
        let each = self.connections().div_ceil(steps).div_ceil(arbiters);
        // Whoever does not close ends by the clock of its connection.
        for _ in 0..steps.saturating_mul(2) {
            let error = error.clone();
            self.everywhere(move |gate| registry::end_some(gate, each, &error));
            if tokio::time::timeout(STEP, self.shared.admission.empty()).await.is_ok() {
                return;
            }
        }
    }

    /// Takes connections again, at the addresses that it had.
    ///
    /// # Errors
    /// Somebody else listens there by now.
    pub fn open_again(&self) -> Result<(), GateError> {
        let listen = |(kind, address): &(Kind, SocketAddr)| {
            let (kind, address) = (*kind, *address);
            listener::listen(address, kind).map_err(|cause| GateError::Listen { address, cause })
        };
        let listening: Vec<_> = self.addresses.iter().map(listen).collect::<Result<_, _>>()?;
        self.stop.send_replace(false);
        serve(&self.shared, listening, &self.stop);
        Ok(())
    }

    /// Takes no more connections, and drops those that there are.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.everywhere(registry::drop_all);
    }

    fn addresses_of(&self, kind: Kind) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().filter(move |(of, _)| *of == kind).map(|(_, address)| *address)
    }

    fn everywhere(&self, act: impl Fn(u64) + Send + Clone + 'static) {
        self.shared.everywhere(act);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Does something on every thread, for this gate's connections.
    pub(crate) fn everywhere(&self, act: impl Fn(u64) + Send + Clone + 'static) {
        for arbiter in &self.arbiters {
            let (act, gate) = (act.clone(), self.id);
            arbiter.spawn_fn(move || act(gate));
        }
    }

    /// What streams of this kind have in common.
    pub(crate) fn stream(&self, kind: Kind) -> Arc<machine::Config> {
        let [clear, direct, websocket, bosh] = &self.streams;
        Arc::clone(match kind {
            Kind::Clear => clear,
            Kind::Direct => direct,
            Kind::WebSocket => websocket,
            Kind::Bosh => bosh,
        })
    }
}

fn stream_config(
    config: &Config,
    router: &Router,
    features: &Features,
    kind: Kind,
) -> machine::Config {
    let idle = Some(config.c2s.idle_seconds).filter(|seconds| *seconds > 0);
    let idle_seconds = idle.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    let limits = |max_bytes, idle_seconds| Some(StreamLimits { max_bytes, idle_seconds });
    machine::Config {
        domains: router.hosts().domains().to_vec(),
        moved: match kind {
            Kind::Clear | Kind::Direct => config.moved.clone(),
            // Who comes over HTTP has an address of another kind, from host-meta.
            Kind::WebSocket | Kind::Bosh => Vec::new(),
        },
        tls: match (kind, config.c2s.require_tls) {
            (Kind::Direct, _) => machine::Tls::Direct,
            (Kind::Clear, true) => machine::Tls::Required,
            (Kind::Clear, false) => machine::Tls::Optional,
            // RFC 7395 §3.9
            (Kind::WebSocket | Kind::Bosh, _) => machine::Tls::Absent,
        },
        framing: kind.framing(),
        features: Features {
            limits_before_login: limits(config.limits.stanza_bytes_before_login, None),
            limits: limits(config.limits.stanza_bytes, idle_seconds),
            ..features.clone()
        },
        sasl_failures_max: auth::server::MAX_FAILURES_PER_CONNECTION,
        bind_failures_max: BIND_FAILURES_MAX,
    }
}

/// Takes connections until it is told to stop.
fn serve(shared: &Arc<Shared>, listening: Vec<listener::Listening>, stop: &watch::Sender<bool>) {
    if let Some(first) = shared.arbiters.first() {
        first.spawn(isolation::watch(Arc::clone(shared), stop.subscribe()));
    }
    for listening in listening {
        let transport = metrics::transport(listening.kind);
        tracing::info!("listens on {} ({transport})", listening.address);
        listening.serve(Arc::clone(shared), shared.arbiters.clone(), stop.subscribe());
    }
}

fn listen_all(config: &Config) -> Result<Vec<listener::Listening>, GateError> {
    let clear = config.listen.c2s.iter().map(|address| (*address, Kind::Clear));
    let direct = config.listen.c2s_tls.iter().map(|address| (*address, Kind::Direct));
    let listen = |(address, kind)| {
        listener::listen(address, kind).map_err(|cause| GateError::Listen { address, cause })
    };
    clear.chain(direct).map(listen).collect()
}

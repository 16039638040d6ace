//! Owns the parts put together: foundation, arbiters with their actors, gates; and taken down in reverse.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use accounts::{Administration, Admission, Registrar};
use actix_rt::{Arbiter, ArbiterHandle};
use c2s::{Gate, Services, StoredAccounts, Tls};
use domain::Domain;
use entity::Figures;
use entity::host::{Host, Spawn, Start};
use meter::Pressure;
use proto::{ArbiterId, Route, ServiceKind};
use proxy::Proxy;
use pubsub::Service;
use room::{Directory, Heard, Room};
use router::inbox::Receiver;
use router::link::Links;
use router::link::grpc::Grpc;
use router::{Inbox, Router};
use store::SharedStore;
use tokio::sync::oneshot;
use upload::Upload;
use user::{Session, User};

use crate::administration;
use crate::canary::Canaries;
use crate::certificates::load_tls;
use crate::clients::Clients;
use crate::config::Config;
use crate::draining::{self, Listening};
use crate::extensions::domain_shared;
use crate::federation::Watched;
use crate::foundation::Foundation;
use crate::memory::Memory;
use crate::metrics::Sources;
use crate::readiness::{Disk, Signs};
use crate::rooms::Held;
use crate::transfer::Transfer;
use crate::waiting::Waiting;
use crate::{bytestreams, retention, starting, uploads};

/// How long connections may take to close when the server stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    foundation: Arc<Foundation>,
    router: Router,
    /// To other members, where this one meets any.
    links: Option<Arc<Links>>,
    arbiters: Vec<Arbiter>,
    gate: Gate,
    /// To other servers, where any are spoken with.
    others: Option<s2s::Gate>,
    /// For bytestreams, where any are carried.
    proxy: Option<proxy::Gate>,
    /// To components, where there are any.
    components: Option<component::Gate>,
    web: web::Handle,
    tls: Tls,
    rooms: Arc<room::Shared>,
    /// How long clients of a member that is drained are let go, a few at a time.
    lets_go_over: Duration,
    listening: Listening,
}

/// What every arbiter's actors share; made once.
#[derive(Clone)]
struct Shared {
    user: Arc<user::Config>,
    room: Arc<room::Shared>,
    pubsub: Arc<pubsub::Config>,
    upload: Arc<upload::Config>,
    proxy: Arc<proxy::Shared>,
    domain: Arc<domain::Shared>,
    figures: Arc<Figures>,
    canaries: Arc<Canaries>,
    memory: Memory,
}

/// What is there before the arbiters start, and what their actors have of it.
struct Prepared<'a> {
    foundation: &'a Foundation,
    proxy: &'a bytestreams::Ready,
    rooms: &'a Arc<room::Shared>,
    administration: &'a Administration,
    files: Option<&'a Arc<files::Keeper>>,
    waiting: Arc<user::waiting::Waiting>,
}

impl Shared {
    fn new(config: &Config, prepared: Prepared<'_>) -> anyhow::Result<Self> {
        let Prepared { foundation, proxy, rooms, administration, files, waiting } = prepared;
        let (ids, figures) = (foundation.archive_ids(), Arc::<Figures>::default());
        let powers = Arc::new(config.powers(&foundation.secret(b"powers")));
        let powers_of_user = Arc::clone(&powers);
        let mut user = user::Config { ids, powers: powers_of_user, waiting, ..config.user() };
        user.registration.invitations = Some(administration.accounts.clone());
        user.files = uploads::forget(files);
        let administration = Some(Arc::new(administration.clone()));
        Ok(Self {
            user: Arc::new(user),
            room: Arc::clone(rooms),
            pubsub: Arc::new(config.pubsub()?),
            upload: Arc::new(uploads::settings(config, foundation)?),
            proxy: Arc::clone(&proxy.shared),
            domain: Arc::new(domain::Shared { administration, powers, ..domain_shared(config)? }),
            canaries: Canaries::new(config.arbiter_count(), Arc::clone(&figures)),
            memory: Memory::watch(config.memory_bytes),
            figures,
        })
    }
}

impl Server {
    /// Starts everything in order; when this returns, clients are accepted.
    ///
    /// # Errors
    /// The first part that cannot start; what had started is taken down.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        Self::start_on(config, starting::lay(config).await?).await
    }

    /// As [`Server::start`], on a foundation that is laid.
    ///
    /// # Errors
    /// As there.
    pub async fn start_on(config: &Config, foundation: Foundation) -> anyhow::Result<Self> {
        let (foundation, tls) = (Arc::new(foundation), load_tls(config)?);
        let proxy = bytestreams::listen(config)?;
        let (router, receivers) = make_router(&foundation, config.arbiter_count());
        let watched = Arc::<Watched>::default();
        let rooms = Held::new(config, &foundation, &router)?;
        let (members, waiting) =
            administration::meet_members(&foundation, &router, &watched, &rooms);
        let (administration, port) = administration::make(&foundation, config, &router, &members)?;
        let files = uploads::open(config, &foundation, &router)?;
        let prepared = Prepared {
            foundation: &foundation,
            proxy: &proxy,
            rooms: &rooms.shared,
            administration: &administration,
            files: files.as_ref(),
            waiting,
        };
        let shared = Shared::new(config, prepared)?;
        let arbiters = start_arbiters(&router, &foundation.store, &shared, receivers).await?;
        watch_arbiters(&foundation, &shared);
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
        let sources = make_sources(&foundation, &router, &shared, files.clone());
        let pressure = &shared.memory.pressure;
        let registrar = administration::registrar(config, &administration)?;
        let services = for_gate(&foundation, &sources, &shared, registrar);
        let store = &foundation.store;
        Waiting { arbiters: &handles, router: &router, store }.bring_back().await?;
        let links = open_links(&foundation, &router, &handles, pressure);
        let gate = Gate::start(config.gate(), tls.clone(), services, handles)?;
        let others = open_to_others(config, &foundation, &sources, &tls, pressure).await?;
        let components = open_to_components(config, &sources, store, pressure).await?;
        watched.watch(others.as_ref(), components.as_ref());
        let listens = Listening::default();
        let signs = read_signs(&foundation, &router, shared.canaries, config, &listens);
        let [unready, dead] = checks(signs);
        let services = web::Services {
            transfer: Transfer::new(&administration.accounts, foundation.archive_ids()),
            administration,
            members,
            router: router.clone(),
            unready,
            dead,
            cluster: foundation.cluster.operator(),
            connections: Arc::new(gate.counter()),
            clients: for_clients(config, &sources, &gate, &tls),
            metrics: Arc::new(move || sources.page()),
            files,
        };
        let proxy = proxy.start();
        let web = web::start(listening(config), &socket_path(&config.data_dir), services)?;
        administration::tell_port(&port, web.https_addresses());
        look_after(config, &foundation);
        web.set_ready(true);
        Ok(Self {
            foundation,
            router,
            links,
            arbiters,
            gate,
            others,
            proxy,
            components,
            web,
            tls,
            rooms: rooms.shared,
            lets_go_over: config.cluster.lets_go_over(),
            listening: listens,
        })
    }

    /// The client gate, for the addresses that it listens on.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The gate to other servers, if any are spoken with.
    pub fn others(&self) -> Option<&s2s::Gate> {
        self.others.as_ref()
    }

    /// The gate to components, if there are any.
    pub fn components(&self) -> Option<&component::Gate> {
        self.components.as_ref()
    }

    /// The addresses of HTTP, without TLS.
    pub fn http_addresses(&self) -> &[std::net::SocketAddr] {
        self.web.http_addresses()
    }

    /// The addresses of HTTPS.
    pub fn https_addresses(&self) -> &[std::net::SocketAddr] {
        self.web.https_addresses()
    }

    /// The way to actors.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Waits until this member has stopped to take part in the cluster by a fault of its own: it will not act
    /// again, and the process must end.
    pub async fn until_out(&self) -> anyhow::Error {
        match self.foundation.cluster.until_stopped().await {
            Some(error) => anyhow::anyhow!("this member cannot take part any more: {error}"),
            None => anyhow::anyhow!("this member takes no part any more"),
        }
    }

    /// Reads certificates again, and which authorities say who other servers are.
    ///
    /// # Errors
    /// One cannot be used; the ones before stay in force.
    pub fn reload(&self) -> anyhow::Result<()> {
        self.tls.reload()?;
        if let Some(others) = &self.others {
            others.reload()?;
        }
        Ok(self.foundation.cluster.reload()?)
    }

    /// Where other members reach this one, if it meets others.
    pub fn members_address(&self) -> Option<std::net::SocketAddr> {
        self.foundation.cluster.peers().map(cluster::Peers::address)
    }

    /// Lets clients go whenever an operator has drained this member, and come again when that is called off.
    pub async fn let_go_when_drained(&self) {
        let (cluster, over) = (&self.foundation.cluster, self.lets_go_over);
        draining::follow(cluster, &self.gate, over, &self.listening).await;
    }

    /// Gives what lives here to other members, if there are any. Ends every stream in order, finishes what was
    /// accepted, stores the sessions that may be resumed, and stops.
    pub async fn drain(self) {
        self.web.set_ready(false);
        if draining::give_shards_away(&self.foundation.cluster).await {
            self.gate.drip(self.lets_go_over).await;
        }
        crate::rooms::stop(&self.rooms, &self.router).await;
        self.gate.drain(PATIENCE).await;
        if let Some(others) = &self.others {
            others.drain(PATIENCE).await;
        }
        if let Some(components) = &self.components {
            components.drain(PATIENCE).await;
        }
        let arbiters: Vec<_> = self.arbiters.iter().map(Arbiter::handle).collect();
        let (router, store) = (&self.router, &self.foundation.store);
        Waiting { arbiters: &arbiters, router, store }.store().await;
        self.stop().await;
    }

    /// Finishes what was accepted, and stops.
    pub async fn stop(self) {
        self.gate.stop();
        if let Some(others) = self.others {
            others.stop();
        }
        if let Some(components) = self.components {
            components.stop();
        }
        self.web.stop().await;
        if let Some(proxy) = self.proxy {
            proxy.stop();
        }
        if let Some(links) = self.links {
            links.stop();
        }
        for arbiter in self.arbiters {
            arbiter.spawn_fn(router::local::stop);
            arbiter.stop();
            // A thread that panicked has said so.
            drop(arbiter.join());
        }
        match Arc::into_inner(self.foundation) {
            Some(foundation) => foundation.close().await,
            None => tracing::error!("something still holds on to the store"),
        }
    }
}

/// What goes on as long as the server runs.
fn look_after(config: &Config, foundation: &Foundation) {
    actix_rt::spawn(foundation.claim_on());
    let (store, days) = (Arc::clone(&foundation.store), config.archive.retention_days);
    if days > 0 {
        actix_rt::spawn(retention::keep(store, days));
    }
}

/// Where HTTP is spoken.
fn listening(config: &Config) -> web::Listen<'_> {
    let clients = config.has_clients();
    let https = if clients { &config.listen.https[..] } else { &[] };
    web::Listen { http: &config.listen.http, https, clients }
}

/// What the client gate has of others. What of an account whoever logs in must know is in the store.
fn for_gate(
    foundation: &Foundation,
    sources: &Sources,
    shared: &Shared,
    registrar: Option<Arc<Registrar>>,
) -> Services {
    let (store, router) = (Arc::clone(&foundation.store), sources.router.clone());
    Services {
        router: router.clone(),
        registrar,
        accounts: Arc::new(StoredAccounts::new(store, router)),
        decoy_secret: foundation.secret(b"decoy"),
        features: domain::stream_features(&shared.domain),
        metrics: Arc::clone(&sources.gate),
        pressure: Arc::clone(&shared.memory.pressure),
    }
}

/// The cluster looks from now on whether this member's arbiters are behind.
fn watch_arbiters(foundation: &Foundation, shared: &Shared) {
    let canaries = Arc::clone(&shared.canaries);
    foundation.cluster.watch_arbiters(move || canaries.lag());
}

/// What clients that speak HTTP find.
fn for_clients(
    config: &Config,
    sources: &Sources,
    gate: &Gate,
    tls: &Tls,
) -> web::clients::Services {
    let (tls, keys) = (tls.clone(), tls.clone());
    let certificate = move |domain: &str| Some(keys.key_of(domain)?.cert.first()?.to_vec());
    let open = config.domain.iter().filter(|domain| domain.registration == Admission::Open);
    web::clients::Services {
        config: config.web.clone(),
        domains: config.domain.iter().map(|domain| domain.name.clone()).collect(),
        open: open.map(|domain| domain.name.clone()).collect(),
        gate: Arc::new(Clients(gate.handover())),
        figures: Arc::clone(&sources.http),
        certificate: Arc::new(certificate),
        tls: Arc::new(move || tls.https()),
    }
}

/// Where the administration socket is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

fn make_router(foundation: &Foundation, arbiters: usize) -> (Router, Vec<Receiver>) {
    let (inboxes, receivers) = (0..arbiters).map(|_| Inbox::new()).unzip();
    let cluster = &foundation.cluster;
    let hosts = foundation.hosts.clone();
    let router = Router::new(cluster.member_id(), cluster.plan(), cluster.lease(), hosts, inboxes);
    (router, receivers)
}

/// Where the page of metrics has its figures from.
fn make_sources(
    foundation: &Arc<Foundation>,
    router: &Router,
    shared: &Shared,
    files: Option<Arc<files::Keeper>>,
) -> Arc<Sources> {
    Arc::new(Sources {
        gate: Arc::default(),
        federation: Arc::default(),
        http: Arc::default(),
        files,
        bytestreams: Arc::clone(&shared.proxy.hub),
        components: Arc::default(),
        figures: Arc::clone(&shared.figures),
        user: Arc::clone(&shared.user.figures),
        measured: Arc::clone(&foundation.measured),
        canaries: Arc::clone(&shared.canaries),
        memory: shared.memory.clone(),
        router: router.clone(),
        store: Arc::clone(&foundation.store),
        foundation: Arc::downgrade(foundation),
    })
}

/// What keeps clients away, and what makes the process be started again.
fn checks(signs: Arc<Signs>) -> [web::serve::Check; 2] {
    let dead = Arc::clone(&signs);
    [Arc::new(move || signs.unready()), Arc::new(move || dead.dead())]
}

/// Looks from now on whether clients should come here.
fn read_signs(
    foundation: &Arc<Foundation>,
    router: &Router,
    canaries: Arc<Canaries>,
    config: &Config,
    listening: &Listening,
) -> Arc<Signs> {
    let (measured, foundation) = (Arc::clone(&foundation.measured), Arc::downgrade(foundation));
    let disk =
        Disk { data_dir: config.data_dir.clone(), min_free_bytes: config.store.min_free_bytes };
    let listening = listening.clone();
    let signs = Arc::new(Signs { canaries, measured, disk, listening, foundation });
    actix_rt::spawn(Arc::clone(&signs).watch(router.lease().clone()));
    signs
}

/// Lets this server speak with others, if it shall.
async fn open_to_others(
    config: &Config,
    foundation: &Foundation,
    sources: &Sources,
    tls: &Tls,
    pressure: &Arc<Pressure>,
) -> anyhow::Result<Option<s2s::Gate>> {
    let Some(settings) = config.federation() else { return Ok(None) };
    let tls = tls.clone();
    let services = s2s::Services {
        router: sources.router.clone(),
        certificates: Arc::new(move |domain| tls.key_of(domain)),
        dialback_secret: foundation.secret(b"dialback"),
        metrics: Arc::clone(&sources.federation),
        pressure: Arc::clone(pressure),
    };
    Ok(Some(s2s::Gate::start(settings, services).await?))
}

/// Lets components connect, if there are any.
async fn open_to_components(
    config: &Config,
    sources: &Sources,
    store: &SharedStore,
    pressure: &Arc<Pressure>,
) -> anyhow::Result<Option<component::Gate>> {
    let Some(settings) = config.components()? else { return Ok(None) };
    let (router, metrics) = (sources.router.clone(), Arc::clone(&sources.components));
    let (store, pressure) = (Arc::clone(store), Arc::clone(pressure));
    Ok(Some(component::Gate::start(settings, router, store, metrics, pressure).await?))
}

/// Lets this member and others hand each other envelopes.
fn open_links(
    foundation: &Foundation,
    router: &Router,
    arbiters: &[ArbiterHandle],
    pressure: &Arc<Pressure>,
) -> Option<Arc<Links>> {
    let peers = foundation.cluster.peers()?;
    let carrier = Grpc::new(peers.clone());
    let plan = foundation.cluster.plan();
    let links = Links::start(router, carrier.clone(), plan, peers.runtime().clone());
    carrier.serve(&links);
    foundation.take_part_in_moves(router, arbiters, pressure);
    Some(links)
}

async fn start_arbiters(
    router: &Router,
    store: &SharedStore,
    shared: &Shared,
    receivers: Vec<Receiver>,
) -> anyhow::Result<Vec<Arbiter>> {
    let mut arbiters = Vec::new();
    for (number, inbox) in receivers.into_iter().enumerate() {
        let id = ArbiterId(u16::try_from(number)?);
        let arbiter = Arbiter::new();
        let (router, store, shared) = (router.clone(), Arc::clone(store), shared.clone());
        let (started, ready) = oneshot::channel();
        arbiter.spawn_fn(move || {
            let host =
                Host::new(router.clone(), store, Arc::clone(&shared.figures), starters(&shared));
            host.make_known();
            let idle = Host::look_for_idle(Rc::downgrade(&host));
            let (receive, flush) = router::local::install(id, router, host, inbox);
            actix_rt::spawn(receive);
            actix_rt::spawn(flush);
            actix_rt::spawn(idle);
            actix_rt::spawn(Arc::clone(&shared.canaries).sing(number));
            // Whoever waited for it has given up: nothing is lost.
            started.send(()).ok();
        });
        ready.await?;
        arbiters.push(arbiter);
    }
    Ok(arbiters)
}

/// Which entity answers for which route.
fn starters(shared: &Shared) -> Vec<Box<dyn Start>> {
    vec![
        Box::new(Spawn::<Session> {
            shared: Arc::clone(&shared.user),
            is_for: |route| matches!(route, Route::Session(_)),
        }),
        Box::new(Spawn::<User> {
            shared: Arc::clone(&shared.user),
            is_for: |route| matches!(route, Route::User(_)),
        }),
        Box::new(Spawn::<Room> {
            shared: Arc::clone(&shared.room),
            is_for: |route| matches!(route, Route::Room(jid) if jid.localpart().is_some()),
        }),
        Box::new(Spawn::<Directory> {
            shared: Arc::clone(&shared.room),
            is_for: |route| matches!(route, Route::Room(jid) if jid.localpart().is_none()),
        }),
        Box::new(Spawn::<Service> {
            shared: Arc::clone(&shared.pubsub),
            is_for: |route| matches!(route, Route::Nodes(_)),
        }),
        Box::new(Spawn::<Upload> {
            shared: Arc::clone(&shared.upload),
            is_for: |route| matches!(route, Route::Service(id) if id.kind == ServiceKind::Upload),
        }),
        Box::new(Spawn::<Proxy> {
            shared: Arc::clone(&shared.proxy),
            is_for: |route| matches!(route, Route::Service(id) if id.kind == ServiceKind::Proxy),
        }),
        Box::new(Spawn::<Heard> {
            shared: Arc::clone(&shared.room),
            is_for: |route| matches!(route, Route::Service(id) if id.kind == ServiceKind::Rooms),
        }),
        Box::new(Spawn::<Domain> {
            shared: Arc::clone(&shared.domain),
            is_for: |route| matches!(route, Route::Domain(_)),
        }),
    ]
}

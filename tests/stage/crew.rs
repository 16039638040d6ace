//! Owns the crew: members in this process with one store and a plan that splits the shards between them, each with a
//! gate of its own. In the crew that all stories share clients take turns, so that nearly everything that they do
//! crosses members. What carries frames between members delays them, says them twice, and cuts connections, by
//! chance. A member that dies says nothing more to anybody, and is expelled at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc as channel};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use auth::{Account, Credentials};
use c2s::{Gate, Metrics, Services, StoredAccounts, Tls};
use cluster::plan::{Entry, MemberInfo, Status, heirs};
use cluster::{HashKey, Lease, Plan, PlanHandle};
use domain::Domain;
use entity::Figures;
use entity::host::{Host, Spawn, Start};
use futures_util::future::BoxFuture;
use proto::{ArbiterId, MemberId, RemoteId, Route};
use room::{Directory, Heard, Room};
use router::link::carrier::PIPE_DEPTH;
use router::link::{Address, Carrier, Cut, Links, Pipe};
use router::{Inbox, Router};
use server::certificates::load_tls;
use server::config::Config;
use server::extensions::domain_shared;
use store::{Batch, Key, Kind, Memory, SharedStore, Write};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use user::{Session, User};
use xmpp::{BareJid, Fence, Shard};

use super::PASSWORD;

/// Members that run.
pub(crate) struct Crew {
    /// Streams that begin in the clear, of each.
    pub(crate) c2s: Vec<SocketAddr>,
    /// Streams of other servers, of each that takes any.
    pub(crate) s2s: Vec<SocketAddr>,
    /// Streams of components, of each that takes any.
    pub(crate) component: Vec<SocketAddr>,
    members: Vec<Life>,
    store: SharedStore,
    plan: Mutex<Plan>,
    changes: watch::Sender<Arc<Plan>>,
    /// The row of every account: all have the same password.
    account: Vec<u8>,
    _links: Runtime,
}

/// What a member's life hangs on.
struct Life {
    id: MemberId,
    gate: Gate,
    /// To other servers.
    others: Option<s2s::Gate>,
    components: Option<component::Gate>,
    lease: Lease,
    is_alive: Arc<AtomicBool>,
}

/// To clients, to other servers, and to components.
type Gates = (Gate, Option<s2s::Gate>, Option<component::Gate>);

/// As long as it starts.
struct Begun {
    id: MemberId,
    lease: Lease,
    is_alive: Arc<AtomicBool>,
}

/// Carries frames of a member to others of this process.
#[derive(Clone)]
struct Wires {
    runtime: Handle,
    is_alive: Arc<AtomicBool>,
    members: Arc<Mutex<Others>>,
}

type Others = HashMap<MemberId, (Weak<Links>, Arc<AtomicBool>)>;

impl Carrier for Wires {
    fn open(&self, to: Address, lane: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        let there = self.members.lock().unwrap().get(&to.member).cloned();
        let (runtime, here) = (self.runtime.clone(), Arc::clone(&self.is_alive));
        Box::pin(async move {
            let there = there.and_then(|(links, there)| Some((links.upgrade()?, there)));
            let (links, there) = there.ok_or_else(|| Cut("nobody is there".to_owned()))?;
            let alive = move || here.load(Ordering::SeqCst) && there.load(Ordering::SeqCst);
            if !alive() {
                return Err(Cut("nobody is there".to_owned()));
            }
            let (frames, theirs) = wire(&runtime, u64::from(lane) + 1, alive.clone());
            let (replies, ours) = wire(&runtime, u64::from(lane) + 11, alive);
            runtime.spawn(async move { links.serve(theirs, replies).await });
            Ok(Pipe { frames, replies: ours })
        })
    }
}

/// One direction of a connection: late, sometimes twice, and now and then cut.
fn wire<T: Clone + Send + 'static>(
    runtime: &Handle,
    seed: u64,
    alive: impl Fn() -> bool + Send + 'static,
) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    let count = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let mut chance = (count * 31 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (sender, mut from) = mpsc::channel::<T>(PIPE_DEPTH);
    let (to, receiver) = mpsc::channel(PIPE_DEPTH);
    runtime.spawn(async move {
        while let Some(item) = from.recv().await {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            let late = Duration::from_micros(chance >> 20 & 0x7ff);
            tokio::time::timeout(late, std::future::pending::<()>()).await.unwrap_err();
            if chance >> 32 & 0xff == 0 || !alive() {
                return;
            }
            if chance >> 40 & 7 == 0 && to.send(item.clone()).await.is_err() {
                return;
            }
            if to.send(item).await.is_err() {
                return;
            }
        }
    });
    (sender, receiver)
}

impl Crew {
    /// The three that all stories share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Crew> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(3))
    }

    /// Starts so many members. Each shard has a standby.
    pub(crate) fn start(count: u64) -> Self {
        Self::start_with(count, "")
    }

    /// The same, with this laid over the stage's configuration.
    pub(crate) fn start_with(count: u64, extra: &str) -> Self {
        let base: toml::Table = include_str!("stage.toml").parse().unwrap();
        let text = toml::to_string(&super::merge(base, extra.parse().unwrap())).unwrap();
        let mut config = Config::parse(&text, "stage.toml", &[]).unwrap();
        static CREWS: AtomicUsize = AtomicUsize::new(0);
        let number = CREWS.fetch_add(1, Ordering::Relaxed);
        let name = format!("rookery-crew-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        config.data_dir = dir.clone();
        let store: SharedStore = Arc::new(Memory::new());
        let links = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let plan = plan(count);
        let (changes, handle) = PlanHandle::changing(plan.clone());
        let tls = load_tls(&config).unwrap();
        let others: Arc<Mutex<Others>> = Arc::default();
        let start = |id: MemberId| {
            let (config, tls, handle) = (config.clone(), tls.clone(), handle.clone());
            let (store, lease) = (Arc::clone(&store), Lease::always());
            let is_alive = Arc::new(AtomicBool::new(true));
            let (runtime, members) = (links.handle().clone(), Arc::clone(&others));
            let wires = Wires { runtime, members, is_alive: Arc::clone(&is_alive) };
            let (tell, told) = channel::channel();
            let of_member = lease.clone();
            std::thread::spawn(move || {
                actix_rt::System::new().block_on(async move {
                    let place = (id, handle, of_member);
                    let (gates, _kept) = start_member(place, (&config, tls), store, wires).await;
                    tell.send(gates).unwrap();
                    std::future::pending::<()>().await;
                });
            });
            (told, Begun { id, lease, is_alive })
        };
        let started: Vec<_> = (1..=count).map(MemberId).map(start).collect();
        let live = |(told, life): (channel::Receiver<Gates>, Begun)| {
            let (gate, others, components) =
                told.recv_timeout(Duration::from_secs(60)).expect("a member starts");
            let Begun { id, lease, is_alive } = life;
            Life { id, gate, others, components, lease, is_alive }
        };
        let members: Vec<Life> = started.into_iter().map(live).collect();
        let reached = |life: &Life| life.others.as_ref().and_then(|gate| gate.addresses().next());
        let s2s = members.iter().filter_map(reached).collect();
        let reached = |life: &Life| life.components.as_ref().map(|gate| gate.addresses()[0]);
        let component = members.iter().filter_map(reached).collect();
        let c2s = members.iter().map(|life| life.gate.c2s_addresses().next().unwrap()).collect();
        drop(std::fs::remove_dir_all(Path::new(&dir)));
        let credentials = Credentials::derive(PASSWORD, 10_000, [[7; 16]; 3]).unwrap();
        let account = Account::new(credentials).encode();
        let plan = Mutex::new(plan);
        Self { c2s, s2s, component, members, store, plan, changes, account, _links: links }
    }

    /// The number of the member that owns the queue to another domain, in its first lane.
    pub(crate) fn gateway(&self, domain: &str) -> usize {
        self.gateway_of(domain, 0)
    }

    /// The same of some lane.
    pub(crate) fn gateway_of(&self, domain: &str, lane: u8) -> usize {
        let plan = self.plan.lock().unwrap();
        let domain = BareJid::parse(domain).unwrap();
        let bucket = plan.hash_key().remote_bucket(&RemoteId { domain, lane });
        let (owner, _) = plan.owner(bucket.shard()).unwrap();
        self.members.iter().position(|life| life.id == owner).unwrap()
    }

    /// The streams of a member with other servers.
    pub(crate) fn streams_to_others(&self, number: usize) -> s2s::status::Streams {
        self.members[number].others.as_ref().unwrap().status().streams()
    }

    /// The number of the member that owns the home of an account.
    pub(crate) fn home(&self, name: &str) -> usize {
        self.owner(&format!("{name}@localhost"))
    }

    /// The number of the member that owns an address of the cluster.
    pub(crate) fn owner(&self, jid: &str) -> usize {
        let plan = self.plan.lock().unwrap();
        let jid = BareJid::parse(jid).unwrap();
        let (owner, _) = plan.owner(plan.hash_key().bucket(&jid).shard()).unwrap();
        self.members.iter().position(|life| life.id == owner).unwrap()
    }

    /// Nothing leaves a member any more, its sockets are gone, and the others know.
    pub(crate) fn kill(&self, number: usize) {
        let Life { id, gate, others, components, lease, is_alive } = &self.members[number];
        is_alive.store(false, Ordering::SeqCst);
        lease.end_for_good();
        gate.stop();
        if let Some(others) = others {
            others.end();
        }
        if let Some(components) = components {
            components.end();
        }
        let mut plan = self.plan.lock().unwrap();
        let heirs = heirs(&plan, *id).unwrap();
        let expel = Entry::Expel { member: *id, incarnation: 1, heirs };
        let index = plan.index() + 1;
        plan.apply(index, expel).unwrap();
        let index = plan.index() + 1;
        let standbys = standbys(&plan);
        plan.apply(index, Entry::SetStandby(standbys)).unwrap();
        self.changes.send_replace(Arc::new(plan.clone()));
    }

    /// Adds accounts of `localhost`, all with [`PASSWORD`].
    pub(crate) fn add_accounts(&self, names: &[String]) {
        for name in names {
            let jid = BareJid::parse(&format!("{name}@localhost")).unwrap();
            let plan = self.plan.lock().unwrap();
            let bucket = plan.hash_key().bucket(&jid);
            let fence = Fence { bucket, epoch: plan.epoch_of(bucket.shard()).unwrap() };
            let write = Write::Put(Key::new(jid, Kind::Account, ""), self.account.clone().into());
            // What was committed stays, whoever waits for the answer.
            drop(self.store.commit(vec![Batch::new(fence).with(write)]));
        }
    }
}

async fn start_member(
    (id, handle, lease): (MemberId, PlanHandle, Lease),
    (config, tls): (&Config, Tls),
    store: SharedStore,
    wires: Wires,
) -> (Gates, (Vec<Arbiter>, Arc<Links>)) {
    let powers = Arc::new(config.powers(b"powers"));
    let shared = Arc::new(domain::Shared { powers, ..domain_shared(config).unwrap() });
    let hosts = config.hosts().unwrap();
    let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| Inbox::new()).unzip();
    let router = Router::new(id, handle.clone(), lease, hosts, inboxes);
    let links = Links::start(&router, wires.clone(), handle, wires.runtime.clone());
    let entry = (Arc::downgrade(&links), Arc::clone(&wires.is_alive));
    wires.members.lock().unwrap().insert(id, entry);
    let mut arbiters = Vec::new();
    for (number, inbox) in receivers.into_iter().enumerate() {
        let arbiter = Arbiter::new();
        let (router, store) = (router.clone(), Arc::clone(&store));
        let starters = starters(config, &shared);
        let id = ArbiterId(u16::try_from(number).unwrap());
        arbiter.spawn_fn(move || {
            let host = Host::new(router.clone(), store, Arc::<Figures>::default(), starters());
            let idle = Host::look_for_idle(Rc::downgrade(&host));
            let (receive, flush) = router::local::install(id, router, host, inbox);
            actix_rt::spawn(receive);
            actix_rt::spawn(flush);
            actix_rt::spawn(idle);
        });
        arbiters.push(arbiter);
    }
    let services = Services {
        router: router.clone(),
        accounts: Arc::new(StoredAccounts::new(Arc::clone(&store), router.clone())),
        registrar: None,
        decoy_secret: vec![7; 32],
        features: domain::stream_features(&shared),
        metrics: Arc::new(Metrics::default()),
        pressure: Arc::default(),
    };
    let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let gate = Gate::start(config.gate(), tls.clone(), services, handles).unwrap();
    let components = match config.components().unwrap() {
        Some(settings) => {
            let gate = component::Gate::start(
                settings,
                router.clone(),
                Arc::clone(&store),
                Default::default(),
                Default::default(),
            );
            Some(gate.await.unwrap())
        }
        None => None,
    };
    let others = match config.federation() {
        Some(settings) => Some(s2s::Gate::start(settings, to_others(router, tls)).await.unwrap()),
        None => None,
    };
    ((gate, others, components), (arbiters, links))
}

fn to_others(router: Router, tls: Tls) -> s2s::Services {
    let certificates = Arc::new(move |domain: &str| tls.key_of(domain));
    s2s::Services {
        router,
        certificates,
        dialback_secret: vec![7; 32],
        metrics: Arc::default(),
        pressure: Arc::default(),
    }
}

fn starters(
    config: &Config,
    domain: &Arc<domain::Shared>,
) -> impl FnOnce() -> Vec<Box<dyn Start>> + Send + 'static {
    let powers = Arc::clone(&domain.powers);
    let user = user::Config { powers, ..config.user() };
    let (user, domain) = (Arc::new(user), Arc::clone(domain));
    let room = Arc::new(room::Shared::new(config.room().unwrap()));
    let pubsub = Arc::new(config.pubsub().unwrap());
    move || {
        vec![
            Box::new(Spawn::<Session> {
                shared: Arc::clone(&user),
                is_for: |route| matches!(route, Route::Session(_)),
            }),
            Box::new(Spawn::<User> {
                shared: user,
                is_for: |route| matches!(route, Route::User(_)),
            }),
            Box::new(Spawn::<Room> {
                shared: Arc::clone(&room),
                is_for: |route| matches!(route, Route::Room(jid) if jid.localpart().is_some()),
            }),
            Box::new(Spawn::<Directory> {
                shared: Arc::clone(&room),
                is_for: |route| matches!(route, Route::Room(jid) if jid.localpart().is_none()),
            }),
            Box::new(Spawn::<Heard> {
                shared: room,
                is_for: |route| matches!(route, Route::Service(_)),
            }),
            Box::new(Spawn::<pubsub::Service> {
                shared: pubsub,
                is_for: |route| matches!(route, Route::Nodes(_)),
            }),
            Box::new(Spawn::<Domain> {
                shared: domain,
                is_for: |route| matches!(route, Route::Domain(_)),
            }),
        ]
    }
}

/// The members share the shards, and each shard has a standby.
fn plan(count: u64) -> Plan {
    let members = (1..=count).map(|id| MemberInfo::new(MemberId(id), format!("member{id}")));
    let mut plan = Plan::shared_by(HashKey::new([7; 16]), members);
    let standbys = standbys(&plan);
    plan.apply(2, Entry::SetStandby(standbys)).unwrap();
    plan
}

/// For each shard without a standby, the member after its owner.
fn standbys(plan: &Plan) -> Vec<(Shard, Option<MemberId>)> {
    let members: Vec<MemberId> = plan
        .members()
        .filter(|member| member.status != Status::Expelled)
        .map(|member| member.info.id)
        .collect();
    let next = |owner: MemberId| {
        let place = members.iter().position(|id| *id == owner)?;
        members.iter().cycle().nth(place + 1).copied().filter(|next| *next != owner)
    };
    let lacking = plan.ownerships().filter(|(_, held)| held.standby.is_none());
    lacking.map(|(shard, held)| (shard, next(held.owner))).collect()
}

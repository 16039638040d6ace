//! Owns the pair: two members in this process with one store and a plan that splits the shards between them, each
//! with a gate of its own. Clients take turns, so that nearly everything that they do crosses members. What
//! carries frames between the two delays them, says them twice, and cuts connections, by chance.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc as channel};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use auth::{Account, Credentials};
use c2s::{Gate, Metrics, Services, StoredAccounts, Tls};
use cluster::plan::{Bootstrap, Entry, FEATURE_LEVEL, MemberInfo};
use cluster::{ClusterUuid, HashKey, Lease, Plan, PlanHandle};
use domain::Domain;
use entity::Figures;
use entity::host::{Host, Spawn, Start};
use futures_util::future::BoxFuture;
use proto::{ArbiterId, MemberId, Route};
use room::{Directory, Room};
use router::link::carrier::PIPE_DEPTH;
use router::link::{Address, Carrier, Cut, Links, Pipe};
use router::{Inbox, Router};
use server::config::Config;
use server::extensions::domain_shared;
use server::wiring::load_tls;
use store::{Batch, Key, Kind, Memory, SharedStore, Write};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;
use user::{Session, User};
use xmpp::{BareJid, Fence};

use super::PASSWORD;

const MEMBERS: [MemberId; 2] = [MemberId(1), MemberId(2)];

/// Two members that run.
pub(crate) struct Pair {
    /// Streams that begin in the clear, of each.
    pub(crate) c2s: Vec<SocketAddr>,
    store: SharedStore,
    plan: Plan,
    /// The row of every account: all have the same password.
    account: Vec<u8>,
    _links: Runtime,
}

/// Carries frames between members of this process.
#[derive(Clone)]
struct Wires {
    runtime: Handle,
    members: Arc<Mutex<HashMap<MemberId, Weak<Links>>>>,
}

impl Carrier for Wires {
    fn open(&self, to: Address, lane: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        let links = self.members.lock().unwrap().get(&to.member).and_then(Weak::upgrade);
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let links = links.ok_or_else(|| Cut("nobody is there".to_owned()))?;
            let (frames, theirs) = wire(&runtime, u64::from(lane) + 1);
            let (replies, ours) = wire(&runtime, u64::from(lane) + 11);
            runtime.spawn(async move { links.serve(theirs, replies).await });
            Ok(Pipe { frames, replies: ours })
        })
    }
}

/// One direction of a connection: late, sometimes twice, and now and then cut.
fn wire<T: Clone + Send + 'static>(
    runtime: &Handle,
    seed: u64,
) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
    static CONNECTIONS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let count = CONNECTIONS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
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
            if chance >> 32 & 0xff == 0 {
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

impl Pair {
    /// The pair that all stories share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Pair> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let text = include_str!("stage.toml");
        let mut config = Config::parse(text, "stage.toml", &[]).unwrap();
        let dir = std::env::temp_dir().join(format!("rookery-pair-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        config.data_dir = dir.clone();
        let store: SharedStore = Arc::new(Memory::new());
        let links = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let wires = Wires { runtime: links.handle().clone(), members: Arc::default() };
        let plan = plan();
        let (tell, told) = channel::channel();
        let tls = load_tls(&config).unwrap();
        for member in MEMBERS {
            let (config, tls) = (config.clone(), tls.clone());
            let (store, plan) = (Arc::clone(&store), plan.clone());
            let (wires, tell) = (wires.clone(), tell.clone());
            std::thread::spawn(move || {
                actix_rt::System::new().block_on(async move {
                    let one = Member::start(member, (&config, tls), (store, plan), wires).await;
                    tell.send(one.gate.c2s_addresses().next().unwrap()).unwrap();
                    std::future::pending::<()>().await;
                });
            });
        }
        let patience = Duration::from_secs(60);
        let c2s = MEMBERS.map(|_| told.recv_timeout(patience).expect("a member starts")).to_vec();
        drop(std::fs::remove_dir_all(Path::new(&dir)));
        let credentials = Credentials::derive(PASSWORD, 10_000, [[7; 16]; 3]).unwrap();
        let account = Account::new(credentials).encode();
        Self { c2s, store, plan, account, _links: links }
    }

    /// Adds accounts of `localhost`, all with [`PASSWORD`].
    pub(crate) fn add_accounts(&self, names: &[String]) {
        for name in names {
            let jid = BareJid::parse(&format!("{name}@localhost")).unwrap();
            let bucket = self.plan.hash_key().bucket(&jid);
            let fence = Fence { bucket, epoch: self.plan.epoch_of(bucket.shard()).unwrap() };
            let write = Write::Put(Key::new(jid, Kind::Account, ""), self.account.clone().into());
            // What was committed stays, whoever waits for the answer.
            drop(self.store.commit(vec![Batch::new(fence).with(write)]));
        }
    }
}

struct Member {
    gate: Gate,
    _arbiters: Vec<Arbiter>,
    _links: Arc<Links>,
}

impl Member {
    async fn start(
        id: MemberId,
        (config, tls): (&Config, Tls),
        (store, plan): (SharedStore, Plan),
        wires: Wires,
    ) -> Self {
        let shared = Arc::new(domain_shared(config));
        let hosts = config.hosts().unwrap();
        let (inboxes, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| Inbox::new()).unzip();
        let handle = PlanHandle::fixed(plan);
        let router = Router::new(id, handle.clone(), Lease::always(), hosts, inboxes);
        let links = Links::start(&router, wires.clone(), (handle, wires.runtime.clone()));
        wires.members.lock().unwrap().insert(id, Arc::downgrade(&links));
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
            accounts: Arc::new(StoredAccounts::new(store, router)),
            decoy_secret: vec![7; 32],
            features: domain::stream_features(&shared),
            metrics: Arc::new(Metrics::default()),
        };
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
        let gate = Gate::start(config.gate(), tls, services, handles).unwrap();
        Self { gate, _arbiters: arbiters, _links: links }
    }
}

fn starters(
    config: &Config,
    domain: &Arc<domain::Shared>,
) -> impl FnOnce() -> Vec<Box<dyn Start>> + Send + 'static {
    let (user, domain) = (Arc::new(config.user()), Arc::clone(domain));
    let room = Arc::new(room::Shared::new(config.room().unwrap()));
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
                shared: room,
                is_for: |route| matches!(route, Route::Room(jid) if jid.localpart().is_none()),
            }),
            Box::new(Spawn::<Domain> {
                shared: domain,
                is_for: |route| matches!(route, Route::Domain(_)),
            }),
        ]
    }
}

/// Both members own half of the shards.
fn plan() -> Plan {
    let mut plan = Plan::new();
    let info = |id: MemberId| MemberInfo::new(id, format!("member{}", id.0));
    let bootstrap = Bootstrap {
        cluster: ClusterUuid(7),
        generation: 1,
        hash_key: HashKey::new([7; 16]),
        feature_level: FEATURE_LEVEL,
        members: MEMBERS.map(info).to_vec(),
    };
    plan.apply(1, Entry::Bootstrap(bootstrap)).unwrap();
    plan
}

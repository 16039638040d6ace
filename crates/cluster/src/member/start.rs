//! Owns the start of a member: which threads and tasks there are, and in what order they begin.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use proto::MemberId;
use tokio::sync::{broadcast, mpsc, watch};
use tonic::server::NamedService as _;
use tonic::service::Routes;

use super::Cluster;
use crate::Error;
use crate::clock::BootTime;
use crate::config::{Config, Mesh};
use crate::control::common::Common;
use crate::control::discovery::{self, Beginning, find};
use crate::control::founding::Founding;
use crate::control::net::{CallError, MAX_BYTES, Net, Shared};
use crate::control::service::Service;
use crate::control::skew::Skews;
use crate::control::staying::Staying;
use crate::control::transport::Outgoing;
use crate::control::{follow, membership, moves, reach};
use crate::lease::handle::Lease;
use crate::lease::keeper::Keeper;
use crate::lease::vitals::Senses;
use crate::lineage::Lineage;
use crate::peer::{Peers, Settings};
use crate::plan::{FEATURE_LEVEL, MemberInfo, Plan};
use crate::raft::driver::{Command, Driver, MAX_COMMANDS, News};
use crate::raft::group::{Group, GroupError, Standing};
use crate::raft::log::{Identity, RaftLog};
use crate::raft::transport::{Alone, Transport};
use crate::threads::spawn;
use crate::watch::PlanHandle;
use crate::wire::control_server::ControlServer;

/// Changes of the plan that whoever follows it may lag behind.
const MAX_NEWS: usize = 1024;

/// What threads and tasks tell each other by.
struct Lines {
    commands: (mpsc::Sender<Command>, mpsc::Receiver<Command>),
    plan: (watch::Sender<Arc<Plan>>, watch::Receiver<Arc<Plan>>),
    standing: (watch::Sender<Standing>, watch::Receiver<Standing>),
    news: broadcast::Sender<News>,
    lease: Lease,
    incarnation: Arc<AtomicU64>,
    senses: Arc<Senses>,
}

impl Lines {
    fn new(identity: Identity, config: &Config) -> Self {
        Self {
            commands: mpsc::channel(MAX_COMMANDS),
            plan: watch::channel(Arc::new(Plan::new())),
            standing: watch::channel(Standing::default()),
            news: broadcast::channel(MAX_NEWS).0,
            lease: Lease::none(),
            incarnation: Arc::new(AtomicU64::new(identity.incarnation)),
            senses: Arc::new(Senses::new(config.weight, config.lease.ttl)),
        }
    }
}

/// Starts a member that meets nobody.
pub(super) fn alone(log: RaftLog, config: &Config) -> Result<Cluster, Error> {
    let lines = Lines::new(log.identity(), config);
    run(log, config, lines, Box::new(Alone), None)
}

/// Starts a member that meets others: finds its cluster or begins it, and comes up.
pub(super) fn among_others(
    log: RaftLog,
    config: &Config,
    lineage: &Lineage,
) -> Result<Cluster, Error> {
    let Some(mesh) = config.mesh.clone() else {
        return alone(log, config);
    };
    let lines = Lines::new(log.identity(), config);
    let net = open(&log, config, mesh, &lines)?;
    let telling = net.shared.peers.runtime().spawn(config.progress.clone().tell());
    let started = begin(log, config, lineage, lines, &net);
    telling.abort();
    config.progress.is_over();
    if started.is_err() {
        net.shared.peers.stop();
    }
    started
}

fn open(log: &RaftLog, config: &Config, mesh: Mesh, lines: &Lines) -> Result<Net, Error> {
    let settings = Settings {
        name: config.name.clone(),
        listen: mesh.listen,
        security: mesh.security.clone(),
    };
    let peers = Peers::open(&settings, PlanHandle::new(lines.plan.1.clone()))?;
    let mut me = info(log.identity(), config);
    if me.addr.is_empty() {
        me.addr = peers.address().to_string();
    }
    let net = Net::new(Shared {
        peers: peers.clone(),
        founding: Mutex::new(Founding::new(me.clone(), mesh.bootstrap_expect)),
        mesh,
        lease_ttl: config.lease.ttl,
        me: Mutex::new(me),
        commands: lines.commands.0.clone(),
        plan: lines.plan.1.clone(),
        standing: lines.standing.1.clone(),
        news: lines.news.clone(),
        incarnation: Arc::clone(&lines.incarnation),
        channels: Mutex::new(BTreeMap::new()),
        senses: Arc::clone(&lines.senses),
        common: Common::new(config.common.clone()),
        skews: Skews::default(),
        staying: Staying::default(),
    });
    let service = ControlServer::new(Service { net: net.clone() })
        .max_decoding_message_size(MAX_BYTES)
        .max_encoding_message_size(MAX_BYTES);
    peers.serve(ControlServer::<Service>::NAME, Routes::new(service));
    Ok(net)
}

fn begin(
    mut log: RaftLog,
    config: &Config,
    lineage: &Lineage,
    lines: Lines,
    net: &Net,
) -> Result<Cluster, Error> {
    let runtime = net.shared.peers.runtime().clone();
    let known = Plan::decode(&log.snapshot().data).ok().filter(Plan::is_bootstrapped);
    if let Some(plan) = &known {
        lineage.agree(plan, log.identity().member)?;
    }
    if !log.is_initialized() {
        match runtime.block_on(find(net, lineage, &config.progress))? {
            Beginning::Founded(plan) => log.initialize(&voters(&plan), plan.encode())?,
            Beginning::Joined(plan) => drop(lines.plan.0.send_replace(Arc::new(plan))),
        }
    }
    let transport = Box::new(Outgoing::new(net.clone()));
    let cluster = run(log, config, lines, transport, Some(net.clone()))?;
    runtime.spawn(discovery::go_on(net.clone()));
    runtime.spawn(follow::run(net.clone()));
    runtime.spawn(moves::run(net.clone()));
    runtime.spawn(reach::run(net.clone()));
    let mut end = cluster.end.clone();
    let coming_up = async {
        let is_over = async { while end.changed().await.is_ok() {} };
        let came =
            tokio::time::timeout(config.start_patience, membership::come_up(net, &config.progress));
        tokio::select! {
            came = came => came,
            // The thread of Raft has ended: nothing comes of it any more.
            () = is_over => Ok(Err(CallError::Late)),
        }
    };
    match runtime.block_on(coming_up) {
        Ok(Ok(())) => {}
        Ok(Err(CallError::Refused(why))) => return Err(Error::RefusedBy(why)),
        Ok(Err(_)) | Err(_) => return Err(cluster.stopped_error()),
    }
    runtime.spawn(membership::run(net.clone(), cluster.lease()));
    Ok(cluster)
}

/// The first voters of a plan: all of its members that may be.
fn voters(plan: &Plan) -> Vec<MemberId> {
    let able =
        plan.members().filter(|member| member.info.roles.contains(crate::plan::Roles::VOTER));
    let able: Vec<_> = able.map(|member| member.info.id).collect();
    match able.is_empty() {
        true => plan.members().map(|member| member.info.id).collect(),
        false => able,
    }
}

/// Starts the control threads.
fn run(
    log: RaftLog,
    config: &Config,
    lines: Lines,
    transport: Box<dyn Transport>,
    net: Option<Net>,
) -> Result<Cluster, Error> {
    let identity = log.identity();
    let mut group = Group::new(log, config.lease)?;
    // Replays what is known to be committed: nobody is spoken to before the first tick.
    group.work(BootTime::now())?;
    let Lines { commands, plan, standing, news, lease, incarnation, senses } = lines;
    if group.plan().index() > plan.1.borrow().index() {
        plan.0.send_replace(Arc::new(group.plan().clone()));
    }
    let (end_sender, end) = watch::channel(None);
    let driver =
        Driver { group, transport, commands: commands.1, plan: plan.0, news, standing: standing.0 };
    let keeper = Keeper {
        member: identity.member,
        incarnation: Arc::clone(&incarnation),
        terms: config.lease,
        lease: lease.clone(),
        commands: commands.0.clone(),
        plan: plan.1.clone(),
        senses: Arc::clone(&senses),
    };
    let ends_lease = EndsLease(lease.clone());
    let raft = spawn("raft", async move {
        let _ends_lease = ends_lease;
        if let Err(error) = driver.run().await {
            report(&error);
            end_sender.send_replace(Some(Arc::new(error)));
        }
    })?;
    let threads = Mutex::new(vec![raft]);
    let (commands, plan, standing) = (commands.0, plan.1, standing.1);
    let cluster = Cluster {
        identity,
        lease,
        commands,
        plan,
        standing,
        end,
        threads,
        net,
        incarnation,
        senses,
    };
    let lease_thread = spawn("lease", keeper.run())?;
    cluster.threads.lock().unwrap_or_else(PoisonError::into_inner).push(lease_thread);
    Ok(cluster)
}

fn report(error: &GroupError) {
    tracing::error!(%error, "the member cannot take part any more: {error:?}");
}

/// What this process says of itself.
pub(super) fn info(identity: Identity, config: &Config) -> MemberInfo {
    MemberInfo {
        id: identity.member,
        incarnation: identity.incarnation,
        name: config.name.clone(),
        addr: config.addr.clone(),
        zone: config.zone.clone(),
        roles: config.roles,
        weight: config.weight,
        features: (FEATURE_LEVEL, FEATURE_LEVEL),
        private_store: config.private_store,
        lease: config.lease.ttl,
    }
}

/// Ends the lease with the thread that holds it, however that ends.
struct EndsLease(Lease);

impl Drop for EndsLease {
    fn drop(&mut self) {
        self.0.end_for_good();
    }
}

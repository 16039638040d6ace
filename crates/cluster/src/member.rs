//! Owns this process as a member: its threads, its start and its end. What is decided is decided elsewhere.
//!
//! Raft and the lease run on two threads with a runtime each, and nothing else runs there: an actor that is
//! busy costs no election and no lease, and a disk that is slow for Raft costs no more than the lease.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::MemberId;
use tokio::sync::{mpsc, watch};

use crate::Error;
use crate::clock::BootTime;
use crate::config::{Config, Remembered};
use crate::hash::HashKey;
use crate::lease::handle::Lease;
use crate::lease::keeper::Keeper;
use crate::peer::Peers;
use crate::plan::{
    Applied, Bootstrap, ClusterUuid, Entry, FEATURE_LEVEL, MemberInfo, Plan, Refusal,
};
use crate::raft::driver::{Command, Driver, MAX_COMMANDS};
use crate::raft::group::{Group, GroupError, Standing};
use crate::raft::log::{Identity, RaftLog};
use crate::raft::transport::{Alone, Inbox};
use crate::remembered;
use crate::status::Status;
use crate::threads::spawn;
use crate::watch::PlanHandle;

/// The directory of the Raft log in the data directory.
const RAFT_DIRECTORY: &str = "raft";

/// This process as a member of the cluster.
pub struct Cluster {
    identity: Identity,
    lease: Lease,
    commands: mpsc::Sender<Command>,
    plan: watch::Receiver<Arc<Plan>>,
    standing: watch::Receiver<Standing>,
    end: watch::Receiver<Option<Arc<GroupError>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    peers: Option<Peers>,
}

impl Cluster {
    /// Starts to take part, with the log in `data_dir`; returns when this member may act. On an empty
    /// directory a new cluster begins with this member alone. Blocks for some flushes of the disk, normally
    /// under 300 ms; needs no runtime around it.
    ///
    /// What must outlive the log is kept beside it, in the file `cluster`: a member that lost its log begins
    /// again as the same cluster, in the next generation.
    ///
    /// A member that starts again has its id, and its shards at higher epochs: see [`Entry::Up`].
    ///
    /// # Errors
    ///
    /// [`Error`]; no thread is left behind.
    pub fn start(mut config: Config, data_dir: &Path) -> Result<Self, Error> {
        let known = remembered::recall(data_dir).map_err(Error::Remembered)?;
        config.remembered = config.remembered.or(known);
        let mint = MemberId(u64::from_be_bytes(random()?).max(1));
        let mut log = RaftLog::open(&data_dir.join(RAFT_DIRECTORY), mint)?;
        if !log.is_initialized() {
            log.initialize(&[log.identity().member], Plan::new().encode())?;
        }
        let cluster = Self::spawn(log, &config)?;
        cluster.introduce(&config)?;
        cluster.await_lease(config.start_patience)?;
        remembered::remember(data_dir, cluster.to_remember()).map_err(Error::Remembered)?;
        tracing::info!(
            member = %cluster.identity.member,
            "takes part in the cluster, incarnation {}",
            cluster.identity.incarnation,
        );
        Ok(cluster)
    }

    /// This member.
    pub fn member_id(&self) -> MemberId {
        self.identity.member
    }

    /// A reader of the plan. Each thread takes one of its own.
    pub fn plan(&self) -> PlanHandle {
        PlanHandle::new(self.plan.clone())
    }

    /// Whether this member may act now.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// What a shared store must remember, because its rows depend on it: see [`Config::remembered`].
    pub fn to_remember(&self) -> Remembered {
        let plan = self.plan.borrow();
        Remembered {
            cluster: plan.cluster(),
            generation: plan.generation(),
            hash_key: *plan.hash_key(),
        }
    }

    /// The way to other members; none for a member alone.
    pub fn peers(&self) -> Option<&Peers> {
        self.peers.as_ref()
    }

    /// Where links put the words of other members.
    pub fn inbox(&self) -> Inbox {
        Inbox::new(self.commands.clone())
    }

    /// The cluster as this member sees it.
    pub fn status(&self) -> Status {
        let plan = Arc::clone(&self.plan.borrow());
        let standing = *self.standing.borrow();
        Status::of(&plan, standing, self.identity.member, self.lease.holds())
    }

    /// Waits until this member has stopped to take part; gives the reason where nobody asked for it. The
    /// process must end then: it will not act again.
    pub async fn until_stopped(&self) -> Option<Arc<GroupError>> {
        let mut end = self.end.clone();
        while end.changed().await.is_ok() {}
        end.borrow().clone()
    }

    /// Stops to take part: the lease ends at once, then the threads. What it owns stays its own until another
    /// member expels it or it starts again.
    pub fn stop(&self) {
        self.lease.end_for_good();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A full queue means that the driver is alive and slow; it ends when it has worked the queue off.
        while let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(Command::Stop) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some(peers) = &self.peers {
            peers.stop();
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a control thread of the cluster panicked");
            }
        }
    }

    fn spawn(log: RaftLog, config: &Config) -> Result<Self, Error> {
        let identity = log.identity();
        let mut group = Group::new(log, config.lease)?;
        // Replays what is known to be committed: nobody is spoken to before the first tick.
        group.work(BootTime::now())?;
        let (commands, receiver) = mpsc::channel(MAX_COMMANDS);
        let (plan_sender, plan) = watch::channel(Arc::new(group.plan().clone()));
        let (standing_sender, standing) = watch::channel(group.standing());
        let (end_sender, end) = watch::channel(None);
        let lease = Lease::none();
        let driver = Driver {
            group,
            transport: Alone,
            commands: receiver,
            plan: plan_sender,
            standing: standing_sender,
        };
        let keeper = Keeper {
            member: identity.member,
            incarnation: identity.incarnation,
            terms: config.lease,
            lease: lease.clone(),
            commands: commands.clone(),
            plan: plan.clone(),
        };
        let ends_lease = EndsLease(lease.clone());
        let raft = spawn("raft", async move {
            let _ends_lease = ends_lease;
            if let Err(error) = driver.run().await {
                let error = Arc::new(error);
                tracing::error!(%error, "the member cannot take part any more: {error:?}");
                end_sender.send_replace(Some(error));
            }
        })?;
        let threads = Mutex::new(vec![raft]);
        let cluster = Self { identity, lease, commands, plan, standing, end, threads, peers: None };
        let lease_thread = spawn("lease", keeper.run())?;
        cluster.threads.lock().unwrap_or_else(PoisonError::into_inner).push(lease_thread);
        Ok(cluster)
    }

    /// Begins the cluster, or says that this member has started.
    fn introduce(&self, config: &Config) -> Result<(), Error> {
        let begun = BootTime::now();
        loop {
            let left = config.start_patience.saturating_sub(BootTime::now().since(begun));
            let entry = match self.plan.borrow().is_bootstrapped() {
                true => Entry::Up(self.info(config)),
                false => self.bootstrap(config)?,
            };
            match self.propose(entry, left)? {
                Ok(()) => return Ok(()),
                // Committed before the last end, which did not get to note it.
                Err(Refusal::AlreadyBootstrapped) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
    }

    fn propose(&self, entry: Entry, patience: Duration) -> Result<Applied, Error> {
        let (sender, receiver) = channel();
        let fate = Box::new(move |applied| {
            let _unsent = sender.send(applied);
        });
        let sent = self.commands.try_send(Command::Propose(entry, fate));
        sent.map_err(|_| self.stopped_error())?;
        receiver.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => Error::NoLeader,
            RecvTimeoutError::Disconnected => self.stopped_error(),
        })
    }

    fn stopped_error(&self) -> Error {
        match self.end.borrow().clone() {
            Some(error) => Error::Stopped(error),
            None => Error::NoLeader,
        }
    }

    fn info(&self, config: &Config) -> MemberInfo {
        MemberInfo {
            id: self.identity.member,
            incarnation: self.identity.incarnation,
            name: config.name.clone(),
            addr: config.addr.clone(),
            zone: config.zone.clone(),
            roles: config.roles,
            weight: config.weight,
            features: (FEATURE_LEVEL, FEATURE_LEVEL),
        }
    }

    fn bootstrap(&self, config: &Config) -> Result<Entry, Error> {
        let remembered = match config.remembered {
            Some(remembered) => remembered,
            None => Remembered {
                cluster: ClusterUuid(u128::from_be_bytes(random()?).max(1)),
                generation: 0,
                hash_key: HashKey::new(random()?),
            },
        };
        let next = remembered.generation.checked_add(1);
        Ok(Entry::Bootstrap(Bootstrap {
            cluster: remembered.cluster,
            generation: next.ok_or(Error::Refused(Refusal::BadBootstrap))?,
            hash_key: remembered.hash_key,
            feature_level: FEATURE_LEVEL,
            members: vec![self.info(config)],
        }))
    }

    fn await_lease(&self, patience: Duration) -> Result<(), Error> {
        let (sender, receiver) = channel();
        let lease = self.lease.clone();
        let waiter = spawn("lease-wait", async move {
            let granted = lease.until_valid().await;
            let _unsent = sender.send(granted);
        })?;
        let granted = receiver.recv_timeout(patience);
        if granted.is_err() {
            self.lease.end_for_good();
        }
        drop(waiter.join());
        match granted {
            Ok(Ok(())) => Ok(()),
            _ => Err(self.stopped_error()),
        }
    }
}

/// Ends the lease with the thread that holds it, however that ends.
struct EndsLease(Lease);

impl Drop for EndsLease {
    fn drop(&mut self) {
        self.0.end_for_good();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

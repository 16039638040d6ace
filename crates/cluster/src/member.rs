//! Owns this process as a member: its threads, its start and its end. What is decided is decided elsewhere.
//!
//! Raft and the lease run on two threads with a runtime each, and nothing else runs there: an actor that is
//! busy costs no election and no lease, and a disk that is slow for Raft costs no more than the lease.

mod recover;
mod start;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::MemberId;
use tokio::sync::{mpsc, watch};

use crate::Error;
use crate::ask::Ask;
use crate::clock::BootTime;
use crate::config::{Config, Remembered};
use crate::control::net::Net;
use crate::lease::handle::Lease;
use crate::lease::vitals::Senses;
use crate::lineage::Lineage;
use crate::operator::Operator;
use crate::peer::{CertificateError, Peers};
use crate::plan::{Applied, Entry, Plan, Refusal};
use crate::raft::driver::Command;
use crate::raft::group::{GroupError, Standing};
use crate::raft::log::{Identity, RaftLog};
use crate::raft::transport::Inbox;
use crate::remembered;
use crate::status::Status;
use crate::threads::spawn;
use crate::watch::PlanHandle;

/// The directory of the Raft log in the data directory.
/// Where in the data directory a member keeps what it has agreed on with the others, or with itself.
pub const RAFT_DIRECTORY: &str = "raft";

/// How often it is looked whether others have let go of the store.
const PACE: Duration = Duration::from_secs(2);

/// How long another may take to lead in the place of a member that leaves.
const HAND_OVER: Duration = Duration::from_secs(1);

/// How long a member that leaves tries to say so.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// This process as a member of the cluster.
pub struct Cluster {
    identity: Identity,
    lease: Lease,
    commands: mpsc::Sender<Command>,
    plan: watch::Receiver<Arc<Plan>>,
    pub(crate) standing: watch::Receiver<Standing>,
    end: watch::Receiver<Option<Arc<GroupError>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) net: Option<Net>,
    incarnation: Arc<AtomicU64>,
    senses: Arc<Senses>,
}

impl Cluster {
    /// Starts to take part, with the log in `data_dir`; returns when this member may act. On an empty
    /// directory a new cluster begins with this member alone. Blocks for some flushes of the disk, normally
    /// under 300 ms; needs no runtime around it.
    ///
    /// What must outlive the log is kept beside it, in the file `cluster`, and in the store that members share: one
    /// that lost its log begins again as the same cluster, in the next generation.
    ///
    /// A member that starts again has its id, and its shards at higher epochs: see [`Entry::Up`].
    ///
    /// # Errors
    ///
    /// [`Error`]; no thread is left behind.
    pub fn start(config: Config, data_dir: &Path) -> Result<Self, Error> {
        let directory = remembered::recall(data_dir).map_err(Error::Remembered)?;
        let lineage = Lineage { marker: config.marker.clone(), directory };
        let mint = MemberId(u64::from_be_bytes(random()?).max(1));
        let mut log = RaftLog::open(&data_dir.join(RAFT_DIRECTORY), mint)?;
        let cluster = if config.mesh.is_some() {
            start::among_others(log, &config, &lineage)?
        } else {
            if !log.is_initialized() {
                log.initialize(&[log.identity().member], Plan::new().encode())?;
            }
            let cluster = start::alone(log, &config)?;
            cluster.introduce(&config, &lineage)?;
            cluster
        };
        cluster.await_lease(config.start_patience)?;
        lineage.agree(cluster.plan().get(), cluster.identity.member)?;
        remembered::remember(data_dir, cluster.to_remember()).map_err(Error::Remembered)?;
        tracing::info!(
            member = %cluster.identity.member,
            "takes part in the cluster, incarnation {}",
            cluster.incarnation(),
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

    /// What a shared store must remember, because its rows depend on it: see [`Config::marker`].
    pub fn to_remember(&self) -> Remembered {
        Remembered::of(&self.plan.borrow())
    }

    /// From now on it is known for how long the arbiter that is furthest behind has done nothing: by that a member that is
    /// slow is relieved of its shards, and one that hangs lets its lease run out.
    pub fn watch_arbiters(&self, lag: impl Fn() -> Duration + Send + Sync + 'static) {
        self.senses.watch_arbiters(lag);
    }

    /// Whether others have this member's shards because it was slow.
    pub fn is_relieved(&self) -> bool {
        self.senses.is_relieved(&self.plan.borrow(), self.identity.member)
    }

    /// The way to other members; none for a member alone.
    pub fn peers(&self) -> Option<&Peers> {
        self.net.as_ref().map(|net| &net.shared.peers)
    }

    /// Counts this member's processes. It rises while a process runs, where that was expelled and came back:
    /// whatever it held of before is not its own any more.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    /// What an operator may see and change.
    pub fn operator(&self) -> Operator {
        Operator {
            member: self.identity.member,
            lease: self.lease.clone(),
            plan: self.plan.clone(),
            standing: self.standing.clone(),
            commands: self.commands.clone(),
            net: self.net.clone(),
        }
    }

    /// Reads the certificates that prove members' names again.
    ///
    /// # Errors
    ///
    /// One cannot be used; the ones before stay in force.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.peers().map_or(Ok(()), Peers::reload)
    }

    /// Stops to act for good, and tells the others, who take over at once. What is to be kept must be kept
    /// before. A member alone only stops to act.
    pub async fn leave(&self) {
        let Some(net) = self.net.clone() else {
            return self.lease.end_for_good();
        };
        net.tell(Command::HandOver);
        let others_lead = |standing: &Standing| standing.leader != Some(net.me().id);
        let mut standing = self.standing.clone();
        // There may be nobody else.
        drop(tokio::time::timeout(HAND_OVER, standing.wait_for(others_lead)).await);
        self.lease.end_for_good();
        let (member, incarnation) = (self.identity.member, self.incarnation());
        let left = net.ask(Ask::Leave { member, incarnation }, LEAVE_PATIENCE).await;
        if let Err(error) = left {
            tracing::info!(%error, "could not say goodbye; others take over when the lease has run out");
        }
    }

    /// Where links put the words of other members.
    pub fn inbox(&self) -> Inbox {
        Inbox::new(self.commands.clone())
    }

    /// The cluster as this member sees it.
    pub fn status(&self) -> Status {
        self.operator().status()
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
        if let Some(peers) = self.peers() {
            peers.stop();
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a control thread of the cluster panicked");
            }
        }
    }

    /// Begins the cluster, or says that this member has started.
    fn introduce(&self, config: &Config, lineage: &Lineage) -> Result<(), Error> {
        let begun = BootTime::now();
        loop {
            let left = config.start_patience.saturating_sub(BootTime::now().since(begun));
            let entry = match self.plan.borrow().is_bootstrapped() {
                true => Entry::Up(start::info(self.identity, config)),
                false => match self.bootstrap(config, lineage)? {
                    Some(entry) => entry,
                    None if left.is_zero() => return Err(Error::Acting),
                    None => {
                        tracing::info!("waits until nobody uses the store any more");
                        std::thread::sleep(PACE);
                        continue;
                    }
                },
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

    /// The entry to begin with; none while others act on the same store.
    fn bootstrap(&self, config: &Config, lineage: &Lineage) -> Result<Option<Entry>, Error> {
        let me = self.identity.member;
        let Some(before) = lineage.before(Some(me))? else { return Ok(None) };
        let next = before.next()?;
        if !lineage.begin(&before, next, me)? {
            return Ok(None);
        }
        let members = vec![start::info(self.identity, config)];
        Ok(Some(Entry::Bootstrap(next.bootstrap(members))))
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

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

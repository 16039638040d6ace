//! Owns shards on their way between members while everything runs: frozen here and handed over, or taken in and
//! thawed. What is decided is decided by the leader (`cluster::control::moves`); entities are frozen and started by
//! their hosts (`entity::host::handoff`).
//!
//! The owner's side, one task for each shard:
//!
//! ```text
//! what is large is brought there, while it is served
//!   -> nothing new is let in -> at rest -> what it has sent and written is safe elsewhere -> snapshots handed over
//!   -> "let go" -> the plan: moved  -> gone here; what waited goes to the new owner
//!                          called off -> as if nothing had been
//! ```
//!
//! What has come here itself goes on when all of it is here ([`turns`]). One shard at a time comes to rest: two that wait
//! for each other's receipts would wait for ever. Two members' may: then both give up soon, and try again at different
//! times.
//!
//! A shard stands still while what lives in it is written down, travels, and its buckets are claimed. Where that is much
//! it has the way for itself: the next one comes to rest when it has arrived.

mod leaving;
mod taking;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use actix_rt::ArbiterHandle;
use cluster::bulk::{self, Hands};
use cluster::{LetGo, Moves, Peers};
use entity::Host;
use meter::histogram::SECONDS;
use meter::{Histogram, Pressure, Reading};
use proto::MemberId;
use router::Router;
use store::SharedStore;
use tokio::sync::{oneshot, watch};
use xmpp::{Bucket, Shard};

use leaving::Leaving;
use taking::Taking;
use turns::Turns;

/// Shards that move, once there are arbiters. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Handoff {
    shared: Arc<Shared>,
}

struct Shared {
    ground: OnceLock<Ground>,
    /// What became of each move that is under way from here, as soon as it is known.
    leaving: Mutex<BTreeMap<Shard, watch::Sender<Fate>>>,
    /// One shard at a time comes to rest.
    resting: tokio::sync::Mutex<()>,
    /// What is large is brought of one shard at a time.
    bringing: tokio::sync::Mutex<()>,
    /// A shard comes or goes.
    turns: Turns,
    /// For how long shards that have moved stood still.
    pauses: Histogram,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            ground: OnceLock::new(),
            leaving: Mutex::default(),
            resting: tokio::sync::Mutex::default(),
            bringing: tokio::sync::Mutex::default(),
            turns: Turns::default(),
            pauses: Histogram::new(SECONDS),
        }
    }
}

/// What handing over needs.
pub(crate) struct Ground {
    pub(crate) peers: Peers,
    pub(crate) hands: Hands,
    pub(crate) arbiters: Vec<ArbiterHandle>,
    pub(crate) router: Router,
    pub(crate) store: SharedStore,
    pub(crate) pressure: Arc<Pressure>,
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    CalledOff,
    Moved,
}

impl Handoff {
    /// From now on there is something to hand over, and room to take in.
    pub(crate) fn begin(&self, ground: Ground) {
        let taking = Taking::start(&ground, self.shared.turns.clone());
        bulk::serve(&ground.peers, Arc::new(taking));
        // It is begun once.
        drop(self.shared.ground.set(ground));
    }

    /// For how long shards stood still that have moved from here.
    pub(crate) fn pauses(&self) -> Reading {
        self.shared.pauses.read()
    }

    fn leaving(&self) -> std::sync::MutexGuard<'_, BTreeMap<Shard, watch::Sender<Fate>>> {
        self.shared.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, shard: Shard, fate: Fate) {
        if let Some(task) = self.leaving().remove(&shard) {
            task.send_replace(fate);
        }
    }
}

impl fmt::Debug for Handoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff").finish_non_exhaustive()
    }
}

impl Moves for Handoff {
    fn prepare(&self, shard: Shard, to: MemberId, let_go: LetGo) {
        let Some(ground) = self.shared.ground.get() else {
            // What lives here is being brought back: not now.
            return;
        };
        let (told, fate) = watch::channel(Fate::Unknown);
        self.leaving().insert(shard, told);
        let (shared, runtime) = (Arc::clone(&self.shared), ground.peers.runtime().clone());
        runtime.spawn(async move {
            if let Some(ground) = shared.ground.get() {
                let leaving = Leaving::new(ground, shard, fate);
                if let Some(pause) = leaving.run(&shared, to, let_go).await {
                    shared.pauses.took(pause);
                }
            }
        });
    }

    fn called_off(&self, shard: Shard) {
        self.tell(shard, Fate::CalledOff);
    }

    fn moved(&self, shard: Shard) {
        self.tell(shard, Fate::Moved);
    }
}

/// The arbiters on which a shard's entities live.
fn arbiters_of<'a>(
    router: &Router,
    arbiters: &'a [ArbiterHandle],
    shard: Shard,
) -> impl Iterator<Item = &'a ArbiterHandle> {
    let numbers = buckets(shard).map(|bucket| usize::from(router.arbiter_of(bucket).0));
    let numbers: BTreeSet<usize> = numbers.collect();
    numbers.into_iter().filter_map(|number| arbiters.get(number))
}

/// The buckets of a shard.
fn buckets(shard: Shard) -> impl Iterator<Item = Bucket> {
    let each = Bucket::COUNT / Shard::COUNT;
    let first = shard.number() * each;
    (first..first + each).filter_map(Bucket::new)
}

/// Has the host of an arbiter do something; none where the arbiter or its host has ended.
pub(crate) async fn on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    act: impl AsyncFnOnce(&Host) -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            let host = Host::here()?;
            sender.send(act(&host).await).ok()
        });
    });
    receiver.await.ok()
}

//! Owns shards on their way between members while everything runs: frozen here and handed over, or taken in and
//! thawed. What is decided is decided by the leader (`cluster::control::moves`); entities are frozen and started by
//! their hosts (`entity::host::handoff`).
//!
//! The owner's side, one task for each shard:
//!
//! ```text
//! nothing new is let in -> at rest -> what it has sent and written is safe elsewhere -> snapshots handed over
//!   -> "let go" -> the plan: moved  -> gone here; what waited goes to the new owner
//!                          called off -> as if nothing had been
//! ```
//!
//! What has come here itself goes on when all of it is here ([`turns`]). One shard at a time comes to rest: two that wait
//! for each other's receipts would wait for ever. Two members' may: then both give up soon, and try again at different
//! times.

mod taking;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_rt::ArbiterHandle;
use cluster::bulk::{self, HandError, Hands};
use cluster::plan::MoveId;
use cluster::{LetGo, Moves, Peers};
use entity::Host;
use entity::host::handoff::{Part, Patience};
use futures_util::future::join_all;
use meter::histogram::SECONDS;
use meter::{Histogram, Reading};
use proto::MemberId;
use proto::snapshot::EntitySnapshot;
use router::Router;
use store::SharedStore;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use xmpp::{Bucket, Epoch, Fence, Shard};

use taking::Taking;
use turns::{Turn, Turns};

/// How long a shard may take to come to rest before what waits for it goes on for a while. Without receipts it is not at
/// rest: nobody but this member has what they stand for.
const REST: Patience =
    Patience { turns: Duration::from_millis(600), receipts: Duration::from_secs(3_600) };

/// So often it is tried.
const ATTEMPTS: u32 = 4;

/// How long what a shard has sent may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(2);

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
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unknown,
    CalledOff,
    Moved,
}

/// What lives in a shard on one arbiter, frozen.
struct Frozen {
    arbiter: ArbiterHandle,
    entities: Vec<EntitySnapshot>,
}

/// What may live in a shard that is to come to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lives {
    Nothing,
    Anything,
}

/// Why a shard stays.
#[derive(Debug, thiserror::Error)]
enum Stays {
    #[error("it does not come to rest")]
    Restless,
    #[error("what it has sent does not arrive")]
    Unsent,
    #[error("it was called off")]
    CalledOff,
    #[error("an entity cannot be written down")]
    Unwritable,
    #[error(transparent)]
    Hand(#[from] HandError),
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
                let (frozen, epoch) = (Vec::new(), Epoch::default());
                let closed = Instant::now();
                let leaving = Leaving { ground, shard, fate, frozen, epoch, closed };
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

/// One shard on its way from here.
struct Leaving<'a> {
    ground: &'a Ground,
    shard: Shard,
    fate: watch::Receiver<Fate>,
    /// What is handed over, until it is known what becomes of it, and by which epoch it lives here.
    frozen: Vec<Frozen>,
    epoch: Epoch,
    /// Since when nothing new is let in.
    closed: Instant,
}

impl Leaving<'_> {
    /// Says for how long the shard stood still, if it has moved.
    async fn run(mut self, shared: &Shared, to: MemberId, let_go: LetGo) -> Option<Duration> {
        let _turn = self.turn(&shared.turns).await?;
        let handed = self.hand_over(&shared.resting, to, let_go.moved()).await;
        match handed {
            Ok(()) => let_go.done(),
            Err(error) => {
                tracing::debug!(%error, "shard {} stays", self.shard.number());
                drop(let_go);
                self.go_on().await;
                return None;
            }
        }
        // Frozen until it is known who acts for it.
        let fate = self.fate.wait_for(|fate| *fate != Fate::Unknown).await;
        match fate.map(|fate| *fate) {
            Ok(Fate::Moved) => self.leave().await,
            Ok(_) | Err(_) => {
                self.go_on().await;
                return None;
            }
        }
        Some(self.closed.elapsed())
    }

    /// Its turn, unless the move is called off before.
    async fn turn(&mut self, turns: &Turns) -> Option<Turn> {
        tokio::select! {
            turn = turns.wait_for(self.shard) => Some(turn),
            _ = self.fate.wait_for(|fate| *fate != Fate::Unknown) => None,
        }
    }

    async fn hand_over(
        &mut self,
        resting: &tokio::sync::Mutex<()>,
        to: MemberId,
        moved: MoveId,
    ) -> Result<(), Stays> {
        self.epoch = self.ground.peers.plan().latest().epoch_of(self.shard).unwrap_or_default();
        self.frozen = self.come_to_rest(resting).await?;
        self.settle().await?;
        let entities = self.frozen.iter().flat_map(|frozen| &frozen.entities);
        let entities: Option<Vec<_>> = entities.map(EntitySnapshot::encode).collect();
        let entities = entities.ok_or(Stays::Unwritable)?;
        if entities.is_empty() {
            // Whatever lived here goes on from its rows.
            return Ok(());
        }
        Ok(self.ground.hands.hand(to, moved, entities).await?)
    }

    /// What lives in the shard, frozen, with nothing before it.
    async fn come_to_rest(
        &mut self,
        resting: &tokio::sync::Mutex<()>,
    ) -> Result<Vec<Frozen>, Stays> {
        // Nobody waits for a shard in which nothing lives, and it waits for nobody.
        if let Some(nothing) = self.rest(Lives::Nothing).await {
            return Ok(nothing);
        }
        for attempt in 0..ATTEMPTS {
            let one_at_a_time = resting.lock().await;
            // Whoever was called off while they waited must not keep others waiting.
            if *self.fate.borrow() != Fate::Unknown {
                return Err(Stays::CalledOff);
            }
            if let Some(frozen) = self.rest(Lives::Anything).await {
                return Ok(frozen);
            }
            drop(one_at_a_time);
            // Another member's shard may have waited for this one: they are not to meet again.
            let odd = u32::from(self.shard.number() % 7);
            sleep(Duration::from_millis(10) * (attempt + 1) * (odd + 1)).await;
        }
        Err(Stays::Restless)
    }

    /// Lets nothing new in, and freezes what lives here; where it is restless, all goes on.
    async fn rest(&mut self, lives: Lives) -> Option<Vec<Frozen>> {
        self.closed = Instant::now();
        self.ground.router.close(self.shard);
        // What is on its way into the shard comes first: whoever has sent it sends the next elsewhere.
        let let_in = timeout(REST.turns, self.ground.router.has_let_in_all()).await;
        let frozen = match let_in {
            Ok(true) => {
                // What is for other servers leaves before anything that the next owner sends; where it cannot, it
                // follows as well as it may.
                timeout(REST.turns, self.ground.router.sent_out_all(self.shard)).await.ok();
                join_all(self.freezing(lives)).await.into_iter().collect()
            }
            Ok(false) | Err(_) => None,
        };
        if frozen.is_none() {
            self.go_on().await;
        }
        frozen
    }

    /// For each arbiter of the shard; none of one where it is restless.
    fn freezing(&self, lives: Lives) -> Vec<impl Future<Output = Option<Frozen>> + use<>> {
        let mut fences: BTreeMap<u16, Vec<Fence>> = BTreeMap::new();
        for bucket in buckets(self.shard) {
            let arbiter = self.ground.router.arbiter_of(bucket).0;
            fences.entry(arbiter).or_default().push(Fence { bucket, epoch: self.epoch });
        }
        let arbiter = |number: u16| self.ground.arbiters.get(usize::from(number)).cloned();
        let part = self.part();
        fences
            .into_iter()
            .filter_map(|(number, fences)| Some((arbiter(number)?, fences)))
            .map(|(arbiter, fences)| async move {
                let freeze = async move |host: &Host| freeze(host, part, lives, fences).await;
                let entities = on(&arbiter, freeze).await.flatten()?;
                Some(Frozen { arbiter, entities })
            })
            .collect()
    }

    /// Waits until what the shard has sent has arrived.
    async fn settle(&self) -> Result<(), Stays> {
        let router = &self.ground.router;
        let arrived = async {
            router.sent_all(self.shard).await;
            // Others of this member's have taken theirs too: what is sent from elsewhere comes behind.
            let is_empty = self.frozen.iter().all(|frozen| frozen.entities.is_empty());
            is_empty || router.has_let_in_all().await
        };
        match timeout(ARRIVAL, arrived).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Stays::Unsent),
        }
    }

    /// It stays: as if nothing had been.
    async fn go_on(&self) {
        for arbiter in self.arbiters() {
            let part = self.part();
            on(arbiter, async move |host: &Host| host.thaw(part)).await;
        }
        self.ground.router.open(self.shard);
    }

    /// It is somebody else's: what waited goes there, and what was handed over stays here as a copy.
    async fn leave(&mut self) {
        let (part, epoch) = (self.part(), self.epoch);
        let leave = |Frozen { arbiter, entities }| async move {
            let leave = async move |host: &Host| {
                host.keep_copies(entities, epoch);
                router::local::route(host.release(part));
            };
            on(&arbiter, leave).await
        };
        join_all(std::mem::take(&mut self.frozen).into_iter().map(leave)).await;
        self.ground.router.open(self.shard);
    }

    fn part(&self) -> Part {
        Part::Shard(self.shard)
    }

    fn arbiters(&self) -> impl Iterator<Item = &ArbiterHandle> {
        arbiters_of(&self.ground.router, &self.ground.arbiters, self.shard)
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

/// Freezes a part with nothing before it, and waits until what it has written is kept; what lives in it then.
async fn freeze(
    host: &Host,
    part: Part,
    lives: Lives,
    fences: Vec<Fence>,
) -> Option<Vec<EntitySnapshot>> {
    if lives == Lives::Nothing && !host.is_empty(part) {
        return None;
    }
    host.freeze(part, REST).await.ok()?;
    // What slipped in is acted on first.
    if !host.is_nothing_held_back(part) {
        return None;
    }
    let written = join_all(fences.into_iter().map(|fence| host.written(fence)));
    let written = timeout(ARRIVAL, written).await.ok()?;
    written.into_iter().all(|written| written).then(|| host.take_snapshots(part))
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

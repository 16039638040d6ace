//! Owns the receiver's side of a move: what lives in a shard that is to be this member's is kept, with whatever comes
//! for it, until the plan says what becomes of it.
//!
//! The member that had it acts for it until then, so nothing that is kept here has said a word. If the plan makes this
//! member the owner the entities go on; if the move was called off they are forgotten.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_rt::ArbiterHandle;
use bytes::Bytes;
use cluster::bulk::Takes;
use cluster::bulk::space::Space;
use cluster::plan::{MoveId, Phase};
use cluster::{Plan, PlanHandle};
use entity::Host;
use entity::host::handoff::{Part, Patience};
use futures_util::future::{BoxFuture, join_all};
use meter::{Level, Pressure};
use proto::snapshot::EntitySnapshot;
use proto::{MemberId, Route};
use router::Router;
use store::SharedStore;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use xmpp::{Epoch, Fence, Shard};

use super::turns::{Turn, Turns};
use super::{Ground, buckets, on};

/// The most shards that are here at a time and do not go on yet; a leader has 32 under way to a member.
const MOST: usize = 64;

/// Shards that may come. A clone is the same.
#[derive(Clone)]
pub(super) struct Taking {
    shared: Arc<Shared>,
}

struct Shared {
    member: MemberId,
    arbiters: Vec<ArbiterHandle>,
    router: Router,
    store: SharedStore,
    kept: Mutex<BTreeMap<Shard, Kept>>,
    /// For shards that do not go on yet.
    places: Arc<Semaphore>,
    pressure: Arc<Pressure>,
    plan: PlanHandle,
    turns: Turns,
    runtime: Handle,
}

/// What lives in a shard that may come.
struct Kept {
    since: u64,
    /// Who has handed it over.
    by: Option<MemberId>,
    /// As many as there are arbiters.
    entities: BTreeMap<usize, Vec<EntitySnapshot>>,
    /// Until all of it is here, or forgotten, the shard cannot go on.
    _turn: Turn,
    _place: OwnedSemaphorePermit,
    _space: Space,
}

/// What the plan says of a shard that is kept.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Ours(Epoch),
    CalledOff,
}

impl Taking {
    /// Takes in from now on.
    pub(super) fn start(ground: &Ground, turns: Turns) -> Self {
        let shared = Shared {
            member: ground.router.member(),
            arbiters: ground.arbiters.clone(),
            router: ground.router.clone(),
            store: Arc::clone(&ground.store),
            kept: Mutex::default(),
            places: Arc::new(Semaphore::new(MOST)),
            pressure: Arc::clone(&ground.pressure),
            plan: ground.peers.plan(),
            turns,
            runtime: ground.peers.runtime().clone(),
        };
        let taking = Self { shared: Arc::new(shared) };
        taking.shared.runtime.spawn(taking.clone().follow());
        taking
    }

    /// Lets what is kept go on, or forgets it, as the plan changes. Each by itself: one whose bucket is claimed slowly
    /// keeps no other waiting.
    async fn follow(self) {
        let mut plan = self.shared.plan.clone();
        while plan.changed().await.is_ok() {
            for (shard, kept, outcome) in self.settled(plan.get()) {
                let this = self.clone();
                self.shared.runtime.spawn(this.settle(shard, kept, outcome));
            }
        }
    }

    async fn settle(self, shard: Shard, kept: Kept, outcome: Outcome) {
        match outcome {
            Outcome::Ours(epoch) => self.go_on(shard, epoch, kept).await,
            Outcome::Open | Outcome::CalledOff => self.forget(shard).await,
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Shard, Kept>> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept no longer.
    fn settled(&self, plan: &Plan) -> Vec<(Shard, Kept, Outcome)> {
        let mut kept = self.kept();
        let outcomes: Vec<_> = kept
            .iter()
            .map(|(shard, kept)| (*shard, outcome(plan, self.shared.member, *shard, kept.since)))
            .filter(|(_, outcome)| *outcome != Outcome::Open)
            .collect();
        let take = |(shard, outcome)| Some((shard, kept.remove(&shard)?, outcome));
        outcomes.into_iter().filter_map(take).collect()
    }

    /// Reads what lives in a shard, for each arbiter.
    async fn read(
        &self,
        shard: Shard,
        entities: Vec<Bytes>,
    ) -> Result<BTreeMap<usize, Vec<EntitySnapshot>>, String> {
        let mut by_arbiter: BTreeMap<usize, Vec<EntitySnapshot>> = BTreeMap::new();
        // One after the other: what is read is not kept twice.
        for bytes in entities {
            let entity = EntitySnapshot::decode(&bytes).map_err(|error| error.to_string())?;
            let key = entity.route.key().ok_or("an entity has no address")?;
            let bucket = self.shared.router.bucket(key);
            if bucket.shard() != shard {
                return Err("an entity is of another shard".to_owned());
            }
            let arbiter = usize::from(self.shared.router.arbiter_of(bucket).0);
            by_arbiter.entry(arbiter).or_default().push(entity);
            // Leases are renewed by the same threads.
            yield_now().await;
        }
        Ok(by_arbiter)
    }

    async fn keep(&self, moved: MoveId, entities: Vec<Bytes>, space: Space) -> Result<(), String> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let place = place.map_err(|_| "too many shards are on their way here")?;
        let entities = self.read(moved.shard, entities).await?;
        // It may have been here before, and not have left as a whole.
        let turn = self.shared.turns.wait_for(moved.shard).await;
        // Whatever comes for it waits from now on, behind those that are to come.
        let part = Part::Shard(moved.shard);
        // Nothing lives here that would have to come to rest.
        let still = Patience { turns: Duration::ZERO, receipts: Duration::ZERO };
        let freezing = self
            .arbiters_of(moved.shard)
            .map(|arbiter| on(arbiter, async move |host: &Host| host.freeze(part, still).await));
        if !join_all(freezing).await.iter().all(|frozen| matches!(frozen, Some(Ok(())))) {
            self.forget(moved.shard).await;
            return Err("something lives here in its place".to_owned());
        }
        let owner = self.shared.plan.latest().owner(moved.shard).map(|(owner, _)| owner);
        let by = owner.filter(|owner| *owner != self.shared.member);
        let since = moved.since;
        let kept = Kept { since, by, entities, _turn: turn, _place: place, _space: space };
        self.kept().insert(moved.shard, kept);
        // The plan may have changed before it was kept.
        let plan = self.shared.plan.latest();
        match outcome(&plan, self.shared.member, moved.shard, moved.since) {
            Outcome::Open => Ok(()),
            Outcome::Ours(_) | Outcome::CalledOff => {
                self.kept().remove(&moved.shard);
                self.forget(moved.shard).await;
                Err("it does not move here any more".to_owned())
            }
        }
    }

    /// The shard is this member's.
    async fn go_on(&self, shard: Shard, epoch: Epoch, kept: Kept) {
        let claims = buckets(shard).map(|bucket| self.shared.store.claim(Fence { bucket, epoch }));
        for fault in join_all(claims).await.into_iter().filter_map(Result::err) {
            // Its first write raises the fence as well.
            tracing::warn!(error = %fault, "could not claim a bucket");
        }
        if self.shared.plan.latest().owner(shard) != Some((self.shared.member, epoch)) {
            // It was taken meanwhile.
            return self.forget(shard).await;
        }
        let (part, by) = (Part::Shard(shard), kept.by);
        for (number, entities) in kept.entities {
            let Some(arbiter) = self.shared.arbiters.get(number) else { continue };
            let router = self.shared.router.clone();
            let started = on(arbiter, async move |host: &Host| {
                // Whoever handed this over may have gone on with it before it was gone.
                if !host.goes_on_from_copies(shard) {
                    start(host, &router, entities, by, epoch).await;
                }
            });
            if started.await.is_none() {
                tracing::error!(
                    "what lived in shard {} is lost: an arbiter has ended",
                    shard.number()
                );
            }
        }
        for arbiter in self.arbiters_of(shard) {
            on(arbiter, async move |host: &Host| host.thaw(part)).await;
        }
    }

    /// The shard is somebody else's: what came for it in vain goes there.
    async fn forget(&self, shard: Shard) {
        let part = Part::Shard(shard);
        for arbiter in self.arbiters_of(shard) {
            on(arbiter, async move |host: &Host| router::local::route(host.release(part))).await;
        }
    }

    fn arbiters_of(&self, shard: Shard) -> impl Iterator<Item = &ArbiterHandle> {
        super::arbiters_of(&self.shared.router, &self.shared.arbiters, shard)
    }
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking").finish_non_exhaustive()
    }
}

impl Takes for Taking {
    fn has_memory(&self) -> bool {
        self.shared.pressure.level() == Level::Calm
    }

    fn take(
        &self,
        moved: MoveId,
        entities: Vec<Bytes>,
        space: Space,
    ) -> BoxFuture<'static, Result<(), String>> {
        let taking = self.clone();
        // Whoever hands it over may give up meanwhile; what was frozen for it must find its end all the same.
        let keeping =
            self.shared.runtime.spawn(async move { taking.keep(moved, entities, space).await });
        Box::pin(async move { keeping.await.unwrap_or_else(|error| Err(error.to_string())) })
    }
}

fn outcome(plan: &Plan, member: MemberId, shard: Shard, since: u64) -> Outcome {
    if plan.index() < since {
        return Outcome::Open;
    }
    let Some(held) = plan.ownership(shard) else { return Outcome::CalledOff };
    match held.phase {
        _ if held.owner == member => Outcome::Ours(held.epoch),
        Phase::Moving { to, since: now } if to == member && now == since => Outcome::Open,
        _ => Outcome::CalledOff,
    }
}

/// Users first, so that there is somebody whom their sessions can tell.
async fn start(
    host: &Host,
    router: &Router,
    entities: Vec<EntitySnapshot>,
    by: Option<MemberId>,
    epoch: Epoch,
) {
    let (sessions, others): (Vec<_>, Vec<_>) =
        entities.into_iter().partition(|entity| matches!(entity.route, Route::Session(_)));
    for entities in [others, sessions] {
        let starting = entities.into_iter().map(|entity| async {
            let (jid, name) = (entity.route.key().cloned(), entity.route.name());
            let bucket = jid.as_ref().map(|jid| router.bucket(jid))?;
            let started = host.start_from(entity, Fence { bucket, epoch }, by).await;
            if let Err(error) = started {
                let jid = jid.as_ref().map(tracing::field::display);
                tracing::error!(route = name, jid, %error, "an entity does not go on here");
            }
            Some(())
        });
        join_all(starting).await;
    }
}

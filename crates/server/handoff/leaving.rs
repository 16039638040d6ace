//! Owns the owner's side of a move: one shard on its way from here.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_rt::ArbiterHandle;
use bytes::Bytes;
use cluster::LetGo;
use cluster::bulk::{Brought, HandError};
use cluster::plan::MoveId;
use entity::Host;
use entity::host::handoff::{Part, Patience};
use futures_util::future::join_all;
use proto::MemberId;
use proto::snapshot::EntitySnapshot;
use tokio::sync::{MutexGuard, watch};
use tokio::time::{Instant, sleep, timeout};
use xmpp::{Epoch, Fence, Shard};

use super::turns::{Turn, Turns};
use super::{Fate, Ground, Shared, arbiters_of, buckets, on};

/// How long a shard may take to come to rest before what waits for it goes on for a while. Without receipts it is not at
/// rest: nobody but this member has what they stand for.
const REST: Patience =
    Patience { turns: Duration::from_millis(600), receipts: Duration::from_secs(3_600) };

/// So often it is tried.
const ATTEMPTS: u32 = 4;

/// How long what a shard has sent may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(2);

/// An entity of so many bytes is large.
const LARGE_ENTITY: usize = 32 << 10;

/// While a shard of so many bytes travels no other one comes to rest: together they would stand still for longer, and
/// take as much memory as all of them.
const LARGE: usize = 8 << 20;

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

/// One shard on its way from here.
pub(super) struct Leaving<'a> {
    ground: &'a Ground,
    shard: Shard,
    fate: watch::Receiver<Fate>,
    /// What is handed over, until it is known what becomes of it, and by which epoch it lives here.
    frozen: Vec<Frozen>,
    epoch: Epoch,
    /// Since when nothing new is let in.
    closed: Instant,
}

impl<'a> Leaving<'a> {
    pub(super) fn new(ground: &'a Ground, shard: Shard, fate: watch::Receiver<Fate>) -> Self {
        let (frozen, epoch, closed) = (Vec::new(), Epoch::default(), Instant::now());
        Self { ground, shard, fate, frozen, epoch, closed }
    }

    /// Says for how long the shard stood still, if it has moved.
    pub(super) async fn run(
        mut self,
        shared: &Shared,
        to: MemberId,
        let_go: LetGo,
    ) -> Option<Duration> {
        let _turn = self.turn(&shared.turns).await?;
        let handed = self.hand_over(shared, to, let_go.moved()).await;
        match handed {
            Ok(()) => let_go.done(),
            Err(error) => {
                tracing::debug!(%error, "shard {} stays", self.shard.number());
                match error {
                    Stays::CalledOff => drop(let_go),
                    error => let_go.cannot(error.to_string()),
                }
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
        shared: &Shared,
        to: MemberId,
        moved: MoveId,
    ) -> Result<(), Stays> {
        self.epoch = self.ground.peers.plan().latest().epoch_of(self.shard).unwrap_or_default();
        // Nobody waits for a shard in which nothing lives, and it waits for nobody.
        if let Some(nothing) = self.rest(Lives::Nothing).await {
            self.frozen = nothing;
            // Whatever lived here goes on from its rows.
            return self.settle().await;
        }
        let (mut bringing, mut brought) = (None, Brought::default());
        if self.is_large().await {
            // A member keeps what was brought last: the next one begins when this one has been handed over.
            bringing = Some(shared.bringing.lock().await);
            brought = self.bring(to, moved).await?;
        }
        let alone = self.come_to_rest(&shared.resting).await?;
        let entities = self.frozen.iter().flat_map(|frozen| &frozen.entities);
        // What is written down is shared, not copied.
        let entities: Vec<EntitySnapshot> = entities.cloned().collect();
        let bytes: usize = entities.iter().map(|entity| entity.state.len()).sum();
        let _alone = (bringing, Some(alone).filter(|_| bytes >= LARGE));
        self.settle().await?;
        if !entities.iter().all(is_writable) {
            return Err(Stays::Unwritable);
        }
        if entities.is_empty() {
            return Ok(());
        }
        let count = entities.len();
        let written = entities.into_iter().map_while(|entity| entity.encode());
        tokio::select! {
            handed = self.ground.hands.hand(to, moved, count, written, brought) => Ok(handed?),
            _ = self.fate.wait_for(|fate| *fate != Fate::Unknown) => Err(Stays::CalledOff),
        }
    }

    /// Brings the new owner what is large here. It saves time while the shard stands still, and nothing depends on it.
    async fn bring(&mut self, to: MemberId, moved: MoveId) -> Result<Brought, Stays> {
        let part = self.part();
        let pictures = self.arbiters().map(|arbiter| {
            on(arbiter, async move |host: &Host| {
                let mut pictures = Vec::new();
                let large = |it: &EntitySnapshot| it.state.len() >= LARGE_ENTITY;
                let keep = |it: EntitySnapshot| {
                    pictures.extend(Some(it).filter(large));
                    true
                };
                host.picture(part, keep).await;
                pictures
            })
        });
        let pictures: Vec<_> = join_all(pictures).await.into_iter().flatten().flatten().collect();
        let written = pictures.into_iter().filter_map(|picture| picture.encode());
        tokio::select! {
            brought = self.ground.hands.bring(to, moved, written) => {
                let failed = |error: &HandError| tracing::debug!(%error, "nothing could be brought");
                Ok(brought.inspect_err(failed).unwrap_or_default())
            }
            _ = self.fate.wait_for(|fate| *fate != Fate::Unknown) => Err(Stays::CalledOff),
        }
    }

    /// Whether what lives here takes long to travel.
    async fn is_large(&self) -> bool {
        let part = self.part();
        let bytes = self.arbiters().map(|arbiter| {
            on(arbiter, async move |host: &Host| {
                let mut bytes = 0;
                let count = |it: EntitySnapshot| {
                    bytes += it.state.len();
                    bytes < LARGE
                };
                host.picture(part, count).await;
                bytes
            })
        });
        join_all(bytes).await.into_iter().flatten().sum::<usize>() >= LARGE
    }

    /// Freezes what lives in the shard, with nothing before it. As long as what comes back is held, no other shard in which
    /// somebody lives comes to rest.
    async fn come_to_rest<'m>(
        &mut self,
        resting: &'m tokio::sync::Mutex<()>,
    ) -> Result<MutexGuard<'m, ()>, Stays> {
        for attempt in 0..ATTEMPTS {
            let one_at_a_time = resting.lock().await;
            // Whoever was called off while they waited must not keep others waiting.
            if *self.fate.borrow() != Fate::Unknown {
                return Err(Stays::CalledOff);
            }
            if let Some(frozen) = self.rest(Lives::Anything).await {
                self.frozen = frozen;
                return Ok(one_at_a_time);
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

/// Whether another member can be told of an entity.
fn is_writable(entity: &EntitySnapshot) -> bool {
    EntitySnapshot { state: Bytes::new(), ..entity.clone() }.encode().is_some()
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

#[cfg(test)]
mod tests;

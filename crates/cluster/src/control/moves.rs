//! Owns shards on their way to another member, from the owner's side: it is told, lets go, and says so.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use proto::MemberId;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp::Shard;

use super::net::Net;
use crate::ask::Ask;
use crate::plan::{MoveId, Phase};

/// Whoever hosts the actors of shards that are to move.
pub trait Moves: fmt::Debug + Send + Sync {
    /// A shard of this member is to move. When nothing here acts for it any more, and nothing will,
    /// [`LetGo::done`] says so. It stays this member's until then; a leader that waits for longer than 5 s
    /// calls the move off.
    fn prepare(&self, shard: Shard, to: MemberId, let_go: LetGo);

    /// The move of a shard was called off: it stays this member's, also if it has let go of it.
    fn called_off(&self, shard: Shard);
}

/// Where nothing lives in any shard: they are let go of at once.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Moves for Empty {
    fn prepare(&self, _: Shard, _: MemberId, let_go: LetGo) {
        let_go.done();
    }

    fn called_off(&self, _: Shard) {}
}

/// The word of an owner that it has let go of a shard. Dropped unsaid, the shard stays.
#[derive(Debug)]
pub struct LetGo {
    moved: MoveId,
    released: mpsc::Sender<MoveId>,
}

impl LetGo {
    /// This member does not act for the shard any more.
    pub fn done(self) {
        // The member stops, or is behind by far: the leader calls the move off.
        self.released.try_send(self.moved).ok();
    }
}

/// The most releases that wait to be said; a leader has 32 under way for a member.
const MAX_WAITING: usize = 64;

/// Releases that come within this travel together.
const GATHER: Duration = Duration::from_millis(5);

/// How long the leader is asked.
const ASK_PATIENCE: Duration = Duration::from_secs(5);

/// Tells whoever hosts actors of moves, and the leader of what was let go, for ever.
pub(crate) async fn run(net: Net) {
    let (released, mut let_go) = mpsc::channel(MAX_WAITING);
    let mut plan = net.shared.plan.clone();
    let mut told: BTreeSet<(Shard, u64)> = BTreeSet::new();
    plan.mark_changed();
    loop {
        tokio::select! {
            changed = plan.changed() => {
                if changed.is_err() {
                    return;
                }
                told = tell(&net, told, &released);
            }
            Some(first) = let_go.recv() => release(&net, first, &mut let_go).await,
        }
    }
}

/// Tells of moves that are new, and of those that were called off; gives all that are under way.
fn tell(
    net: &Net,
    told: BTreeSet<(Shard, u64)>,
    released: &mpsc::Sender<MoveId>,
) -> BTreeSet<(Shard, u64)> {
    let (plan, me, moves) = (net.plan(), net.me().id, &net.shared.mesh.moves);
    let mut under_way = BTreeSet::new();
    for (shard, held) in plan.ownerships().filter(|(_, held)| held.owner == me) {
        let Phase::Moving { to, since } = held.phase else { continue };
        if !told.contains(&(shard, since)) {
            let let_go = LetGo { moved: MoveId { shard, since }, released: released.clone() };
            moves.prepare(shard, to, let_go);
        }
        under_way.insert((shard, since));
    }
    for (shard, _) in told.difference(&under_way) {
        if plan.owner(*shard).is_some_and(|(owner, _)| owner == me) {
            moves.called_off(*shard);
        }
    }
    under_way
}

async fn release(net: &Net, first: MoveId, let_go: &mut mpsc::Receiver<MoveId>) {
    let mut moves = vec![first];
    while let Ok(Some(next)) = timeout(GATHER, let_go.recv()).await {
        moves.push(next);
        if moves.len() >= MAX_WAITING {
            break;
        }
    }
    let owner = net.me().id;
    if let Err(error) = net.ask(Ask::Release { owner, moves }, ASK_PATIENCE).await {
        // The leader calls the moves off.
        tracing::debug!(%error, "could not say that shards were let go of");
    }
}

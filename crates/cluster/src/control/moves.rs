//! Owns shards on their way to another member, from the owner's side: it is told, lets go, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use proto::MemberId;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use xmpp::Shard;

use super::net::Net;
use crate::ask::Ask;
use crate::clock::BootTime;
use crate::plan::{MoveId, Phase, Plan};

/// Whoever hosts the actors of shards that are to move.
pub trait Moves: fmt::Debug + Send + Sync {
    /// A shard of this member is to move. When nothing here acts for it any more, and nothing will,
    /// [`LetGo::done`] says so. It stays this member's until then; a leader that waits for longer than 60 s
    /// calls the move off.
    fn prepare(&self, shard: Shard, to: MemberId, let_go: LetGo);

    /// The move of a shard was called off: it stays this member's, also if it has let go of it.
    fn called_off(&self, shard: Shard);

    /// A shard that was to move is not this member's any more.
    fn moved(&self, shard: Shard);
}

/// Where nothing lives in any shard: they are let go of at once.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Moves for Empty {
    fn prepare(&self, _: Shard, _: MemberId, let_go: LetGo) {
        let_go.done();
    }

    fn called_off(&self, _: Shard) {}

    fn moved(&self, _: Shard) {}
}

/// The word of an owner that it has let go of a shard. Dropped unsaid, the shard stays, and the leader is told.
#[derive(Debug)]
pub struct LetGo {
    moved: MoveId,
    done: bool,
    why_not: Option<String>,
    words: mpsc::Sender<Word>,
}

/// What an owner says of a move.
#[derive(Clone, Debug)]
enum Word {
    Released(MoveId),
    /// And why, for operators.
    Stays(MoveId, Option<String>),
}

impl LetGo {
    /// Which move it is about.
    pub fn moved(&self) -> MoveId {
        self.moved
    }

    /// This member does not act for the shard any more.
    pub fn done(mut self) {
        self.done = true;
    }

    /// The shard cannot move now, for a reason that an operator should know.
    pub fn cannot(mut self, why: String) {
        self.why_not = Some(why);
    }
}

impl Drop for LetGo {
    fn drop(&mut self) {
        let word = match self.done {
            true => Word::Released(self.moved),
            false => Word::Stays(self.moved, self.why_not.take()),
        };
        // The member stops, or is behind by far: the leader calls the move off.
        self.words.try_send(word).ok();
    }
}

/// The most words that wait to be said: none is dropped, as no shard moves to two places at a time.
const MAX_WAITING: usize = Shard::COUNT as usize;

/// The most words that travel together; a leader has 32 under way for a member.
const MOST_TOGETHER: usize = 64;

/// Words that come within this travel together.
const GATHER: Duration = Duration::from_millis(5);

/// How long the leader is asked, and before it is asked again: where it gave no answer, and where the plan does not say
/// what it has answered.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
const ANSWERED_PAUSE: Duration = Duration::from_secs(1);

/// Tells whoever hosts actors of moves, and the leader of what was let go, for ever.
pub(crate) async fn run(net: Net) {
    let (words, mut said) = mpsc::channel(MAX_WAITING);
    let mut plan = net.shared.plan.clone();
    let mut told: BTreeSet<(Shard, u64)> = BTreeSet::new();
    plan.mark_changed();
    let mut asking = FuturesUnordered::new();
    loop {
        tokio::select! {
            changed = plan.changed() => {
                if changed.is_err() {
                    return;
                }
                let (plan, me) = (net.plan(), net.me().id);
                net.shared.staying.retain(|shard| plan.owner(shard).is_some_and(|(id, _)| id == me));
                told = tell(&*net.shared.mesh.moves, &plan, me, &told, &words);
            }
            Some(first) = said.recv() => {
                let words = gather(first, &mut said).await;
                // Whoever waits to be told of the next moves does not wait for the answer.
                asking.push(pass_on(&net, words));
            }
            Some(()) = asking.next() => {}
        }
    }
}

/// Tells of moves that are over, and then of those that are new; gives all that are under way. Plans may have been
/// skipped: a shard whose move was called off may be on its way to somebody else.
fn tell(
    moves: &dyn Moves,
    plan: &Plan,
    me: MemberId,
    told: &BTreeSet<(Shard, u64)>,
    words: &mpsc::Sender<Word>,
) -> BTreeSet<(Shard, u64)> {
    let under_way = plan.ownerships().filter(|(_, held)| held.owner == me);
    let under_way: BTreeMap<_, _> = under_way
        .filter_map(|(shard, held)| match held.phase {
            Phase::Moving { to, since } => Some(((shard, since), to)),
            Phase::Active => None,
        })
        .collect();
    for (shard, _) in told.iter().filter(|it| !under_way.contains_key(it)) {
        match plan.owner(*shard) {
            Some((owner, _)) if owner == me => moves.called_off(*shard),
            _ => moves.moved(*shard),
        }
    }
    for (&(shard, since), to) in under_way.iter().filter(|(it, _)| !told.contains(it)) {
        let moved = MoveId { shard, since };
        let words = words.clone();
        moves.prepare(shard, *to, LetGo { moved, done: false, why_not: None, words });
    }
    under_way.into_keys().collect()
}

async fn gather(first: Word, said: &mut mpsc::Receiver<Word>) -> Vec<Word> {
    let (mut words, until) = (vec![first], Instant::now() + GATHER);
    while words.len() < MOST_TOGETHER
        && let Ok(Some(next)) = timeout_at(until, said.recv()).await
    {
        words.push(next);
    }
    words
}

/// Says it until the moves are over: what was let go of stands still until then.
async fn pass_on(net: &Net, words: Vec<Word>) {
    let (mut released, mut stay) = (Vec::new(), Vec::new());
    for word in words {
        match word {
            Word::Released(moved) => released.push(moved),
            Word::Stays(moved, why) => {
                if let Some(why) = why {
                    net.shared.staying.note(moved.shard, why, BootTime::now());
                }
                stay.push(moved);
            }
        }
    }
    let owner = net.me().id;
    let release = |moves| Ask::Release { owner, moves };
    let call_off = |moves| Ask::CallOff { owner, moves };
    tokio::join!(insist(net, released, release), insist(net, stay, call_off));
}

/// An answer is not the end: a leader that has heard a word may fall before anything comes of it.
async fn insist(net: &Net, mut moves: Vec<MoveId>, ask: impl Fn(Vec<MoveId>) -> Ask) {
    let (owner, mut plan) = (net.me().id, net.shared.plan.clone());
    loop {
        moves.retain(|moved| net.plan().is_under_way(*moved, owner));
        if moves.is_empty() {
            return;
        }
        let pause = match net.ask(ask(moves.clone()), ASK_PATIENCE).await {
            Ok(()) => ANSWERED_PAUSE,
            Err(error) => {
                tracing::debug!(%error, "could not say what became of shards that were to move");
                PAUSE
            }
        };
        let is_over = |plan: &Arc<Plan>| !moves.iter().any(|it| plan.is_under_way(*it, owner));
        timeout(pause, plan.wait_for(is_over)).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::HashKey;
    use crate::plan::{Assignment, Entry, MemberInfo};

    const ME: MemberId = MemberId(1);

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn note(&self, word: String) {
            self.0.lock().unwrap().push(word);
        }
    }

    impl Moves for Heard {
        fn prepare(&self, _: Shard, to: MemberId, _: LetGo) {
            self.note(format!("to {}", to.0));
        }

        fn called_off(&self, _: Shard) {
            self.note("called off".to_owned());
        }

        fn moved(&self, _: Shard) {
            self.note("moved".to_owned());
        }
    }

    #[test]
    fn a_move_that_was_called_off_is_over_before_the_next_one_begins() {
        let members = [1, 2, 3].map(|id| MemberInfo::new(MemberId(id), format!("m{id}")));
        let mut plan = Plan::shared_by(HashKey::new([7; 16]), members);
        let (shard, _) = plan.ownerships().find(|(_, held)| held.owner == ME).unwrap();
        let (heard, words) = (Heard::default(), mpsc::channel(1).0);
        let mut told = BTreeSet::new();
        let to = |member| Entry::Prepare(vec![Assignment { shard, member: MemberId(member) }]);
        let first = MoveId { shard, since: 2 };
        plan.apply(2, to(2)).unwrap();
        told = tell(&heard, &plan, ME, &told, &words);
        // Of these it hears at once.
        plan.apply(3, Entry::Abort(vec![first])).unwrap();
        plan.apply(4, to(3)).unwrap();
        told = tell(&heard, &plan, ME, &told, &words);
        plan.apply(5, Entry::Release(vec![MoveId { shard, since: 4 }])).unwrap();
        told = tell(&heard, &plan, ME, &told, &words);
        assert!(told.is_empty());
        assert_eq!(*heard.0.lock().unwrap(), ["to 2", "called off", "to 3", "moved"]);
    }
}

//! Shards on their way between two members that meet on loopback.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::*;
use crate::peer::{Security, Settings};
use crate::plan::{MemberInfo, Plan};
use crate::watch::PlanHandle;

const OWNER: MemberId = MemberId(1);
const TAKER: MemberId = MemberId(2);

/// Keeps whatever comes.
#[derive(Debug, Default)]
struct Keeper {
    is_tight: AtomicBool,
    kept: Mutex<Vec<(MoveId, Vec<Bytes>, Space)>>,
}

impl Takes for Keeper {
    fn has_memory(&self) -> bool {
        !self.is_tight.load(Ordering::Relaxed)
    }

    fn take(
        &self,
        moved: MoveId,
        entities: Vec<Bytes>,
        space: Space,
    ) -> BoxFuture<'static, Result<(), String>> {
        self.kept.lock().unwrap().push((moved, entities, space));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A member that owns a shard, and one that takes it.
struct Two {
    owner: Peers,
    hands: Hands,
    /// As long as it is here, it listens.
    _taker: Peers,
    keeper: Arc<Keeper>,
    moved: MoveId,
}

fn open(name: &str, plan: Plan) -> Peers {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings { name: name.to_owned(), listen, security: Security::InsecureDev };
    Peers::open(&settings, PlanHandle::fixed(plan)).unwrap()
}

fn plan(taker: String) -> Plan {
    let owner = MemberInfo::new(OWNER, "m1");
    let taker = MemberInfo { addr: taker, ..MemberInfo::new(TAKER, "m2") };
    Plan::shared_by(HashKey::new([1; 16]), [owner, taker])
}

impl Two {
    fn meet() -> Self {
        let (taker, keeper) = (open("m2", plan(String::new())), Arc::<Keeper>::default());
        serve(&taker, Arc::clone(&keeper) as Arc<dyn Takes>);
        let plan = plan(taker.address().to_string());
        let owned = plan.ownerships().find(|(_, held)| held.owner == OWNER);
        let moved = MoveId { shard: owned.unwrap().0, since: plan.index() };
        let owner = open("m1", plan);
        Self { hands: Hands::new(owner.clone()), owner, _taker: taker, keeper, moved }
    }

    /// Hands so many entities over, each of a mebibyte.
    fn hand(&self, mebibytes: usize) -> Result<(), HandError> {
        let entities = std::iter::repeat_n(Bytes::from(vec![1; 1 << 20]), mebibytes);
        let handing = self.hands.hand(TAKER, self.moved, mebibytes, entities, Brought::default());
        self.owner.runtime().block_on(handing)
    }
}

#[test]
fn a_shard_with_much_in_it_arrives_whole() {
    let two = Two::meet();
    two.hand(100).unwrap();
    let kept = two.keeper.kept.lock().unwrap();
    let (moved, entities, space) = &kept[0];
    assert_eq!((*moved, entities.len(), space.bytes()), (two.moved, 100, 100 << 20));
}

#[test]
fn what_was_brought_before_is_there_when_the_shard_is_handed_over() {
    let two = Two::meet();
    // No two blocks are alike, nor do all stay as they are.
    let entity = |number: u32, first: u8| {
        let words = number << 20..(number << 20) + (64 << 10);
        let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        bytes[0] = first;
        Bytes::from(bytes)
    };
    let before = (0..40).map(move |number| entity(number, 0));
    let bringing = two.hands.bring(TAKER, two.moved, before);
    let brought = two.owner.runtime().block_on(bringing).unwrap();
    let now = (0..40).map(|number| entity(number, 1)).chain([Bytes::from("small")]);
    let mut now: Vec<Bytes> = now.collect();
    let handing = two.hands.hand(TAKER, two.moved, 41, now.clone().into_iter(), brought);
    two.owner.runtime().block_on(handing).unwrap();
    let mut kept = two.keeper.kept.lock().unwrap();
    let (_, mut entities, space) = kept.pop().unwrap();
    // In which order they come says nothing.
    entities.sort();
    now.sort();
    assert!(entities == now, "as they are now");
    assert_eq!(space.bytes(), (40 << 18) + 5, "what was brought takes no space any more");
}

#[test]
fn without_memory_a_large_shard_is_refused_in_words_and_a_small_one_taken() {
    let two = Two::meet();
    two.keeper.is_tight.store(true, Ordering::Relaxed);
    let refused = two.hand(100).unwrap_err().to_string();
    assert_eq!(refused, "its memory does not suffice there");
    two.hand(1).unwrap();
    assert_eq!(two.keeper.kept.lock().unwrap().len(), 1);
    two.keeper.is_tight.store(false, Ordering::Relaxed);
    two.hand(100).unwrap();
}

#[test]
fn a_shard_of_which_not_all_came_is_not_taken() {
    let two = Two::meet();
    let one = Bytes::from_static(b"one");
    let handing = two.hands.hand(TAKER, two.moved, 2, std::iter::once(one), Brought::default());
    let refused = two.owner.runtime().block_on(handing).unwrap_err().to_string();
    assert_eq!(refused, "a part is missing");
    assert!(two.keeper.kept.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handover_may_take_long_as_long_as_it_goes_on() {
    let (goes_on, progress) = watch::channel(());
    let begun = Instant::now();
    let going = async {
        for _ in 0..100 {
            sleep(PATIENCE / 2).await;
            goes_on.send_replace(());
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = until_stuck(progress) => {}
        () = going => {}
    }
    let took = begun.elapsed();
    assert!((PATIENCE * 51..PATIENCE * 52).contains(&took), "{took:?}");
    // After the last part an answer is awaited.
    let (goes_on, progress) = watch::channel(());
    let begun = Instant::now();
    drop(goes_on);
    until_stuck(progress).await;
    let took = begun.elapsed();
    assert!((ANSWER_PATIENCE..ANSWER_PATIENCE * 2).contains(&took), "{took:?}");
}

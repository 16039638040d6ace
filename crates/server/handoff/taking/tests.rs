//! One arbiter of a member that gets a shard; what the others do is said by the plan.

use std::rc::Rc;

use actix_rt::{Arbiter, System};
use cluster::plan::{Assignment, Entry, MemberInfo};
use cluster::{HashKey, Lease};
use entity::Figures;
use entity::host::{Host, Spawn, Start};
use futures_util::FutureExt as _;
use proto::{ArbiterId, Hosts};
use router::Inbox;
use store::{ArchivePage, ArchiveQuery, Batch, Error, Key, Kind, Memory, Reply, Row, Store};
use tokio::sync::watch;
use user::User;
use xmpp::BareJid;

use super::*;

const ME: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

/// A shard of the other member's that is on its way here, and who lives in it.
struct Coming {
    taking: Taking,
    arbiter: ArbiterHandle,
    plan: Plan,
    plans: watch::Sender<Arc<Plan>>,
    moved: MoveId,
    entity: Route,
}

fn plan() -> Plan {
    let members = [ME, OTHER].map(|id| MemberInfo::new(id, format!("m{}", id.0)));
    Plan::shared_by(HashKey::new([1; 16]), members)
}

fn begin(arbiter: &Arbiter, router: Router, store: SharedStore, inbox: router::inbox::Receiver) {
    arbiter.spawn_fn(move || {
        let users = Spawn::<User> { shared: Arc::default(), is_for: |_| true };
        let starters: Vec<Box<dyn Start>> = vec![Box::new(users)];
        let host = Host::new(router.clone(), store, Arc::<Figures>::default(), starters);
        host.make_known();
        let local = Rc::clone(&host) as Rc<dyn router::LocalHost>;
        let (receive, flush) = router::local::install(ArbiterId(0), router, local, inbox);
        actix_rt::spawn(receive);
        actix_rt::spawn(async move {
            flush.await;
            drop(host);
        });
    });
}

/// A store in which the buckets of one shard are never claimed.
struct Standing {
    memory: Memory,
    stands: Shard,
}

impl Store for Standing {
    fn claim(&self, fence: Fence) -> Reply<()> {
        match fence.bucket.shard() == self.stands {
            true => Box::pin(std::future::pending()),
            false => self.memory.claim(fence),
        }
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        self.memory.load(fence, owner, kinds)
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        self.memory.get(fence, key)
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        self.memory.scan(fence, owner, kind, after, limit)
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        self.memory.commit(batches)
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        self.memory.query(fence, owner, query)
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.memory.owners(kind, after, limit)
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        self.memory.erase(fence, owner)
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        self.memory.expire(before_unix_micros, limit)
    }

    fn waiting_bytes(&self) -> usize {
        self.memory.waiting_bytes()
    }

    fn close(&self) -> Reply<()> {
        self.memory.close()
    }
}

/// Shards of the other member's.
fn others(plan: &Plan) -> impl Iterator<Item = Shard> {
    plan.ownerships().filter(|(_, held)| held.owner == OTHER).map(|(shard, _)| shard)
}

/// This member, to which these shards are to move, on this store.
fn takes(
    plan: &mut Plan,
    shards: impl IntoIterator<Item = Shard>,
    store: SharedStore,
) -> (Taking, ArbiterHandle, watch::Sender<Arc<Plan>>) {
    let moves = shards.into_iter().map(|shard| Assignment { shard, member: ME });
    plan.apply(2, Entry::Prepare(moves.collect())).unwrap();
    let (plans, handle) = PlanHandle::changing(plan.clone());
    let (inbox, waiting) = Inbox::new();
    let router = Router::new(ME, handle.clone(), Lease::always(), Hosts::default(), vec![inbox]);
    let arbiter = Arbiter::new();
    begin(&arbiter, router.clone(), Arc::clone(&store), waiting);
    let shared = Shared {
        member: ME,
        arbiters: vec![arbiter.handle()],
        router,
        store,
        kept: Mutex::default(),
        places: Arc::new(Semaphore::new(MOST)),
        pressure: Arc::default(),
        plan: handle,
        turns: Turns::default(),
        runtime: Handle::current(),
    };
    let taking = Taking { shared: Arc::new(shared) };
    taking.shared.runtime.spawn(taking.clone().follow());
    (taking, arbiter.handle(), plans)
}

impl Coming {
    async fn begin() -> Self {
        let mut plan = plan();
        let people = (0..100).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
        let place = |jid: &BareJid| plan.hash_key().bucket(jid).shard();
        let person = { people }.find(|jid| plan.owner(place(jid)).unwrap().0 == OTHER).unwrap();
        let shard = place(&person);
        let (taking, arbiter, plans) = takes(&mut plan, [shard], Arc::new(Memory::new()));
        let (moved, entity) = (MoveId { shard, since: 2 }, Route::User(person));
        let (route, state, timers) = (entity.clone(), Bytes::new(), vec![]);
        let state = EntitySnapshot { route, state, timers, handed_over: None };
        let coming = Self { taking, arbiter, plan, plans, moved, entity };
        let entities = vec![state.encode().unwrap()];
        coming.taking.take(moved, entities, Space::alone()).await.unwrap();
        coming
    }

    /// Whether it may go on from here.
    fn may_go(&self) -> bool {
        self.taking.shared.turns.wait_for(self.moved.shard).now_or_never().is_some()
    }

    fn is_said(&mut self, entry: Entry) {
        self.plan.apply(3, entry).unwrap();
        self.plans.send_replace(Arc::new(self.plan.clone()));
    }

    /// Who is here when it may go on, and whether nobody is held back.
    async fn when_it_may_go(&self) -> (Vec<Route>, bool) {
        let _turn = self.taking.shared.turns.wait_for(self.moved.shard).await;
        let part = Part::Shard(self.moved.shard);
        let here = async move |host: &Host| (host.entities(part), host.is_empty(part));
        on(&self.arbiter, here).await.unwrap()
    }
}

#[test]
fn a_shard_may_go_on_when_all_of_it_has_come_and_not_before() {
    System::new().block_on(async {
        let mut coming = Coming::begin().await;
        assert!(!coming.may_go(), "nobody knows yet whose it will be");
        coming.is_said(Entry::Release(vec![coming.moved]));
        assert_eq!(coming.when_it_may_go().await.0, [coming.entity.clone()]);
        assert!(coming.may_go());
    });
}

#[test]
fn a_shard_that_does_not_come_after_all_leaves_nothing() {
    System::new().block_on(async {
        let mut coming = Coming::begin().await;
        coming.is_said(Entry::Abort(vec![coming.moved]));
        assert_eq!(coming.when_it_may_go().await, (vec![], true));
        assert!(coming.may_go());
    });
}

#[test]
fn a_shard_whose_buckets_are_claimed_slowly_keeps_no_other_waiting() {
    System::new().block_on(async {
        let mut plan = plan();
        let shards: Vec<Shard> = others(&plan).take(3).collect();
        let [slow, one, other] = shards[..] else { panic!("it has many") };
        let store = Arc::new(Standing { memory: Memory::new(), stands: slow });
        let (taking, _, plans) = takes(&mut plan, [slow, one, other], store);
        let moved = |shard| MoveId { shard, since: 2 };
        for shard in [slow, one, other] {
            taking.take(moved(shard), vec![], Space::alone()).await.unwrap();
        }
        // The slow one and another by one plan, the last by a later one.
        plan.apply(3, Entry::Release(vec![moved(slow), moved(one)])).unwrap();
        plans.send_replace(Arc::new(plan.clone()));
        drop(taking.shared.turns.wait_for(one).await);
        plan.apply(4, Entry::Release(vec![moved(other)])).unwrap();
        plans.send_replace(Arc::new(plan.clone()));
        drop(taking.shared.turns.wait_for(other).await);
        assert!(taking.shared.turns.wait_for(slow).now_or_never().is_none());
        assert_eq!(taking.shared.places.available_permits(), MOST - 1);
    });
}

#[test]
fn of_shards_that_come_at_once_as_many_are_taken_as_there_are_places() {
    System::new().block_on(async {
        let mut plan = plan();
        let shards: Vec<Shard> = others(&plan).take(MOST + 5).collect();
        let store = Arc::new(Memory::new());
        let (taking, _, _plans) = takes(&mut plan, shards.clone(), store);
        let take = |shard| taking.take(MoveId { shard, since: 2 }, vec![], Space::alone());
        let taken = join_all(shards.into_iter().map(take)).await;
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), MOST);
    });
}

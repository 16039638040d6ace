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
use store::Memory;
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

impl Coming {
    async fn begin() -> Self {
        let mut plan = plan();
        let people = (0..100).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
        let place = |jid: &BareJid| plan.hash_key().bucket(jid).shard();
        let person = { people }.find(|jid| plan.owner(place(jid)).unwrap().0 == OTHER).unwrap();
        let shard = place(&person);
        plan.apply(2, Entry::Prepare(vec![Assignment { shard, member: ME }])).unwrap();
        let (plans, handle) = PlanHandle::changing(plan.clone());
        let (inbox, waiting) = Inbox::new();
        let store: SharedStore = Arc::new(Memory::new());
        let lease = Lease::always();
        let router = Router::new(ME, handle.clone(), lease, Hosts::default(), vec![inbox]);
        let arbiter = Arbiter::new();
        begin(&arbiter, router.clone(), Arc::clone(&store), waiting);
        let shared = Shared {
            member: ME,
            arbiters: vec![arbiter.handle()],
            router,
            store,
            kept: Mutex::default(),
            plan: handle,
            turns: Turns::default(),
            runtime: Handle::current(),
        };
        let taking = Taking { shared: Arc::new(shared) };
        taking.shared.runtime.spawn(taking.clone().follow());
        let (moved, entity) = (MoveId { shard, since: 2 }, Route::User(person));
        let (route, state, timers) = (entity.clone(), Bytes::new(), vec![]);
        let state = EntitySnapshot { route, state, timers, handed_over: None };
        let coming = Self { taking, arbiter: arbiter.handle(), plan, plans, moved, entity };
        coming.taking.take(moved, vec![state.encode().unwrap()]).await.unwrap();
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

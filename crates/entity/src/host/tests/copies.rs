//! Second copies on their way: three members, of which only the first one is here; what it says to the others is caught.

use std::collections::{HashMap, VecDeque};

use cluster::plan::{Entry, MemberInfo};
use proto::{CopyId, CopyUpdate};

use super::*;

const HERE: MemberId = MemberId(1);
const STANDBY: MemberId = MemberId(2);
const FORMER: MemberId = MemberId(3);

/// A host whose updates of copies for other members are caught, and what it says to other servers.
pub(super) struct Ways {
    host: Rc<Host>,
    caught: RefCell<VecDeque<Envelope>>,
    pub(super) abroad: RefCell<Vec<Envelope>>,
}

impl Ways {
    /// Makes the thread an arbiter with the stage's host.
    pub(super) fn install(stage: &Stage, inbox: router::inbox::Receiver) -> Rc<Self> {
        let (host, caught, abroad) =
            (Rc::clone(&stage.host), Default::default(), Default::default());
        let ways = Rc::new(Self { host, caught, abroad });
        let host = Rc::clone(&ways) as Rc<dyn LocalHost>;
        let (receive, flush) = local::install(ArbiterId(0), stage.router.clone(), host, inbox);
        actix_rt::spawn(receive);
        actix_rt::spawn(flush);
        ways
    }
}

impl LocalHost for Ways {
    fn deliver(&self, batch: Vec<Envelope>) {
        self.host.deliver(batch);
    }

    fn refuse(&self, envelope: Envelope, refusal: Refusal) {
        match &envelope.to {
            Route::Copy(_) => self.caught.borrow_mut().push_back(envelope),
            Route::Remote(_) => self.abroad.borrow_mut().push(envelope),
            _ => LocalHost::refuse(&*self.host, envelope, refusal),
        }
    }

    fn flush(&self) {
        self.host.flush();
    }

    fn member_gone(&self, member: MemberId) {
        self.host.member_gone(member);
    }
}

fn plan() -> Plan {
    let members = [HERE, STANDBY, FORMER];
    let members = members.map(|id| MemberInfo::new(id, format!("member{}", id.0)));
    let mut plan = Plan::shared_by(HashKey::new([7; 16]), members);
    let own = plan.ownerships().filter(|(_, held)| held.owner == HERE);
    let standbys = own.map(|(shard, _)| (shard, Some(STANDBY))).collect();
    plan.apply(2, Entry::SetStandby(standbys)).unwrap();
    plan
}

/// Whoever has an address that lives here.
fn somebody_here(plan: &Plan) -> String {
    let is_here = |name: &String| {
        let bucket = plan.hash_key().bucket(user(name).key().unwrap());
        plan.owner(bucket.shard()).is_some_and(|(owner, _)| owner == HERE)
    };
    (0..).map(|number| format!("person{number}")).find(is_here).unwrap()
}

pub(super) struct World {
    pub(super) stage: Stage,
    pub(super) ways: Rc<Ways>,
    pub(super) name: String,
    plan: Plan,
    plans: watch::Sender<Arc<Plan>>,
}

impl World {
    pub(super) fn play<F: Future<Output = ()>>(act: impl FnOnce(Self) -> F) {
        let plan = plan();
        let (plans, handle) = PlanHandle::changing(plan.clone());
        Stage::play_with(handle, |stage, inbox| {
            let ways = Ways::install(&stage, inbox);
            stage.host.plan_changed();
            act(Self { stage, ways, name: somebody_here(&plan), plan, plans })
        });
    }

    /// Another member is the standby of all that lives here.
    fn becomes_standby(&self, member: MemberId) {
        let mut plan = self.plan.clone();
        let own = plan.ownerships().filter(|(_, held)| held.owner == HERE);
        let standbys = own.map(|(shard, _)| (shard, Some(member))).collect();
        plan.apply(plan.index() + 1, Entry::SetStandby(standbys)).unwrap();
        self.plans.send_replace(Arc::new(plan));
        self.stage.host.plan_changed();
    }

    /// Everybody has said what there is.
    fn all_have_spoken(&self) {
        for by in [HERE, STANDBY, FORMER] {
            let plan = self.plan.index();
            self.stage.host.announced(Announced { by, plan, arbiter: ArbiterId(0), arbiters: 1 });
        }
    }

    /// What a member has said to this one about a copy.
    fn is_told(&self, update: CopyUpdate) {
        let to = CopyId { member: HERE, of: Box::new(user(&self.name)) };
        self.stage.send(Route::Copy(to), Body::Copy(update), None);
    }

    /// The next update of a copy, with whom it is for.
    async fn says(&self) -> (MemberId, CopyUpdate, Option<Receipt>) {
        loop {
            let next = self.ways.caught.borrow_mut().pop_front();
            if let Some(envelope) = next {
                let (Route::Copy(to), Body::Copy(update)) = (envelope.to, envelope.body) else {
                    panic!("only those are caught")
                };
                return (to.member, update, envelope.receipt);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn whole_of(count: u8) -> CopyUpdate {
    CopyUpdate::Whole(vec![count].into())
}

#[test]
fn whoever_kept_a_copy_for_a_new_owner_may_forget_it_when_there_is_another_one() {
    World::play(|world| async move {
        let (epoch, whole_of_former) = (Epoch(1), vec![5].into());
        let by = Some(FORMER);
        world.is_told(CopyUpdate::Kept { epoch, whole: whole_of_former, changes: vec![], by });
        world.all_have_spoken();
        let (to, update, receipt) = world.says().await;
        assert_eq!((to, update), (STANDBY, whole_of(5)));
        world.stage.hears_now().await;
        assert!(world.ways.caught.borrow().is_empty(), "the former copy stays");
        receipt.expect("somebody waits").release();
        let (to, update, _) = world.says().await;
        assert_eq!((to, update), (FORMER, CopyUpdate::Forget));
    });
}

#[test]
fn whoever_keeps_a_copy_that_a_new_owner_is_told_keeps_it_still() {
    World::play(|world| async move {
        world.is_told(whole_of(5));
        let host = &world.stage.host;
        host.say_copies(&world.plan, &|_| Some(STANDBY)).await;
        for _ in 0..2 {
            let (to, update, _) = world.says().await;
            let CopyUpdate::Kept { by, .. } = update else { panic!("{update:?}") };
            assert_eq!((to, by), (STANDBY, Some(HERE)));
            host.say_copies(&world.plan, &|_| Some(STANDBY)).await;
        }
        world.says().await;
        world.is_told(CopyUpdate::Forget);
        host.say_copies(&world.plan, &|_| Some(STANDBY)).await;
        assert!(world.ways.caught.borrow().is_empty());
    });
}

#[test]
fn what_is_handed_over_stays_where_it_was_until_there_is_another_copy() {
    World::play(|world| async move {
        world.all_have_spoken();
        world.stage.hears_now().await;
        let host = &world.stage.host;
        let route = session(&world.name, 7);
        let (state, timers) = (vec![5].into(), Vec::new());
        let handed = EntitySnapshot { route, state, timers, handed_over: None };
        host.keep_copies(vec![handed.clone()], Epoch(1));
        host.say_copies(&world.plan, &|_| Some(STANDBY)).await;
        let (to, update, _) = world.says().await;
        let CopyUpdate::Kept { whole, by, .. } = update else { panic!("{update:?}") };
        assert_eq!((to, &whole[..], by), (STANDBY, &[5][..], Some(HERE)));
        let fence = world.stage.fence(&world.name);
        host.start_from(handed, fence, Some(FORMER)).await.unwrap();
        let (to, update, receipt) = world.says().await;
        assert_eq!((to, update), (STANDBY, whole_of(5)));
        receipt.expect("somebody waits").release();
        let (to, update, _) = world.says().await;
        assert_eq!((to, update), (FORMER, CopyUpdate::Forget));
    });
}

#[test]
fn a_standby_keeps_its_copy_until_the_next_one_has_it() {
    World::play(|world| async move {
        world.all_have_spoken();
        world.stage.says(&world.name, "one");
        let (to, update, _) = world.says().await;
        assert_eq!((to, update), (STANDBY, whole_of(1)));
        world.becomes_standby(FORMER);
        let (to, update, receipt) = world.says().await;
        assert_eq!((to, update), (FORMER, whole_of(1)));
        world.stage.hears_now().await;
        assert!(world.ways.caught.borrow().is_empty(), "the copy before stays");
        receipt.expect("somebody waits").release();
        let (to, update, _) = world.says().await;
        assert_eq!((to, update), (STANDBY, CopyUpdate::Forget));
    });
}

#[test]
fn whoever_waits_for_a_copy_that_found_no_way_waits_for_what_comes_in_its_place() {
    World::play(|world| async move {
        let shard = world.stage.fence(&world.name).bucket.shard();
        assert!(world.stage.host.goes_on_from_copies(shard));
        world.all_have_spoken();
        world.stage.hears_now().await;
        assert!(!world.stage.host.goes_on_from_copies(shard));
        let ledger = Ledger::new(0, || {});
        world.stage.send(user(&world.name), message("one"), Some(ledger.open()));
        let (to, update, receipt) = world.says().await;
        assert_eq!((to, update), (STANDBY, whole_of(1)));
        let of = Box::new(user(&world.name));
        let origin = Origin::Client { session: 1, seq: 1, part: 0 };
        let lost = Envelope::new(
            Route::Copy(CopyId { member: STANDBY, of }),
            Body::Copy(whole_of(1)),
            origin,
            Epoch(1),
        );
        let host = &*world.stage.host;
        LocalHost::refuse(host, lost.with_receipt(receipt), Refusal::NoOwner);
        let (to, update, receipt) = world.says().await;
        assert_eq!((to, update), (STANDBY, whole_of(1)));
        assert_eq!(ledger.standing().handled, 0);
        receipt.expect("somebody waits").release();
        assert_eq!(ledger.standing().handled, 1);
    });
}

// Else nothing would be handed over, and the copies would be asked for by nobody.
#[test]
fn a_shard_does_not_come_to_rest_before_what_lived_in_it_is_back_from_its_copies() {
    World::play(|world| async move {
        let (host, part) = (&world.stage.host, world.stage.part(&world.name));
        let none = Patience { turns: Duration::ZERO, receipts: Duration::ZERO };
        assert!(!host.is_empty(part));
        host.freeze(part, none).await.unwrap_err();
        let (epoch, whole, by) = (Epoch(1), vec![5].into(), Some(FORMER));
        world.is_told(CopyUpdate::Kept { epoch, whole, changes: vec![], by });
        world.all_have_spoken();
        host.freeze(part, PATIENCE).await.unwrap();
        assert_eq!(host.take_snapshots(part).len(), 1);
    });
}

// A room would else not ask whether people whose home has died meanwhile are still there.
#[test]
fn what_stands_still_while_shards_find_new_owners_speaks_to_those_when_it_goes_on() {
    World::play(|world| async move {
        let (host, part) = (&world.stage.host, world.stage.part(&world.name));
        world.all_have_spoken();
        world.stage.says(&world.name, "one");
        world.stage.hears_now().await;
        let shard = world.plan.hash_key().bucket(&BareJid::parse("other@x.org").unwrap()).shard();
        let taken = Arc::new(HashMap::from([(shard, STANDBY)]));
        let word = format!("{} has something with one of {:?}", world.name, Some(STANDBY));
        host.freeze(part, PATIENCE).await.unwrap();
        host.say_claims(&taken, &world.plan).await;
        assert!(!world.stage.hears_now().await.contains(&word), "it stands still");
        host.thaw(part);
        assert_eq!(world.stage.hears_now().await.iter().filter(|it| **it == word).count(), 1);
    });
}

//! Two members in this process that meet on loopback: what lives at one moves to the other, with all that is between
//! them but a leader.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::{Arbiter, System};
use cluster::bulk::Hands;
use cluster::peer::{Security, Settings};
use cluster::plan::{Assignment, Entry, MemberInfo};
use cluster::{HashKey, Lease, Peers, Plan, PlanHandle};
use entity::host::{Spawn, Start};
use entity::{Context, Entity, Figures, LoadError, Timer};
use proto::snapshot::SnapshotError;
use proto::{ArbiterId, Envelope, Hosts, Now, Route, SessionId};
use router::{Inbox, Router};
use store::{Kind, Memory, Row, SharedStore};
use xmpp::BareJid;

use super::*;
use crate::handoff::taking::Taking;

const OWNER: MemberId = MemberId(1);
const TAKER: MemberId = MemberId(2);

/// So much each of them knows, and so many there are.
const EACH: u32 = 1 << 20;
const MANY: u8 = 40;

/// It knows much.
struct Heavy {
    state: Bytes,
}

impl Entity for Heavy {
    type Shared = ();

    const KINDS: &'static [Kind] = &[];
    const NAME: &'static str = "heavy";

    fn load(_: &Route, _: Vec<Row>, _: &Arc<()>) -> Result<Self, LoadError> {
        Ok(Self { state: Bytes::new() })
    }

    fn receive(&mut self, _: Envelope, _: &mut Context<'_, Self>) {}

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        false
    }

    fn snapshot(&self, _: Now) -> Option<Bytes> {
        Some(self.state.clone())
    }

    fn restore(&mut self, state: &[u8], _: &mut Context<'_, Self>) -> Result<(), SnapshotError> {
        self.state = Bytes::copy_from_slice(state);
        Ok(())
    }
}

/// A member with one arbiter.
fn ground(member: MemberId, name: &str, plan: PlanHandle) -> Ground {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings { name: name.to_owned(), listen, security: Security::InsecureDev };
    let peers = Peers::open(&settings, plan.clone()).unwrap();
    let (inbox, waiting) = Inbox::new();
    let router = Router::new(member, plan, Lease::always(), Hosts::default(), vec![inbox]);
    let (store, arbiter): (SharedStore, _) = (Arc::new(Memory::new()), Arbiter::new());
    let (at_router, at_store) = (router.clone(), Arc::clone(&store));
    arbiter.spawn_fn(move || {
        let heavy = Spawn::<Heavy> { shared: Arc::default(), is_for: |_| true };
        let starters: Vec<Box<dyn Start>> = vec![Box::new(heavy)];
        let host = Host::new(at_router.clone(), at_store, Arc::<Figures>::default(), starters);
        host.make_known();
        let local = Rc::clone(&host) as Rc<dyn router::LocalHost>;
        let (receive, flush) = router::local::install(ArbiterId(0), at_router, local, waiting);
        actix_rt::spawn(receive);
        actix_rt::spawn(async move {
            flush.await;
            drop(host);
        });
    });
    let (hands, pressure) = (Hands::new(peers.clone()), Arc::default());
    Ground { peers, hands, arbiters: vec![arbiter.handle()], router, store, pressure }
}

/// What each of them knows; no two blocks of it are alike.
fn state(number: u8) -> Bytes {
    let begin = u32::from(number) << 24;
    (begin..begin + EACH / 4).flat_map(u32::to_le_bytes).collect::<Vec<u8>>().into()
}

async fn states(ground: &Ground, shard: Shard) -> Vec<Bytes> {
    let seen = on(&ground.arbiters[0], async move |host: &Host| {
        let mut seen = Vec::new();
        let see = |entity: EntitySnapshot| {
            seen.push(entity.state);
            true
        };
        host.picture(Part::Shard(shard), see).await;
        seen
    });
    let mut seen = seen.await.unwrap();
    seen.sort();
    seen
}

#[test]
fn what_knows_much_moves_as_it_is() {
    let system = System::new();
    let info = |id, name: &str| MemberInfo::new(id, name);
    let members = |addr| [info(OWNER, "m1"), MemberInfo { addr, ..info(TAKER, "m2") }];
    let plan = |addr| Plan::shared_by(HashKey::new([1; 16]), members(addr));
    let (plans, handle) = PlanHandle::changing(plan(String::new()));
    // Their runtimes end outside of this one.
    let [owner, taker] =
        [(OWNER, "m1"), (TAKER, "m2")].map(|(id, name)| ground(id, name, handle.clone()));
    system.block_on(async {
        let mut plan = plan(taker.peers.address().to_string());
        let people = (0..100).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
        let place = |jid: &BareJid| plan.hash_key().bucket(jid).shard();
        let account = { people }.find(|jid| plan.owner(place(jid)).unwrap().0 == OWNER).unwrap();
        let shard = place(&account);
        let moved = MoveId { shard, since: 2 };
        plan.apply(2, Entry::Prepare(vec![Assignment { shard, member: TAKER }])).unwrap();
        plans.send_replace(Arc::new(plan.clone()));
        let (there, turns) = (Taking::start(&taker, Turns::default()), Shared::default());
        cluster::bulk::serve(&taker.peers, Arc::new(there));

        let bucket = plan.hash_key().bucket(&account);
        for number in 0..MANY {
            let id = SessionId { account: account.clone(), uid: number.into() };
            let (route, state, timers) = (Route::Session(id), state(number), vec![]);
            let entity = EntitySnapshot { route, state, timers, handed_over: None };
            let fence = Fence { bucket, epoch: plan.epoch_of(shard).unwrap() };
            let start = async move |host: &Host| host.start(entity, fence).await;
            assert_eq!(on(&owner.arbiters[0], start).await, Some(Ok(())));
        }
        let before = states(&owner, shard).await;
        assert_eq!(before.len(), usize::from(MANY));

        let (_told, fate) = watch::channel(Fate::Unknown);
        let mut leaving = Leaving::new(&owner, shard, fate);
        assert!(leaving.is_large().await);
        leaving.hand_over(&turns, TAKER, moved).await.unwrap();
        plan.apply(3, Entry::Release(vec![moved])).unwrap();
        plans.send_replace(Arc::new(plan));
        leaving.leave().await;
        let gone = async {
            while states(&taker, shard).await.len() < usize::from(MANY) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.expect("they go on");
        assert!(states(&taker, shard).await == before, "each as it was");
        assert!(states(&owner, shard).await.is_empty());
    });
}

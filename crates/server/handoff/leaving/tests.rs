//! Two members in this process that meet on loopback: what lives at one moves to the other, with all that is between
//! them but a leader.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::{Arbiter, System, SystemRunner};
use cluster::bulk::Hands;
use cluster::peer::{Security, Settings};
use cluster::plan::{Assignment, Entry, MemberInfo};
use cluster::{HashKey, Lease, Peers, Plan, PlanHandle};
use entity::host::{Spawn, Start};
use entity::{Context, Entity, Figures, LoadError, Timer};
use futures_util::future::BoxFuture;
use proto::snapshot::SnapshotError;
use proto::{Announced, ArbiterId, Body, Envelope, Hosts, Now, Route, SessionId};
use router::link::{Address, Carrier, Cut, Links, Pipe};
use router::{Inbox, LocalHost, Router};
use store::{Kind, Memory, Row, SharedStore};
use xmpp::{BareJid, Head, Kind as StanzaKind, MessageType, Origin, Stanza};

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

    /// Passes on what it gets.
    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else { return };
        let to = stanza.head().to.as_ref().unwrap().bare();
        cx.tell(Route::User(to), Body::Stanza(stanza));
    }

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
        let local = Rc::clone(&host) as Rc<dyn LocalHost>;
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

/// Two members, and a shard that is to go from one to the other.
struct World {
    owner: Ground,
    taker: Ground,
    plan: Plan,
    plans: watch::Sender<Arc<Plan>>,
    /// Who lives in the shard, and who lives at the taker.
    people: [BareJid; 2],
    moved: MoveId,
}

impl World {
    /// With what it runs on: their runtimes end outside of that.
    fn new() -> (SystemRunner, Self) {
        let system = System::new();
        let info = |id, name: &str| MemberInfo::new(id, name);
        let members = |addr| [info(OWNER, "m1"), MemberInfo { addr, ..info(TAKER, "m2") }];
        let plan = |addr| Plan::shared_by(HashKey::new([1; 16]), members(addr));
        let (plans, handle) = PlanHandle::changing(plan(String::new()));
        let [owner, taker] =
            [(OWNER, "m1"), (TAKER, "m2")].map(|(id, name)| ground(id, name, handle.clone()));
        let mut plan = plan(taker.peers.address().to_string());
        let place = |jid: &BareJid| plan.hash_key().bucket(jid).shard();
        let people = [OWNER, TAKER].map(|member| {
            let mut all = (0..100).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
            all.find(|jid| plan.owner(place(jid)).unwrap().0 == member).unwrap()
        });
        let moved = MoveId { shard: place(&people[0]), since: 2 };
        let prepare = vec![Assignment { shard: moved.shard, member: TAKER }];
        plan.apply(2, Entry::Prepare(prepare)).unwrap();
        plans.send_replace(Arc::new(plan.clone()));
        (system, Self { owner, taker, plan, plans, people, moved })
    }

    /// One more lives in the shard, that knows this.
    async fn start(&self, uid: u64, state: Bytes) -> Route {
        let account = self.people[0].clone();
        let bucket = self.plan.hash_key().bucket(&account);
        let route = Route::Session(SessionId { account, uid });
        let timers = vec![];
        let entity = EntitySnapshot { route: route.clone(), state, timers, handed_over: None };
        let fence = Fence { bucket, epoch: self.plan.epoch_of(self.moved.shard).unwrap() };
        let start = async move |host: &Host| host.start(entity, fence).await;
        assert_eq!(on(&self.owner.arbiters[0], start).await, Some(Ok(())));
        route
    }
}

/// On the way to a member that never answers.
struct Deaf;

impl Carrier for Deaf {
    fn open(&self, _: Address, _: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        Box::pin(std::future::pending())
    }
}

// What it sends from its new place would else come before what it has sent from here.
#[test]
fn a_shard_stays_while_what_it_has_sent_has_not_arrived() {
    let (system, world) = World::new();
    let World { owner, plan, people: [_, other], moved, .. } = &world;
    let ways = PlanHandle::fixed(plan.clone());
    let _links = Links::start(&owner.router, Deaf, ways, owner.peers.runtime().clone());
    system.block_on(async {
        let plan = plan.index();
        let all_have_spoken = async move |host: &Host| {
            host.plan_changed();
            for by in [OWNER, TAKER] {
                host.announced(Announced { by, plan, arbiter: ArbiterId(0), arbiters: 1 });
            }
        };
        on(&owner.arbiters[0], all_have_spoken).await;
        let to = world.start(7, state(1)).await;
        let (_told, fate) = watch::channel(Fate::Unknown);
        let mut leaving = Leaving::new(owner, moved.shard, fate);
        let kind = StanzaKind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: Some(other.clone().into()), lang: None };
        let body = Body::Stanza(Stanza::new(head, ""));
        let origin = Origin::Client { session: 7, seq: 1, part: 0 };
        let said = vec![Envelope::new(to, body, origin, Epoch::default())];
        on(&owner.arbiters[0], async move |_: &Host| router::local::route(said)).await;
        let stays = leaving.hand_over(&Shared::default(), TAKER, *moved).await;
        assert!(matches!(stays, Err(Stays::Unsent)), "{stays:?}");
    });
}

#[test]
fn what_knows_much_moves_as_it_is() {
    let (system, world) = World::new();
    let World { owner, taker, moved, .. } = &world;
    let shard = moved.shard;
    system.block_on(async {
        let (there, turns) = (Taking::start(taker, Turns::default()), Shared::default());
        cluster::bulk::serve(&taker.peers, Arc::new(there));
        for number in 0..MANY {
            world.start(number.into(), state(number)).await;
        }
        let before = states(owner, shard).await;
        assert_eq!(before.len(), usize::from(MANY));

        let (_told, fate) = watch::channel(Fate::Unknown);
        let mut leaving = Leaving::new(owner, shard, fate);
        assert!(leaving.is_large().await);
        leaving.hand_over(&turns, TAKER, *moved).await.unwrap();
        let mut plan = world.plan.clone();
        plan.apply(3, Entry::Release(vec![*moved])).unwrap();
        world.plans.send_replace(Arc::new(plan));
        leaving.leave().await;
        let gone = async {
            while states(taker, shard).await.len() < usize::from(MANY) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.expect("they go on");
        assert!(states(taker, shard).await == before, "each as it was");
        assert!(states(owner, shard).await.is_empty());
    });
}

//! Three members in this process, each on a thread of its own; the test is the first one.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::mpsc as channel;
use std::sync::{Mutex, Weak};
use std::time::Duration;

use cluster::plan::{Assignment, Entry, MemberInfo, MoveId};
use cluster::{HashKey, Lease, Plan, PlanHandle};
use futures_util::future::BoxFuture;
use proto::{ArbiterId, Body, CopyId, CopyUpdate, Hosts, Ledger, MemberId};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use xmpp::{BareJid, Epoch, Head, Jid, Kind, MessageType, Origin, Stanza};

use super::*;
use crate::link::carrier::PIPE_DEPTH;
use crate::link::{Address, Carrier, Cut, Pipe};
use crate::local::{LocalHost, install, route};
use crate::{Inbox, Router};

const MEMBERS: [MemberId; 3] = [MemberId(1), MemberId(2), MemberId(3)];

/// Who heard what where.
type Heard = (MemberId, String, String);

struct Sink(MemberId, channel::Sender<Heard>);

impl LocalHost for Sink {
    fn deliver(&self, batch: Vec<Envelope>) {
        for envelope in batch {
            let Body::Stanza(stanza) = envelope.body else { continue };
            let to = stanza.head().to.as_ref().unwrap().to_string();
            let id = stanza.head().id.as_deref().unwrap_or_default().to_owned();
            self.1.send((self.0, to, id)).unwrap();
            envelope.receipt.into_iter().for_each(proto::Receipt::release);
        }
    }

    fn refuse(&self, envelope: Envelope, refusal: Refusal) {
        let Route::Copy(copy) = &envelope.to else { panic!("{refusal:?}: {envelope:?}") };
        self.1.send((copy.member, format!("{:?}", copy.of), format!("{refusal:?}"))).unwrap();
        // Whoever keeps the copy anew has it.
        std::mem::forget(envelope.receipt);
    }

    fn flush(&self) {}

    fn member_gone(&self, _: MemberId) {}
}

#[derive(Clone)]
struct Wires(Handle, Arc<Mutex<HashMap<MemberId, Weak<Links>>>>);

impl Carrier for Wires {
    fn open(&self, to: Address, _: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        let links = self.1.lock().unwrap().get(&to.member).and_then(Weak::upgrade);
        let runtime = self.0.clone();
        Box::pin(async move {
            let links = links.ok_or_else(|| Cut("nobody is there".to_owned()))?;
            let (frames, theirs) = mpsc::channel(PIPE_DEPTH);
            let (replies, ours) = mpsc::channel(PIPE_DEPTH);
            runtime.spawn(async move { links.serve(theirs, replies).await });
            Ok(Pipe { frames, replies: ours })
        })
    }
}

struct World {
    plans: Vec<watch::Sender<Arc<Plan>>>,
    links: Vec<Arc<Links>>,
    routers: Vec<Router>,
    heard: channel::Receiver<Heard>,
    plan: Plan,
    local: tokio::task::LocalSet,
    runtime: Runtime,
    _shared: Runtime,
}

fn plan() -> Plan {
    let members = MEMBERS.map(|id| MemberInfo::new(id, format!("member{}", id.0)));
    Plan::shared_by(HashKey::new([7; 16]), members)
}

fn hosts() -> Hosts {
    let bare = |text| BareJid::parse(text).unwrap();
    Hosts::new([bare("x.org")], [bare("chat.x.org")])
}

/// A member's arbiter is this thread; `installed` may not be dropped before it ends.
fn arrive(
    member: MemberId,
    router: &Router,
    inbox: crate::inbox::Receiver,
    heard: channel::Sender<Heard>,
) {
    let host = Rc::new(Sink(member, heard));
    let (receive, flush) = install(ArbiterId(0), router.clone(), host, inbox);
    tokio::task::spawn_local(receive);
    tokio::task::spawn_local(flush);
}

impl World {
    fn new() -> Self {
        let build =
            || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let shared = build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wires = Wires(shared.handle().clone(), Arc::default());
        let (tell, heard) = channel::channel();
        let local = tokio::task::LocalSet::new();
        let (mut plans, mut links, mut routers) = (Vec::new(), Vec::new(), Vec::new());
        for member in MEMBERS {
            let (sender, receiver) = watch::channel(Arc::new(plan()));
            let handle = PlanHandle::new(receiver);
            let (inbox, waiting) = Inbox::new();
            let router = Router::new(member, handle.clone(), Lease::always(), hosts(), vec![inbox]);
            let own = Links::start(&router, wires.clone(), handle, shared.handle().clone());
            wires.1.lock().unwrap().insert(member, Arc::downgrade(&own));
            plans.push(sender);
            links.push(own);
            routers.push(router.clone());
            let tell = tell.clone();
            if member == MEMBERS[0] {
                local.block_on(&runtime, async { arrive(member, &router, waiting, tell) });
                continue;
            }
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_time().build().unwrap();
                tokio::task::LocalSet::new().block_on(&runtime, async {
                    arrive(member, &router, waiting, tell);
                    std::future::pending::<()>().await;
                });
            });
        }
        Self { plans, links, routers, heard, plan: plan(), local, runtime, _shared: shared }
    }

    fn owner(&self, jid: &Jid) -> MemberId {
        let bucket = self.plan.hash_key().bucket(&jid.bare());
        self.plan.owner(bucket.shard()).unwrap().0
    }

    fn says(&self, id: &str, to: &[Jid], receipt: Option<proto::Receipt>) {
        let head = Head {
            kind: Kind::Message(MessageType::Groupchat),
            id: Some(id.into()),
            from: Some(Jid::parse("coven@chat.x.org/hag").unwrap()),
            to: None,
            lang: None,
        };
        let origin = Origin::Client { session: 1, seq: 1, part: 0 };
        let anybody = Route::Room(BareJid::parse("coven@chat.x.org").unwrap());
        let body = Body::Stanza(Stanza::new(head, "<body>hi</body>"));
        let envelope = Envelope::new(anybody, body, origin, Epoch(1)).with_receipt(receipt);
        let targets = to.iter().map(|jid| Target { jid: jid.clone(), part: 0 }).collect();
        let envelope = envelope.with_recipients(targets, &hosts()).unwrap();
        self.local.block_on(&self.runtime, async { route(vec![envelope]) });
    }

    /// Lets the first member work until this is so.
    fn until(&self, mut is_so: impl FnMut() -> bool) {
        let look = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let patience = Duration::from_secs(60);
        let wait = async { tokio::time::timeout(patience, look).await };
        self.local.block_on(&self.runtime, wait).expect("it becomes so");
    }

    fn hears(&self, many: usize) -> Vec<Heard> {
        let mut all = Vec::new();
        self.until(|| {
            all.extend(self.heard.try_iter());
            all.len() >= many
        });
        all
    }

    fn sent(&self) -> u64 {
        self.links[0].figures().sent.load(std::sync::atomic::Ordering::SeqCst)
    }
}

fn people() -> Vec<Jid> {
    (0..60).map(|number| Jid::parse(&format!("p{number}@x.org/r")).unwrap()).collect()
}

// One copy of a message goes to each other member, however many of its recipients live there.
#[test]
fn each_member_is_sent_one_copy_and_everybody_hears_it_once_where_he_lives() {
    let world = World::new();
    let people = people();
    let ledger = Ledger::new(0, || {});
    world.says("one", &people, Some(ledger.open()));
    let mut heard = world.hears(people.len());
    heard.sort();
    let mut expected: Vec<Heard> =
        people.iter().map(|jid| (world.owner(jid), jid.to_string(), "one".to_owned())).collect();
    expected.sort();
    assert_eq!(heard, expected);
    assert_eq!(world.sent(), 2);
    world.until(|| ledger.standing().handled == 1);
    for lane in 0..3 {
        world.says(&format!("more{lane}"), &people, None);
    }
    world.hears(3 * people.len());
    assert_eq!(world.sent(), 8);
}

// An envelope that has as many recipients as it may is full: who is left gets another one, in order behind it.
#[test]
fn more_recipients_than_an_envelope_holds_get_a_second_one() {
    let world = World::new();
    let people = people();
    let there = people.iter().find(|jid| world.owner(jid) == MEMBERS[1]).unwrap().bare();
    let crowd = |many: usize| -> Vec<Jid> {
        (0..many).map(|number| Jid::parse(&format!("{there}/{number}")).unwrap()).collect()
    };
    for (many, sent) in [(TARGETS, 1), (TARGETS + 1, 1 + 2)] {
        let (crowd, ledger) = (crowd(many), Ledger::new(0, || {}));
        world.says("one", &crowd, Some(ledger.open()));
        let heard = world.hears(many);
        let heard: Vec<&str> = heard.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(heard, crowd.iter().map(Jid::as_str).collect::<Vec<_>>());
        assert_eq!(world.sent(), sent);
        world.until(|| ledger.standing().handled == 1);
    }
}

// Where somebody has moved, the sender sends each copy by itself, in order, and nobody hears anything twice.
#[test]
fn a_copy_for_somebody_who_has_moved_is_turned_away_and_all_hear_all_in_order() {
    let mut world = World::new();
    let people = people();
    world.says("before", &people, None);
    world.hears(people.len());
    let moved = people.iter().find(|jid| world.owner(jid) == MEMBERS[1]).unwrap();
    let shard = world.plan.hash_key().bucket(&moved.bare()).shard();
    let to = Assignment { shard, member: MEMBERS[2] };
    world.plan.apply(2, Entry::Prepare(vec![to])).unwrap();
    world.plan.apply(3, Entry::Release(vec![MoveId { shard, since: 2 }])).unwrap();
    let plan = Arc::new(world.plan.clone());
    for member in &world.plans[1..] {
        member.send_replace(Arc::clone(&plan));
    }
    world.until(|| world.links[1..].iter().all(|links| links.plan_index() == 3));
    let ledger = Ledger::new(0, || {});
    world.says("one", &people, Some(ledger.open()));
    world.says("two", &people, None);
    world.until(|| {
        let back = world.links[0].figures().rerouted.load(std::sync::atomic::Ordering::SeqCst);
        back >= 2
    });
    world.plans[0].send_replace(plan);
    let heard = world.hears(2 * people.len());
    assert_eq!(heard.len(), 2 * people.len());
    for jid in &people {
        let of = |it: &&Heard| it.1 == jid.as_str();
        let order: Vec<&str> = heard.iter().filter(of).map(|it| it.2.as_str()).collect();
        assert_eq!(order, ["one", "two"], "{jid}");
        let at = heard.iter().filter(of).map(|it| it.0);
        assert!(at.into_iter().all(|member| member == world.owner(jid)), "{jid}");
    }
    world.until(|| ledger.standing().handled == 1);
}

// While a shard moves it is closed, and what comes for it is turned away until the next plan; others may change the plan
// meanwhile, more often than an envelope may be handed on.
#[test]
fn what_is_turned_away_with_every_plan_arrives_when_it_may() {
    let mut world = World::new();
    let people = people();
    let there = people.iter().find(|jid| world.owner(jid) == MEMBERS[1]).unwrap();
    let shard = world.plan.hash_key().bucket(&there.bare()).shard();
    world.routers[1].close(shard);
    let ledger = Ledger::new(0, || {});
    world.says("one", std::slice::from_ref(there), Some(ledger.open()));
    let rerouted = || world.links[0].figures().rerouted.load(std::sync::atomic::Ordering::SeqCst);
    for index in 0..u64::from(Envelope::MAX_HOPS) + 4 {
        world.until(|| rerouted() > index);
        let weight = u32::try_from(index).unwrap() + 2;
        let entry = Entry::SetWeight { member: MEMBERS[0], weight };
        world.plan.apply(index + 2, entry).unwrap();
        let plan = Arc::new(world.plan.clone());
        world.plans.iter().for_each(|member| drop(member.send_replace(Arc::clone(&plan))));
    }
    world.routers[1].open(shard);
    let entry = Entry::SetWeight { member: MEMBERS[0], weight: 1 };
    world.plan.apply(100, entry).unwrap();
    let plan = Arc::new(world.plan.clone());
    world.plans.iter().for_each(|member| drop(member.send_replace(Arc::clone(&plan))));
    assert_eq!(world.hears(1), [(MEMBERS[1], there.to_string(), "one".to_owned())]);
    world.until(|| ledger.standing().handled == 1);
}

#[test]
fn what_is_turned_away_by_a_shard_that_stays_after_all_arrives_without_another_plan() {
    let world = World::new();
    let people = people();
    let there = people.iter().find(|jid| world.owner(jid) == MEMBERS[1]).unwrap();
    let shard = world.plan.hash_key().bucket(&there.bare()).shard();
    world.routers[1].close(shard);
    for id in ["one", "two"] {
        world.says(id, std::slice::from_ref(there), None);
    }
    world.until(|| world.links[0].figures().rerouted.load(std::sync::atomic::Ordering::SeqCst) > 0);
    world.routers[1].open(shard);
    let heard = world.hears(2);
    let heard: Vec<&str> = heard.iter().map(|it| it.2.as_str()).collect();
    assert_eq!(heard, ["one", "two"]);
}

#[test]
fn a_copy_that_finds_no_way_goes_back_to_whoever_gives_it() {
    let world = World::new();
    let ledger = Ledger::new(0, || {});
    let of = Box::new(Route::User(BareJid::parse("p1@x.org").unwrap()));
    let nobody = MemberId(9);
    let to = Route::Copy(CopyId { member: nobody, of });
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    let body = Body::Copy(CopyUpdate::Change(bytes::Bytes::new()));
    let envelope = Envelope::new(to, body, origin, Epoch(1)).with_receipt(Some(ledger.open()));
    world.local.block_on(&world.runtime, async { route(vec![envelope]) });
    let heard = world.hears(1);
    assert_eq!((heard[0].0, heard[0].2.as_str()), (nobody, "NoOwner"));
    assert_eq!(ledger.standing().handled, 0, "it is not kept");
}

// Whoever has sent it sends the next to the new owner: so it must not wait here until the shard has moved.
#[test]
fn what_was_let_into_a_shard_goes_in_though_it_has_been_closed_since() {
    let world = World::new();
    let people = people();
    let here = people.iter().find(|jid| world.owner(jid) == MEMBERS[0]).unwrap();
    let shard = world.plan.hash_key().bucket(&here.bare()).shard();
    let envelope = |seq, id: &str| {
        let kind = Kind::Message(MessageType::Chat);
        let to = Some(here.clone());
        let head = Head { kind, id: Some(id.into()), from: None, to, lang: None };
        let origin = Origin::Client { session: 1, seq, part: 0 };
        Envelope::new(
            Route::User(here.bare()),
            Body::Stanza(Stanza::new(head, "")),
            origin,
            Epoch(1),
        )
    };
    let router = &world.routers[0];
    // By another thread, before.
    assert!(router.let_in(ArbiterId(0), vec![envelope(1, "one")]).is_empty());
    router.close(shard);
    let all = world.local.block_on(&world.runtime, async {
        route(vec![envelope(2, "two")]);
        router.has_let_in_all().await
    });
    let ids = |heard: Vec<Heard>| heard.into_iter().map(|it| it.2).collect::<Vec<_>>();
    assert!(all);
    assert_eq!(ids(world.heard.try_iter().collect()), ["one"]);
    router.open(shard);
    assert_eq!(ids(world.hears(1)), ["two"]);
}

//! A host without a network: entities asleep, frozen, given away and taken in.

mod bounds;
mod copies;
mod ending;

use std::time::Duration;

use bytes::Bytes;
use cluster::{HashKey, Lease, Plan, PlanHandle};
use proto::session::{ConnectionEvent, Gone, UserEvent};
use proto::snapshot::{EntitySnapshot, SnapshotError, TimerSnapshot};
use proto::{ArbiterId, ConnectionId, Ledger, MemberId, Receipt, SessionId};
use router::{Inbox, local};
use store::{ArchiveId, ArchiveRow, Key, Kind, Memory, Row, Write};
use tokio::sync::watch;
use xmpp::{BareJid, Epoch, Head, Kind as StanzaKind, MessageType, Shard, Stanza};

use super::handoff::{Part, Patience, StartError};
use super::*;
use crate::context::{Context, Timer};
use crate::entity::LoadError;
use crate::mirror::{Mirror, Taken};

const RING: Timer = Timer("ring", 3);
const PATIENCE: Patience =
    Patience { turns: Duration::from_secs(5), receipts: Duration::from_millis(20) };

/// Says what happens to it, and counts it; the count is what a snapshot holds.
struct Counter {
    name: String,
    count: u8,
    knows_last: bool,
    last: Option<u64>,
    receipts: Vec<Receipt>,
}

#[derive(Default)]
struct Heard {
    said: std::sync::Mutex<Vec<String>>,
    /// Looks of so many turns are answered.
    answered: watch::Sender<u8>,
}

impl Heard {
    fn say(&self, what: String) {
        self.said.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.said.lock().unwrap())
    }
}

impl Entity for Counter {
    type Shared = Heard;

    const KINDS: &'static [Kind] = &[Kind::Setting];
    const NAME: &'static str = "counter";
    const TIMERS: &'static [&'static str] = &[RING.0];

    fn load(route: &Route, rows: Vec<Row>, heard: &Arc<Heard>) -> Result<Self, LoadError> {
        let name = match route {
            Route::Session(id) => format!("{}/{}", id.account.localpart().unwrap(), id.uid),
            _ => route.key().unwrap().localpart().unwrap().to_owned(),
        };
        if rows.len() > 1 {
            return Err(LoadError { kind: Kind::Setting });
        }
        heard.say(format!("{name} loaded with {}", rows.len()));
        Ok(Self { name, count: 0, knows_last: false, last: None, receipts: Vec::new() })
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        self.count = self.count.wrapping_add(1);
        let words = match envelope.body {
            Body::Stanza(stanza) => stanza.child("body", "").unwrap().text(),
            body => format!("{body:?}"),
        };
        cx.shared.say(format!("{} {}: {words}", self.name, self.count));
        match words.as_str() {
            "wake me" => cx.set_timer(RING, Duration::from_millis(30)),
            "keep" => self.keep(cx),
            "append" => self.append(cx),
            "ask" => self.ask(cx),
            "look" => self.look(cx),
            "hold" => self.receipts.extend(cx.receipt()),
            "close" => cx.close(),
            "stay" => cx.stay(),
            "abroad" => ending::abroad(cx),
            "let go" => self.receipts.drain(..).for_each(Receipt::release),
            "tell" => {
                let to = Route::User(envelope.to.key().unwrap().clone());
                cx.tell(to, Body::User(UserEvent::AccountChanged));
            }
            _ => {}
        }
    }

    fn needs_last(&self, envelope: &Envelope) -> bool {
        let is_append = |stanza: &Stanza| stanza.child("body", "").unwrap().text() == "append";
        let appends = matches!(&envelope.body, Body::Stanza(stanza) if is_append(stanza));
        appends && !self.knows_last
    }

    fn learn_last(&mut self, last: Option<ArchiveId>) {
        self.knows_last = true;
        self.last = last.map(|last| last.0);
    }

    fn wake(&mut self, timer: Timer, cx: &mut Context<'_, Self>) {
        cx.shared.say(format!("{} {}: rings {timer:?}", self.name, self.count));
    }

    fn may_sleep(&self, _: Now) -> bool {
        self.count == 0
    }

    fn snapshot(&self, _: Now) -> Option<Bytes> {
        (self.count > 0).then(|| vec![self.count].into())
    }

    fn restore(&mut self, state: &[u8], cx: &mut Context<'_, Self>) -> Result<(), SnapshotError> {
        self.count = *state.first().ok_or(SnapshotError("count"))?;
        cx.shared.say(format!("{} goes on from {}", self.name, self.count));
        if self.count == 66 { Err(SnapshotError("count")) } else { Ok(()) }
    }

    fn mirror(&mut self, _: bool, _: &mut Context<'_, Self>) -> Mirror {
        if self.count == 0 { Mirror::Nothing } else { Mirror::Whole(vec![self.count].into()) }
    }

    fn is_settled(&self) -> bool {
        self.receipts.is_empty()
    }

    fn announce(&mut self, taken: &Taken<'_>, cx: &mut Context<'_, Self>) {
        let owner = taken.owner(&BareJid::parse("other@x.org").unwrap());
        cx.shared.say(format!("{} has something with one of {owner:?}", self.name));
    }
}

impl Counter {
    fn keep(&self, cx: &mut Context<'_, Self>) {
        let owner = BareJid::parse(&format!("{}@x.org", self.name)).unwrap();
        let row = Write::Put(Key::new(owner, Kind::Setting, "row"), Bytes::new());
        cx.commit_then(vec![row], |counter, cx, result| {
            cx.shared.say(format!("{} kept: {}", counter.name, result.is_ok()));
        });
    }

    /// A row behind the last one.
    fn append(&self, cx: &mut Context<'_, Self>) {
        cx.shared.say(format!("{} has {:?}", self.name, self.last));
        let owner = BareJid::parse(&format!("{}@x.org", self.name)).unwrap();
        let id = ArchiveId(self.last.unwrap_or(0) + 1);
        let row = ArchiveRow { id, peer: owner.clone(), origin: cx.origin(), stanza: Bytes::new() };
        cx.commit_then(vec![Write::Append(owner, row)], |counter, cx, result| {
            cx.shared.say(format!("{} appended: {}", counter.name, result.is_ok()));
        });
    }

    /// A write and a read; says when they are answered which turn asked for them.
    fn ask(&self, cx: &mut Context<'_, Self>) {
        let asked = self.count;
        cx.commit_then(Vec::new(), move |_, cx, _| cx.shared.say(format!("write of {asked}")));
        let owner = BareJid::parse("x.org").unwrap();
        cx.read(
            move |store, fence| store.load(fence, owner, &[]),
            move |_, cx, _| cx.shared.say(format!("read of {asked}")),
        );
    }

    /// A read that the store answers when it is told to.
    fn look(&self, cx: &mut Context<'_, Self>) {
        let (asked, mut answered) = (self.count, cx.shared.answered.subscribe());
        let answer = async move {
            drop(answered.wait_for(|turns| *turns >= asked).await);
            Ok(())
        };
        cx.read(
            move |_, _| Box::pin(answer),
            move |counter, cx, _: Result<(), _>| {
                cx.shared.say(format!("{} saw {asked}", counter.name));
            },
        );
    }
}

/// A host on this thread.
struct Stage {
    store: Arc<Memory>,
    host: Rc<Host>,
    heard: Arc<Heard>,
    router: Router,
}

impl Stage {
    fn play<F: Future<Output = ()>>(drowsy: bool, act: impl FnOnce(Self) -> F) {
        actix_rt::System::new().block_on(async move {
            let plan = PlanHandle::fixed(Plan::single(MemberId(1), HashKey::new([7; 16])));
            let (stage, inbox) = Self::set(drowsy, plan);
            let (id, host) = (ArbiterId(0), Rc::clone(&stage.host) as Rc<dyn LocalHost>);
            let (receive, flush) = local::install(id, stage.router.clone(), host, inbox);
            actix_rt::spawn(receive);
            actix_rt::spawn(flush);
            let done = tokio::time::timeout(Duration::from_secs(60), act(stage)).await;
            local::stop();
            done.expect("the play hangs");
        });
    }

    /// With this plan; `act` makes the thread an arbiter.
    fn play_with<F: Future<Output = ()>>(
        plan: PlanHandle,
        act: impl FnOnce(Self, router::inbox::Receiver) -> F,
    ) {
        actix_rt::System::new().block_on(async move {
            let (stage, inbox) = Self::set(false, plan);
            let done = tokio::time::timeout(Duration::from_secs(60), act(stage, inbox)).await;
            local::stop();
            done.expect("the play hangs");
        });
    }

    fn set(drowsy: bool, plan: PlanHandle) -> (Self, router::inbox::Receiver) {
        let (inbox, receiver) = Inbox::new();
        let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
        let router = Router::new(MemberId(1), plan, Lease::always(), hosts, vec![inbox]);
        let heard = Arc::new(Heard::default());
        let is_for = |route: &Route| matches!(route, Route::User(_) | Route::Session(_));
        let spawn = Spawn::<Counter> { shared: Arc::clone(&heard), is_for };
        let store = Arc::new(Memory::new());
        let starters: Vec<Box<dyn Start>> = vec![Box::new(spawn)];
        let host =
            Host::with(router.clone(), Arc::clone(&store) as _, Arc::default(), starters, drowsy);
        (Self { store, host, heard, router }, receiver)
    }

    fn send(&self, to: Route, body: Body, receipt: Option<Receipt>) {
        let shard = Shard::new(0).unwrap();
        let origin = Origin::Shard { shard, epoch: Epoch(1), counter: 1 };
        local::route(vec![Envelope::new(to, body, origin, Epoch(1)).with_receipt(receipt)]);
    }

    fn says(&self, to: &str, words: &str) {
        self.send(user(to), message(words), None);
    }

    /// Waits until the host has heard something of this.
    async fn hears(&self, what: &str) -> Vec<String> {
        let mut all = Vec::new();
        while !all.iter().any(|heard: &String| heard.contains(what)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            all.extend(self.heard.take());
        }
        all
    }

    /// What is heard when everything that is ready has run.
    async fn hears_now(&self) -> Vec<String> {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.heard.take()
    }

    fn part(&self, name: &str) -> Part {
        Part::Shard(self.fence(name).bucket.shard())
    }

    fn fence(&self, name: &str) -> Fence {
        self.router.fence(user(name).key().unwrap()).unwrap()
    }
}

fn user(name: &str) -> Route {
    Route::User(BareJid::parse(&format!("{name}@x.org")).unwrap())
}

fn session(name: &str, uid: u64) -> Route {
    Route::Session(SessionId { account: user(name).key().unwrap().clone(), uid })
}

fn message(words: &str) -> Body {
    let kind = StanzaKind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    Body::Stanza(Stanza::new(head, format!("<body>{words}</body>")))
}

fn lost() -> Body {
    let connection = ConnectionId { member: MemberId(1), arbiter: ArbiterId(0), number: 1 };
    Body::FromConnection(connection, ConnectionEvent::Gone(Gone::Lost))
}

#[test]
fn a_drowsy_entity_goes_on_from_its_rows_its_snapshot_and_its_timers() {
    Stage::play(true, |stage| async move {
        stage.says("romeo", "keep");
        let heard = stage.hears("kept").await;
        assert_eq!(heard, ["romeo loaded with 0", "romeo 1: keep", "romeo kept: true"]);
        stage.says("romeo", "wake me");
        let heard = stage.hears("wake me").await;
        assert_eq!(heard, ["romeo loaded with 1", "romeo goes on from 1", "romeo 2: wake me"]);
        let heard = stage.hears("rings").await;
        let rings = "romeo 2: rings Timer(\"ring\", 3)";
        assert_eq!(heard, ["romeo loaded with 1", "romeo goes on from 2", rings]);
        assert!(stage.hears_now().await.is_empty(), "it rang once");
    });
}

#[test]
fn an_entity_knows_the_last_row_of_its_archive_before_it_writes_the_next() {
    Stage::play(true, |stage| async move {
        stage.says("romeo", "append");
        let heard = stage.hears("appended: true").await;
        let order = ["romeo loaded with 0", "romeo 1: append", "romeo has None"];
        assert_eq!(heard[..3], order);
        stage.says("romeo", "append");
        assert!(stage.hears("romeo has").await.contains(&"romeo has Some(1)".to_owned()));
    });
}

// Whoever acts without knowing its archive may do again what is done.
#[test]
fn an_entity_waits_for_an_archive_that_cannot_be_asked() {
    Stage::play(true, |stage| async move {
        stage.says("romeo", "append");
        stage.hears("appended: true").await;
        let (doing, cause) = ("looked", "it does not answer".into());
        stage.store.refuse_lists(Some(store::Error::Engine { doing, cause }));
        stage.says("romeo", "append");
        assert_eq!(stage.hears_now().await, ["romeo loaded with 0", "romeo goes on from 1"]);
        stage.store.refuse_lists(None);
        assert!(stage.hears("romeo has").await.contains(&"romeo has Some(1)".to_owned()));
    });
}

#[test]
fn an_entity_does_not_sleep_while_somebody_holds_its_receipts() {
    Stage::play(true, |stage| async move {
        let ledger = Ledger::new(0, || {});
        stage.send(user("romeo"), message("hold"), Some(ledger.open()));
        stage.hears("hold").await;
        stage.says("romeo", "let go");
        assert_eq!(stage.hears("let go").await, ["romeo 2: let go"]);
        assert_eq!(ledger.standing().handled, 1);
        stage.says("romeo", "hi");
        assert_eq!(stage.hears("hi").await[1], "romeo goes on from 2");
    });
}

#[test]
fn an_awake_host_loads_an_entity_once() {
    Stage::play(false, |stage| async move {
        stage.says("romeo", "one");
        stage.says("romeo", "two");
        let heard = stage.hears("two").await;
        assert_eq!(heard, ["romeo loaded with 0", "romeo 1: one", "romeo 2: two"]);
    });
}

#[test]
fn what_comes_twice_from_another_member_is_acted_on_once_and_counted() {
    Stage::play(false, |stage| async move {
        let origin = Origin::Client { session: 7, seq: 1, part: 0 };
        let sent = || Envelope {
            crossed: true,
            ..Envelope::new(user("romeo"), message("once"), origin, Epoch(1))
        };
        local::route(vec![sent(), sent()]);
        stage.says("romeo", "then");
        let heard = stage.hears("then").await;
        assert_eq!(heard, ["romeo loaded with 0", "romeo 1: once", "romeo 2: then"]);
        assert_eq!(stage.host.arbiter.figures.repeats.get(), 1);
    });
}

#[test]
fn an_entity_takes_all_that_comes_before_its_first_turn() {
    Stage::play(false, |stage| async move {
        // Each by itself, and nothing runs in between.
        let words: Vec<String> = (1..=100).map(|number| format!("word {number}")).collect();
        words.iter().for_each(|word| stage.says("romeo", word));
        let heard = stage.hears("word 100").await;
        let mut expected = vec!["romeo loaded with 0".to_owned()];
        expected.extend((1..).zip(&words).map(|(count, word)| format!("romeo {count}: {word}")));
        assert_eq!(heard, expected);
    });
}

#[test]
fn an_entity_goes_on_in_the_order_in_which_it_asked() {
    Stage::play(false, |stage| async move {
        let asked = (1..=6).map(|_| message("ask"));
        asked.for_each(|ask| stage.send(user("romeo"), ask, None));
        let mut heard = stage.hears("write of 6").await;
        if !heard.contains(&"read of 6".to_owned()) {
            heard.extend(stage.hears("read of 6").await);
        }
        for what in ["write of", "read of"] {
            let order: Vec<_> = heard.iter().filter(|heard| heard.starts_with(what)).collect();
            let expected: Vec<_> = (1..=6).map(|number| format!("{what} {number}")).collect();
            assert_eq!(order, expected.iter().collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_frozen_part_says_nothing_more_and_keeps_what_comes() {
    Stage::play(false, |stage| async move {
        stage.says("romeo", "wake me");
        stage.hears("wake me").await;
        let part = stage.part("romeo");
        stage.host.freeze(part, PATIENCE).await.unwrap();
        stage.says("romeo", "later");
        stage.says("juliet", "meanwhile");
        assert_ne!(part, stage.part("juliet"));
        let heard = stage.hears("meanwhile").await;
        assert_eq!(heard, ["juliet loaded with 0", "juliet 1: meanwhile"]);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(stage.heard.take().is_empty(), "a frozen timer rang");
        stage.host.thaw(part);
        let mut heard = stage.hears("rings").await;
        heard.extend(stage.hears_now().await);
        heard.sort();
        assert_eq!(heard, ["romeo 2: later", "romeo 2: rings Timer(\"ring\", 3)"]);
    });
}

#[test]
fn a_part_goes_on_elsewhere_with_its_state_its_timers_and_what_waited() {
    let (mut snapshots, mut waiting) = (Vec::new(), Vec::new());
    Stage::play(false, |stage| {
        let (snapshots, waiting) = (&mut snapshots, &mut waiting);
        async move {
            stage.says("romeo", "one");
            stage.says("romeo", "wake me");
            stage.hears("wake me").await;
            stage.says("juliet", "stays");
            stage.hears("stays").await;
            let part = stage.part("romeo");
            stage.host.freeze(part, PATIENCE).await.unwrap();
            assert_eq!(stage.host.entities(part), [user("romeo")]);
            *snapshots = stage.host.take_snapshots(part);
            stage.says("romeo", "late");
            *waiting = stage.host.release(part);
            assert!(stage.host.entities(part).is_empty());
            assert_eq!(stage.host.entities(Part::Whole), [user("juliet")]);
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert!(stage.heard.take().is_empty());
        }
    });
    assert_eq!(snapshots.len(), 1);
    let bytes = snapshots[0].encode().unwrap();
    Stage::play(false, |stage| async move {
        let snapshot = EntitySnapshot::decode(&bytes).unwrap();
        let fence = Fence { epoch: Epoch(9), ..stage.fence("romeo") };
        stage.host.start(snapshot.clone(), fence).await.unwrap();
        let heard = stage.heard.take();
        assert_eq!(heard, ["romeo loaded with 0", "romeo goes on from 2"]);
        local::route(waiting);
        let mut heard = stage.hears("rings").await;
        heard.extend(stage.hears_now().await);
        heard.sort();
        assert_eq!(heard[0], "romeo 3: late");
        assert!(heard[1].contains("rings"), "{heard:?}");
        assert_eq!(stage.host.start(snapshot, fence).await, Err(StartError::Here));
    });
}

#[test]
fn entities_that_are_taken_in_say_nothing_before_all_are_there() {
    Stage::play(false, |stage| async move {
        stage.host.freeze(Part::Whole, PATIENCE).await.unwrap();
        for name in ["romeo", "juliet"] {
            let timers = vec![TimerSnapshot { name: "ring".into(), number: 3, due: 0 }];
            let (route, state) = (user(name), vec![5].into());
            let snapshot = EntitySnapshot { route, state, timers, handed_over: None };
            stage.host.start(snapshot, stage.fence(name)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let heard = stage.heard.take();
        assert!(!heard.iter().any(|heard| heard.contains("rings")), "{heard:?}");
        stage.host.thaw(Part::Whole);
        let mut heard = stage.hears("romeo 5: rings").await;
        if heard.len() == 1 {
            heard.extend(stage.hears("juliet 5: rings").await);
        }
        assert_eq!(heard.len(), 2);
    });
}

#[test]
fn what_is_handed_over_is_due_by_the_clock_of_whoever_had_it() {
    const HOUR: u64 = 3_600_000_000;
    Stage::play(false, |stage| async move {
        let here = stage.host.arbiter.now().unix_micros;
        // To one it is ten milliseconds, by a clock that is an hour ahead; to the other half an hour, by one that is behind.
        let members = [("juliet", here - HOUR, HOUR / 2), ("romeo", here + HOUR, 10_000)];
        for (name, there, rest) in members {
            let timers = vec![TimerSnapshot { name: "ring".into(), number: 3, due: there + rest }];
            let (route, state) = (user(name), vec![5].into());
            let snapshot = EntitySnapshot { route, state, timers, handed_over: Some(there) };
            stage.host.start(snapshot, stage.fence(name)).await.unwrap();
        }
        let mut heard = stage.hears("romeo 5: rings").await;
        heard.extend(stage.hears_now().await);
        assert!(!heard.iter().any(|heard| heard.contains("juliet 5: rings")), "{heard:?}");
    });
}

#[test]
fn freezing_waits_for_the_store_and_for_what_is_said_within() {
    Stage::play(false, |stage| async move {
        stage.send(session("romeo", 7), message("tell"), None);
        stage.says("romeo", "keep");
        let part = stage.part("romeo");
        stage.host.freeze(part, PATIENCE).await.unwrap();
        let heard = stage.heard.take();
        assert!(heard.contains(&"romeo kept: true".to_owned()), "{heard:?}");
        assert!(heard.iter().any(|heard| heard.contains("AccountChanged")), "{heard:?}");
        let mut routes: Vec<_> = stage.host.take_snapshots(part);
        routes.sort_by_key(|it| matches!(it.route, Route::Session(_)));
        let counts: Vec<_> = routes.iter().map(|it| it.state[0]).collect();
        assert_eq!(counts, [2, 1]);
    });
}

#[test]
fn receipts_that_nobody_releases_hold_freezing_up_only_for_a_while() {
    Stage::play(false, |stage| async move {
        let ledger = Ledger::new(0, || {});
        stage.send(user("romeo"), message("hold"), Some(ledger.open()));
        stage.hears("hold").await;
        let part = stage.part("romeo");
        assert!(
            !stage.host.is_quiet(part).await && stage.host.is_quiet(stage.part("juliet")).await
        );
        stage.host.freeze(part, PATIENCE).await.unwrap();
        assert_eq!(stage.host.take_snapshots(part).len(), 1);
        stage.host.thaw(part);
        stage.says("romeo", "let go");
        stage.hears("let go").await;
        assert_eq!(ledger.standing().handled, 1);
    });
}

#[test]
fn a_part_that_does_not_come_to_rest_goes_on() {
    Stage::play(false, |stage| async move {
        stage.says("romeo", "one");
        stage.hears("one").await;
        let part = stage.part("romeo");
        let none = Patience { turns: Duration::ZERO, receipts: Duration::ZERO };
        // An answer of the store is awaited.
        stage.says("romeo", "keep");
        tokio::task::yield_now().await;
        stage.host.freeze(part, none).await.unwrap_err();
        stage.says("romeo", "two");
        assert!(stage.hears("two").await.contains(&"romeo 3: two".to_owned()));
    });
}

#[test]
fn what_waits_for_a_frozen_part_is_bounded_but_for_words_of_control() {
    Stage::play(false, |stage| async move {
        let part = stage.part("romeo");
        stage.host.freeze(part, PATIENCE).await.unwrap();
        for _ in 0..handoff::WAITING_STANZAS + 5 {
            stage.says("romeo", "hi");
        }
        stage.send(session("romeo", 7), lost(), None);
        let refused = stage.host.arbiter.figures.refused.get();
        assert_eq!(refused, 5);
        assert_eq!(stage.host.release(part).len(), handoff::WAITING_STANZAS + 1);
    });
}

#[test]
fn a_snapshot_that_cannot_be_read_starts_nothing() {
    Stage::play(false, |stage| async move {
        let timers = vec![TimerSnapshot { name: "strange".into(), number: 0, due: 0 }];
        let snapshot = |state: u8| EntitySnapshot {
            route: user("romeo"),
            state: vec![state].into(),
            timers: timers.clone(),
            handed_over: None,
        };
        let fence = stage.fence("romeo");
        let start = |state| stage.host.start(snapshot(state), fence);
        assert_eq!(start(66).await, Err(StartError::Unreadable));
        assert!(stage.host.entities(Part::Whole).is_empty());
        start(5).await.unwrap();
        let room = Route::Room(BareJid::parse("r@x.org").unwrap());
        let room = EntitySnapshot { route: room, ..snapshot(5) };
        assert_eq!(stage.host.start(room, fence).await, Err(StartError::NoKind));
    });
}

//! A panic ends one turn of one entity: whoever caused it is told, it is counted, the entity is loaded again,
//! and nobody else notices.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cluster::{HashKey, Lease, Plan, PlanHandle};
use entity::Figures;
use entity::host::{Host, Spawn, Start};
use entity::{Context, Entity, LoadError, Timer};
use proto::{ArbiterId, Body, Envelope, Hosts, MemberId, Now, Route};
use router::{Inbox, Router};
use store::{Kind, Memory, Row};
use tokio::sync::mpsc;
use xmpp::{BareJid, Epoch, Head, Kind as StanzaKind, MessageType, Origin, Shard, Stanza};

const WATCHER: &str = "watcher@x.org";

/// Answers each message with how many it has had, and dies of some.
struct Patient {
    had: u32,
}

impl Entity for Patient {
    type Shared = ();

    const KINDS: &'static [Kind] = &[];
    const NAME: &'static str = "patient";

    fn load(_: &Route, _: Vec<Row>, _: &Arc<()>) -> Result<Self, LoadError> {
        Ok(Self { had: 0 })
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else { return };
        self.had += 1;
        match stanza.head().id.as_deref() {
            Some("poison") => panic!("a patient took poison"),
            Some("slow poison") => cx.set_timer(Timer("poison", 0), Duration::ZERO),
            _ => cx.send(message(
                stanza.head().to.as_ref().unwrap().as_str(),
                WATCHER,
                &self.had.to_string(),
            )),
        }
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {
        panic!("a patient had taken poison");
    }

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

/// Tells the test what comes.
struct Watcher {
    said: mpsc::UnboundedSender<String>,
}

impl Entity for Watcher {
    type Shared = mpsc::UnboundedSender<String>;

    const KINDS: &'static [Kind] = &[];
    const NAME: &'static str = "watcher";

    fn load(_: &Route, _: Vec<Row>, said: &Arc<Self::Shared>) -> Result<Self, LoadError> {
        Ok(Self { said: (**said).clone() })
    }

    fn receive(&mut self, envelope: Envelope, _: &mut Context<'_, Self>) {
        let Body::Stanza(stanza) = envelope.body else { return };
        let from = stanza.head().from.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = stanza.head().id.as_deref().unwrap_or_default();
        let error = stanza.child("error", "").and_then(|error| error.children().next().cloned());
        let error = error.map(|condition| format!(": {}", condition.name())).unwrap_or_default();
        self.said.send(format!("{from} {id}{error}")).unwrap();
    }

    fn wake(&mut self, _: Timer, _: &mut Context<'_, Self>) {}

    fn may_sleep(&self, _: Now) -> bool {
        true
    }
}

fn message(from: &str, to: &str, id: &str) -> Stanza {
    let jid = |text: &str| Some(BareJid::parse(text).unwrap().into());
    let kind = StanzaKind::Message(MessageType::Chat);
    let head = Head { kind, id: Some(id.into()), from: jid(from), to: jid(to), lang: None };
    Stanza::new(head, "")
}

/// Sends a message to a patient.
fn give(router: &Router, patient: &str, id: &str) {
    let to = Route::User(BareJid::parse(patient).unwrap());
    let origin = Origin::Shard { shard: Shard::new(0).unwrap(), epoch: Epoch(1), counter: 0 };
    let body = Body::Stanza(message(WATCHER, patient, id));
    let refused = router.post(vec![Envelope::new(to, body, origin, Epoch(1))]);
    assert!(refused.is_empty());
}

#[test]
fn a_panic_ends_one_turn_and_hurts_nobody_else() {
    actix_rt::System::new().block_on(panic_and_go_on());
}

async fn panic_and_go_on() {
    let (inbox, receiver) = Inbox::new();
    let plan = PlanHandle::fixed(Plan::single(MemberId(1), HashKey::new([7; 16])));
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let router = Router::new(MemberId(1), plan, Lease::always(), hosts, vec![inbox]);
    let (said, mut heard) = mpsc::unbounded_channel();
    let is_watcher = |route: &Route| matches!(route, Route::User(jid) if jid.as_str() == WATCHER);
    let starters: Vec<Box<dyn Start>> = vec![
        Box::new(Spawn::<Watcher> { shared: Arc::new(said), is_for: is_watcher }),
        Box::new(Spawn::<Patient> { shared: Arc::new(()), is_for: |_| true }),
    ];
    let figures = Arc::new(Figures::default());
    let host = Host::new(router.clone(), Arc::new(Memory::new()), Arc::clone(&figures), starters);
    let (receive, flush) =
        router::local::install(ArbiterId(0), router.clone(), host as Rc<_>, receiver);
    actix_rt::spawn(receive);
    actix_rt::spawn(flush);
    let panics = || figures.panics.get();

    for patient in ["romeo@x.org", "juliet@x.org"] {
        give(&router, patient, "a");
        assert_eq!(heard.recv().await.unwrap(), format!("{patient} 1"));
    }
    give(&router, "romeo@x.org", "poison");
    assert_eq!(heard.recv().await.unwrap(), "romeo@x.org poison: internal-server-error");
    assert_eq!(panics(), 1);
    give(&router, "romeo@x.org", "b");
    assert_eq!(heard.recv().await.unwrap(), "romeo@x.org 1", "it was loaded again");
    give(&router, "juliet@x.org", "b");
    assert_eq!(heard.recv().await.unwrap(), "juliet@x.org 2", "nothing happened to her");

    give(&router, "romeo@x.org", "slow poison");
    while panics() < 2 {
        tokio::task::yield_now().await;
    }
    give(&router, "romeo@x.org", "c");
    assert_eq!(heard.recv().await.unwrap(), "romeo@x.org 1", "it was loaded again");
}

//! Bounds that are reached: what waits for an entity, what it has asked of the store, and what waits for a takeover.

use super::copies::{Ways, World};
use super::*;
use crate::actor::MAX_PENDING;
use crate::host::gates::Gates;

/// What somebody on another server hears whose message finds no place.
const FULL: &str = "far@y.org: error wait resource-constraint, too busy, try again later";

const MEBIBYTE: usize = 1 << 20;

/// A message from another server with a text of this many bytes.
fn message_of(bytes: usize) -> Stanza {
    let kind = StanzaKind::Message(MessageType::Chat);
    let from = Some(xmpp::Jid::parse("far@y.org").unwrap());
    let head = Head { kind, id: None, from, to: None, lang: None };
    Stanza::new(head, format!("<body>{}</body>", "x".repeat(bytes)))
}

/// An error in short.
fn word(envelope: Envelope) -> String {
    let Body::Stanza(stanza) = envelope.body else { panic!("{:?}", envelope.body) };
    let (to, kind) = (stanza.head().to.as_ref().unwrap(), stanza.kind());
    let error = stanza.child("error", "").unwrap();
    let said = error.children().map(|it| match it.name() {
        "text" => it.text(),
        condition => condition.to_owned(),
    });
    let said = said.collect::<Vec<_>>().join(", ");
    format!("{to}: {} {} {said}", kind.type_str().unwrap(), error.attr("type").unwrap())
}

impl Ways {
    /// What has gone to other servers, once something has.
    async fn next_abroad(&self) -> Vec<String> {
        while self.abroad.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        self.abroad.take().into_iter().map(word).collect()
    }
}

/// Lets a member alone be seen from another server.
fn alone<F: Future<Output = ()>>(act: impl FnOnce(Stage, Rc<Ways>) -> F) {
    let plan = PlanHandle::fixed(Plan::single(MemberId(1), HashKey::new([7; 16])));
    Stage::play_with(plan, |stage, inbox| {
        let ways = Ways::install(&stage, inbox);
        act(stage, ways)
    });
}

#[test]
fn so_many_stanzas_wait_for_an_entity_and_the_next_is_answered() {
    alone(|stage, ways| async move {
        let (message, ledger) = (|| Body::Stanza(message_of(1)), Ledger::new(0, || {}));
        for _ in 0..Permits::MAX_STANZAS {
            stage.send(user("romeo"), message(), None);
        }
        stage.send(user("romeo"), message(), Some(ledger.open()));
        // What is no stanza finds a place all the same.
        stage.send(user("romeo"), lost(), None);
        assert_eq!(ways.next_abroad().await, [FULL]);
        assert_eq!(ledger.standing().handled, 1, "the error is the answer");
        let heard = stage.hears("Gone").await;
        assert_eq!(heard.len(), 1 + Permits::MAX_STANZAS + 1);
        // Each has given its place back.
        stage.send(user("romeo"), message(), None);
        assert_eq!(stage.hears(": x").await.len(), 1);
    });
}

#[test]
fn so_many_bytes_wait_for_an_entity_and_what_does_not_fit_is_answered() {
    alone(|stage, ways| async move {
        let large = message_of(MEBIBYTE);
        let fit = Permits::MAX_BYTES / large.len();
        for _ in 0..=fit {
            stage.send(user("romeo"), Body::Stanza(large.clone()), None);
        }
        // Something small finds a place still.
        stage.send(user("romeo"), Body::Stanza(message_of(1)), None);
        assert_eq!(ways.next_abroad().await, [FULL]);
        let last = format!("romeo {}: x", fit + 1);
        assert_eq!(stage.hears(&last).await.len(), 1 + fit + 1);
        stage.send(user("romeo"), Body::Stanza(large), None);
        assert_eq!(stage.hears(": x").await.len(), 1);
    });
}

#[test]
fn an_entity_with_so_many_reads_under_way_takes_nothing_until_one_is_answered() {
    Stage::play(false, |stage| async move {
        (0..MAX_PENDING).for_each(|_| stage.says("romeo", "look"));
        stage.says("romeo", "hi");
        let last = format!("romeo {MAX_PENDING}: look");
        assert_eq!(stage.hears(&last).await.len(), 1 + MAX_PENDING);
        assert_eq!(stage.hears_now().await, [""; 0]);
        stage.heard.answered.send_replace(1);
        let hi = format!("romeo {}: hi", MAX_PENDING + 1);
        assert_eq!(stage.hears("hi").await, ["romeo saw 1".to_owned(), hi]);
    });
}

#[test]
fn so_many_bytes_wait_for_a_takeover_and_what_does_not_fit_is_answered() {
    World::play(|world| async move {
        let (stage, ledger) = (&world.stage, Ledger::new(0, || {}));
        let message = message_of(4 * MEBIBYTE);
        let send = |stanza: &Stanza, receipt| {
            stage.send(user(&world.name), Body::Stanza(stanza.clone()), receipt);
        };
        (0..Gates::BYTES / message.len()).for_each(|_| send(&message, None));
        assert_eq!(stage.hears_now().await, [""; 0]);
        assert!(world.ways.abroad.borrow().is_empty());
        send(&message, Some(ledger.open()));
        assert_eq!(world.ways.next_abroad().await, [FULL]);
        assert_eq!(ledger.standing().handled, 1, "the error is the answer");
        // Something small finds a place still.
        send(&message_of(1), None);
        assert_eq!(stage.hears_now().await, [""; 0]);
        assert!(world.ways.abroad.borrow().is_empty());
    });
}

#[test]
fn so_many_bytes_wait_for_what_stands_still_and_what_does_not_fit_is_answered() {
    alone(|stage, ways| async move {
        let (part, ledger) = (stage.part("romeo"), Ledger::new(0, || {}));
        let message = message_of(4 * MEBIBYTE);
        let send = |stanza: &Stanza, receipt| {
            stage.send(user("romeo"), Body::Stanza(stanza.clone()), receipt);
        };
        stage.host.freeze(part, PATIENCE).await.unwrap();
        let fit = handoff::WAITING_BYTES / message.len();
        (0..fit).for_each(|_| send(&message, None));
        send(&message, Some(ledger.open()));
        assert_eq!(ways.next_abroad().await, [FULL]);
        assert_eq!(ledger.standing().handled, 1, "the error is the answer");
        send(&message_of(1), None);
        assert_eq!(stage.host.release(part).len(), fit + 1, "something small finds a place still");
    });
}

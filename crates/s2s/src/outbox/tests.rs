//! What is too much for the other end comes back alone, and holds up nothing; and so does what it does not acknowledge in
//! time.

use cluster::{Lease, Plan, PlanHandle};
use proto::{Hosts, MemberId, RemoteId};
use router::{RemoteGate as _, Router};
use xmpp::{BareJid, Epoch, Head, Jid, Kind, MessageType, Origin, Stanza};

use super::*;
use crate::config::Rules;
use crate::metrics::Metrics;

/// A pair with messages of so many bytes of text, and what is counted.
fn waiting(texts: &[usize]) -> (Arc<Pairs>, Arc<Pair>, Arc<Metrics>) {
    waiting_by(Rules::default(), texts)
}

fn waiting_by(rules: Rules, texts: &[usize]) -> (Arc<Pairs>, Arc<Pair>, Arc<Metrics>) {
    let plan = PlanHandle::fixed(Plan::new());
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let router = Router::new(MemberId(1), plan, Lease::always(), hosts, Vec::new());
    let metrics = Arc::<Metrics>::default();
    let (pairs, beginning) = Pairs::new(rules, router, Arc::clone(&metrics));
    // Nobody serves it here.
    drop(beginning);
    texts.iter().enumerate().for_each(|(number, text)| comes(&pairs, number, *text));
    let pair = pairs.all().remove(0);
    (pairs, pair, metrics)
}

/// A message comes, of so many bytes of text.
fn comes(pairs: &Pairs, number: usize, text: usize) {
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: Some(number.to_string().as_str().into()),
        from: Some(Jid::parse("a@x.org/r").unwrap()),
        to: Some(Jid::parse("b@y.org").unwrap()),
        lang: None,
    };
    let stanza = Stanza::new(head, format!("<body>{}</body>", "x".repeat(text)));
    let remote = RemoteId { domain: BareJid::parse("y.org").unwrap(), lane: 0 };
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    let envelope =
        Envelope::new(Route::Remote(remote), Body::Stanza(stanza), origin, Epoch::default());
    assert!(pairs.take(envelope).is_none());
}

/// The ids of what goes at once.
fn goes(outbox: &Outbox, pair: &Pair) -> Vec<String> {
    let mut out = Vec::new();
    let count = outbox.gather(&mut out, Some(pair));
    let text = String::from_utf8(out).unwrap();
    let ids = text.split(" id='").skip(1).filter_map(|it| it.split('\'').next());
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    assert_eq!(ids.len() as u64, count);
    ids
}

fn for_policy() -> Failure {
    Failure::Stream("policy-violation (too big)".to_owned())
}

#[test]
fn what_is_larger_than_the_other_end_takes_comes_back_and_the_rest_goes() {
    let (pairs, pair, metrics) = waiting(&[10, 2_000, 10]);
    let outbox = Outbox::new(&pairs, Some(0), true).within(Some(1_000));
    assert_eq!(goes(&outbox, &pair), ["0", "2"]);
    assert_eq!(metrics.bounced.of("policy").get(), 1);
    outbox.handled(2).unwrap();
    assert!(outbox.is_settled(), "what came back is not counted");
    // Where it does not say how much it takes, it is taken to be as strict as this server.
    let (pairs, pair, metrics) = waiting(&[10, Limits::AFTER_LOGIN.stanza_bytes, 200_000]);
    let outbox = Outbox::new(&pairs, Some(0), true).within(None);
    assert_eq!(goes(&outbox, &pair), ["0", "2"]);
    assert_eq!(metrics.bounced.of("policy").get(), 1);
}

#[test]
fn what_the_other_end_ends_streams_for_goes_alone_the_second_time_and_never_a_third() {
    let (pairs, pair, metrics) = waiting(&[1, 1, 1, 1]);
    let outbox = Outbox::new(&pairs, Some(0), true);
    assert_eq!(goes(&outbox, &pair), ["0", "1", "2", "3"]);
    assert_eq!(outbox.suspects(Some(&Failure::Silent)), 0, "that is nothing of what was sent");
    let suspects = outbox.suspects(Some(&for_policy()));
    assert_eq!(suspects, 4);
    pair.put_back(outbox.take_back());

    let outbox = Outbox::new(&pairs, Some(0), true).suspecting(suspects);
    assert_eq!(goes(&outbox, &pair), ["0"]);
    assert_eq!(goes(&outbox, &pair), [""; 0]);
    outbox.handled(1).unwrap();
    assert_eq!(goes(&outbox, &pair), ["1"]);
    assert_eq!(outbox.suspects(Some(&for_policy())), 2, "those behind it are not known yet");
    assert_eq!(metrics.bounced.of("policy").get(), 1);
    assert!(outbox.take_back().is_empty());

    let outbox = Outbox::new(&pairs, Some(0), true).suspecting(2);
    for id in ["2", "3"] {
        assert_eq!(goes(&outbox, &pair), [id]);
        outbox.handled(if id == "2" { 1 } else { 2 }).unwrap();
    }
    assert_eq!(metrics.bounced.of("policy").get(), 1);
}

/// Looks for what is overdue.
async fn is_overdue(outbox: &Outbox) -> bool {
    timeout(Duration::ZERO, outbox.overdue()).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn an_end_that_never_acknowledges_is_noticed_whatever_else_is_sent() {
    let (pairs, pair, _) = waiting(&[1; 40]);
    let outbox = Outbox::new(&pairs, Some(0), true).suspecting(0);
    let is_overdue = async || is_overdue(&outbox).await;
    let mut out = Vec::new();
    for _ in 0..29 {
        let next = pair.pop().unwrap();
        outbox.write(&mut out, next);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!is_overdue().await);
    }
    outbox.handled(0).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(is_overdue().await, "an acknowledgement of nothing is none");
    outbox.handled(3).unwrap();
    assert!(!is_overdue().await, "it has moved on");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_has_told_only_of_what_it_had_then_is_asked_again() {
    let (pairs, pair, _) = waiting(&[1; 3]);
    let outbox = Outbox::new(&pairs, Some(0), true);
    goes(&outbox, &pair);
    let said_after = async |seconds| {
        timeout(Duration::from_secs(seconds), outbox.overdue()).await.ok();
        String::from_utf8(outbox.take_said()).unwrap()
    };
    assert_eq!(said_after(4).await, "");
    outbox.handled(2).unwrap();
    assert_eq!(said_after(4).await, "", "it has just told");
    assert_eq!(said_after(2).await, "<r xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(said_after(3).await, "");
    assert_eq!(said_after(2).await, "<r xmlns='urn:xmpp:sm:3'/>");
    outbox.handled(3).unwrap();
    assert_eq!(said_after(60).await, "");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_waits_its_own_time_whatever_else_is_acknowledged() {
    let (pairs, pair, metrics) = waiting(&[1; 3]);
    let seconds = |count| tokio::time::advance(Duration::from_secs(count));
    let back = || metrics.bounced.of("lost").get();
    // Until then there was no stream.
    seconds(20).await;
    let outbox = Outbox::new(&pairs, Some(0), true);
    assert_eq!(goes(&outbox, &pair), ["0", "1", "2"]);
    seconds(9).await;
    outbox.handled(1).unwrap();
    assert!(!is_overdue(&outbox).await);
    assert_eq!(back(), 0);
    comes(&pairs, 3, 1);
    assert_eq!(goes(&outbox, &pair), ["3"]);
    seconds(1).await;
    assert!(!is_overdue(&outbox).await, "the stream is of use still");
    assert_eq!(back(), 2);
    assert!(!outbox.is_settled(), "the last one has time");
    // They are counted where they stood, and nobody is told a second time.
    outbox.handled(4).unwrap();
    assert!(outbox.is_settled() && outbox.take_back().is_empty());
    assert_eq!(back(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_what_a_silent_end_has_not_acknowledged_only_that_goes_again_which_has_time_left() {
    let rules = Rules { wait_seconds: 4, ..Rules::default() };
    let (pairs, pair, metrics) = waiting_by(rules, &[1]);
    let seconds = |count| tokio::time::advance(Duration::from_secs(count));
    let outbox = Outbox::new(&pairs, Some(0), true);
    assert_eq!(goes(&outbox, &pair), ["0"]);
    seconds(3).await;
    comes(&pairs, 1, 1);
    assert_eq!(goes(&outbox, &pair), ["1"]);
    assert!(!is_overdue(&outbox).await);
    seconds(1).await;
    assert!(is_overdue(&outbox).await, "nobody waits longer for an answer than for a stream");
    pair.put_back(outbox.take_back());
    assert_eq!(metrics.bounced.of("lost").get(), 1);

    let outbox = Outbox::new(&pairs, Some(0), false);
    assert_eq!(goes(&outbox, &pair), ["1"]);
    // The time that it has waited counts, also where the other end takes nothing and does not count.
    seconds(2).await;
    assert!(!is_overdue(&outbox).await);
    assert_eq!(metrics.bounced.of("lost").get(), 1);
    seconds(1).await;
    assert!(!is_overdue(&outbox).await);
    assert_eq!(metrics.bounced.of("lost").get(), 2);
    assert!(outbox.take_back().is_empty());
}

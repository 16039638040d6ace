//! Which queue takes what the router has.

use cluster::{Lease, Plan, PlanHandle};
use proto::{Hosts, Ledger, MemberId};
use xmpp::{Epoch, Head, Jid, Kind, MessageType};

use super::*;

/// The queues of a member that knows of one lane to every domain, and takes no more than so many.
fn pairs(most: usize) -> (Arc<Pairs>, mpsc::UnboundedReceiver<Arc<Pair>>) {
    let plan = PlanHandle::fixed(Plan::new());
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let router = Router::new(MemberId(1), plan, Lease::always(), hosts, Vec::new());
    let rules = Rules { queue_stanzas: 2, domains: most, ..Rules::default() };
    Pairs::new(rules, router, Arc::default())
}

fn message(lane: u8) -> Envelope {
    between("a@x.org/r", "y.org", lane)
}

fn between(from: &str, to: &str, lane: u8) -> Envelope {
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: None,
        from: Some(Jid::parse(from).unwrap()),
        to: Some(Jid::parse(&format!("b@{to}")).unwrap()),
        lang: None,
    };
    let remote = RemoteId { domain: BareJid::parse(to).unwrap(), lane };
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    let body = Body::Stanza(Stanza::new(head, ""));
    Envelope::new(Route::Remote(remote), body, origin, Epoch::default())
}

#[test]
fn each_lane_has_a_queue_and_bounds_of_its_own_also_one_that_only_others_know_of() {
    let (pairs, mut beginning) = pairs(4);
    for lane in [0, 3, 0, 3] {
        assert!(pairs.take(message(lane)).is_none(), "{lane}");
    }
    let mut all: Vec<_> = pairs.all().iter().map(|pair| (pair.lane, pair.waiting())).collect();
    all.sort_unstable();
    assert_eq!(all, [(0, 2), (3, 2)]);
    let begun = [beginning.try_recv().unwrap().lane, beginning.try_recv().unwrap().lane];
    assert_eq!(begun, [0, 3], "each is served by itself");
    // One lane is full, then the number of lanes is.
    let refusal = |lane| pairs.take(message(lane)).map(|(_, refusal)| refusal);
    assert_eq!(refusal(3), Some(Refusal::Full));
    assert_eq!(refusal(1), Some(Refusal::Full));
    let pair = pairs.all().into_iter().find(|pair| pair.lane == 3).unwrap();
    assert_eq!(pair.drain().len(), 2);
    assert!(pairs.forget(&pair));
    assert_eq!(refusal(1), None, "there is room for another lane");
}

#[test]
fn what_is_said_again_waits_once_and_is_as_safe_as_the_first_one_but_not_where_that_was_given_away()
{
    let (pairs, _beginning) = pairs(4);
    let ledger = Ledger::new(0, || {});
    let come = |again| {
        let envelope = Envelope { crossed: true, again, ..message(0) };
        pairs.take(envelope.with_receipt(Some(ledger.open()))).is_none()
    };
    assert!(come(false) && come(true));
    let pair = pairs.all().remove(0);
    assert_eq!((pair.waiting(), pairs.metrics.repeats.get()), (1, 1));
    assert_eq!(ledger.standing().handled, 0);
    let first = pair.pop().unwrap();
    first.item.receipt.unwrap().release();
    assert_eq!(ledger.standing().handled, 2);
    // It has left.
    assert!(come(true));
    assert_eq!((pair.waiting(), ledger.standing().handled), (0, 3));
    // What another owner was given comes back from there if that one is gone.
    let other = || Envelope { crossed: true, ..between("c@x.org/r", "y.org", 0) };
    assert!(pairs.take(other()).is_none());
    assert_eq!(pair.lock().give_away().len(), 1);
    assert!(pairs.take(Envelope { again: true, ..other() }).is_none());
    assert_eq!(pair.waiting(), 1);
}

#[test]
fn whoever_writes_to_ever_more_domains_leaves_as_many_places_to_others() {
    let (pairs, _beginning) = pairs(100);
    let fill = |from: &str| {
        let mut taken = 0;
        while pairs.take(between(from, &format!("d{taken}.{}", &from[..1]), 0)).is_none() {
            taken += 1;
        }
        taken
    };
    assert_eq!(fill("a@x.org/r"), 50);
    assert!(pairs.take(between("a@x.org/other", "more.org", 0)).is_some(), "of all its sessions");
    assert_eq!(fill("b@x.org/r"), 25);
    assert!(pairs.take(between("c@x.org/r", "d0.c", 0)).is_none());
    assert!(pairs.take(between("a@x.org/r", "d0.a", 0)).is_none(), "what is there is there");
}

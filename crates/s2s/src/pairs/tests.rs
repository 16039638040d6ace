//! Which queue takes what the router has.

use cluster::{Lease, Plan, PlanHandle};
use proto::{Hosts, MemberId};
use xmpp::{Epoch, Head, Jid, Kind, MessageType};

use super::*;

const BOUNDS: Bounds = Bounds { items: 2, bytes: 1 << 20, wait: Duration::from_secs(30) };

/// The queues of a member that knows of one lane to every domain, and takes no more than so many.
fn pairs(most: usize) -> (Arc<Pairs>, mpsc::UnboundedReceiver<Arc<Pair>>) {
    let plan = PlanHandle::fixed(Plan::new());
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let router = Router::new(MemberId(1), plan, Lease::always(), hosts, Vec::new());
    Pairs::new((BOUNDS, most), router, Arc::default())
}

fn message(lane: u8) -> Envelope {
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: None,
        from: Some(Jid::parse("a@x.org/r").unwrap()),
        to: Some(Jid::parse("b@y.org").unwrap()),
        lang: None,
    };
    let remote = RemoteId { domain: BareJid::parse("y.org").unwrap(), lane };
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    let body = Body::Stanza(Stanza::new(head, ""));
    Envelope::new(Route::Remote(remote), body, origin, Epoch::default())
}

#[test]
fn each_lane_has_a_queue_and_bounds_of_its_own_also_one_that_only_others_know_of() {
    let (pairs, mut beginning) = pairs(2);
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

//! By which arbiter goes what other threads send.

use cluster::HashKey;
use cluster::plan::{Assignment, Entry, MemberInfo, MoveId};
use tokio::sync::watch;
use xmpp::{Head, Kind, MessageType, Stanza};

use super::*;

const MEMBERS: [MemberId; 2] = [MemberId(1), MemberId(2)];

fn plan() -> Plan {
    let members = MEMBERS.map(|id| MemberInfo::new(id, format!("member{}", id.0)));
    Plan::shared_by(HashKey::new([7; 16]), members)
}

fn message(to: &BareJid) -> Envelope {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    Envelope::new(Route::User(to.clone()), Body::Stanza(Stanza::new(head, "")), origin, Epoch(1))
}

// By another one it could pass what waits for the shard to move.
#[test]
fn what_a_thread_sends_goes_by_the_same_arbiter_before_and_after_its_shard_has_moved() {
    let mut plan = plan();
    let (tell, told) = watch::channel(Arc::new(plan.clone()));
    let (inboxes, _receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| Inbox::new()).unzip();
    let handle = PlanHandle::new(told);
    let router = Router::new(MEMBERS[0], handle, Lease::always(), Hosts::default(), inboxes);
    let mut names = (0..).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
    let is_second =
        |jid: &BareJid| router.place(&Route::User(jid.clone())) == Place::Here(ArbiterId(1));
    let jid = names.find(is_second).unwrap();
    assert!(router.post(vec![message(&jid)]).is_empty());
    assert_eq!(router.waiting(), [0, 1]);
    let shard = router.bucket(&jid).shard();
    plan.apply(2, Entry::Prepare(vec![Assignment { shard, member: MEMBERS[1] }])).unwrap();
    plan.apply(3, Entry::Release(vec![MoveId { shard, since: 2 }])).unwrap();
    tell.send_replace(Arc::new(plan));
    assert_eq!(router.place(&Route::User(jid.clone())), Place::Member(MEMBERS[1]));
    assert!(router.post(vec![message(&jid)]).is_empty());
    assert_eq!(router.waiting(), [0, 2]);
}

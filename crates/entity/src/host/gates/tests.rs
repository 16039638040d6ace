//! The takeover barrier: what counts as taken, who is told, when a gate opens.

use cluster::HashKey;
use cluster::plan::{Assignment, Entry, MemberInfo, MoveId, heirs};
use proto::{ArbiterId, Route};
use xmpp::{BareJid, Head, Kind, MessageType, Origin, Stanza};

use super::*;

const A: MemberId = MemberId(1);
const B: MemberId = MemberId(2);
const C: MemberId = MemberId(3);

fn plan() -> Plan {
    let members = [A, B, C].map(|id| MemberInfo::new(id, format!("member{}", id.0)));
    Plan::shared_by(HashKey::new([7; 16]), members)
}

fn with(plan: &Plan, entries: impl IntoIterator<Item = Entry>) -> Plan {
    let mut plan = plan.clone();
    for entry in entries {
        plan.apply(plan.index() + 1, entry).unwrap();
    }
    plan
}

fn expel(plan: &Plan, member: MemberId) -> Plan {
    let heirs = heirs(plan, member).unwrap();
    let incarnation = plan.member(member).unwrap().info.incarnation;
    with(plan, [Entry::Expel { member, incarnation, heirs }])
}

fn shard_of(plan: &Plan, member: MemberId) -> Shard {
    plan.ownerships().find(|(_, held)| held.owner == member).unwrap().0
}

fn hand_over(plan: &Plan, shard: Shard, to: MemberId) -> Plan {
    let plan = with(plan, [Entry::Prepare(vec![Assignment { shard, member: to }])]);
    with(&plan, [Entry::Release(vec![MoveId { shard, since: plan.index() }])])
}

#[test]
fn the_shards_of_a_dead_member_are_taken_and_what_is_handed_over_is_not() {
    let before = plan();
    let shard = shard_of(&before, A);
    assert!(taken(Some(&before), &hand_over(&before, shard, B)).is_empty());
    let now = expel(&before, A);
    let taken = taken(Some(&before), &now);
    assert_eq!(taken.get(&shard).copied(), now.owner(shard).map(|(owner, _)| owner));
    assert_eq!(taken.len(), before.ownerships().filter(|(_, held)| held.owner == A).count());
}

#[test]
fn another_process_of_the_same_member_takes_its_own_shards() {
    let before = plan();
    let info = MemberInfo { incarnation: 9, ..before.member(A).unwrap().info.clone() };
    let now = with(&before, [Entry::Up(info)]);
    assert_eq!(taken(Some(&before), &now).get(&shard_of(&before, A)), Some(&A));
    assert_eq!(to_tell(Some(&before), &now), [A]);
}

#[test]
fn what_was_handed_over_and_then_lost_is_taken_even_if_a_plan_was_skipped() {
    let before = plan();
    let shard = shard_of(&before, A);
    let now = expel(&hand_over(&before, shard, B), B);
    assert!(taken(Some(&before), &now).contains_key(&shard));
}

#[test]
fn before_the_first_plan_all_shards_are_taken_and_all_members_told() {
    assert_eq!(taken(None, &plan()).len(), usize::from(Shard::COUNT));
    assert_eq!(to_tell(None, &plan()), [A, B, C]);
}

#[test]
fn whoever_gets_shards_is_told_and_nobody_else() {
    let before = plan();
    assert!(to_tell(Some(&before), &before).is_empty());
    let mut now = before.clone();
    now.skip(2);
    assert!(to_tell(Some(&before), &now).is_empty());
    assert_eq!(to_tell(Some(&before), &expel(&now, A)), [B, C]);
}

fn says(by: MemberId, plan: u64, arbiter: u16) -> Announced {
    Announced { by, plan, arbiter: ArbiterId(arbiter), arbiters: 2 }
}

fn message(seq: u64) -> Envelope {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    let to = Route::User(BareJid::parse("a@x").unwrap());
    let origin = Origin::Client { session: 1, seq, part: 0 };
    Envelope::new(to, Body::Stanza(Stanza::new(head, "")), origin, Epoch(1))
}

fn waits(gates: &mut Gates, shard: Shard, within: bool) -> bool {
    matches!(gates.pass(shard, message(1), within), Passage::Waits)
}

#[test]
fn a_gate_opens_when_every_thread_of_every_member_has_spoken_of_its_plan() {
    let plan = plan();
    let (mut gates, shard) = (Gates::default(), shard_of(&plan, A));
    gates.shut(shard, 5);
    let words = [A, B, C].into_iter().flat_map(|by| [says(by, 5, 0), says(by, 7, 1)]);
    gates.hear(says(C, 4, 1));
    for word in words {
        assert!(gates.ready(&plan).is_empty() && waits(&mut gates, shard, false));
        gates.hear(word);
    }
    assert!(waits(&mut gates, shard, true));
    assert_eq!(gates.ready(&plan), [shard]);
    assert!(gates.ready(&plan).is_empty(), "it opens once");
    assert!(waits(&mut gates, shard, false) && !waits(&mut gates, shard, true));
    assert_eq!((gates.waiting(), gates.open(shard).len()), (8, 8));
    assert!(gates.is_empty() && gates.stanzas == 0 && !waits(&mut gates, shard, false));
}

#[test]
fn nobody_waits_for_a_member_that_is_out() {
    let plan = expel(&plan(), C);
    let (mut gates, shard) = (Gates::default(), shard_of(&plan, A));
    gates.shut(shard, plan.index());
    for by in [A, B] {
        assert!(gates.ready(&plan).is_empty());
        for arbiter in [0, 1] {
            gates.hear(says(by, plan.index(), arbiter));
        }
    }
    assert_eq!(gates.ready(&plan), [shard]);
}

#[test]
fn what_waits_is_bounded_and_words_of_control_are_taken() {
    let (mut gates, shard) = (Gates::default(), shard_of(&plan(), A));
    gates.shut(shard, 1);
    gates.stanzas = Gates::STANZAS - 1;
    assert!(waits(&mut gates, shard, false));
    assert!(matches!(gates.pass(shard, message(2), false), Passage::Full(_)));
    let word = Envelope { body: Body::Woken, ..message(3) };
    assert!(matches!(gates.pass(shard, word, false), Passage::Waits));
}

#[test]
fn bytes_that_wait_are_bounded_and_counted_no_longer_when_the_gate_opens() {
    let (mut gates, shard) = (Gates::default(), shard_of(&plan(), A));
    let of = |bytes: usize| {
        let envelope = message(1);
        let Body::Stanza(stanza) = &envelope.body else { unreachable!() };
        let stanza = Stanza::new(stanza.head().clone(), vec![b'x'; bytes]);
        Envelope { body: Body::Stanza(stanza), ..envelope }
    };
    for _ in 0..2 {
        gates.shut(shard, 1);
        assert!(matches!(gates.pass(shard, of(Gates::BYTES - 1), false), Passage::Waits));
        assert!(matches!(gates.pass(shard, of(2), false), Passage::Full(_)));
        assert!(matches!(gates.pass(shard, of(1), false), Passage::Waits));
        assert!(matches!(gates.pass(shard, of(1), false), Passage::Full(_)));
        assert_eq!(gates.open(shard).len(), 2);
    }
}

//! The two sides of the lease together, on virtual time.

use std::time::Duration;

use proptest::prelude::*;
use proto::MemberId;

use super::granter::Granter;
use super::handle::Lease;
use super::renewal::Renewal;
use super::vitals::Vitals;
use super::{Grant, Heartbeat, Terms};
use crate::clock::BootTime;
use crate::hash::HashKey;
use crate::plan::{Entry, MemberInfo, Plan};

const LEADER: MemberId = MemberId(1);
const MEMBER: MemberId = MemberId(2);

fn ms(ms: u64) -> BootTime {
    BootTime(ms * 1_000_000)
}

fn plan() -> Plan {
    let mut plan = Plan::single(LEADER, HashKey::new([0; 16]));
    let info = MemberInfo::new(MEMBER, "two");
    plan.apply(2, Entry::Join(info.clone())).unwrap();
    plan.apply(3, Entry::Up(info)).unwrap();
    plan
}

fn heartbeat(member: MemberId, sent: BootTime) -> Heartbeat {
    Heartbeat { member, incarnation: 1, sent, applied: 3, vitals: Vitals::default() }
}

fn leading() -> Granter<&'static str> {
    let mut granter = Granter::new(Terms::default());
    granter.lead(ms(0));
    granter
}

#[test]
fn a_grant_ends_before_its_time_to_live_counted_from_sending() {
    let grant = Grant { sent: BootTime(5_000_000_000), ttl: Duration::from_secs(1), min_index: 0 };
    assert_eq!(Terms::default().end(&grant), BootTime(5_950_000_000));
}

#[test]
fn the_leader_waits_longer_than_any_lease_lasts_by_clocks_that_differ_in_rate() {
    let terms = Terms::default();
    assert_eq!(terms.silence(), Duration::from_nanos(1_020_202_020));
    // A member whose clock is 1 % slow acts for ttl / 0.99; a leader whose clock is 1 % fast waits
    // silence / 1.01 of true time.
    let acts = terms.ttl.as_secs_f64() / 0.99;
    let waits = terms.silence().as_secs_f64() / 1.01;
    assert!(waits >= acts - 1e-8);
}

#[test]
fn a_heartbeat_is_granted_when_the_voters_have_confirmed_the_leader_after_it_came() {
    let (mut granter, plan) = (leading(), plan());
    assert_eq!(granter.next_read(ms(0)), None, "nobody asks");
    granter.heartbeat(heartbeat(MEMBER, ms(7)), "a", &plan, ms(10)).unwrap();
    let read = granter.next_read(ms(10)).unwrap();
    granter.heartbeat(heartbeat(LEADER, ms(11)), "b", &plan, ms(11)).unwrap();
    let grant = Grant { sent: ms(7), ttl: Duration::from_secs(1), min_index: 3 };
    assert_eq!(granter.confirmed(read, &plan), [("a", grant)]);
    assert_eq!(granter.confirmed(read, &plan), [], "an answer is given once");
    assert_eq!(granter.next_read(ms(59)), None, "one question in 50 ms");
    let next = granter.next_read(ms(60)).unwrap();
    let grants = granter.confirmed(next, &plan);
    assert_eq!(grants.len(), 1);
    assert_eq!((grants[0].0, grants[0].1.min_index), ("b", 1));
}

#[test]
fn a_question_that_is_lost_is_put_again_for_all() {
    let (mut granter, plan) = (leading(), plan());
    granter.heartbeat(heartbeat(LEADER, ms(0)), "a", &plan, ms(0)).unwrap();
    let lost = granter.next_read(ms(0)).unwrap();
    granter.heartbeat(heartbeat(MEMBER, ms(1)), "b", &plan, ms(1)).unwrap();
    assert_eq!(granter.next_read(ms(199)), None);
    let second = granter.next_read(ms(200)).unwrap();
    assert_eq!(granter.confirmed(lost, &plan), []);
    assert_eq!(granter.confirmed(second, &plan).len(), 2);
}

#[test]
fn only_a_leader_answers_and_only_the_incarnation_that_takes_part() {
    let (mut granter, plan) = (leading(), plan());
    let stranger = heartbeat(MemberId(9), ms(0));
    assert_eq!(granter.heartbeat(stranger, "a", &plan, ms(0)), Err("a"));
    let earlier = Heartbeat { incarnation: 0, ..heartbeat(MEMBER, ms(0)) };
    assert_eq!(granter.heartbeat(earlier, "b", &plan, ms(0)), Err("b"));
    granter.heartbeat(heartbeat(MEMBER, ms(0)), "c", &plan, ms(0)).unwrap();
    let read = granter.next_read(ms(0)).unwrap();
    granter.follow();
    assert_eq!(granter.confirmed(read, &plan), [], "it lost the lead meanwhile");
    assert_eq!(granter.heartbeat(heartbeat(MEMBER, ms(0)), "d", &plan, ms(0)), Err("d"));
    granter.lead(ms(5));
    granter.heartbeat(heartbeat(MEMBER, ms(5)), "e", &plan, ms(5)).unwrap();
    let next = granter.next_read(ms(5)).unwrap();
    assert_ne!(read, next, "an old confirmation never answers a new question");
}

#[test]
fn a_member_is_expelled_after_a_silence_and_not_answered_from_then_on() {
    let (mut granter, plan) = (leading(), plan());
    granter.heartbeat(heartbeat(LEADER, ms(900)), "a", &plan, ms(900)).unwrap();
    assert_eq!(granter.silent(&plan, ms(1020)), [], "the leader is too new");
    granter.heartbeat(heartbeat(MEMBER, ms(1000)), "b", &plan, ms(1019)).unwrap();
    assert_eq!(granter.silent(&plan, ms(1021)), []);
    let read = granter.next_read(ms(1021)).unwrap();
    assert_eq!(granter.silent(&plan, ms(1500)), []);
    granter.heartbeat(heartbeat(LEADER, ms(1900)), "a", &plan, ms(1900)).unwrap();
    assert_eq!(granter.silent(&plan, ms(1900)), []);
    assert_eq!(granter.silent(&plan, ms(2039)), []);
    assert_eq!(granter.silent(&plan, ms(2040)), [(MEMBER, 1)]);
    assert_eq!(granter.silent(&plan, ms(2041)), [(MEMBER, 1)], "until it is out");
    let late = granter.confirmed(read, &plan);
    assert!(late.iter().all(|(who, _)| *who == "a"), "the dead are not answered");
    assert_eq!(granter.heartbeat(heartbeat(MEMBER, ms(2041)), "c", &plan, ms(2041)), Err("c"));
}

#[test]
fn a_member_that_the_plan_does_not_reach_is_expelled_though_it_asks() {
    let (mut granter, plan) = (leading(), plan());
    let asks = |applied, now| Heartbeat { applied, ..heartbeat(MEMBER, ms(now)) };
    for now in (0..30_000).step_by(200) {
        granter.heartbeat(heartbeat(LEADER, ms(now)), "a", &plan, ms(now)).unwrap();
        // Late now and then, as anybody may be.
        let applied = if now % 9_000 == 0 { 3 } else { 2 };
        granter.heartbeat(asks(applied, now), "b", &plan, ms(now)).unwrap();
        assert_eq!(granter.silent(&plan, ms(now)), []);
    }
    let mut expelled = None;
    for now in (30_000..50_000).step_by(200) {
        granter.heartbeat(heartbeat(LEADER, ms(now)), "a", &plan, ms(now)).unwrap();
        let refused = granter.heartbeat(asks(2, now), "b", &plan, ms(now)).is_err();
        if !granter.silent(&plan, ms(now)).is_empty() {
            assert!(refused, "a lease that it may just have got ends first");
            expelled.get_or_insert(now);
        }
    }
    // It was up to date at 27 s and late from 27.2 s on.
    assert_eq!(expelled, Some(38_600));
}

#[test]
fn a_member_that_was_never_heard_has_as_long_as_one_that_was() {
    let (mut granter, plan) = (leading(), plan());
    granter.heartbeat(heartbeat(LEADER, ms(5000)), "a", &plan, ms(5000)).unwrap();
    assert_eq!(granter.silent(&plan, ms(5000)), [], "it has just come up");
    assert_eq!(granter.silent(&plan, ms(5500)), []);
    assert_eq!(granter.silent(&plan, ms(6000)), []);
    granter.heartbeat(heartbeat(LEADER, ms(6000)), "a", &plan, ms(6000)).unwrap();
    assert_eq!(granter.silent(&plan, ms(6030)), [(MEMBER, 1)]);
}

#[test]
fn a_leader_that_stood_still_takes_that_for_nobodys_silence() {
    let (mut granter, plan) = (leading(), plan());
    for now in (0..2000).step_by(200) {
        granter.heartbeat(heartbeat(LEADER, ms(now)), "a", &plan, ms(now)).unwrap();
        granter.heartbeat(heartbeat(MEMBER, ms(now)), "b", &plan, ms(now)).unwrap();
        assert_eq!(granter.silent(&plan, ms(now)), []);
    }
    // What came meanwhile has not been read yet.
    assert_eq!(granter.silent(&plan, ms(22_000)), []);
    granter.heartbeat(heartbeat(LEADER, ms(22_100)), "a", &plan, ms(22_100)).unwrap();
    for now in [22_400, 22_800, 23_020] {
        assert_eq!(granter.silent(&plan, ms(now)), []);
    }
    assert_eq!(granter.silent(&plan, ms(23_021)), [(MEMBER, 1)], "nothing has come since");
}

#[test]
fn a_member_with_a_longer_lease_than_its_leader_grants_is_waited_for_as_long() {
    let (mut granter, mut plan) = (leading(), plan());
    let lease = Duration::from_secs(3);
    let info = MemberInfo { lease, incarnation: 2, ..MemberInfo::new(MEMBER, "two") };
    plan.apply(4, Entry::Up(info)).unwrap();
    let mut silent = |now: u64| {
        granter.heartbeat(heartbeat(LEADER, ms(now)), "a", &plan, ms(now)).unwrap();
        granter.silent(&plan, ms(now))
    };
    // An earlier leader may have granted it three seconds a moment ago.
    for now in (0..=3_060).step_by(20) {
        assert_eq!(silent(now), [], "{now}");
    }
    assert_eq!(silent(3_080), [(MEMBER, 2)]);
}

#[test]
fn a_member_that_is_parted_from_another_is_silent_when_its_lease_has_ended() {
    let (mut granter, plan) = (leading(), plan());
    granter.heartbeat(heartbeat(MEMBER, ms(1000)), "a", &plan, ms(1000)).unwrap();
    let read = granter.next_read(ms(1000)).unwrap();
    granter.refuse(MEMBER, 1);
    assert_eq!(granter.confirmed(read, &plan), [], "what it had asked for is not granted");
    for now in (1000..=2020).step_by(20) {
        granter.heartbeat(heartbeat(LEADER, ms(now)), "b", &plan, ms(now)).unwrap();
        assert_eq!(granter.heartbeat(heartbeat(MEMBER, ms(now)), "a", &plan, ms(now)), Err("a"));
        assert_eq!(granter.silent(&plan, ms(now)), [], "{now}");
    }
    assert_eq!(granter.silent(&plan, ms(2021)), [(MEMBER, 1)]);
}

#[test]
fn a_member_that_says_goodbye_is_not_waited_for() {
    let (mut granter, plan) = (leading(), plan());
    granter.heartbeat(heartbeat(MEMBER, ms(0)), "a", &plan, ms(0)).unwrap();
    granter.leave(MEMBER, 1);
    assert_eq!(granter.left(&plan), [(MEMBER, 1)]);
    assert_eq!(granter.heartbeat(heartbeat(MEMBER, ms(1)), "b", &plan, ms(1)), Err("b"));
    granter.leave(LEADER, 7);
    assert_eq!(granter.left(&plan), [(MEMBER, 1)], "another process than the one that left");
}

#[test]
fn a_lease_ends_within_its_time_when_nobody_renews_it() {
    let (mut granter, plan) = (leading(), plan());
    let mut renewal = Renewal::new(Terms::default());
    let lease = Lease::none();
    for beat in (0..2000).step_by(200) {
        granter.heartbeat(heartbeat(MEMBER, ms(beat)), "a", &plan, ms(beat)).unwrap();
        let read = granter.next_read(ms(beat)).unwrap();
        for (_, grant) in granter.confirmed(read, &plan) {
            lease.extend(renewal.granted(grant, 3));
        }
        assert!(lease.holds_at(ms(beat + 949)));
    }
    assert!(!lease.holds_at(ms(1800 + 950)));
}

/// A clock whose rate is wrong by so many thousandths.
fn skewed(true_ms: f64, per_mille: i32) -> BootTime {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's clock")]
    BootTime((true_ms * 1e6 * (1.0 + f64::from(per_mille) / 1000.0)) as u64)
}

proptest! {
    /// The heart of it (I1): whatever the delays and however clocks differ within 1 %, when the leader
    /// expels a member, the member has stopped acting by its own clock.
    #[test]
    fn no_lease_outlives_the_expulsion(
        rates in (-10i32..=10, -10i32..=10),
        steps in proptest::collection::vec((1u32..400, 0u32..500, 0u32..500), 1..30),
    ) {
        let (member_rate, leader_rate) = rates;
        let plan = plan();
        // Without the guard, which would cover for a leader that waits too short.
        let terms = Terms { guard: Duration::ZERO, ..Terms::default() };
        let mut granter = Granter::new(terms);
        granter.lead(skewed(0.0, leader_rate));
        let mut renewal = Renewal::new(terms);
        let mut end = BootTime(0);
        let mut time = 0.0;
        for (pause, to_leader, to_member) in steps {
            time += f64::from(pause);
            let sent = heartbeat(MEMBER, skewed(time, member_rate));
            let received = skewed(time + f64::from(to_leader), leader_rate);
            // The leader may expel at the moment before the heartbeat comes.
            if !granter.silent(&plan, received).iter().all(|(id, _)| *id != MEMBER) {
                break;
            }
            time += f64::from(to_leader);
            if granter.heartbeat(sent, (), &plan, received).is_ok() {
                // If the last question was a moment ago, the heartbeat waits for the next.
                let read = granter.next_read(received).into_iter();
                for (_, grant) in read.flat_map(|read| granter.confirmed(read, &plan)) {
                    end = renewal.granted(grant, 3);
                }
            }
            time += f64::from(to_member);
        }
        // Then silence: find the moment of the expulsion, in steps of a millisecond.
        let mut expelled = time;
        while granter.silent(&plan, skewed(expelled, leader_rate)).iter().all(|(id, _)| *id != MEMBER) {
            expelled += 1.0;
        }
        prop_assert!(skewed(expelled, member_rate) >= end);
    }
}

//! Members that die, pause, are cut off and come back.

use cluster::Status;
use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;

use super::quarters::{
    PATIENT, Quarters, is_ready, leader, member, shards, status, until, until_acts, until_led,
};
use crate::stage::Stage;

/// How often a member is killed; more to measure.
fn kills() -> usize {
    std::env::var("ROOKERY_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

#[test]
fn three_processes_share_the_plan_and_take_over_from_whoever_is_killed() {
    let quarters = Quarters::of(3, 3);
    let mut stages = quarters.start_all(3, PATIENT);
    for stage in &stages {
        until_acts(stage);
        let shares = |status: Status| {
            let share = |row: &MemberRow| (1364..=1367).contains(&row.shards);
            status.members.len() == 3 && status.members.iter().all(share)
        };
        until("equal shares", || shares(status(stage)));
    }
    let mut times = Vec::new();
    for round in 0..kills() {
        let victim = round % 3;
        let name = format!("m{}", victim + 1);
        let other = (victim + 1) % 3;
        let led = leader(&stages[other]).as_deref() == Some(name.as_str());
        let before = shards(&stages[other]);
        let incarnation = member(&stages[other], &name).incarnation;
        stages[victim].kill();
        let expelled = || member(&stages[other], &name).status == MemberStatus::Expelled;
        times.push((until("the takeover", expelled), led));
        let after = shards(&stages[other]);
        for (before, after) in before.iter().zip(&after).filter(|(before, _)| before.owner == name)
        {
            assert_ne!(after.owner, name);
            assert!(after.epoch > before.epoch);
        }
        until_acts(&stages[other]);
        until_acts(&stages[(victim + 2) % 3]);
        stages[victim].restart();
        until("its return", || {
            let back = member(&stages[other], &name);
            back.incarnation > incarnation && back.status == MemberStatus::Up
        });
        until("shards", || member(&stages[other], &name).shards > 0);
    }
    times.sort();
    println!("times to reassign, whether the leader died: {times:?}");
}

#[test]
fn a_process_that_stood_still_is_expelled_and_comes_back_without_a_restart() {
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, PATIENT);
    let name = until_led(&stages[0]);
    // Not the leader: its pause is another story.
    let at = (0..3).find(|at| format!("m{}", at + 1) != name).unwrap();
    let (paused, other) = (&stages[at], &stages[(at + 1) % 3]);
    let name = format!("m{}", at + 1);
    until_acts(paused);
    let before = member(other, &name).incarnation;
    paused.signal("STOP");
    until("the expulsion", || member(other, &name).status == MemberStatus::Expelled);
    paused.signal("CONT");
    until("its return", || member(other, &name).status == MemberStatus::Up);
    assert!(member(other, &name).incarnation > before);
    until_acts(paused);
    until("its readiness", || is_ready(paused));
    until("shards", || member(paused, &name).shards > 0);
}

#[test]
fn a_member_that_is_cut_off_is_not_ready_and_ends() {
    let quarters = Quarters::of(3, 3);
    let mut stages = quarters.start_all(3, "isolation_grace_seconds = 3\n");
    until("its readiness", || is_ready(&stages[0]));
    stages[1].kill();
    stages[2].kill();
    until("no lease", || !status(&stages[0]).lease);
    assert!(!is_ready(&stages[0]));
    assert_eq!(stages[0].await_end().code(), Some(1));
    stages[0].await_log("cut off from the cluster");
}

#[test]
fn a_fourth_member_learns_and_gets_its_share() {
    let quarters = Quarters::of(4, 3);
    let stages = quarters.start_all(3, PATIENT);
    let fourth = quarters.start(4, PATIENT).join().unwrap();
    until("its share", || (1018..=1030).contains(&member(&stages[0], "m4").shards));
    until("its part", || member(&stages[0], "m4").part == "learner");
    assert_eq!(status(&fourth).cluster, status(&stages[0]).cluster);
    until("second copies", || member(&stages[0], "m4").standby_shards > 500);
    let all: Vec<&Stage> = stages.iter().chain([&fourth]).collect();
    let applied = status(all[0]).applied;
    until("one plan", || all.iter().all(|stage| status(stage).applied >= applied));
}

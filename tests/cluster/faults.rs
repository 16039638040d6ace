//! Members that die, pause, are cut off and come back.

use std::time::Duration;

use cluster::Status;
use cluster::clock::BootTime;
use cluster::plan::Status as MemberStatus;
use cluster::status::MemberRow;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::figures::figure;
use super::quarters::{
    Quarters, is_live, is_ready, leader, member, shards, status, until, until_acts, until_led,
    until_seen,
};
use crate::stage::Stage;

/// How often a member is killed; more to measure.
fn kills() -> usize {
    std::env::var("ROOKERY_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

#[test]
fn three_processes_share_the_plan_and_take_over_from_whoever_is_killed() {
    let quarters = Quarters::of(3, 3);
    let mut stages = quarters.start_all(3, "");
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
        let names = ["rookery_epoch", "rookery_lease_valid", "rookery_link_credit_bytes"];
        let figures =
            || (names.map(|name| figure(&stages[other], name)), highest_epoch(&stages, other));
        until_seen("its figures", figures, |([epoch, valid, credit], highest)| {
            epoch.to_bits() == highest.to_bits() && *valid > 0.0 && *credit > 0.0
        });
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

/// Of the shards of one of these members, as it sees them.
fn highest_epoch(stages: &[Stage], of: usize) -> f64 {
    let name = format!("m{}", of + 1);
    let rows = shards(&stages[of]);
    let epochs = rows.iter().filter(|row| row.owner == name).map(|row| &row.epoch);
    let highest = epochs.max().map_or(0, |epoch| u64::from_str_radix(epoch, 16).unwrap());
    // As the figure is read.
    highest.to_string().parse().unwrap()
}

#[test]
fn a_process_that_stood_still_is_expelled_and_comes_back_without_a_restart() {
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, "");
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
fn a_member_without_a_majority_is_not_ready_and_goes_on_when_there_is_one_again() {
    let quarters = Quarters::of(3, 3);
    let mut stages = quarters.start_all(3, "");
    until("its readiness", || is_ready(&stages[0]));
    stages[1].kill();
    stages[2].kill();
    let begun = BootTime::now();
    until("no lease", || !status(&stages[0]).lease);
    // Longer than clients are kept, and than anybody would wait for a network.
    until("a while", || {
        // Whoever started it again would help nobody.
        assert!(!is_ready(&stages[0]) && is_live(&stages[0]));
        BootTime::now().since(begun) > Duration::from_secs(15)
    });
    for name in ["rookery_lease_valid", "rookery_lease_remaining_seconds"] {
        assert_eq!(figure(&stages[0], name).to_bits(), 0, "{name}");
    }
    stages[1].restart();
    until_acts(&stages[0]);
    until("its readiness", || is_ready(&stages[0]));
}

#[test]
fn a_member_with_an_arbiter_that_hangs_lets_others_take_over_and_comes_back() {
    let quarters = Quarters::of(3, 3);
    let stages = quarters.start_all(3, "");
    stages.iter().for_each(until_acts);
    let name = until_led(&stages[0]);
    let at = (0..3).find(|at| format!("m{}", at + 1) == name).unwrap();
    let (hung, other) = (&stages[at], &stages[(at + 1) % 3]);
    let before = member(other, &name).incarnation;
    let held = Held::arbiter_of(hung);
    // It leads, and its threads for Raft and the lease are as well as ever.
    until("the takeover", || member(other, &name).status == MemberStatus::Expelled);
    assert!(!status(hung).lease && !is_ready(hung));
    until_acts(other);
    drop(held);
    until("its return", || {
        let back = member(other, &name);
        back.incarnation > before && back.status == MemberStatus::Up
    });
    until_acts(hung);
    until("its readiness", || is_ready(hung));
    until("shards", || member(other, &name).shards > 0);
}

/// A thread of a server that stands still while all others go on: debuggers may do that. It goes on when this is dropped,
/// by the thread that has made it.
struct Held(Pid);

impl Held {
    fn arbiter_of(stage: &Stage) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", stage.pid())).unwrap();
        let is_arbiter = |task: &std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("comm")).unwrap().starts_with("actix-rt|")
        };
        let arbiters = tasks.map(Result::unwrap).filter(is_arbiter);
        let number = |task: std::fs::DirEntry| task.file_name().to_str().unwrap().parse().unwrap();
        // Those of clients and accounts are started first.
        let thread = Pid::from_raw(arbiters.map(number).min().unwrap());
        ptrace::seize(thread, ptrace::Options::empty()).unwrap();
        ptrace::interrupt(thread).unwrap();
        waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        Self(thread)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its process may have been ended.
        ptrace::detach(self.0, None).ok();
    }
}

#[test]
fn a_fourth_member_learns_and_gets_its_share() {
    let quarters = Quarters::of(4, 3);
    let stages = quarters.start_all(3, "");
    let fourth = quarters.start(4, "").join().unwrap();
    until("its share", || (1018..=1030).contains(&member(&stages[0], "m4").shards));
    until("its part", || member(&stages[0], "m4").part == "learner");
    assert_eq!(status(&fourth).cluster, status(&stages[0]).cluster);
    until("second copies", || member(&stages[0], "m4").standby_shards > 500);
    let all: Vec<&Stage> = stages.iter().chain([&fourth]).collect();
    let applied = status(all[0]).applied;
    until("one plan", || all.iter().all(|stage| status(stage).applied >= applied));
}

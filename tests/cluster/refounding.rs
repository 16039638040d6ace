//! A cluster that begins on a Redis that others have used: after the loss of all disks, at the same time as another
//! one, and by an operator's word.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::quarters::{Quarters, Watched, member, shards, status, until, until_acts};
use crate::redis::{archive, fixture, log_in, redis, talk};
use crate::stage::{Stage, free, rookery};

/// Ends all members as a power cut would, which takes their data directories along.
fn lose_all_disks(stages: &mut [Stage]) {
    stages.iter_mut().for_each(Stage::kill);
    for stage in stages {
        std::fs::remove_dir_all(stage.dir.join("data")).unwrap();
    }
}

/// Starts all again, at the same time.
fn restart_all(stages: &mut [Stage]) {
    thread::scope(|scope| {
        stages.iter_mut().for_each(|stage| drop(scope.spawn(move || stage.restart())));
    });
    stages.iter().for_each(until_acts);
}

/// People talk on three members, whose disks are lost then.
fn finds_everything_again(store: &str) {
    let quarters = Quarters::of(3, 3);
    let mut stages = Watched(quarters.start_all(3, store));
    stages[0].add_accounts(&["romeo", "juliet"]);
    let mut said = talk(&stages[0], 1);
    let (before, owned) = (status(&stages[0]), shards(&stages[0]));
    lose_all_disks(&mut stages);
    restart_all(&mut stages);

    let after = status(&stages[0]);
    assert_eq!((&after.cluster, after.generation), (&before.cluster, before.generation + 1));
    let raised = shards(&stages[0]);
    assert!(owned.iter().zip(&raised).all(|(before, after)| after.epoch > before.epoch));
    for stage in &stages[1..] {
        assert_eq!(archive(&mut log_in(stage, "romeo")), said);
    }
    said.extend(talk(&stages[1], 2));
    assert_eq!(archive(&mut log_in(&stages[2], "juliet")), said);
    assert_eq!(stages[0].run(&["account", "list"]).unwrap().lines().count(), 2);
}

#[test]
fn three_members_that_lost_their_disks_find_accounts_and_archives_in_redis() {
    if !fixture::is_there() {
        return;
    }
    let (redis, store) = redis();
    let secret = redis.dir.join("cluster.secret");
    std::fs::write(&secret, "5c".repeat(32)).unwrap();
    finds_everything_again(&format!("{store}key_file = '{}'\n", secret.display()));
    let key = redis.cli(&["-a", "secret", "HGET", "{meta}:bootstrap", "key"]);
    assert!(key.contains("sealed:"), "Redis has it encrypted");
}

#[test]
fn three_members_that_lost_their_disks_find_accounts_and_archives_in_a_redis_cluster() {
    if !fixture::is_there() {
        return;
    }
    let redis = fixture::Cluster::start();
    finds_everything_again(&format!("[store]\nengine = 'redis'\nurl = '{}'\n", redis.url()));
}

/// A server alone keeps its cluster in Redis too.
#[test]
fn a_server_alone_that_lost_its_disk_finds_its_accounts_in_redis() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let mut stages = Watched(vec![Stage::start(&store)]);
    stages[0].add_accounts(&["romeo", "juliet"]);
    let said = talk(&stages[0], 1);
    lose_all_disks(&mut stages);
    stages[0].restart();
    assert_eq!(archive(&mut log_in(&stages[0], "juliet")), said);
    assert_eq!(status(&stages[0]).generation, 2);
}

/// Passes on what comes to one address to another one, as long as the test runs.
fn pass_on(from: SocketAddr, to: SocketAddr) {
    let listener = TcpListener::bind(from).unwrap();
    thread::spawn(move || {
        for here in listener.incoming().map_while(Result::ok) {
            let Ok(there) = TcpStream::connect(to) else { continue };
            let ways = [(&here, &there), (&there, &here)];
            for (from, to) in ways.map(|(a, b)| (a.try_clone().unwrap(), b.try_clone().unwrap())) {
                thread::spawn(move || drop(std::io::copy(&mut &from, &mut &to)));
            }
        }
    });
}

/// How often it was asked whose the data are.
fn asked(redis: &fixture::Server) -> usize {
    let told = redis.cli(&["-a", "secret", "INFO", "commandstats"]);
    let calls = told.lines().find_map(|line| line.strip_prefix("cmdstat_hmget:calls="));
    calls.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[test]
fn two_halves_that_begin_at_once_on_one_redis_become_one_cluster() {
    if !fixture::is_there() {
        return;
    }
    let (redis, store) = redis();
    let quarters = Quarters::of(2, 1);
    // Each is the first of its seeds, and so begins a cluster. What would lead to the other is cut.
    let cut = [free(), free()];
    let halves = (0..2).map(|at| {
        let own = quarters.addresses[at];
        let config = quarters.config(at + 1, &store);
        let both = format!("'{}', '{}'", quarters.addresses[0], quarters.addresses[1]);
        let config = config.replace(&both, &format!("'{own}', '{}'", cut[1 - at]));
        thread::spawn(move || Stage::start(&config))
    });
    let halves: Vec<JoinHandle<Stage>> = halves.collect();
    until("one begins", || halves.iter().any(JoinHandle::is_finished));
    let before = asked(&redis);
    until("the other tries again", || asked(&redis) > before + 2);
    assert_eq!(halves.iter().filter(|half| half.is_finished()).count(), 1);
    for (cut, to) in cut.iter().zip(&quarters.addresses) {
        pass_on(*cut, *to);
    }
    let stages: Vec<Stage> = halves.into_iter().map(|half| half.join().unwrap()).collect();
    stages.iter().for_each(until_acts);
    let [one, other] = [0, 1].map(|at| status(&stages[at]));
    assert_eq!((one.cluster, one.generation), (other.cluster, 1));
    until("both in one", || status(&stages[0]).members.len() == 2);
}

#[test]
fn of_two_members_that_are_to_go_on_alone_the_second_is_refused() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let quarters = Quarters::of(3, 3);
    let mut stages = Watched(quarters.start_all(3, &store));
    let recover = |stage: &Stage| stage.run(&["cluster", "force-recover"]);
    stages[2].kill();
    stages[0].kill();
    let acting = recover(&stages[0]).unwrap_err();
    assert!(acting.contains("members of this cluster use its store"), "{acting}");
    stages[1].kill();
    until("nobody acts", || recover(&stages[0]).is_ok());
    let late = recover(&stages[1]).unwrap_err();
    assert!(late.contains("left behind"), "{late}");
    stages[0].restart();
    assert_eq!(status(&stages[0]).generation, 2);
    let ghost = rookery(&stages[1].dir).arg("serve").output().unwrap();
    let told = String::from_utf8_lossy(&ghost.stderr);
    assert!(!ghost.status.success() && told.contains("left behind"), "{told}");
    // With an empty directory it is let in.
    std::fs::remove_dir_all(stages[1].dir.join("data/raft")).unwrap();
    stages[1].restart();
    until_acts(&stages[1]);
    assert_eq!(member(&stages[0], "m2").status, cluster::plan::Status::Up);
}

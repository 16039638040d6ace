//! Members that are drained while clients talk: nothing is doubled or reordered, and nobody begins anew. The first of
//! these plays the life of a pod: it is drained before it is stopped, and comes back under its name with an empty disk.

use cluster::clock::BootTime;
use cluster::plan::Status as MemberStatus;

use super::figures::figure;
use super::quarters::{Quarters, Watched, is_ready, member, until, until_acts};
use super::talk::{Count, Talk};
use crate::redis::{Server, fixture, redis};
use crate::stage::Stage;

/// Pairs of accounts; with three members most of them live on two.
const PAIRS: [(&str, &str); 4] =
    [("juliet", "romeo"), ("nurse", "peter"), ("mercutio", "benvolio"), ("paris", "tybalt")];

/// Nobody is to be expelled because the machine is busy: these stories are about members that go as they should.
const LONG_LEASE: &str = "[lease]\nttl_ms = 60000\n";

/// Three members on one Redis, with the accounts; none where there is no Redis to start.
fn three(lease: &str) -> Option<(Server, Quarters, Watched)> {
    if !fixture::is_there() {
        return None;
    }
    let (server, store) = redis();
    let quarters = Quarters::of(3, 3);
    let more = format!("drain_seconds = 2\n{store}{lease}");
    let stages = Watched(quarters.start_all(3, &more));
    stages.iter().for_each(until_acts);
    let names: Vec<&str> = PAIRS.iter().flat_map(|(one, other)| [*one, *other]).collect();
    stages[0].add_accounts(&names);
    Some((server, quarters, stages))
}

/// How long it may take until all have ended who ended at once: less than any of them waits for others.
const TOGETHER: std::time::Duration = std::time::Duration::from_secs(90);

/// What must be whenever clients go on elsewhere.
fn judge(talk: Talk) {
    let (count, notes) = talk.end();
    assert_eq!(count, Count::default(), "{notes}");
}

fn addresses(stages: &[&Stage]) -> Vec<std::net::SocketAddr> {
    stages.iter().map(|stage| stage.c2s).collect()
}

#[test]
fn a_member_is_drained_under_load_and_its_clients_go_on_elsewhere() {
    let Some((_server, quarters, mut stages)) = three(LONG_LEASE) else { return };
    let talk = Talk::begin(&PAIRS, addresses(&[&stages[0], &stages[1], &stages[2]]));
    talk.go_on_for(200);
    let id = member(&stages[0], "m2").id;
    // Clients that come now find the others.
    talk.move_to(addresses(&[&stages[0], &stages[2]]));
    stages[1].run(&["cluster", "drain", "--wait"]).unwrap();
    assert_eq!(member(&stages[0], "m2").shards, 0);
    assert!(figure(&stages[1], "rookery_handoff_pause_seconds_count") >= 1.0);
    talk.go_on_for(200);
    stages[1].signal("TERM");
    assert!(stages[1].await_end().success());
    let left = || member(&stages[0], "m2").status == MemberStatus::Expelled;
    until("its end", left);
    std::fs::remove_dir_all(stages[1].dir.join("data")).unwrap();
    stages[1].restart();
    until("a share of another member of its name", || {
        let back = member(&stages[0], "m2");
        back.id != id && back.status == MemberStatus::Up && back.shards > 0
    });
    until("its readiness", || is_ready(&stages[1]));
    talk.move_to(addresses(&[&stages[0], &stages[1], &stages[2]]));
    talk.go_on_for(200);
    judge(talk);
    drop(quarters);
}

#[test]
fn a_member_that_gets_sigterm_gives_away_all_it_has() {
    let Some((_server, quarters, mut stages)) = three(LONG_LEASE) else { return };
    let talk = Talk::begin(&PAIRS, addresses(&[&stages[0], &stages[1], &stages[2]]));
    talk.go_on_for(200);
    talk.move_to(addresses(&[&stages[0], &stages[2]]));
    stages[1].signal("TERM");
    assert!(stages[1].await_end().success());
    talk.go_on_for(200);
    judge(talk);
    drop(quarters);
}

#[test]
fn members_that_all_end_at_once_do_not_wait_for_each_other() {
    let Some((_server, quarters, mut stages)) = three("[lease]\npreset = 'noisy'\n") else {
        return;
    };
    stages[1].signal("KILL");
    until("the takeover", || member(&stages[0], "m2").status == MemberStatus::Expelled);
    let begun = BootTime::now();
    // Whichever goes first leaves the other without a majority, and nobody to give its shards to.
    [0, 2].iter().for_each(|at: &usize| stages[*at].signal("TERM"));
    for at in [0, 2] {
        assert!(stages[at].await_end().success());
    }
    let took = BootTime::now().since(begun);
    assert!(took < TOGETHER, "{took:?}");
    drop(quarters);
}

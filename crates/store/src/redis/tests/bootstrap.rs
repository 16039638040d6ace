//! What a data set remembers of its cluster, on a server and on a cluster.

use super::*;
use crate::redis::bootstrap::{Mark, Recalled, recall, replace};
use crate::redis::names::{ALIVE, CLUSTER, MARKER_TAG};

fn mark(generation: u32, by: u64) -> Mark {
    Mark { generation, cluster: 5, by, key: format!("key {by}") }
}

fn settings(url: &str, durability: Durability) -> Config {
    Config { durability, cluster: Some("verona".to_owned()), ..Config::new(url) }
}

/// Many begin a generation at once, none of whom knows of the others. The mark of the one that does.
fn race(settings: &Config, before: Option<&Mark>, generation: u32) -> Mark {
    let begin = |by| replace(settings, before, &mark(generation, by)).expect("is answered");
    let winners: Vec<u64> = thread::scope(|scope| {
        let racing: Vec<_> = (1..=8).map(|by| (by, scope.spawn(move || begin(by)))).collect();
        let won = racing.into_iter().map(|(by, race)| (by, race.join().expect("it ends")));
        won.filter_map(|(by, won)| won.then_some(by)).collect()
    });
    let [winner] = winners[..] else { panic!("one begins, not {winners:?}") };
    let won = mark(generation, winner);
    let recalled = recall(settings).expect("is answered");
    assert_eq!(recalled, Some(Recalled { mark: won.clone(), is_alive: true }));
    won
}

fn begins_once(settings: &Config) -> Mark {
    assert_eq!(recall(settings).expect("is answered"), None);
    let first = race(settings, None, 1);
    let second = race(settings, Some(&first), 2);
    assert!(!replace(settings, Some(&first), &mark(3, 9)).expect("is answered"), "too late");
    // Whoever did not hear the answer asks again.
    assert!(replace(settings, Some(&first), &second).expect("is answered"));
    second
}

#[test]
fn of_many_that_begin_a_generation_at_once_one_does_so() {
    let Some(server) = Server::there("") else { return };
    begins_once(&settings(&server.url(), Durability::Async));
    assert_eq!(server.cli(&["GET", CLUSTER]), "verona");
}

#[test]
fn in_a_redis_cluster_a_generation_outlives_the_primary_that_has_its_mark() {
    if !is_there() {
        return;
    }
    let mut cluster = Cluster::start();
    let settings = settings(&cluster.url(), Durability::Replica);
    let begun = begins_once(&settings);
    let slot = crate::redis::tags::slot(MARKER_TAG).to_string();
    let has_mark =
        |at: &usize| cluster.servers[*at].cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot]) != "0";
    let at = cluster.primaries().into_iter().find(has_mark).expect("a server has it");
    cluster.servers[at].kill();
    let mut told = None;
    until("the replica has taken over", || {
        told = recall(&settings).ok().flatten();
        told.is_some()
    });
    assert_eq!(told.map(|told| told.mark), Some(begun.clone()));
    assert!(!replace(&settings, None, &mark(1, 9)).expect("is answered"));
    // Without a replica nothing is promised.
    let next = || replace(&settings, Some(&begun), &mark(3, 9));
    assert!(next().is_err());
    cluster.servers[at].restart();
    until("there is a replica again", || next().unwrap_or(false));
}

#[test]
fn no_generation_begins_on_the_data_of_another_cluster() {
    let Some(server) = Server::there("") else { return };
    server.cli(&["SET", CLUSTER, "mantua"]);
    let settings = settings(&server.url(), Durability::Async);
    let refused = replace(&settings, None, &mark(1, 1)).expect_err("is refused").to_string();
    assert!(refused.contains("belong to another cluster"), "{refused}");
    assert_eq!(recall(&settings).expect("is answered"), None);
}

#[test]
fn members_count_as_alive_while_they_use_the_data_and_a_former_generation_is_served_nothing() {
    let Some(server) = Server::there("") else { return };
    let settings = settings(&server.url(), Durability::Async);
    assert!(replace(&settings, None, &mark(1, 1)).expect("is answered"));
    let store = Redis::open(&Config { generation: Some(1), ..settings.clone() }).expect("opens");
    put(&store, 1, 1).expect("is kept");
    server.cli(&["DEL", ALIVE]);
    until("it is seen that it acts", || server.cli(&["EXISTS", ALIVE]) == "1");
    let left: u64 = server.cli(&["PTTL", ALIVE]).parse().expect("a number");
    assert!(left <= 15_000, "{left}");

    assert!(replace(&settings, Some(&mark(1, 1)), &mark(2, 2)).expect("is answered"));
    server.cli(&["DEL", ALIVE]);
    until("it is left behind", || store.fault().is_some_and(|fault| fault.contains("begun anew")));
    let refused = put(&store, 1, 2).expect_err("is refused").to_string();
    assert!(refused.contains("begun anew without this member"), "{refused}");
    assert_eq!(server.cli(&["EXISTS", ALIVE]), "0", "nobody acts");
}

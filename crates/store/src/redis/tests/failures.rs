//! Servers that die, forget, or cannot confirm.

use std::fs;
use std::process::Command;

use futures_util::FutureExt;

use super::*;

/// How many rows are on their way at once.
const IN_FLIGHT: u64 = 64;

/// Writes rows until so many more are kept, and then does something to the servers while rows go on. Answers the
/// first number that was not begun.
fn write_through(store: &Redis, from: u64, rows: u64, fault: &mut dyn FnMut()) -> u64 {
    let mut waiting = std::collections::VecDeque::new();
    let mut next = from;
    let mut fault = Some(fault);
    while next < from + rows || !waiting.is_empty() {
        while next < from + rows && (waiting.len() as u64) < IN_FLIGHT {
            waiting.push_back(begin(store, 1, next));
            next += 1;
        }
        if next >= from + rows / 2
            && let Some(fault) = fault.take()
        {
            fault();
        }
        let row: Reply<()> = waiting.pop_front().expect("something waits");
        block_on(row).expect("is kept, sooner or later");
    }
    next
}

#[test]
fn a_server_that_is_killed_loses_nothing_confirmed_and_what_nobody_knew_of_is_there_once() {
    let Some(mut server) = Server::there("--appendonly yes --appendfsync always") else { return };
    let store = open(&server.url(), Durability::Fsync);
    block_on(store.claim(fence(&juliet(), 1))).expect("is claimed");
    let mut next = 1;
    for _ in 0..3 {
        next = write_through(&store, next, 1_000, &mut || {
            server.kill();
            server.restart();
        });
        assert_eq!(numbers(&store, 1), (1..next).collect::<Vec<_>>());
    }
    drop(store);
    // Another member finds the same.
    server.kill();
    server.restart();
    let store = open(&server.url(), Durability::Fsync);
    assert_eq!(numbers(&store, 1), (1..next).collect::<Vec<_>>());
}

#[test]
fn the_death_of_a_primary_loses_nothing_confirmed_and_its_fence_holds_on_the_promoted_one() {
    if !is_there() {
        return;
    }
    let mut cluster = Cluster::start();
    let store = open(&cluster.url(), Durability::Replica);
    let stale = open(&cluster.url(), Durability::Replica);
    block_on(stale.claim(fence(&juliet(), 0))).expect("is claimed");
    block_on(store.claim(fence(&juliet(), 1))).expect("is claimed");
    let slot = fence(&juliet(), 1).bucket.number();
    let has_slot = |server: &Server| {
        let nodes = server.cli(&["CLUSTER", "NODES"]);
        let own = nodes.lines().find(|line| line.contains("myself")).unwrap_or_default().to_owned();
        own.contains("master")
            && own.split(' ').skip(8).any(|range| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u16>().unwrap_or(u16::MAX);
                (number(from)..=number(to)).contains(&slot)
            })
    };
    let primary = cluster.servers.iter().position(has_slot).expect("a server has the slot");
    let mut killed = Instant::now();
    let next = write_through(&store, 1, 2_000, &mut || {
        killed = Instant::now();
        cluster.servers[primary].kill();
        // The promoted one confirms nothing until it has a replica of its own: the killed one comes back.
        cluster.until("another has the slot", |cluster| {
            cluster.servers.iter().enumerate().any(|(at, one)| at != primary && has_slot(one))
        });
        eprintln!("promoted after {:?}", killed.elapsed());
        cluster.servers[primary].restart();
    });
    eprintln!("all confirmed {:?} after the kill", killed.elapsed());
    assert_eq!(numbers(&store, 1), (1..next).collect::<Vec<_>>());
    let refused = put(&stale, 0, 1_000_000);
    assert!(matches!(refused, Err(Error::Fenced { current: 1, .. })), "{refused:?}");
    assert!(!has_slot(&cluster.servers[primary]), "the killed one is a replica now");
}

#[test]
fn a_primary_that_lacks_what_was_written_of_late_gets_it_again_with_the_fence_first() {
    let Some(mut server) = Server::there("--appendonly yes --appendfsync always") else { return };
    let [store, stale] = [(); 2].map(|()| open(&server.url(), Durability::Async));
    block_on(stale.claim(fence(&juliet(), 2))).expect("is claimed");
    put(&stale, 2, 1).expect("is kept");
    // What it will find when it comes up again is the state of now.
    let copy = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|name| server.dir.join(name));
        drop(fs::remove_dir_all(&to));
        assert!(Command::new("cp").arg("-r").args([from, to]).status().expect("cp").success());
    };
    copy("appendonlydir", "before");
    block_on(store.claim(fence(&juliet(), 7))).expect("is claimed");
    for number in 2..=200 {
        put(&store, 7, number).expect("is kept");
    }
    let later = Batch::new(fence(&juliet(), 7)).with(Write::Remove(juliet(), crate::ArchiveId(9)));
    assert!(block_on(store.commit(vec![later]))[0].is_ok());
    let dir = server.dir.clone();
    server.kill();
    drop(fs::remove_dir_all(dir.join("appendonlydir")));
    fs::rename(dir.join("before"), dir.join("appendonlydir")).expect("is put back");
    server.restart();
    until("the fence is there again", || server.cli(&["GET", &own()]) == format!("{:016x}", 7));
    let refused = put(&stale, 2, 1_000);
    assert!(matches!(refused, Err(Error::Fenced { current: 7, .. })), "{refused:?}");
    let query = ArchiveQuery { limit: usize::MAX, ..ArchiveQuery::default() };
    let page = block_on(store.query(fence(&juliet(), 7), juliet(), query)).expect("is read");
    let ids: Vec<u64> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids, (1..=200).filter(|id| *id != 9).collect::<Vec<_>>());
}

/// Where the bucket's epoch stands.
fn own() -> String {
    crate::redis::names::own(fence(&juliet(), 1).bucket)
}

#[test]
fn a_write_that_no_replica_has_is_not_confirmed_until_one_has_it() {
    if !is_there() {
        return;
    }
    let primary = Server::start("");
    let replica = Server::start(&format!("--replicaof 127.0.0.1 {}", primary.port));
    until("the replica is there", || {
        primary.says("connected_slaves:1") && replica.says("master_link_status:up")
    });
    let store = open(&primary.url(), Durability::Replica);
    put(&store, 1, 1).expect("is kept");
    replica.signal("STOP");
    let mut waits = begin(&store, 1, 2);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!((&mut waits).now_or_never().is_none(), "was confirmed");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(store.waiting_bytes() > 0);
    replica.signal("CONT");
    block_on(waits).expect("is kept");
    assert_eq!(replica.cli(&["HLEN", &rows_key()]), "2");
}

fn rows_key() -> String {
    crate::redis::names::rows(fence(&juliet(), 1).bucket, &juliet(), Kind::Offline)
}

#[test]
fn data_that_were_emptied_are_noticed_and_never_served() {
    let Some(server) = Server::there("") else { return };
    let store = open(&server.url(), Durability::Async);
    block_on(store.claim(fence(&juliet(), 1))).expect("is claimed");
    put(&store, 1, 1).expect("is kept");
    let mark = server.cli(&["GET", "{meta}:store"]);
    assert_eq!(mark, store.marker());
    server.cli(&["FLUSHALL"]);
    let key = || Key::new(juliet(), Kind::Vcard, "");
    let read = || block_on(store.get(fence(&juliet(), 1), key()));
    until("reads are refused", || read().is_err_and(|error| error.to_string().contains("emptied")));
    assert!(put(&store, 1, 2).is_err_and(|error| error.to_string().contains("emptied")));
    assert!(block_on(store.owners(Kind::Offline, None, 9)).is_err());
    assert!(block_on(store.claim(fence(&juliet(), 1))).is_err());
    // The operator brings them back.
    server.cli(&["SET", "{meta}:store", &mark]);
    until("reads are answered", || read().is_ok());
}

#[test]
fn a_server_that_is_away_refuses_what_it_never_saw_and_the_store_closes_all_the_same() {
    let Some(mut server) = Server::there("") else { return };
    let config = Config {
        durability: Durability::Async,
        patience: Duration::from_secs(1),
        ..Config::new(&server.url())
    };
    let store = Redis::open(&config).expect("opens");
    put(&store, 1, 1).expect("is kept");
    server.kill();
    // The first may have been sent; what comes behind it was not.
    let first = begin(&store, 1, 2);
    thread::sleep(Duration::from_millis(300));
    let refused = put(&store, 1, 3);
    assert!(matches!(refused, Err(Error::Engine { .. })), "{refused:?}");
    let get = block_on(store.get(fence(&juliet(), 1), Key::new(juliet(), Kind::Vcard, "")));
    assert!(matches!(get, Err(Error::Engine { .. })));
    block_on(store.close()).expect("closes");
    assert!(block_on(first).is_err());
    assert_eq!(store.waiting_bytes(), 0);
}

#[test]
fn a_server_without_memory_refuses_writes_and_lets_go_of_nothing() {
    let Some(server) = Server::there("--maxmemory 8mb --maxmemory-policy noeviction") else {
        return;
    };
    let store = open(&server.url(), Durability::Async);
    let mut number = 0;
    let refused = loop {
        number += 1;
        let value = vec![b'x'; 1 << 18];
        let key = Key::new(juliet(), Kind::Private, format!("{number:04}"));
        let batch = Batch::new(fence(&juliet(), 1)).with(Write::Put(key, value.into()));
        if let Err(error) = block_on(store.commit(vec![batch])).remove(0) {
            break error;
        }
        assert!(number < 100);
    };
    assert!(matches!(refused, Error::Full(_)), "{refused}");
    let rows = block_on(store.load(fence(&juliet(), 1), juliet(), &[Kind::Private]));
    assert_eq!(rows.expect("is read").len() + 1, number);
    assert!(!store.can_keep(), "whoever asks is told before the next write is refused");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    until("it is seen that there is room", || store.can_keep());
    put(&store, 1, 1).expect("is kept");
}

#[test]
fn a_server_that_has_become_a_replica_is_known_to_refuse_writes_until_it_is_a_primary_again() {
    let Some(server) = Server::there("") else { return };
    let other = Server::start("");
    let config = Config {
        durability: Durability::Async,
        patience: Duration::from_secs(1),
        ..Config::new(&server.url())
    };
    let store = Redis::open(&config).expect("opens");
    put(&store, 1, 1).expect("is kept");
    assert!(store.can_keep());
    // It keeps its data: nobody is there to replace them.
    let port = other.port.to_string();
    drop(other);
    server.cli(&["REPLICAOF", "127.0.0.1", &port]);
    until("that is seen", || !store.can_keep());
    server.cli(&["REPLICAOF", "NO", "ONE"]);
    until("it takes writes", || store.can_keep());
    put(&store, 1, 2).expect("is kept");
}

#[test]
fn a_promise_that_is_taken_back_while_it_runs_is_a_fault_until_it_is_given_again() {
    let Some(server) = Server::there("--appendonly yes --appendfsync always") else { return };
    let store = open(&server.url(), Durability::Fsync);
    put(&store, 1, 1).expect("is kept");
    let set = |name, value| assert_eq!(server.cli(&["CONFIG", "SET", name, value]), "OK");
    set("appendfsync", "no");
    until("that is seen", || store.fault().is_some_and(|fault| fault.contains("promise")));
    set("appendfsync", "always");
    until("it is well", || store.fault().is_none());
    set("maxmemory", "100mb");
    set("maxmemory-policy", "allkeys-lru");
    until("it is seen that it evicts", || store.fault().is_some());
    set("maxmemory-policy", "noeviction");
    until("it is well again", || store.fault().is_none());
}

//! The contract on a server and on a cluster, and what only Redis can do. Each test starts servers of its own.

mod bootstrap;
mod failures;
mod moving;
mod ways;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Cluster, Server, is_there};
use super::{Config, Durability, Redis};
use crate::contract::{self, archive_row, block_on, fence, juliet, romeo};
use crate::{ArchiveQuery, Batch, Error, Key, Kind, Reply, Store, Write};

fn open(url: &str, durability: Durability) -> Redis {
    let config = Config { durability, ..Config::new(url) };
    Redis::open(&config).expect("the store opens")
}

/// Why a store does not open.
fn refusal(config: &Config) -> String {
    Redis::open(config).err().expect("is refused").to_string()
}

fn row(epoch: u64, number: u64) -> Batch {
    let key = Key::new(juliet(), Kind::Offline, number.to_be_bytes().to_vec());
    Batch::new(fence(&juliet(), epoch))
        .with(Write::Put(key, format!("row {number}").into()))
        .with(Write::Append(juliet(), archive_row(number, &romeo())))
}

/// Begins to write a row.
fn begin(store: &Redis, epoch: u64, number: u64) -> Reply<()> {
    let answer = store.commit(vec![row(epoch, number)]);
    Box::pin(async move { answer.await.remove(0) })
}

fn put(store: &Redis, epoch: u64, number: u64) -> Result<(), Error> {
    block_on(begin(store, epoch, number))
}

/// The numbers of the rows that are there, each also in the archive.
fn numbers(store: &Redis, epoch: u64) -> Vec<u64> {
    let fence = fence(&juliet(), epoch);
    let rows = block_on(store.load(fence, juliet(), &[Kind::Offline])).expect("rows are loaded");
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("is a number"));
    let numbers: Vec<u64> = rows.iter().map(|row| number(&row.item)).collect();
    let query = ArchiveQuery { limit: usize::MAX, ..ArchiveQuery::default() };
    let page = block_on(store.query(fence, juliet(), query)).expect("the archive is read");
    let archived: Vec<u64> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(archived, numbers, "rows and archive are kept together");
    numbers
}

/// Asks again and again, for a while.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_store_on_a_redis_server_keeps_the_contract() {
    let Some(server) = Server::there("--appendonly yes --appendfsync always") else { return };
    contract::check(&mut || {
        server.cli(&["FLUSHALL"]);
        Arc::new(open(&server.url(), Durability::Fsync))
    });
}

#[test]
fn the_store_on_a_redis_cluster_keeps_the_contract() {
    if !is_there() {
        return;
    }
    let cluster = Cluster::start();
    contract::check(&mut || {
        cluster.flush();
        Arc::new(open(&cluster.url(), Durability::Replica))
    });
}

#[test]
fn of_two_writers_the_one_with_the_older_epoch_is_refused_from_the_claim_on() {
    let Some(server) = Server::there("") else { return };
    let [old, new] = [(); 2].map(|()| open(&server.url(), Durability::Async));
    block_on(old.claim(fence(&juliet(), 1))).expect("is claimed");
    let mut kept = Vec::new();
    thread::scope(|scope| {
        let racing = scope.spawn(|| {
            // As fast as it can, until it is refused, and never again after.
            let first = (1..).find(|number| put(&old, 1, *number).is_err()).expect("is refused");
            assert!(matches!(put(&old, 1, first), Err(Error::Fenced { current: 2, .. })));
            first
        });
        let first = Key::new(juliet(), Kind::Offline, 1_u64.to_be_bytes().to_vec());
        let has_written = || block_on(new.get(fence(&juliet(), 2), first.clone()));
        until("the old one has written", || has_written().is_ok_and(|row| row.is_some()));
        block_on(new.claim(fence(&juliet(), 2))).expect("is claimed");
        kept = numbers(&new, 2);
        put(&new, 2, 1_000_000).expect("the new one writes");
        let first = racing.join().expect("the old one ends");
        assert_eq!(kept, (1..first).collect::<Vec<_>>());
    });
    // What was there when the claim was answered, and what the new one wrote; nothing else.
    kept.push(1_000_000);
    assert_eq!(numbers(&new, 2), kept);
    assert!(matches!(block_on(old.claim(fence(&juliet(), 1))), Err(Error::Fenced { .. })));
}

#[test]
fn a_message_that_comes_again_under_another_id_is_kept_once() {
    let Some(server) = Server::there("") else { return };
    let store = open(&server.url(), Durability::Async);
    put(&store, 1, 1).expect("is kept");
    let mut again = archive_row(2, &romeo());
    again.origin = archive_row(1, &romeo()).origin;
    let again = Write::Append(juliet(), again);
    let append = |write| Batch::new(fence(&juliet(), 1)).with(write);
    assert!(block_on(store.commit(vec![append(again.clone())]))[0].is_ok());
    assert_eq!(numbers(&store, 1), [1]);
    // Once the first is gone, so is what was known about it.
    let remove = Write::Remove(juliet(), crate::ArchiveId(1));
    assert!(block_on(store.commit(vec![append(remove), append(again)]))[1].is_ok());
    let query = ArchiveQuery { limit: 9, ..ArchiveQuery::default() };
    let page = block_on(store.query(fence(&juliet(), 1), juliet(), query)).expect("is read");
    assert_eq!(page.rows.iter().map(|row| row.id.0).collect::<Vec<_>>(), [2]);
}

#[test]
fn more_than_one_group_holds_is_kept_in_order_and_expires_and_is_erased() {
    let Some(server) = Server::there("") else { return };
    let store = open(&server.url(), Durability::Async);
    let rows: Vec<_> = (1..=5_000).map(|number| begin(&store, 1, number)).collect();
    for row in rows {
        block_on(row).expect("is kept");
    }
    assert_eq!(numbers(&store, 1), (1..=5_000).collect::<Vec<_>>());
    assert_eq!(block_on(store.expire(3_001, 2_500)).expect("is answered"), 2_500);
    assert_eq!(block_on(store.expire(3_001, 2_500)).expect("is answered"), 500);
    block_on(store.erase(fence(&juliet(), 1), juliet())).expect("is erased");
    assert_eq!(numbers(&store, 1), []);
    // Only the marks are left.
    assert_eq!(server.cli(&["DBSIZE"]), "1", "{}", server.cli(&["KEYS", "*"]));
}

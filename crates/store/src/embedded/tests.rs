//! The contract on a directory, and what only a directory can do. What a killed process leaves is tested
//! in `tests/`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Config, Embedded, encoding};
use crate::contract::{self, archive_row, block_on, fence, juliet, romeo};
use crate::{ArchiveQuery, Batch, Error, Key, Kind, Store, Write};

/// A directory that is gone after the test; in memory where there is such a place, since each test waits
/// for dozens of fsyncs.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rookery-store-{}-{number}", std::process::id());
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let dir = parent.join(name);
        fs::create_dir_all(&dir).expect("a directory for the test");
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn open(dir: &Dir) -> Embedded {
    Embedded::open(&dir.0, &Config::default()).expect("the store opens")
}

fn key(number: u64) -> Key {
    Key::new(juliet(), Kind::Offline, number.to_be_bytes().to_vec())
}

fn put(store: &Embedded, number: u64) -> Result<(), Error> {
    let batch = Batch::new(fence(&juliet(), 1))
        .with(Write::Put(key(number), format!("row {number}").into()))
        .with(Write::Append(juliet(), archive_row(number, &romeo())));
    block_on(store.commit(vec![batch])).remove(0)
}

/// The numbers of the rows that are there, each also in the archive.
fn numbers(store: &Embedded) -> Vec<u64> {
    let fence = fence(&juliet(), 1);
    let rows = block_on(store.load(fence, juliet(), &[Kind::Offline])).expect("rows are loaded");
    let numbers: Vec<u64> = rows.iter().filter_map(|row| encoding::number(&row.item)).collect();
    let query = ArchiveQuery { limit: usize::MAX, ..ArchiveQuery::default() };
    let page = block_on(store.query(fence, juliet(), query)).expect("the archive is read");
    let archived: Vec<u64> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(archived, numbers, "rows and archive are kept together");
    numbers
}

#[test]
fn the_store_on_a_directory_keeps_the_contract() {
    let mut dirs = Vec::new();
    contract::check(&mut || {
        dirs.push(Dir::new());
        Arc::new(open(&dirs[dirs.len() - 1]))
    });
}

#[test]
fn rows_and_claims_are_there_after_closing_and_opening_again() {
    let dir = Dir::new();
    let store = open(&dir);
    for number in 1..=50 {
        put(&store, number).expect("is kept");
    }
    block_on(store.claim(fence(&juliet(), 7))).expect("is kept");
    block_on(store.close()).expect("closes");
    // It let go of the directory, though the value is still there.
    let again = open(&dir);
    drop(store);
    let refused = block_on(again.get(fence(&juliet(), 6), key(1)));
    assert!(matches!(refused, Err(Error::Fenced { current: 7, .. })));
    let got = block_on(again.get(fence(&juliet(), 7), key(50)));
    assert_eq!(got.expect("is read").expect("is there"), "row 50");
}

#[test]
fn a_dropped_store_finished_what_it_accepted() {
    let dir = Dir::new();
    let store = open(&dir);
    let batch = Batch::new(fence(&juliet(), 1))
        .with(Write::Put(key(1), "row".into()))
        .with(Write::Append(juliet(), archive_row(1, &romeo())));
    drop(store.commit(vec![batch]));
    drop(store);
    assert_eq!(numbers(&open(&dir)), [1]);
}

#[test]
fn a_second_server_on_the_directory_is_refused() {
    let dir = Dir::new();
    let first = open(&dir);
    let second = Embedded::open(&dir.0, &Config::default());
    assert!(matches!(second, Err(Error::InUse(_))));
    put(&first, 1).expect("the first goes on");
    drop(first);
    assert_eq!(numbers(&open(&dir)), [1]);
}

//! The contract on a directory, and what only a directory can do. What a killed process leaves is tested
//! in `tests/`.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fjall::Database;

use super::tables::database_dir;
use super::{Config, Embedded, encoding};
use crate::contract::{self, archive_row, block_on, fence, juliet, romeo};
use crate::{ArchiveId, ArchiveQuery, Batch, Error, Key, Kind, Store, Write};

/// A directory that is gone after the test; in memory where there is such a place, since each test waits
/// for dozens of fsyncs.
pub(super) struct Dir(pub(super) PathBuf);

impl Dir {
    pub(super) fn new() -> Self {
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

/// Whatever another test starts as a process has the lock too, until it has become another program.
pub(super) fn open(dir: &Dir) -> Embedded {
    let begun = Instant::now();
    loop {
        match Embedded::open(&dir.0, &Config::default()) {
            Err(Error::InUse(_)) if begun.elapsed() < Duration::from_secs(10) => {
                thread::yield_now();
            }
            opened => return opened.expect("the store opens"),
        }
    }
}

/// The epoch of the helpers here: whatever a test claims, they may.
const NEWEST: u64 = 99;

fn key(number: u64) -> Key {
    Key::new(juliet(), Kind::Offline, number.to_be_bytes().to_vec())
}

pub(super) fn put(store: &Embedded, number: u64) -> Result<(), Error> {
    let batch = Batch::new(fence(&juliet(), NEWEST))
        .with(Write::Put(key(number), format!("row {number}").into()))
        .with(Write::Append(juliet(), archive_row(number, &romeo())));
    block_on(store.commit(vec![batch])).remove(0)
}

/// The numbers of the rows that are there, each also in the archive.
pub(super) fn numbers(store: &Embedded) -> Vec<u64> {
    let fence = fence(&juliet(), NEWEST);
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

#[test]
fn what_a_newer_server_wrote_is_not_opened() {
    let dir = Dir::new();
    put(&open(&dir), 1).expect("is kept");
    let set_format = |format: u64| {
        let database = Database::builder(database_dir(&dir.0)).open().expect("opens");
        let rows = database.keyspace("rows", Default::default).expect("is there");
        rows.insert(encoding::FORMAT_NAME, format.to_be_bytes()).expect("is written");
        database.persist(fjall::PersistMode::SyncAll).expect("is on the disk");
    };
    set_format(2);
    let Err(refused) = Embedded::open(&dir.0, &Config::default()) else { panic!("was opened") };
    assert!(
        refused.to_string().contains("written in format 2, this server knows formats up to 1"),
        "{refused}"
    );
    set_format(1);
    assert_eq!(numbers(&open(&dir)), [1]);
}

#[test]
fn a_creation_that_was_cut_short_is_begun_anew() {
    let dir = Dir::new();
    let half = dir.0.join("rows.new");
    fs::create_dir(&half).expect("is made");
    fs::write(half.join("0.jnl"), [0; 100]).expect("is made");
    let store = open(&dir);
    put(&store, 1).expect("is kept");
    assert!(!half.exists());
}

#[test]
fn a_disk_that_fills_up_refuses_writes_lets_removals_through_and_takes_writes_again() {
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let dir = Dir::new();
    let config = Config { min_free_bytes: 1 << 20, ..Config::default() };
    let probe = Box::new(move |_: &Path| Ok(told.load(Ordering::Relaxed)));
    let store = Embedded::open_with(&dir.0, &config, probe).expect("opens");
    put(&store, 1).expect("is kept");
    put(&store, 2).expect("is kept");

    free.store(1 << 19, Ordering::Relaxed);
    let mut next = 3;
    until("writes are refused", || {
        let answer = put(&store, next);
        next += u64::from(answer.is_ok());
        matches!(answer, Err(Error::Full("the disk")))
    });
    let claim = block_on(store.claim(fence(&juliet(), 2)));
    assert!(claim.is_ok(), "who may not claim cannot remove");
    let removal = Batch::new(fence(&juliet(), 2))
        .with(Write::Delete(key(1)))
        .with(Write::Remove(juliet(), ArchiveId(1)));
    assert!(matches!(block_on(store.commit(vec![removal]))[..], [Ok(())]));
    assert_eq!(numbers(&store), (2..next).collect::<Vec<_>>());

    free.store(u64::MAX, Ordering::Relaxed);
    until("writes are accepted again", || put(&store, next).is_ok());
    drop(store);
    assert_eq!(numbers(&open(&dir)), (2..=next).collect::<Vec<_>>());
}

#[test]
fn more_rows_than_are_removed_at_once_expire_and_are_erased() {
    const ROWS: u64 = 5_000;
    let dir = Dir::new();
    let store = open(&dir);
    let one = fence(&juliet(), 1);
    let rows = (1..=ROWS).map(|id| Write::Append(juliet(), archive_row(id, &romeo())));
    assert!(block_on(store.commit(vec![rows.fold(Batch::new(one), Batch::with)]))[0].is_ok());
    assert_eq!(block_on(store.expire(ROWS, 2_500)).expect("is answered"), 2_500);
    let count = || {
        let query = ArchiveQuery { with: Some(romeo()), ..ArchiveQuery::default() };
        block_on(store.query(one, juliet(), query)).expect("is answered").count
    };
    assert_eq!(count(), Some(2_500));
    block_on(store.erase(one, juliet())).expect("is erased");
    assert_eq!(count(), Some(0));
    assert_eq!(numbers(&store), []);
}

#[test]
fn a_count_stops_where_it_would_be_dear() {
    let dir = Dir::new();
    let store = open(&dir);
    let one = fence(&juliet(), 1);
    let most = ArchiveQuery::COUNT_MAX as u64;
    let append = |ids: std::ops::RangeInclusive<u64>| {
        let rows = ids.map(|id| Write::Append(juliet(), archive_row(id, &romeo())));
        assert!(block_on(store.commit(vec![rows.fold(Batch::new(one), Batch::with)]))[0].is_ok());
    };
    let counts = || {
        let all = ArchiveQuery::default();
        let with = ArchiveQuery { with: Some(romeo()), ..all.clone() };
        let since = ArchiveQuery { start: Some(1), ..all.clone() };
        [all, with, since]
            .map(|query| block_on(store.query(one, juliet(), query)).expect("is answered").count)
    };
    append(1..=most);
    assert_eq!(counts(), [Some(ArchiveQuery::COUNT_MAX); 3]);
    append(most + 1..=most + 1);
    assert_eq!(counts(), [None; 3]);
}

#[test]
fn writes_from_many_threads_are_kept_each_in_its_order() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 200;
    let dir = Dir::new();
    let store = open(&dir);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                let owner = contract::jid(&format!("user{thread}@capulet.example"));
                let last = Key::new(owner.clone(), Kind::Setting, "last");
                let calls: Vec<_> = (1..=CALLS)
                    .map(|call| {
                        let batch = Batch::new(fence(&owner, 1))
                            .with(Write::Put(last.clone(), call.to_string().into()))
                            .with(Write::Append(owner.clone(), archive_row(call, &romeo())));
                        store.commit(vec![batch])
                    })
                    .collect();
                for call in calls {
                    assert!(matches!(block_on(call)[..], [Ok(())]));
                }
                let got = block_on(store.get(fence(&owner, 1), last)).expect("is read");
                assert_eq!(got.expect("is there"), CALLS.to_string());
                let page = block_on(store.query(fence(&owner, 1), owner, ArchiveQuery::default()));
                assert_eq!(
                    page.expect("is read").count,
                    Some(usize::try_from(CALLS).expect("is small"))
                );
            });
        }
    });
}

/// Asks again and again, for a while.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        thread::yield_now();
    }
}

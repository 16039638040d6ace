//! What a killed process leaves: every row that it said was kept is there, in order, once.
//!
//! The process is this test binary again; told by its environment, it commits numbered rows and prints
//! the number of each one that was acknowledged.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use store::embedded::Config;
use store::{ArchiveId, ArchiveQuery, ArchiveRow, Batch, Embedded, Key, Kind, Store, Write};
use xmpp::{BareJid, Origin};

use super::{block_on, fence, owner};

const DIR: &str = "STORE_CRASH_DIR";
const IN_FLIGHT: &str = "STORE_CRASH_IN_FLIGHT";

fn batch(number: u64) -> Batch {
    let row = ArchiveRow {
        id: ArchiveId(number),
        peer: BareJid::parse("romeo@montague.example").expect("is an address"),
        origin: Origin::Client { session: 1, seq: number, part: 0 },
        stanza: format!("<message><body>{number:0500}</body></message>").into(),
    };
    let key = Key::new(owner(), Kind::Offline, number.to_be_bytes().to_vec());
    Batch::new(fence()).with(Write::Put(key, "".into())).with(Write::Append(owner(), row))
}

/// The numbers that are there: the same among the rows and in the archive, from 1 on without a gap.
fn last_number(store: &Embedded) -> u64 {
    let rows = block_on(store.load(fence(), owner(), &[Kind::Offline])).expect("rows are loaded");
    let numbers =
        rows.iter().map(|row| u64::from_be_bytes(row.item[..].try_into().expect("a number")));
    let numbers: Vec<u64> = numbers.collect();
    let query = ArchiveQuery { limit: usize::MAX, ..ArchiveQuery::default() };
    let page = block_on(store.query(fence(), owner(), query)).expect("the archive is read");
    let archived: Vec<u64> = page.rows.iter().map(|row| row.id.0).collect();
    assert_eq!(archived, numbers);
    let last = numbers.last().copied().unwrap_or(0);
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    last
}

/// Not a test but the process that is killed.
#[test]
fn the_process_that_is_killed() {
    let Some(dir) = env::var_os(DIR) else { return };
    let in_flight: usize = env::var(IN_FLIGHT).expect("is set").parse().expect("is a number");
    let store = Embedded::open(Path::new(&dir), &Config::default()).expect("the store opens");
    let mut number = last_number(&store);
    let mut out = std::io::stdout();
    let mut waiting = VecDeque::new();
    loop {
        while waiting.len() < in_flight {
            number += 1;
            waiting.push_back((number, store.commit(vec![batch(number)])));
        }
        let (number, answer) = waiting.pop_front().expect("something waits");
        block_on(answer).remove(0).expect("is kept");
        writeln!(out, "kept {number}").expect("somebody reads");
    }
}

/// Lets a process write until it acknowledged so many rows more, and kills it. Answers the last number
/// that it acknowledged.
fn write_and_kill(dir: &Path, in_flight: usize, rows: usize) -> u64 {
    let mut child = Command::new(env::current_exe().expect("this is a file"))
        .args(["--exact", "crash::the_process_that_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(IN_FLIGHT, in_flight.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = BufReader::new(child.stdout.take().expect("is piped"));
    let mut kept = Vec::new();
    for line in output.lines() {
        let line = line.expect("is text");
        let Some(number) = line.strip_prefix("kept ") else { continue };
        kept.push(number.parse().unwrap_or(0));
        // What it still prints before it dies is read as well.
        if kept.len() == rows {
            child.kill().expect("is killed");
        }
    }
    child.wait().expect("is dead");
    assert!(kept.len() >= rows, "it died by itself after {} rows", kept.len());
    // The last line may have been cut short.
    kept[rows - 1].max(kept.iter().rev().nth(1).copied().unwrap_or(0))
}

struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = env::temp_dir().join(format!("rookery-{name}-{}", std::process::id()));
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn every_acknowledged_row_is_there_after_each_kill() {
    let dir = Dir::new("kills");
    for (in_flight, rows) in [(1, 1), (1, 30), (64, 500), (16, 77), (300, 2_000), (64, 3)] {
        let kept = write_and_kill(&dir.0, in_flight, rows);
        let store = Embedded::open(&dir.0, &Config::default()).expect("the store opens");
        let last = last_number(&store);
        assert!(last >= kept, "row {kept} was acknowledged, the last one there is {last}");
    }
}

#[test]
fn fifty_thousand_rows_are_there_within_ten_seconds_after_a_kill() {
    let dir = Dir::new("start");
    let kept = write_and_kill(&dir.0, 2_000, 50_000);
    let begin = Instant::now();
    let store = Embedded::open(&dir.0, &Config::default()).expect("the store opens");
    let took = begin.elapsed();
    println!("opened with {kept} rows after a kill: {took:?}");
    assert!(took < Duration::from_secs(10));
    assert!(last_number(&store) >= kept);
}

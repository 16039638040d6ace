//! Prints what the store on a directory, or on Redis, can do on this machine: rows per second and CPU per row
//! while appending, the time of a page, of opening after a crash and of opening after closing.
//!
//! `cargo run --release -p store --features contract --example rates -- /path/to/an/empty/directory`, or with
//! the URL of an empty Redis server and a level of durability, `redis://127.0.0.1:6379 async`

#![expect(clippy::disallowed_methods, reason = "what measures looks at the clock")]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use store::contract::{archive_row, block_on, fence, jid};
use store::embedded::Config;
use store::redis::Durability;
use store::{ArchiveId, ArchiveQuery, Batch, Embedded, Redis, Slice, Store, Write};
use xmpp::BareJid;

const OWNERS: usize = 1000;
const STANZA_BYTES: usize = 500;

fn main() {
    let mut args = std::env::args().skip(1);
    let place =
        args.next().unwrap_or_else(|| std::env::temp_dir().join("rates").display().to_string());
    let level = args.next();
    let owners: Vec<BareJid> =
        (0..OWNERS).map(|n| jid(&format!("user{n}@rates.example"))).collect();
    let open = || {
        let begin = Instant::now();
        let store = open_at(&place, level.as_deref());
        println!("open: {:?}", begin.elapsed());
        store
    };
    let mut id = 1;
    for in_flight in [1, 16, 128, 1024] {
        let store = open();
        append(&*store, &owners, in_flight, &mut id);
        pages(&*store, &owners[7], id);
        let begin = Instant::now();
        block_on(store.close()).expect("the store closes");
        println!("close: {:?}", begin.elapsed());
    }
    let begin = Instant::now();
    let removed = block_on(open().expire(id / 2, usize::MAX)).expect("old rows are removed");
    println!("expire: {removed} rows in {:?}", begin.elapsed());
}

fn open_at(place: &str, level: Option<&str>) -> Box<dyn Store> {
    if !place.contains("://") {
        let dir = PathBuf::from(place);
        return Box::new(Embedded::open(&dir, &Config::default()).expect("the store opens"));
    }
    let durability = match level {
        Some("async") => Durability::Async,
        Some("fsync") => Durability::Fsync,
        _ => Durability::Replica,
    };
    let config = store::redis::Config { durability, ..store::redis::Config::new(place) };
    Box::new(Redis::open(&config).expect("the store opens"))
}

fn append(store: &dyn Store, owners: &[BareJid], in_flight: usize, id: &mut u64) {
    let stanza = vec![b'x'; STANZA_BYTES];
    let mut waiting = VecDeque::new();
    let (begin, cpu, writer) = (Instant::now(), cpu_time(), writer_time());
    let mut rows = 0u32;
    while begin.elapsed() < Duration::from_secs(5) {
        let owner = &owners[usize::try_from(*id).expect("is small") * 7919 % OWNERS];
        let mut row = archive_row(*id, &owners[usize::try_from(*id).expect("is small") % 13]);
        row.stanza = stanza.clone().into();
        let batch = Batch::new(fence(owner, 1)).with(Write::Append(owner.clone(), row));
        waiting.push_back(store.commit(vec![batch]));
        *id += 1;
        if waiting.len() == in_flight {
            let answer = waiting.pop_front().expect("something waits");
            assert!(matches!(block_on(answer)[..], [Ok(())]));
        }
        rows += 1;
    }
    waiting.into_iter().for_each(|answer| drop(block_on(answer)));
    let wall = begin.elapsed();
    println!(
        "{in_flight} in flight: {:.0} rows/s, CPU per row {:?}, of that the writer {:?}",
        f64::from(rows) / wall.as_secs_f64(),
        (cpu_time() - cpu) / rows,
        (writer_time() - writer) / rows,
    );
}

fn pages(store: &dyn Store, owner: &BareJid, id: u64) {
    let last = ArchiveQuery { slice: Slice::Last, limit: 50, ..ArchiveQuery::default() };
    let with = ArchiveQuery { with: Some(jid("user3@rates.example")), ..last.clone() };
    let before = ArchiveQuery { end: Some(id), before_id: None, ..last.clone() };
    let named = ArchiveQuery { ids: vec![ArchiveId(u64::MAX)], ..last.clone() };
    for (name, query) in
        [("last 50", last), ("last 50 with", with), ("last 50 until", before), ("unknown", named)]
    {
        let begin = Instant::now();
        let page =
            block_on(store.query(fence(owner, 1), owner.clone(), query.clone())).expect("a page");
        let first = begin.elapsed();
        let begin = Instant::now();
        for _ in 0..100 {
            drop(block_on(store.query(fence(owner, 1), owner.clone(), query.clone())));
        }
        println!(
            "{name}: {} of {:?}, first {first:?}, then {:?}",
            page.rows.len(),
            page.count,
            begin.elapsed() / 100
        );
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("the process has a clock").into()
}

/// CPU time of the thread that writes, in steps of a hundredth of a second.
fn writer_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stats =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    let ticks = stats
        .filter(|stat| stat.contains("(store-write)") || stat.contains("(store-redis)"))
        .map(|stat| {
            let fields: Vec<&str> = stat.split(' ').collect();
            fields[13].parse().unwrap_or(0) + fields[14].parse().unwrap_or(0)
        });
    Duration::from_millis(10 * ticks.sum::<u64>())
}

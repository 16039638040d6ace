//! A disk that is really full: a small file system in memory, which only root can mount. Without root the
//! tests say that they were left out; a disk that only claims to be full is tested beside the code.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use store::embedded::Config;
use store::{Batch, Embedded, Error, Key, Kind, Store, Write};

use super::{block_on, fence, owner};

const MIB: usize = 1 << 20;

/// A mounted file system.
struct Disk(PathBuf);

impl Disk {
    fn mount(name: &str, mib: usize) -> Option<Self> {
        let dir = std::env::temp_dir().join(format!("rookery-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("is made");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "rookery-test"])
            .arg(&dir)
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        let mut past = std::io::stderr();
        drop(std::io::Write::write_all(&mut past, b"SKIPPED: no file system could be mounted\n"));
        drop(fs::remove_dir(&dir));
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
        drop(fs::remove_dir(&self.0));
    }
}

fn key(number: u32) -> Key {
    Key::new(owner(), Kind::Offline, number.to_be_bytes().to_vec())
}

fn put(store: &Embedded, number: u32) -> Result<(), Error> {
    put_of(store, number, 20_000)
}

fn put_of(store: &Embedded, number: u32, bytes: usize) -> Result<(), Error> {
    // Bytes that do not compress.
    let mut state = number;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let value: Vec<u8> = (0..bytes).map(|_| noise()).collect();
    let batch = Batch::new(fence()).with(Write::Put(key(number), value.into()));
    block_on(store.commit(vec![batch])).remove(0)
}

fn numbers(store: &Embedded) -> BTreeSet<u32> {
    let rows = block_on(store.load(fence(), owner(), &[Kind::Offline]));
    let item = |row: store::Row| u32::from_be_bytes(row.item[..].try_into().expect("a number"));
    rows.expect("rows are loaded").into_iter().map(item).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::yield_now();
    }
}

#[test]
fn a_disk_with_nothing_left_loses_nothing_acknowledged_and_keeps_nothing_refused() {
    let Some(disk) = Disk::mount("full", 40) else { return };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 20 * MIB]).expect("there is room for it");
    let config = Config { min_free_bytes: 0, write_buffer_bytes: 4 << 20, ..Config::default() };
    let dir = disk.0.join("store");
    let store = Embedded::open(&dir, &config).expect("opens");
    let mut kept = BTreeSet::new();
    let mut refused = 0;
    let mut number = 0;
    for _round in 0..3 {
        until("the disk is full", || {
            number += 1;
            match put(&store, number) {
                Ok(()) => {
                    kept.insert(number);
                    false
                }
                Err(error) => {
                    assert!(matches!(error, Error::Full(_) | Error::Engine { .. }), "{error}");
                    refused += 1;
                    refused % 50 == 0
                }
            }
        });
        until("what is there is read all the same", || {
            let rows = block_on(store.load(fence(), owner(), &[Kind::Offline]));
            rows.is_ok_and(|rows| rows.len() == kept.len())
        });
        // Room again, though not for long.
        let left = fs::metadata(&ballast).expect("is there").len() - 4 * MIB as u64;
        fs::File::options()
            .write(true)
            .open(&ballast)
            .and_then(|file| file.set_len(left))
            .expect("shrinks");
        until("writes are accepted again", || {
            number += 1;
            let answer = put(&store, number);
            answer.is_ok() && kept.insert(number)
        });
        assert_eq!(numbers(&store), kept);
    }
    assert!(kept.len() > 300, "only {} rows were kept", kept.len());
    fs::remove_file(&ballast).expect("is removed");
    drop(store);
    let store = Embedded::open(&dir, &config).expect("opens again");
    assert_eq!(numbers(&store), kept);
}

#[test]
fn what_a_full_disk_refused_is_not_kept_when_there_is_room_a_moment_later() {
    let Some(disk) = Disk::mount("moment", 40) else { return };
    let config = Config { min_free_bytes: 0, ..Config::default() };
    let store = Embedded::open(&disk.0.join("store"), &config).expect("opens");
    let mut kept = BTreeSet::new();
    let mut number = 0;
    for _round in 0..5 {
        let ballast = disk.0.join("ballast");
        let fill = fs::File::create(&ballast).expect("is made");
        let filled = (0..).take_while(|_: &u32| (&fill).write_all(&[1; MIB]).is_ok()).count();
        // All but some pages.
        fill.set_len((filled * MIB) as u64).expect("shrinks");
        drop(fill);
        let more = fs::File::create(disk.0.join("more")).expect("is made");
        let pages =
            (1..).take_while(|_: &u32| (&more).write_all(&[1; 4096]).is_ok()).count() as u64;
        more.set_len(pages.saturating_sub(2) * 4096).expect("shrinks");
        until("the disk is full", || {
            number += 1;
            put_of(&store, number, 300).map(|()| kept.insert(number)).is_err()
        });
        // The store has not been opened again yet; what it still has to write would go through now.
        fs::remove_file(&ballast).expect("is removed");
        until("writes are accepted again", || {
            number += 1;
            put_of(&store, number, 300).is_ok() && kept.insert(number)
        });
        assert_eq!(numbers(&store), kept);
    }
}

#[test]
fn a_disk_that_runs_low_refuses_before_it_is_full() {
    let Some(disk) = Disk::mount("low", 80) else { return };
    let store = Embedded::open(&disk.0.join("store"), &Config::default()).expect("opens");
    let mut number = 0;
    let mut answer = Ok(());
    while answer.is_ok() {
        number += 1;
        answer = put(&store, number);
    }
    assert!(matches!(answer, Err(Error::Full("the disk"))), "{answer:?}");
    assert!(number > 100);
    // It still can be read, and emptied.
    assert_eq!(numbers(&store), (1..number).collect());
    block_on(store.erase(fence(), owner())).expect("is erased");
}

//! What crashes and bad disks leave in a journal, made by hand.

use super::super::tables::database_dir;
use super::super::tests::{Dir, numbers, open, put};
use super::super::{Config, Embedded};
use super::*;

/// How many rows, each of them a group, are in the journal of [`written`].
const ROWS: u64 = 12;
/// The last of them, counted from 0.
const LAST: usize = 11;

/// A closed store with [`ROWS`] rows in its only journal.
fn written() -> Dir {
    let dir = Dir::new();
    let store = open(&dir);
    for number in 1..=ROWS {
        put(&store, number).expect("is kept");
    }
    drop(store);
    // Opening again cuts the room off.
    drop(open(&dir));
    dir
}

fn journal(dir: &Dir) -> Journal {
    let mut all = journals(&database_dir(&dir.0)).expect("are read");
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Where the groups begin and end, in order.
fn groups(journal: &Journal) -> Vec<(usize, usize)> {
    let mut begin = 0;
    let mut groups = Vec::new();
    for batch in &journal.batches {
        if batch.group.is_some() {
            groups.push((begin, batch.end));
        }
        begin = batch.end;
    }
    groups
}

fn rewrite(journal: &Journal, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = journal.bytes.clone();
    change(&mut bytes);
    fs::write(&journal.path, bytes).expect("is written");
}

fn up_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn every_group_is_found_with_its_number() {
    let dir = written();
    let journal = journal(&dir);
    let numbers: Vec<u64> = journal.batches.iter().filter_map(|batch| batch.group).collect();
    assert_eq!(numbers, up_to(ROWS));
    assert!(journal.is_clean());
    assert_eq!(journal.end(), journal.bytes.len());
}

#[test]
fn a_journal_cut_short_anywhere_opens_with_every_group_before_the_cut() {
    let dir = written();
    let whole = journal(&dir);
    let groups = groups(&whole);
    let (begin, end) = groups[groups.len() - 2];
    for cut in [begin, begin + 1, begin + 20, (begin + end) / 2, end - 1, end, end + 1] {
        rewrite(&whole, |bytes| bytes.truncate(cut));
        let rows = if cut < end { ROWS - 2 } else { ROWS - 1 };
        let store = open(&dir);
        assert_eq!(numbers(&store), up_to(rows), "cut at {cut}");
        put(&store, rows + 1).expect("goes on");
        drop(store);
        assert_eq!(numbers(&open(&dir)), up_to(rows + 1), "cut at {cut}");
    }
}

#[test]
fn a_torn_last_group_is_cut_away() {
    type Tear = fn(&mut [u8]);
    // What a power cut leaves of a group that was being written: pages that did not get there.
    let tears: [(&str, Tear); 5] = [
        ("nothing of it", |group| group.fill(0)),
        ("its end", |group| {
            let half = group.len() / 2;
            group[..half].fill(0);
        }),
        ("all but its middle", |group| {
            let third = group.len() / 3;
            group[third..2 * third].fill(0);
        }),
        ("all but one bit", |group| group[60] ^= 1),
        ("all but its mark", |group| {
            let mark = group.len() - 2;
            group[mark..].fill(0);
        }),
    ];
    let dir = written();
    let whole = journal(&dir);
    let (begin, end) = groups(&whole)[LAST];
    for room in [0, 100_000] {
        for (what, tear) in tears {
            rewrite(&whole, |bytes| {
                tear(&mut bytes[begin..end]);
                bytes.resize(end + room, 0);
            });
            let store = open(&dir);
            assert_eq!(
                numbers(&store),
                up_to(ROWS - 1),
                "{what} and {room} bytes of room are left"
            );
            put(&store, ROWS).expect("goes on");
            drop(store);
            assert_eq!(numbers(&open(&dir)), up_to(ROWS));
        }
    }
}

#[test]
fn a_broken_group_before_whole_ones_is_told_and_nothing_is_touched() {
    let dir = written();
    let whole = journal(&dir);
    let (begin, end) = groups(&whole)[4];
    for at in [begin, begin + 3, (begin + end) / 2, end - 1] {
        rewrite(&whole, |bytes| bytes[at] ^= 0x55);
        let broken = fs::read(&whole.path).expect("is read");
        let Err(refused) = Embedded::open(&dir.0, &Config::default()) else {
            panic!("was opened with byte {at} garbled");
        };
        let says = format!(
            "it is broken at byte {begin} and whole again behind that; cut it to {begin} bytes"
        );
        assert!(refused.to_string().contains(&says), "{refused}");
        assert_eq!(fs::read(&whole.path).expect("is read"), broken);
    }
    // As the message says.
    rewrite(&whole, |bytes| bytes.truncate(begin));
    assert_eq!(numbers(&open(&dir)), up_to(4));
}

#[test]
fn a_missing_group_is_told() {
    let dir = written();
    let whole = journal(&dir);
    let (begin, end) = groups(&whole)[4];
    rewrite(&whole, |bytes| drop(bytes.splice(begin..end, [])));
    let Err(refused) = Embedded::open(&dir.0, &Config::default()) else { panic!("was opened") };
    assert!(refused.to_string().contains("group 6 stands where group 5 should"), "{refused}");
}

#[test]
fn refused_groups_are_cut_away_and_the_others_stay() {
    let dir = written();
    let place = database_dir(&dir.0);
    cut_behind(&place, ROWS + 1).expect("nothing to cut");
    assert_eq!(groups(&journal(&dir)).len() as u64, ROWS);
    cut_behind(&place, 5).expect("is cut");
    assert_eq!(numbers(&open(&dir)), up_to(5));
}

#[test]
fn a_journal_in_another_layout_is_left_alone() {
    let dir = written();
    let whole = journal(&dir);
    rewrite(&whole, |bytes| bytes.fill(0x77));
    let place = database_dir(&dir.0);
    fs::write(place.join("version"), b"FJL\x04").expect("is written");
    mend(&place).expect("nothing is known about it");
    cut_behind(&place, 0).expect("nothing is known about it");
    assert_eq!(fs::read(&whole.path).expect("is read"), vec![0x77; whole.bytes.len()]);
}

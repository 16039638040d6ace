//! From one engine to another.

use xmpp::BareJid;

use super::*;
use crate::contract::jid;
use crate::embedded::Embedded;
use crate::migrate::{Failure, Report, copy};

struct Dir(std::path::PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn embedded(name: &str) -> (Embedded, Dir) {
    let dir = std::env::temp_dir().join(format!("rookery-moving-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    (Embedded::open(&dir, &crate::embedded::Config::default()).expect("opens"), Dir(dir))
}

fn owners() -> Vec<BareJid> {
    (0..40).map(|number| jid(&format!("user{number}@capulet.example"))).collect()
}

/// Rows of every kind, and archives longer than a page.
fn fill(store: &dyn Store) {
    for (number, owner) in owners().into_iter().enumerate() {
        let mut batch = Batch::new(fence(&owner, 3));
        for kind in Kind::ALL {
            let key = Key::new(owner.clone(), *kind, vec![0, 255, 7]);
            batch = batch.with(Write::Put(key, vec![number.to_le_bytes()[0]; 3_000].into()));
        }
        for id in 1..=(number as u64 * 40) {
            batch = batch.with(Write::Append(owner.clone(), archive_row(id, &romeo())));
        }
        assert!(block_on(store.commit(vec![batch]))[0].is_ok());
        block_on(store.claim(fence(&owner, 3))).expect("is claimed");
    }
    // Nobody but an archive.
    let alone = jid("capulet.example");
    let write = Write::Append(alone.clone(), archive_row(1, &romeo()));
    assert!(block_on(store.commit(vec![Batch::new(fence(&alone, 1)).with(write)]))[0].is_ok());
}

fn moved(
    from: &dyn crate::migrate::Whole,
    to: &dyn crate::migrate::Whole,
) -> Result<(Report, Vec<String>), Failure> {
    let mut digests = Vec::new();
    let bucket_of = |owner: &BareJid| fence(owner, 0).bucket;
    let mut done = |done: &crate::migrate::Done, _: &Report| digests.push(done.digest.clone());
    let report = block_on(copy(from, to, &bucket_of, &mut done))?;
    Ok((report, digests))
}

#[test]
fn everything_moves_there_and_back_and_what_is_there_already_is_passed_over() {
    let Some(server) = Server::there("") else { return };
    let redis = open(&server.url(), Durability::Async);
    let (from, _dir) = embedded("from");
    fill(&from);
    let (report, digests) = moved(&from, &redis).expect("is copied");
    assert_eq!((report.owners, report.owners_kept), (41, 0));
    assert_eq!(report.messages, (0..40).map(|number| number * 40).sum::<usize>() + 1);
    assert_eq!((report.rows, report.buckets_done), (40 * Kind::ALL.len(), report.buckets));
    // Whoever was superseded there is here.
    let old = block_on(redis.claim(fence(&owners()[0], 2)));
    assert!(matches!(old, Err(Error::Fenced { current: 3, .. })));

    // One owner is cut short, one has something else.
    let [half, other] = [&owners()[39], &owners()[1]];
    let changes = [
        Batch::new(fence(half, 3)).with(Write::Remove(half.clone(), crate::ArchiveId(700))),
        Batch::new(fence(other, 3))
            .with(Write::Put(Key::new(other.clone(), Kind::Vcard, "more"), "x".into())),
    ];
    assert!(block_on(redis.commit(changes.into())).iter().all(Result::is_ok));
    let (again, same) = moved(&from, &redis).expect("is copied");
    assert_eq!((again.owners, again.owners_kept), (41, 39));
    assert_eq!(same, digests);

    let (to, _other_dir) = embedded("to");
    let (back, same) = moved(&redis, &to).expect("is copied back");
    assert_eq!((back.owners, back.messages), (report.owners, report.messages));
    assert_eq!(same, digests);
}

#[test]
fn a_place_that_has_somebody_else_is_not_copied_to() {
    let Some(server) = Server::there("") else { return };
    let redis = open(&server.url(), Durability::Async);
    let (from, _dir) = embedded("strange");
    fill(&from);
    put(&redis, 1, 1).expect("is kept");
    let refused = moved(&from, &redis);
    assert!(matches!(refused, Err(Failure::Stranger(jid)) if jid == juliet()));
}

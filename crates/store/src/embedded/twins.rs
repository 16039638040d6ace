//! A long random life, led by the store on a directory and by the one in memory: they must never differ.

use super::tests::{Dir, open};
use crate::contract::{archive_row, block_on, fence, jid};
use crate::{
    ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow, Batch, Error, Key, Kind, Memory, Row, Slice,
    Store, Write,
};
use xmpp::BareJid;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.below(of.len() as u64);
        &of[usize::try_from(at).expect("is small")]
    }

    fn write(&mut self, owners: &[BareJid], owner: &BareJid, next: &mut u64) -> Write {
        let key = Key::new(
            owner.clone(),
            *self.one(Kind::ALL),
            vec![b'a'; self.one(&[0, 1, 2, 30]).to_owned()],
        );
        let old = 1 + self.below(*next);
        let row = |id, stanza| ArchiveRow { stanza, ..archive_row(id, &owners[0]) };
        match self.below(8) {
            0 => Write::Delete(key),
            1 | 2 => Write::Put(key, self.below(1000).to_string().into()),
            3 => Write::Remove(owner.clone(), ArchiveId(old)),
            4 => {
                let peer = self.one(owners).clone();
                Write::Replace(owner.clone(), ArchiveRow { peer, ..row(old, "gone".into()) })
            }
            _ => {
                *next += 1;
                Write::Append(owner.clone(), archive_row(*next, self.one(owners)))
            }
        }
    }

    fn query(&mut self, owners: &[BareJid], next: u64) -> ArchiveQuery {
        let id = |dice: &mut Self| ArchiveId(1 + dice.below(next));
        let slice = match self.below(4) {
            0 => Slice::First,
            1 => Slice::Last,
            2 => Slice::After(id(self)),
            _ => Slice::Before(id(self)),
        };
        ArchiveQuery {
            with: (self.below(2) == 0).then(|| self.one(owners).clone()),
            start: (self.below(4) == 0).then(|| self.below(next)),
            end: (self.below(4) == 0).then(|| self.below(next)),
            slice,
            limit: usize::try_from(self.below(8)).expect("is small"),
            ..ArchiveQuery::default()
        }
    }
}

/// What a store answers, as far as it can be compared.
fn told<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

fn looks(store: &dyn Store, owner: &BareJid, query: &ArchiveQuery) -> (Vec<Row>, ArchivePage) {
    let fence = fence(owner, 50);
    let rows = block_on(store.load(fence, owner.clone(), Kind::ALL)).expect("rows are loaded");
    let page =
        block_on(store.query(fence, owner.clone(), query.clone())).expect("the archive is read");
    (rows, page)
}

#[test]
fn the_store_on_a_directory_and_the_one_in_memory_never_differ() {
    let owners = ["a@b", "a@b.c", "c@d"].map(jid);
    let dir = Dir::new();
    let memory = Memory::new();
    let mut embedded = open(&dir);
    let mut dice = Dice(7);
    let mut next = 1;
    for round in 1..=600 {
        let batches: Vec<Batch> = (0..dice.below(4))
            .map(|_| {
                let owner = dice.one(&owners).clone();
                // Some by an epoch that was superseded.
                let empty = Batch::new(fence(&owner, dice.below(20)));
                (0..dice.below(6))
                    .fold(empty, |batch, _| batch.with(dice.write(&owners, &owner, &mut next)))
            })
            .collect();
        let [ours, theirs] = [&embedded as &dyn Store, &memory].map(|store| {
            block_on(store.commit(batches.clone())).into_iter().map(told).collect::<Vec<_>>()
        });
        assert_eq!(ours, theirs, "round {round}");

        let owner = dice.one(&owners).clone();
        let [limit, before] = [dice.below(3), dice.below(next + 1)];
        let both = match dice.below(40) {
            0 => [&embedded as &dyn Store, &memory]
                .map(|s| told(block_on(s.claim(fence(&owner, limit * 5))))),
            1 => [&embedded as &dyn Store, &memory]
                .map(|s| told(block_on(s.erase(fence(&owner, 50), owner.clone())))),
            2 => [&embedded as &dyn Store, &memory].map(|s| {
                told(
                    block_on(s.expire(before / 2, usize::MAX)).map(|count| assert!(count < 10_000)),
                )
            }),
            3 => {
                drop(embedded);
                embedded = open(&dir);
                [Ok(()), Ok(())]
            }
            _ => [Ok(()), Ok(())],
        };
        assert_eq!(both[0], both[1], "round {round}");
        let query = dice.query(&owners, next + 1);
        assert_eq!(
            looks(&embedded, &owner, &query),
            looks(&memory, &owner, &query),
            "round {round}: {query:?}"
        );
    }
    assert!(next > 500);
}

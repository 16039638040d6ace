//! Owns the engine that forgets: maps behind one lock, for tests and for trying things out. Every call is
//! done before it returns, so what is kept does not depend on whether the answer is waited for.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use xmpp::{BareJid, Bucket, Epoch, Fence};

use crate::archive::{ArchiveId, ArchivePage, ArchiveQuery, ArchiveRow};
use crate::batch::{Batch, Write};
use crate::key::{Key, Kind, Row};
use crate::{Error, MAX_WAITING_BYTES, Reply, Store};

/// Rows in memory. What it answers is what every engine answers; only it keeps nothing.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Bytes>,
    archive: BTreeMap<(BareJid, ArchiveId), ArchiveRow>,
    fences: HashMap<Bucket, Epoch>,
    refusal: Option<Error>,
    /// So many writes are done before the first is refused.
    accepted: usize,
    unreadable: Option<Error>,
    closed: bool,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every write is refused with this, as by a disk that is full or broken; with `None`
    /// writes are accepted again. For tests of what happens then.
    pub fn refuse_writes(&self, refusal: Option<Error>) {
        self.refuse_writes_after(0, refusal);
    }

    /// The same after so many more.
    pub fn refuse_writes_after(&self, accepted: usize, refusal: Option<Error>) {
        let mut state = self.lock();
        (state.accepted, state.refusal) = (accepted, refusal);
    }

    /// The same of every call that lists: scans, queries and owners.
    pub fn refuse_lists(&self, refusal: Option<Error>) {
        self.lock().unreadable = refusal;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a call that reads.
    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> Result<T, Error>) -> Reply<T> {
        let state = self.lock();
        let answer = state.open().and_then(|()| read(&state));
        ready(answer).boxed()
    }

    /// Does a call that changes something.
    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Reply<T> {
        let mut state = self.lock();
        let answer = state.writable().and_then(|()| write(&mut state));
        ready(answer).boxed()
    }
}

impl Store for Memory {
    fn claim(&self, fence: Fence) -> Reply<()> {
        self.write(|state| {
            state.check(fence)?;
            state.fences.insert(fence.bucket, fence.epoch);
            Ok(())
        })
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        self.read(|state| {
            state.check(fence)?;
            let rows = state.rows_of(&owner).filter(|(key, _)| kinds.contains(&key.kind));
            Ok(rows.map(to_row).collect())
        })
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        self.read(|state| {
            state.check(fence)?;
            Ok(state.rows.get(&key).cloned())
        })
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        self.read(|state| {
            state.readable()?;
            state.check(fence)?;
            let rows = state
                .rows_of(&owner)
                .filter(|(key, _)| key.kind == kind)
                .filter(|(key, _)| after.as_ref().is_none_or(|after| key.item > *after));
            Ok(rows.take(limit).map(to_row).collect())
        })
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        let count = batches.len();
        let answers = if batches.iter().map(Batch::len).sum::<usize>() > MAX_WAITING_BYTES {
            vec![Err(Error::Full("the call is larger than the queue")); count]
        } else {
            let mut state = self.lock();
            let commit = |batch: Batch| {
                state.writable()?;
                state.check(batch.fence)?;
                batch.check()?;
                batch.writes.into_iter().for_each(|write| state.apply(write));
                Ok(())
            };
            batches.into_iter().map(commit).collect()
        };
        ready(answers).boxed()
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        self.read(|state| {
            state.readable()?;
            state.check(fence)?;
            Ok(state.page(&owner, &query))
        })
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.read(|state| {
            state.readable()?;
            let behind = |owner: &BareJid| after.as_ref().is_none_or(|after| owner > after);
            let mut owners: Vec<BareJid> = Vec::new();
            for key in state.rows.keys().filter(|key| key.kind == kind && behind(&key.owner)) {
                if owners.last() == Some(&key.owner) {
                    continue;
                }
                if owners.len() == limit {
                    break;
                }
                owners.push(key.owner.clone());
            }
            Ok(owners)
        })
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        self.write(|state| {
            state.check(fence)?;
            state.rows.retain(|key, _| key.owner != owner);
            state.archive.retain(|(whose, _), _| *whose != owner);
            Ok(())
        })
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        self.write(|state| {
            let old: Vec<_> = state
                .archive
                .keys()
                .filter(|(_, id)| id.0 < before_unix_micros)
                .take(limit)
                .cloned()
                .collect();
            for key in &old {
                state.archive.remove(key);
            }
            Ok(old.len())
        })
    }

    fn waiting_bytes(&self) -> usize {
        0
    }

    fn close(&self) -> Reply<()> {
        self.lock().closed = true;
        ready(Ok(())).boxed()
    }
}

impl State {
    fn open(&self) -> Result<(), Error> {
        if self.closed { Err(Error::Closed) } else { Ok(()) }
    }

    fn writable(&mut self) -> Result<(), Error> {
        self.open()?;
        let Some(refusal) = &self.refusal else { return Ok(()) };
        let Some(left) = self.accepted.checked_sub(1) else { return Err(refusal.clone()) };
        self.accepted = left;
        Ok(())
    }

    fn readable(&self) -> Result<(), Error> {
        self.unreadable.clone().map_or(Ok(()), Err)
    }

    fn check(&self, fence: Fence) -> Result<(), Error> {
        let current = self.fences.get(&fence.bucket).copied().unwrap_or_default();
        if fence.epoch < current {
            return Err(Error::Fenced { fence, current: current.0 });
        }
        Ok(())
    }

    fn rows_of(&self, owner: &BareJid) -> impl Iterator<Item = (&Key, &Bytes)> {
        let first = Key::new(owner.clone(), Kind::ALL[0], Bytes::new());
        self.rows.range(first..).take_while(move |(key, _)| key.owner == *owner)
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Put(key, value) => {
                self.rows.insert(key, value);
            }
            Write::Delete(key) => {
                self.rows.remove(&key);
            }
            Write::Append(owner, row) => {
                self.archive.insert((owner, row.id), row);
            }
            Write::Replace(owner, row) => {
                if let Some(old) = self.archive.get_mut(&(owner, row.id)) {
                    *old = row;
                }
            }
            Write::Remove(owner, id) => {
                self.archive.remove(&(owner, id));
            }
        }
    }

    /// Goes through the whole archive of the owner: the plainest reading of what a query means.
    fn page(&self, owner: &BareJid, query: &ArchiveQuery) -> ArchivePage {
        let has = |id: &ArchiveId| self.archive.contains_key(&(owner.clone(), *id));
        if !query.named_ids().all(|id| has(&id)) {
            return ArchivePage::unknown_id();
        }
        let whole = (
            Bound::Included((owner.clone(), ArchiveId(0))),
            Bound::Included((owner.clone(), ArchiveId(u64::MAX))),
        );
        let rows = self
            .archive
            .range(whole)
            .map(|(_, row)| row)
            .filter(|row| query.selects(row))
            .cloned()
            .collect();
        query.page_of(rows)
    }
}

fn to_row((key, value): (&Key, &Bytes)) -> Row {
    Row { kind: key.kind, item: key.item.clone(), value: value.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[test]
    fn memory_keeps_the_contract() {
        contract::check(&mut || std::sync::Arc::new(Memory::new()));
    }

    #[test]
    fn a_refused_write_changes_nothing_until_writes_are_accepted_again() {
        contract::block_on(async {
            let store = Memory::new();
            let fence = contract::fence(&contract::juliet(), 1);
            let key = Key::new(contract::juliet(), Kind::Vcard, "");
            let put = || vec![Batch::new(fence).with(Write::Put(key.clone(), "card".into()))];
            store.refuse_writes(Some(Error::Full("the disk")));
            assert!(matches!(store.commit(put()).await[..], [Err(Error::Full(_))]));
            assert_eq!(store.get(fence, key.clone()).await.expect("is answered"), None);
            store.refuse_writes(None);
            assert!(matches!(store.commit(put()).await[..], [Ok(())]));
            assert_eq!(
                store.get(fence, key.clone()).await.expect("is answered").expect("is kept"),
                "card"
            );
        });
    }
}

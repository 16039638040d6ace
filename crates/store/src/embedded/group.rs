//! Owns the group: what one fsync makes durable. Work is checked and laid over the tables in the order in
//! which it came; each name stands in the group once, with the last value that it was given.

use std::collections::HashMap;

use fjall::Slice;
use xmpp::{BareJid, Bucket, Epoch, Fence};

use super::encoding;
use super::job::{Answer, Work};
use super::shared::{self, Fences};
use super::tables::{Table, Tables, View, damaged};
use crate::Error;
use crate::archive::{ArchiveId, ArchiveRow};
use crate::batch::{Batch, Write};

/// Writes that become durable together.
pub(super) struct Group<'a> {
    tables: &'a Tables,
    view: View<'a>,
    fences: &'a Fences,
    changes: HashMap<(Table, Slice), Option<Slice>>,
    claims: HashMap<Bucket, Epoch>,
}

impl<'a> Group<'a> {
    /// An empty group over what is durable so far.
    pub(super) fn new(tables: &'a Tables, fences: &'a Fences) -> Self {
        Self {
            tables,
            view: tables.view(),
            fences,
            changes: HashMap::new(),
            claims: HashMap::new(),
        }
    }

    /// Adds work, or says in its answer why not.
    ///
    /// # Errors
    /// The engine's: then the group is no longer whole and must not be written.
    pub(super) fn add(&mut self, work: Work, answer: &mut Answer) -> Result<(), Error> {
        match work {
            Work::Commit(batches) => {
                for (part, batch) in batches.into_iter().enumerate() {
                    match self.check(batch.fence).and_then(|()| batch.check()) {
                        Ok(()) => self.lay(batch)?,
                        Err(refusal) => answer.set(part, Err(refusal)),
                    }
                }
            }
            Work::Claim(fence) => answer.set(0, self.claim(fence)),
            Work::Remove(fence, rows) => match fence.map_or(Ok(()), |fence| self.check(fence)) {
                Ok(()) => {
                    for (owner, id) in rows {
                        self.remove_archived(&owner, id)?;
                    }
                }
                Err(refusal) => answer.set(0, Err(refusal)),
            },
            Work::Erase(fence, owner) => match self.check(fence) {
                Ok(()) => self.erase(&owner)?,
                Err(refusal) => answer.set(0, Err(refusal)),
            },
            Work::Close => {}
        }
        Ok(())
    }

    /// Makes the group durable under its number. Answers the epochs that hold from now on; none where
    /// there was nothing to write.
    pub(super) fn write(mut self, number: u64) -> Result<Option<HashMap<Bucket, Epoch>>, Error> {
        if self.changes.is_empty() {
            return Ok(None);
        }
        let name = encoding::GROUP_NAME.to_vec();
        self.put(Table::Rows, name, &number.to_be_bytes());
        // Neighbours are put in faster when they come one after the other.
        let mut changes: Vec<_> = self.changes.into_iter().collect();
        changes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.tables.write(changes)?;
        Ok(Some(self.claims))
    }

    fn check(&self, fence: Fence) -> Result<(), Error> {
        shared::check(fence, self.epoch(fence.bucket))
    }

    fn epoch(&self, bucket: Bucket) -> Epoch {
        let claimed = self.claims.get(&bucket).copied();
        claimed.unwrap_or_else(|| self.fences.get(bucket))
    }

    fn claim(&mut self, fence: Fence) -> Result<(), Error> {
        self.check(fence)?;
        if fence.epoch > self.epoch(fence.bucket) {
            let name = encoding::fence(fence.bucket);
            self.put(Table::Rows, name, &fence.epoch.0.to_be_bytes());
            self.claims.insert(fence.bucket, fence.epoch);
        }
        Ok(())
    }

    fn lay(&mut self, batch: Batch) -> Result<(), Error> {
        for write in batch.writes {
            match write {
                Write::Put(key, value) => {
                    let name = encoding::row(&key.owner, key.kind, &key.item);
                    self.put(Table::Rows, name, &value);
                }
                Write::Delete(key) => {
                    self.remove(Table::Rows, encoding::row(&key.owner, key.kind, &key.item));
                }
                Write::Append(owner, row) => self.append(&owner, &row),
                Write::Replace(owner, row) => {
                    if self.remove_archived(&owner, row.id)? {
                        self.append(&owner, &row);
                    }
                }
                Write::Remove(owner, id) => {
                    self.remove_archived(&owner, id)?;
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, owner: &BareJid, row: &ArchiveRow) {
        let name = Slice::from(encoding::archive(owner, row.id));
        let value = Slice::from(encoding::archive_value(row));
        self.changes.insert((Table::Archive, name), Some(value));
        let name = encoding::peer(owner, &row.peer, row.id);
        self.put(Table::Peers, name, &[]);
    }

    /// Removes an archive row and its name in the index; answers whether there was one.
    fn remove_archived(&mut self, owner: &BareJid, id: ArchiveId) -> Result<bool, Error> {
        let place = (Table::Archive, encoding::archive(owner, id).into());
        let old = match self.changes.get(&place) {
            Some(change) => change.clone(),
            None => self.view.get(Table::Archive, &place.1)?,
        };
        let Some(old) = old else { return Ok(false) };
        let peer = encoding::archive_peer(&old).ok_or_else(|| damaged("an archive row"))?;
        self.changes.insert(place, None);
        self.remove(Table::Peers, encoding::peer(owner, &peer, id));
        Ok(true)
    }

    /// Everything that the tables have of an owner; what the group has, it does not see.
    fn erase(&mut self, owner: &BareJid) -> Result<(), Error> {
        for table in [Table::Rows, Table::Archive, Table::Peers] {
            let to = encoding::behind_owner(owner.as_str());
            for name in self.view.names(table, encoding::owner(owner), to) {
                self.changes.insert((table, name?), None);
            }
        }
        Ok(())
    }

    fn put(&mut self, table: Table, name: Vec<u8>, value: &[u8]) {
        self.changes.insert((table, name.into()), Some(value.into()));
    }

    fn remove(&mut self, table: Table, name: Vec<u8>) {
        self.changes.insert((table, name.into()), None);
    }
}

//! Owns the batch: writes under one fence, kept together or not at all.

use bytes::Bytes;
use xmpp::{BareJid, Fence};

use crate::Error;
use crate::archive::{ArchiveId, ArchiveRow};
use crate::key::Key;

/// Writes of one actor under one fence.
#[derive(Clone, Debug)]
pub struct Batch {
    /// By what right.
    pub fence: Fence,
    /// In order.
    pub writes: Vec<Write>,
}

/// One write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Sets a row.
    Put(Key, Bytes),
    /// Removes a row, if there is one.
    Delete(Key),
    /// Appends to an owner's archive. The id is greater than every id before.
    Append(BareJid, ArchiveRow),
    /// Puts a tombstone in the place of an archive row (XEP-0424 §5).
    Replace(BareJid, ArchiveRow),
    /// Removes an archive row.
    Remove(BareJid, ArchiveId),
}

impl Batch {
    /// An empty batch.
    pub fn new(fence: Fence) -> Self {
        Self { fence, writes: Vec::new() }
    }

    /// With a write.
    #[must_use]
    pub fn with(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// About how many bytes it will take.
    pub fn len(&self) -> usize {
        self.writes.iter().map(Write::len).sum()
    }

    /// Refuses a batch with an item that is too long; every engine asks before it writes.
    ///
    /// # Errors
    /// [`Error::TooLong`].
    pub fn check(&self) -> Result<(), Error> {
        for write in &self.writes {
            if let Write::Put(key, _) | Write::Delete(key) = write
                && key.item.len() > Key::ITEM_BYTES_MAX
            {
                return Err(Error::TooLong(key.item.len()));
            }
        }
        Ok(())
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

impl Write {
    /// About how many bytes it will take.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no write is empty")]
    pub fn len(&self) -> usize {
        const NAMES: usize = 96;
        NAMES
            + match self {
                Self::Put(key, value) => key.item.len() + value.len(),
                Self::Append(_, row) | Self::Replace(_, row) => row.stanza.len(),
                Self::Delete(key) => key.item.len(),
                Self::Remove(..) => 0,
            }
    }
}

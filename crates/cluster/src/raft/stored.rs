//! Owns what a Raft log holds, in memory, and the check that it fits together. Pure.

use std::collections::VecDeque;

use ::raft::StorageError;
use ::raft::eraftpb::{Entry, HardState, Snapshot};

/// All that is kept of a log.
#[derive(Default)]
pub(super) struct Stored {
    pub(super) hard_state: HardState,
    pub(super) snapshot: Snapshot,
    /// The last entry that is no more; at most the snapshot's.
    pub(super) truncated: Position,
    /// All entries behind it, without a gap.
    pub(super) entries: VecDeque<Entry>,
}

/// Where in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Position {
    pub(super) index: u64,
    pub(super) term: u64,
}

impl Stored {
    /// Whether nothing was ever kept.
    pub(super) fn is_new(&self) -> bool {
        self.last() == Position::default() && self.hard_state == HardState::default()
    }

    /// Where it ends.
    pub(super) fn last(&self) -> Position {
        self.entries.back().map_or(self.truncated, Position::of)
    }

    /// The position of an entry that is there, or of the last one that is no more.
    pub(super) fn position(&self, index: u64) -> Option<Position> {
        if index == self.truncated.index {
            return Some(self.truncated);
        }
        self.entries.get(self.at(index)?).map(Position::of)
    }

    /// Entries from `low` up to, not including, `high`.
    pub(super) fn range(&self, low: u64, high: u64) -> ::raft::Result<Vec<Entry>> {
        let low = self.at(low).ok_or(StorageError::Compacted)?;
        let high = self.at(high).ok_or(StorageError::Compacted)?;
        if low > high || high > self.entries.len() {
            return Err(StorageError::Unavailable.into());
        }
        Ok(self.entries.range(low..high).cloned().collect())
    }

    /// How many entries, and bytes of them, lie behind the snapshot.
    pub(super) fn since_snapshot(&self) -> (u64, usize) {
        let index = self.snapshot.get_metadata().index;
        let bytes = self.entries.iter().rev().take_while(|entry| entry.index > index);
        let bytes = bytes.map(|entry| entry.data.len()).sum();
        (self.last().index.saturating_sub(index), bytes)
    }

    /// Begins again with a snapshot from the leader.
    pub(super) fn restart(&mut self, snapshot: Snapshot) {
        self.truncated = Position::of_snapshot(&snapshot);
        self.snapshot = snapshot;
        self.entries.clear();
    }

    /// Puts entries in the place of all from `index` on, which there are or which come next.
    pub(super) fn replace_from(&mut self, index: u64, entries: Vec<Entry>) {
        self.entries.truncate(self.at(index).unwrap_or(0));
        self.entries.extend(entries);
    }

    /// Forgets entries up to there.
    pub(super) fn drop_to(&mut self, truncated: Position) {
        while self.entries.front().is_some_and(|entry| entry.index <= truncated.index) {
            self.entries.pop_front();
        }
        self.truncated = truncated;
    }

    /// Whether it fits together.
    ///
    /// # Errors
    ///
    /// What does not, for an operator.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let snapshot = Position::of_snapshot(&self.snapshot);
        let mut before = self.truncated;
        for position in self.entries.iter().map(Position::of) {
            if position.index != before.index + 1 {
                return Err("entries are missing");
            }
            if position.term < before.term {
                return Err("its terms go back");
            }
            before = position;
        }
        if self.position(snapshot.index) != Some(snapshot) {
            return Err("its snapshot is not of its entries");
        }
        if (snapshot.index == 0) != self.snapshot.get_metadata().get_conf_state().voters.is_empty()
        {
            return Err("its snapshot has no voters");
        }
        let HardState { commit, term, .. } = self.hard_state;
        if commit > before.index || commit < snapshot.index {
            return Err("entries that were committed are missing");
        }
        if term < before.term {
            return Err("its term is older than its entries");
        }
        Ok(())
    }

    /// The place of an index among the entries, whether it is there or not; none if it is before them.
    fn at(&self, index: u64) -> Option<usize> {
        let at = index.checked_sub(self.truncated.index + 1)?;
        usize::try_from(at).ok()
    }
}

impl Position {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { index: entry.index, term: entry.term }
    }

    pub(super) fn of_snapshot(snapshot: &Snapshot) -> Self {
        Self { index: snapshot.get_metadata().index, term: snapshot.get_metadata().term }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (index, term) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            index: u64::from_be_bytes(*index),
            term: u64::from_be_bytes(term.try_into().ok()?),
        })
    }
}

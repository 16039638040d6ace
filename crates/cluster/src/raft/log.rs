//! Owns the Raft log on disk: entries, hard state, snapshot and the member's identity, in a fjall database
//! of their own (in a keyspace of the store's, each flush of a chat would hold elections up). Checks all of
//! it when it opens. Knows nothing of what entries mean.
//!
//! All entries since the last compaction are in memory too, so that reading never fails or blocks.

use std::collections::VecDeque;
use std::path::Path;

use ::raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use ::raft::{GetEntriesContext, RaftState, Storage, StorageError};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use prost::Message as _;
use proto::MemberId;
use protobuf::Message as _;

use super::stored::{Position, Stored};
use super::witness;
use crate::wire;

/// The Raft log of one member.
pub(crate) struct RaftLog {
    database: Database,
    entries: Keyspace,
    meta: Keyspace,
    identity: Identity,
    stored: Stored,
}

/// Who this member is; kept with the log, so that an empty disk means another member (it would vote twice
/// otherwise).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) member: MemberId,
    /// Counts the openings of this log.
    pub(crate) incarnation: u64,
}

/// What is to be kept before the next messages leave. Kept whole or not at all.
#[derive(Default)]
pub(crate) struct Update {
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) hard_state: Option<HardState>,
    /// Whether it must be on the disk before the call returns.
    pub(crate) sync: bool,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another process has it open.
    #[error("it is used by another process")]
    InUse,
    /// What is there does not fit together: part of it was lost or changed.
    #[error("the raft log is torn: {0}; remove its directory to begin as a new member")]
    Torn(&'static str),
    /// A newer program wrote it.
    #[error("the raft log has format {0}, which is newer than this program")]
    Format(u32),
    /// The disk or the database failed.
    #[error("the raft log failed while it {doing}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller has broken the order of entries.
    #[error("entry {index} does not follow the raft log, which ends at {last}")]
    Gap {
        /// Of the first entry to be kept.
        index: u64,
        /// Of the last entry there is.
        last: u64,
    },
}

const FORMAT: u32 = 1;

/// Keys of the keyspace `meta`.
const IDENTITY: &[u8] = b"identity";
const HARD_STATE: &[u8] = b"hard-state";
const SNAPSHOT: &[u8] = b"snapshot";
/// Index and term of the last entry that was removed from the front, 8 bytes each.
const TRUNCATED: &[u8] = b"truncated";

impl RaftLog {
    /// Opens the log in `directory`, or makes a new one with the member id `mint`. Counts the incarnation up.
    ///
    /// # Errors
    ///
    /// [`LogError`]; nothing was changed.
    pub(crate) fn open(directory: &Path, mint: MemberId) -> Result<Self, LogError> {
        std::fs::create_dir_all(directory).map_err(|e| disk("made its directory", e))?;
        let database = open_database(directory)?;
        let keyspace = |name| {
            let opened = database.keyspace(name, KeyspaceCreateOptions::default);
            opened.map_err(|e| disk("opened a keyspace", e))
        };
        let (entries, meta) = (keyspace("entries")?, keyspace("meta")?);
        let stored = read_stored(&entries, &meta)?;
        let known =
            read_meta::<wire::Identity>(&meta, IDENTITY, |b| wire::Identity::decode(b).ok())?;
        let said = witness::read(directory).map_err(|e| disk("asked its witness", e))?;
        check_witness(said, known.as_ref())?;
        let identity = next_identity(known, &stored, mint)?;
        let log = Self { database, entries, meta, identity, stored };
        log.keep_identity()?;
        witness::write(directory, identity).map_err(|e| disk("told its witness", e))?;
        Ok(log)
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Counts the incarnation up: this process takes part anew.
    ///
    /// # Errors
    ///
    /// [`LogError::Disk`].
    pub(crate) fn renew(&mut self) -> Result<Identity, LogError> {
        self.identity.incarnation = self.identity.incarnation.saturating_add(1);
        self.keep_identity()?;
        Ok(self.identity)
    }

    /// The last snapshot: index 0 and no voters in a new log.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.stored.snapshot
    }

    /// Whether the log has a Raft configuration to start with.
    pub(crate) fn is_initialized(&self) -> bool {
        self.stored.snapshot.get_metadata().index > 0
    }

    /// Gives a new log the configuration to start with, and the state that `data` is the bytes of. Index 1
    /// is taken by it, so that a member that joins with nothing gets it as a snapshot.
    ///
    /// # Errors
    ///
    /// As [`RaftLog::write`].
    pub(crate) fn initialize(
        &mut self,
        voters: &[MemberId],
        data: Vec<u8>,
    ) -> Result<(), LogError> {
        self.restart(voters, 1, data)
    }

    /// The index of the last entry there is.
    pub(crate) fn last_position(&self) -> u64 {
        self.stored.last().index
    }

    /// Begins again at `index`, in a later term than all before, with these voters and the state that `data`
    /// is the bytes of. What was there is gone.
    ///
    /// # Errors
    ///
    /// As [`RaftLog::write`].
    pub(crate) fn restart(
        &mut self,
        voters: &[MemberId],
        index: u64,
        data: Vec<u8>,
    ) -> Result<(), LogError> {
        let term = self.stored.hard_state.term + 1;
        let mut snapshot = Snapshot { data: data.into(), ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (index, term);
        let voters = voters.iter().map(|id| id.0).collect();
        metadata.mut_conf_state().voters = voters;
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.commit) = (term, index);
        self.write(Update {
            snapshot: Some(snapshot),
            hard_state: Some(hard_state),
            sync: true,
            ..Update::default()
        })
    }

    /// How many entries, and bytes of them, lie behind the last snapshot.
    pub(crate) fn since_snapshot(&self) -> (u64, usize) {
        self.stored.since_snapshot()
    }

    /// Keeps an update, with one flush at most.
    ///
    /// # Errors
    ///
    /// [`LogError::Disk`]: nobody knows what was kept; the log must be opened anew. [`LogError::Gap`].
    pub(crate) fn write(&mut self, update: Update) -> Result<(), LogError> {
        let mut batch = self.batch(update.sync);
        let last = self.stored.last().index;
        let ends = update.entries.first().zip(update.entries.last());
        let new = ends.map_or(0..0, |(first, last)| first.index..last.index + 1);
        let base = update.snapshot.as_ref().map(Position::of_snapshot);
        let (from, to) =
            base.map_or((self.stored.truncated.index, last), |at| (at.index, at.index));
        if !new.is_empty() && !(from + 1..=to + 1).contains(&new.start) {
            let (index, last) = (new.start, to);
            return Err(LogError::Gap { index, last });
        }
        // One batch must not name a key twice: what is replaced is not removed first.
        let stale = match base {
            Some(_) => self.stored.truncated.index + 1,
            None if new.is_empty() => last + 1,
            None => new.end,
        };
        for index in (stale..=last).filter(|index| !new.contains(index)) {
            batch.remove(&self.entries, key(index));
        }
        if let Some(snapshot) = update.snapshot {
            self.put_snapshot(&mut batch, &snapshot)?;
            self.put_truncated(&mut batch, Position::of_snapshot(&snapshot));
            self.stored.restart(snapshot);
        }
        for entry in &update.entries {
            batch.insert(&self.entries, key(entry.index), encode(entry)?);
        }
        if !new.is_empty() {
            self.stored.replace_from(new.start, update.entries);
        }
        if let Some(hard_state) = update.hard_state {
            batch.insert(&self.meta, HARD_STATE, encode(&hard_state)?);
            self.stored.hard_state = hard_state;
        }
        batch.commit().map_err(|e| disk("kept entries", e))
    }

    /// Replaces all entries up to the snapshot's by it, but for the last `keep` of them, from which slow
    /// followers can go on.
    ///
    /// # Errors
    ///
    /// As [`RaftLog::write`].
    pub(crate) fn compact(&mut self, snapshot: Snapshot, keep: u64) -> Result<(), LogError> {
        let at = snapshot.get_metadata().index.saturating_sub(keep);
        let truncated = self.stored.position(at).unwrap_or(self.stored.truncated);
        let mut batch = self.batch(true);
        self.put_snapshot(&mut batch, &snapshot)?;
        self.put_truncated(&mut batch, truncated);
        for index in self.stored.truncated.index + 1..=truncated.index {
            batch.remove(&self.entries, key(index));
        }
        batch.commit().map_err(|e| disk("compacted itself", e))?;
        self.stored.snapshot = snapshot;
        self.stored.drop_to(truncated);
        Ok(())
    }

    fn batch(&self, sync: bool) -> OwnedWriteBatch {
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        self.database.batch().durability(Some(mode))
    }

    fn put_snapshot(
        &self,
        batch: &mut OwnedWriteBatch,
        snapshot: &Snapshot,
    ) -> Result<(), LogError> {
        batch.insert(&self.meta, SNAPSHOT, encode(snapshot)?);
        Ok(())
    }

    fn put_truncated(&self, batch: &mut OwnedWriteBatch, at: Position) {
        let bytes = [at.index.to_be_bytes(), at.term.to_be_bytes()].concat();
        batch.insert(&self.meta, TRUNCATED, bytes);
    }

    fn keep_identity(&self) -> Result<(), LogError> {
        let identity = wire::Identity {
            format: FORMAT,
            member: self.identity.member.0,
            incarnation: self.identity.incarnation,
        };
        let mut batch = self.batch(true);
        batch.insert(&self.meta, IDENTITY, identity.encode_to_vec());
        batch.commit().map_err(|e| disk("kept its identity", e))
    }
}

fn open_database(directory: &Path) -> Result<Database, LogError> {
    let opened = Database::builder(directory)
        .worker_threads(1)
        .cache_size(1 << 20)
        .max_journaling_size(64 << 20)
        .open();
    opened.map_err(|error| match error {
        fjall::Error::Locked => LogError::InUse,
        error => disk("opened its database", error),
    })
}

/// Whether the log knows at least what its witness says.
fn check_witness(said: Option<Identity>, known: Option<&wire::Identity>) -> Result<(), LogError> {
    match (said, known) {
        (None, _) => Ok(()),
        (Some(said), Some(known)) if known.member != said.member.0 => {
            Err(LogError::Torn("it is another member's than its witness says"))
        }
        (Some(said), Some(known)) if known.incarnation >= said.incarnation => Ok(()),
        (Some(_), _) => Err(LogError::Torn("it has lost what it knew at its last start")),
    }
}

fn next_identity(
    known: Option<wire::Identity>,
    stored: &Stored,
    mint: MemberId,
) -> Result<Identity, LogError> {
    match known {
        Some(known) if known.format > FORMAT => Err(LogError::Format(known.format)),
        Some(known) if known.member == 0 => Err(LogError::Torn("its member has no id")),
        Some(known) => Ok(Identity {
            member: MemberId(known.member),
            incarnation: known.incarnation.saturating_add(1),
        }),
        None if stored.is_new() => Ok(Identity { member: mint, incarnation: 1 }),
        None => Err(LogError::Torn("its member's identity is missing")),
    }
}

fn read_stored(entries: &Keyspace, meta: &Keyspace) -> Result<Stored, LogError> {
    let truncated = read_meta(meta, TRUNCATED, Position::from_bytes)?.unwrap_or_default();
    let mut stored = Stored {
        hard_state: read_meta(meta, HARD_STATE, |b| HardState::parse_from_bytes(b).ok())?
            .unwrap_or_default(),
        snapshot: read_meta(meta, SNAPSHOT, |b| Snapshot::parse_from_bytes(b).ok())?
            .unwrap_or_default(),
        truncated,
        entries: VecDeque::new(),
    };
    for row in entries.iter() {
        let (at, bytes) = row.into_inner().map_err(|e| disk("read its entries", e))?;
        let entry =
            Entry::parse_from_bytes(&bytes).map_err(|_| LogError::Torn("an entry is garbled"))?;
        if *at != key(entry.index) {
            return Err(LogError::Torn("an entry is not where it belongs"));
        }
        stored.entries.push_back(entry);
    }
    stored.check().map_err(LogError::Torn)?;
    Ok(stored)
}

fn read_meta<T>(
    meta: &Keyspace,
    key: &[u8],
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, LogError> {
    let bytes = meta.get(key).map_err(|e| disk("read its state", e))?;
    let parsed = bytes.map(|bytes| parse(&bytes).ok_or(LogError::Torn("its state is garbled")));
    parsed.transpose()
}

fn key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn encode(message: &impl protobuf::Message) -> Result<Vec<u8>, LogError> {
    message.write_to_bytes().map_err(|e| disk("encoded a message", e))
}

fn disk(
    doing: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LogError {
    let source = source.into();
    LogError::Disk { doing, source }
}

impl Storage for RaftLog {
    fn initial_state(&self) -> ::raft::Result<RaftState> {
        // The configuration as of the snapshot: changes behind it are applied again from the log.
        let conf_state: &ConfState = self.stored.snapshot.get_metadata().get_conf_state();
        Ok(RaftState::new(self.stored.hard_state.clone(), conf_state.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> ::raft::Result<Vec<Entry>> {
        let mut entries = self.stored.range(low, high)?;
        ::raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> ::raft::Result<u64> {
        let first = self.stored.truncated.index;
        match self.stored.position(index) {
            Some(position) => Ok(position.term),
            None if index < first => Err(StorageError::Compacted.into()),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> ::raft::Result<u64> {
        Ok(self.stored.truncated.index + 1)
    }

    fn last_index(&self) -> ::raft::Result<u64> {
        Ok(self.stored.last().index)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> ::raft::Result<Snapshot> {
        let snapshot = &self.stored.snapshot;
        if snapshot.get_metadata().index < request_index {
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        Ok(snapshot.clone())
    }
}

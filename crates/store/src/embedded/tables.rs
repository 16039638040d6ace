//! Owns the open database: how it is created and opened, and its three tables.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Slice, Snapshot};
use xmpp::{Bucket, Epoch};

use super::{Config, encoding, engine, journal, unwound};
use crate::Error;

/// Names the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Table {
    Rows,
    Archive,
    Peers,
}

/// The open database.
pub(super) struct Tables {
    database: Database,
    rows: Keyspace,
    archive: Keyspace,
    peers: Keyspace,
}

/// A consistent view: a group is in it whole or not at all.
pub(super) struct View<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

impl Tables {
    /// Opens the database in a directory that this process has locked.
    pub(super) fn open(dir: &Path, config: &Config) -> Result<Self, Error> {
        let place = database_dir(dir);
        if !place.exists() {
            Self::create(dir, config)?;
        }
        journal::mend(&place)?;
        let tables = unwound("opened its tables", || open(&place, config))?;
        tables.check_format()?;
        Ok(tables)
    }

    /// Creates the database aside and moves it to its place when it is whole, so that no crash leaves a
    /// half of one there.
    fn create(dir: &Path, config: &Config) -> Result<(), Error> {
        let aside = dir.join("rows.new");
        let failed = |error: io::Error| engine("created its directory", error);
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let tables = unwound("created its tables", || open(&aside, config))?;
        let written = tables.rows.insert(encoding::FORMAT_NAME, encoding::FORMAT.to_be_bytes());
        written
            .and_then(|()| tables.database.persist(PersistMode::SyncAll))
            .map_err(failure("created its tables"))?;
        drop(tables);
        fs::rename(&aside, database_dir(dir)).map_err(failed)?;
        sync_dir(dir).map_err(failed)?;
        dir.parent().map_or(Ok(()), sync_dir).map_err(failed)
    }

    fn check_format(&self) -> Result<(), Error> {
        let format = self.number(encoding::FORMAT_NAME)?;
        match format {
            Some(encoding::FORMAT) => Ok(()),
            Some(newer) if newer > encoding::FORMAT => Err(engine(
                "opened its directory",
                format_args!(
                    "it was written in format {newer}, this server knows formats up to {}",
                    encoding::FORMAT
                ),
            )),
            _ => Err(engine("opened its directory", "it does not say its format")),
        }
    }

    /// The number of the last durable group.
    pub(super) fn last_group(&self) -> Result<u64, Error> {
        Ok(self.number(encoding::GROUP_NAME)?.unwrap_or_default())
    }

    fn number(&self, name: &[u8]) -> Result<Option<u64>, Error> {
        let value = self.view().get(Table::Rows, name)?;
        Ok(value.and_then(|value| encoding::number(&value)))
    }

    /// The epochs of all buckets that were claimed.
    pub(super) fn fences(&self) -> Result<HashMap<Bucket, Epoch>, Error> {
        let mut fences = HashMap::new();
        for entry in self.view().snapshot.prefix(&self.rows, encoding::FENCE_NAME) {
            let (name, value) = entry.into_inner().map_err(failure("read its fences"))?;
            let fence = encoding::bucket_of(&name).zip(encoding::number(&value));
            let (bucket, epoch) = fence.ok_or_else(|| damaged("a fence"))?;
            fences.insert(bucket, Epoch(epoch));
        }
        Ok(fences)
    }

    pub(super) fn view(&self) -> View<'_> {
        View { tables: self, snapshot: self.database.snapshot() }
    }

    /// Waits until the tables take more without holding the writer up inside the engine, where it would
    /// not notice that the threads it waits for have failed.
    pub(super) fn settle(&self) -> Result<(), Error> {
        const UNWRITTEN_MAX: usize = 3;
        const UNMERGED_MAX: usize = 24;
        const PAUSE: Duration = Duration::from_millis(5);
        loop {
            // Fails where a thread of the engine has failed.
            let alive = self.database.persist(PersistMode::Buffer);
            alive.map_err(failure("went on"))?;
            let is_behind = [&self.rows, &self.archive, &self.peers].iter().any(|table| {
                table.sealed_memtable_count() >= UNWRITTEN_MAX
                    || table.l0_table_count() >= UNMERGED_MAX
            });
            if !is_behind {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    /// Keeps all changes or none; returns when they are on the disk. A name may stand among them once.
    pub(super) fn write(&self, changes: Vec<((Table, Slice), Option<Slice>)>) -> Result<(), Error> {
        let database = self.database.clone();
        let mut batch = fjall::OwnedWriteBatch::with_capacity(database, changes.len())
            .durability(Some(PersistMode::SyncAll));
        for ((table, name), value) in changes {
            match value {
                Some(value) => batch.insert(self.table(table), name, value),
                None => batch.remove(self.table(table), name),
            }
        }
        batch.commit().map_err(failure("wrote"))
    }

    fn table(&self, table: Table) -> &Keyspace {
        match table {
            Table::Rows => &self.rows,
            Table::Archive => &self.archive,
            Table::Peers => &self.peers,
        }
    }
}

impl View<'_> {
    pub(super) fn get(&self, table: Table, name: &[u8]) -> Result<Option<Slice>, Error> {
        let table = self.tables.table(table);
        self.snapshot.get(table, name).map_err(failure("read"))
    }

    pub(super) fn has(&self, table: Table, name: &[u8]) -> Result<bool, Error> {
        let table = self.tables.table(table);
        self.snapshot.contains_key(table, name).map_err(failure("read"))
    }

    /// Names and values from `from` on and before `to`, in order; from the end as well.
    pub(super) fn range(
        &self,
        table: Table,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), Error>> + use<> {
        // The engine asks for ranges that are none to be left out.
        let to = to.max(from.clone());
        let entries = self.snapshot.range(self.tables.table(table), from..to);
        entries.map(|entry| entry.into_inner().map_err(failure("read")))
    }

    /// As [`View::range`], names alone.
    pub(super) fn names(
        &self,
        table: Table,
        from: Vec<u8>,
        to: Vec<u8>,
    ) -> impl DoubleEndedIterator<Item = Result<Slice, Error>> + use<> {
        let to = to.max(from.clone());
        let entries = self.snapshot.range(self.tables.table(table), from..to);
        entries.map(|entry| entry.key().map_err(failure("read")))
    }
}

/// Where the database stands in the store's directory.
pub(super) fn database_dir(dir: &Path) -> PathBuf {
    dir.join("rows")
}

fn open(place: &Path, config: &Config) -> Result<Tables, Error> {
    const JOURNAL_BYTES_LEAST: u64 = 64 << 20;
    const WORKERS: usize = 2;
    // Descriptors are for sockets.
    const FILES: usize = 256;
    let failed = || failure("opened its tables");
    let database = Database::builder(place)
        .cache_size(config.cache_bytes)
        .max_journaling_size(config.journal_bytes_max.max(JOURNAL_BYTES_LEAST))
        .worker_threads(WORKERS)
        .max_cached_files(Some(FILES))
        .manual_journal_persist(true)
        .open()
        .map_err(failed())?;
    let options = || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(config.write_buffer_bytes)
            .manual_journal_persist(true)
    };
    Ok(Tables {
        rows: database.keyspace("rows", options).map_err(failed())?,
        archive: database.keyspace("archive", options).map_err(failed())?,
        peers: database.keyspace("peers", options).map_err(failed())?,
        database,
    })
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// What the engine says, in the words of the store.
pub(super) fn failure(doing: &'static str) -> impl Fn(fjall::Error) -> Error {
    move |error| {
        let io = match &error {
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error,
            _ => return engine(doing, error),
        };
        match io.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full("the disk"),
            _ => engine(doing, io),
        }
    }
}

/// Something on the disk is not what was written there.
pub(super) fn damaged(what: &'static str) -> Error {
    engine("read", format_args!("{what} is damaged"))
}

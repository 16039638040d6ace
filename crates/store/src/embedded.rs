//! Owns the engine on a directory: one thread that writes in groups, each made durable with one fsync, and
//! a few that read. Words of the engine beneath stay in this module.
//!
//! | file | owns |
//! |---|---|
//! | [`config`] | what an operator may choose |
//! | `encoding` | how names and rows stand in bytes |
//! | `tables` | the open database: creating, opening, its three tables |
//! | `job` | what the writer is asked, and what it answers |
//! | `group` | what one fsync makes durable: fences checked, writes laid over the tables |
//! | `writer` | the thread that writes, its queue, failing and reopening |
//! | `readers` | the threads that read |
//! | `rows` | reading rows and owners |
//! | `pages` | reading pages of archives |
//! | `sweep` | removing much: expire, erase |
//! | `journal` | what a crash leaves in a journal, and what may be cut from it |
//! | `space` | how much room the disk has |
//!
//! Durability: [`Store::commit`] answers after the journal was fsynced. A group that fails, fails whole:
//! before anything else is written, the database is opened again and what the group left in the journal is
//! cut away, so that nothing of a refused batch is kept and nothing acknowledged stands behind a hole.
//! (Only a process that dies between the failure and that may have refused what it finds kept.)

#![expect(
    clippy::disallowed_methods,
    reason = "an engine is no pure core: it looks at the clock itself"
)]

pub mod config;
mod encoding;
mod group;
mod job;
mod journal;
mod pages;
mod readers;
mod rows;
mod shared;
mod space;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twins;
mod writer;

use std::fs::{self, File, TryLockError};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use xmpp::{BareJid, Fence};

use crate::archive::{ArchivePage, ArchiveQuery};
use crate::batch::Batch;
use crate::key::{Key, Kind, Row};
use crate::{Error, Reply, Store};

pub use config::Config;
use job::{CALL_BYTES, Job, Work};
pub use journal::mend;
use readers::Readers;
use shared::Shared;
use space::{Disk, Probe, Space};

pub use space::free_bytes;
use tables::Tables;
use writer::{Home, Writer};

/// A store on a directory, for one process.
///
/// Dropping it without [`Store::close`] waits for what was accepted, too.
pub struct Embedded {
    shared: Arc<Shared>,
    disk: Arc<Disk>,
    jobs: Sender<Job>,
    readers: Readers,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the store in a directory, creating both where there is none, and blocks while it does. Recovers
    /// from a crash: what was acknowledged is there; a write that was cut short is cut away.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process has the directory; [`Error::Engine`] where the directory
    /// cannot be read or written, was written by a newer version, or where a file is damaged at a place
    /// that a crash does not explain.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, Error> {
        Self::open_with(dir, config, Box::new(free_bytes))
    }

    fn open_with(dir: &Path, config: &Config, probe: Probe) -> Result<Self, Error> {
        let lock = lock(dir)?;
        let tables = Tables::open(dir, config)?;
        let shared = Arc::new(Shared::new(tables)?);
        let readers = Readers::start(config)?;
        let (jobs, queue) = mpsc::channel();
        let disk = Arc::new(Disk::new(dir, config.min_free_bytes, probe));
        let writer = Writer {
            done: shared.read(None, Tables::last_group)?,
            shared: Arc::clone(&shared),
            jobs: queue,
            space: Space::new(Arc::clone(&disk)),
            home: Home { dir: dir.to_owned(), config: config.clone(), lock },
            down: None,
            pause: Writer::FIRST_PAUSE,
        };
        let writer = thread::Builder::new()
            .name("store-write".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| engine("started its writer", error))?;
        Ok(Self { shared, disk, jobs, readers, writer: Mutex::new(Some(writer)) })
    }

    /// Owners that have any row or an archive, behind `after`, at most `limit`, in order.
    pub fn everyone(&self, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .slow(move || shared.read(None, |tables| rows::everyone(tables, after.as_ref(), limit)))
    }

    /// Reads on the lane for what is quick.
    fn quick<T: Send + 'static>(
        &self,
        fence: Fence,
        read: impl FnOnce(&Tables) -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        let shared = Arc::clone(&self.shared);
        self.readers.quick(move || shared.read(Some(fence), read))
    }

    /// Hands a job to the writer and waits for its answer.
    fn ask(&self, work: Work, bytes: usize) -> Reply<()> {
        let shared = Arc::clone(&self.shared);
        let (job, done) = Job::one(work, bytes);
        if self.jobs.send(job).is_err() {
            return ready(Err(shared.gone())).boxed();
        }
        async move { done.await.unwrap_or_else(|_| Err(shared.gone())) }.boxed()
    }
}

impl Store for Embedded {
    fn claim(&self, fence: Fence) -> Reply<()> {
        match self.shared.reserve(CALL_BYTES) {
            Ok(()) => self.ask(Work::Claim(fence), CALL_BYTES),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        self.quick(fence, move |tables| rows::load(tables, &owner, kinds))
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        self.quick(fence, move |tables| rows::get(tables, &key))
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        self.quick(fence, move |tables| rows::scan(tables, &owner, kind, after.as_deref(), limit))
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        let count = batches.len();
        let bytes = batches.iter().map(|batch| batch.len() + CALL_BYTES).sum();
        if let Err(error) = self.shared.reserve(bytes) {
            return ready(vec![Err(error); count]).boxed();
        }
        let shared = Arc::clone(&self.shared);
        let (job, done) = Job::commit(batches, bytes);
        if self.jobs.send(job).is_err() {
            return ready(vec![Err(shared.gone()); count]).boxed();
        }
        async move { done.await.unwrap_or_else(|_| vec![Err(shared.gone()); count]) }.boxed()
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .slow(move || shared.read(Some(fence), |tables| pages::page(tables, &owner, &query)))
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        let shared = Arc::clone(&self.shared);
        self.readers.slow(move || {
            shared.read(None, |tables| rows::owners(tables, kind, after.as_ref(), limit))
        })
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        let shared = Arc::clone(&self.shared);
        let jobs = self.jobs.clone();
        self.readers.slow(move || sweep::erase(&shared, &jobs, fence, &owner))
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        let shared = Arc::clone(&self.shared);
        let jobs = self.jobs.clone();
        self.readers.slow(move || sweep::expire(&shared, &jobs, before_unix_micros, limit))
    }

    fn can_keep(&self) -> bool {
        !self.shared.down.load(Ordering::Acquire) && self.disk.has_room()
    }

    fn waiting_bytes(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    fn close(&self) -> Reply<()> {
        self.shared.closed.store(true, Ordering::Release);
        self.readers.stop();
        let closed = self.ask(Work::Close, 0);
        // A writer that is gone has let go as well.
        async move {
            match closed.await {
                Err(Error::Closed) => Ok(()),
                answer => answer,
            }
        }
        .boxed()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.close());
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the thread that writes the store panicked");
        }
    }
}

/// Takes the directory for this process. The lock goes with the file, also when the process is killed.
fn lock(dir: &Path) -> Result<File, Error> {
    let failed = |error| engine("took its directory", error);
    fs::create_dir_all(dir).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(dir.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// A panic of the engine, for instance about what it finds on the disk, as an error.
fn unwound<T>(doing: &'static str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(engine(doing, "it panicked; the log says where")))
}

/// An engine's failure: `doing` completes "the store failed while it …".
fn engine(doing: &'static str, cause: impl std::fmt::Display) -> Error {
    Error::Engine { doing, cause: cause.to_string().into() }
}

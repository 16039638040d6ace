//! Owns the engine on a Redis server or a Redis Cluster: buckets are slots, every write is one script that looks
//! at the bucket's epoch first, and what waits for a server goes there as one pipeline. Words of Redis stay in
//! this module.
//!
//! | file | owns |
//! |---|---|
//! | [`config`] | what an operator may choose, and what is refused |
//! | `tags`, `names` | where buckets and rows stand |
//! | `*.lua` | the scripts: claim, write, erase, expire |
//! | `begin` | finding and judging servers, marking the data set |
//! | [`bootstrap`] | which cluster the data set belongs to, in which generation |
//! | `map` | which server has which bucket |
//! | `link` | the connections to one server |
//! | `shared` | what callers, readers and the writer share |
//! | `work` | what the writer is asked, and what it answers |
//! | `writer`, `lane` | the loop that writes, and what waits for one server |
//! | `verdicts` | what follows the verdicts on a group |
//! | `run`, `levels` | one pipeline, and what makes it durable |
//! | `ring` | what a primary that comes up without it gets again |
//! | `reads`, `pages` | reading |
//! | `sweep` | erase, expire, owners |
//! | `walk` | going over all owners |
//! | `watch`, `fitness` | the look that is taken once in a while, and what it finds of each server |
//!
//! A write whose fate nobody knows is done again until somebody knows: it changes nothing the second time. So a
//! call answers with an error only about what no server has done - with one exception, a store that is closed
//! while its servers are away.

#![expect(
    clippy::disallowed_methods,
    reason = "an engine is no pure core: it looks at the clock itself"
)]

mod awake;
mod begin;
pub mod bootstrap;
pub mod config;
mod fitness;
#[cfg(test)]
mod fixture;
mod lane;
mod levels;
mod link;
mod map;
mod names;
mod pages;
mod reads;
mod ring;
mod run;
mod shared;
mod sweep;
mod tags;
#[cfg(test)]
mod tests;
mod verdicts;
mod walk;
mod watch;
mod work;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use xmpp::{BareJid, Bucket, Fence};

use crate::archive::{ArchivePage, ArchiveQuery};
use crate::batch::Batch;
use crate::key::{Key, Kind, Row};
use crate::{Cursor, Error, Reply, Store, Walked};

pub use config::{Config, Durability};
use reads::Reader;
use shared::{Claim, Shared};
use work::{Call, Item, Work};
use writer::{Job, Writer};

/// A store on Redis.
///
/// Dropping it without [`Store::close`] waits for what was accepted, too.
pub struct Redis {
    reader: Reader,
    runtime: Handle,
    reads: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How many reads may be under way before more are refused.
const READS_MAX: usize = 4_096;
/// What a call takes beside its rows, in bytes.
const CALL_BYTES: usize = 128;

impl Redis {
    /// Connects, and blocks while it does.
    ///
    /// # Errors
    /// [`Error::Engine`] where no server can be reached, one cannot promise the level of durability, throws
    /// keys away, or may not be spoken to like this; with what to do about it.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| engine("started its thread", error))?;
        let handle = runtime.handle().clone();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let config = config.clone();
        let thread = thread::Builder::new().name("store-redis".to_owned()).spawn(move || {
            let begin = runtime.block_on(begin::begin(config)).map(Arc::new);
            let (jobs, queue) = mpsc::unbounded_channel();
            let told = begin.clone().map(|shared| Reader { shared, jobs });
            // Whoever opens it waits for this.
            drop(begun.send(told));
            if let Ok(shared) = begin {
                runtime.block_on(Writer::new(shared, queue).run());
            }
        });
        let thread = thread.map_err(|error| engine("started its thread", error))?;
        let reader = has_begun.recv().unwrap_or_else(|_| Err(engine("began", "it panicked")))?;
        Ok(Self {
            reader,
            runtime: handle,
            reads: Arc::new(Semaphore::new(READS_MAX)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// By what the data set is known: the same each time it is opened, until it is emptied or exchanged.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.reader.shared.marker
    }

    /// Owners that have any row or an archive, behind `after`, at most `limit`, in order.
    pub fn everyone(&self, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        let reader = self.reader.clone();
        self.read(async move { reader.everyone(after, limit).await })
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.reader.shared
    }

    /// Reads on the engine's thread.
    fn read<T: Send + 'static>(
        &self,
        read: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Reply<T> {
        if let Err(error) = self.shared().open() {
            return ready(Err(error)).boxed();
        }
        let Ok(permit) = Arc::clone(&self.reads).try_acquire_owned() else {
            return ready(Err(Error::Full("too many reads wait"))).boxed();
        };
        let task = self.runtime.spawn(async move {
            let answer = read.await;
            drop(permit);
            answer
        });
        async move { task.await.unwrap_or(Err(Error::Closed)) }.boxed()
    }
}

impl Reader {
    /// Hands work to the writer, a part for each bucket.
    fn submit(
        &self,
        works: Vec<(Bucket, Work, usize)>,
    ) -> BoxFuture<'static, Vec<Result<u64, Error>>> {
        let count = works.len();
        let (call, answer) = Call::new(count);
        let born = Instant::now();
        let item = |(part, (bucket, work, bytes))| Item {
            bucket,
            work,
            bytes,
            order: 0,
            born,
            is_sent: false,
            waits: Some((Arc::clone(&call), part)),
        };
        let items: Vec<Item> = works.into_iter().enumerate().map(item).collect();
        if count == 0 || self.jobs.send(Job::Do(items)).is_err() {
            return ready(vec![Err(Error::Closed); count]).boxed();
        }
        async move { answer.await.unwrap_or_else(|_| vec![Err(Error::Closed); count]) }.boxed()
    }

    /// As [`Reader::submit`], for one part.
    fn submit_one(&self, bucket: Bucket, work: Work) -> Reply<u64> {
        if let Err(error) = self.shared.reserve(CALL_BYTES, 1) {
            return ready(Err(error)).boxed();
        }
        let answer = self.submit(vec![(bucket, work, CALL_BYTES)]);
        answer.map(|answers| answers.into_iter().next().unwrap_or(Err(Error::Closed))).boxed()
    }
}

impl Store for Redis {
    fn claim(&self, fence: Fence) -> Reply<()> {
        let must = self.shared().claimed(fence.bucket).as_ref().is_some_and(Claim::is_settled);
        let claim = Work::Claim { epoch: fence.epoch, must };
        self.reader.submit_one(fence.bucket, claim).map(|answer| answer.map(drop)).boxed()
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        let reader = self.reader.clone();
        self.read(async move { reader.load(fence, &owner, kinds).await })
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        let reader = self.reader.clone();
        self.read(async move { reader.get(fence, &key).await })
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        let reader = self.reader.clone();
        self.read(async move { reader.scan(fence, &owner, kind, after, limit).await })
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        let count = batches.len();
        let bytes = batches.iter().map(|batch| batch.len() + CALL_BYTES).sum();
        if let Err(error) = self.shared().reserve(bytes, count) {
            return ready(vec![Err(error); count]).boxed();
        }
        // A batch that is no good is refused without the others.
        let mut refusals: Vec<Option<Error>> = Vec::with_capacity(count);
        let mut works = Vec::with_capacity(count);
        for batch in batches {
            let bytes = batch.len() + CALL_BYTES;
            refusals.push(batch.check().err());
            match refusals.last() {
                Some(Some(_)) => self.shared().release(bytes),
                _ => works.push((batch.fence.bucket, Work::Commit(batch), bytes)),
            }
        }
        let answers = self.reader.submit(works);
        let told = |answers: Vec<Result<u64, Error>>| {
            let mut answers = answers.into_iter();
            let mut next = || answers.next().unwrap_or(Err(Error::Closed)).map(drop);
            refusals.into_iter().map(|refusal| refusal.map_or_else(&mut next, Err)).collect()
        };
        answers.map(told).boxed()
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        let reader = self.reader.clone();
        self.read(async move { reader.page(fence, &owner, &query).await })
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        let reader = self.reader.clone();
        self.read(async move { reader.owners(kind, after, limit).await })
    }

    fn walk(&self, kind: Kind, from: Cursor, limit: usize) -> Reply<Walked> {
        let reader = self.reader.clone();
        self.read(async move { reader.walk(kind, from, limit.max(1)).await })
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        let reader = self.reader.clone();
        self.read(async move { reader.erase(fence, owner).await })
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        let reader = self.reader.clone();
        self.read(async move { reader.expire(before_unix_micros, limit).await })
    }

    fn can_keep(&self) -> bool {
        self.shared().can_keep()
    }

    fn fault(&self) -> Option<&'static str> {
        self.shared().fault()
    }

    fn waiting_bytes(&self) -> usize {
        self.shared().waiting_bytes()
    }

    fn close(&self) -> Reply<()> {
        let was_closed = self.shared().closed.swap(true, Ordering::AcqRel);
        let (told, closed) = oneshot::channel();
        if was_closed || self.reader.jobs.send(Job::Close(told)).is_err() {
            return ready(Ok(())).boxed();
        }
        // A writer that is gone has let go as well.
        async move {
            drop(closed.await);
            Ok(())
        }
        .boxed()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.close());
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the store on Redis panicked");
        }
    }
}

/// An engine's failure: `doing` completes "the store failed while it …".
fn engine(doing: &'static str, cause: impl std::fmt::Display) -> Error {
    Error::Engine { doing, cause: cause.to_string().into() }
}

//! Owns what is measured of a store, whichever engine it is: how long each call takes, what is refused and why,
//! how much is written together. Between the engine and everybody else; decides nothing.

#![expect(clippy::disallowed_methods, reason = "it measures time, and decides nothing by it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use meter::histogram::{COUNTS, SECONDS};
use meter::{By, Counter, Histogram, Reading};
use xmpp::{BareJid, Fence};

use crate::archive::{ArchivePage, ArchiveQuery};
use crate::batch::{Batch, Write};
use crate::key::{Key, Kind, Row};
use crate::{Cursor, Error, Reply, SharedStore, Store, Walked};

const OPERATIONS: [&str; 10] =
    ["claim", "load", "get", "scan", "commit", "query", "owners", "walk", "erase", "expire"];

const REFUSALS: [&str; 6] = ["fenced", "full", "too_long", "engine", "closed", "other"];

/// A refused write is remembered for so long.
const RECENT: Duration = Duration::from_secs(10);

/// What was measured.
#[derive(Debug)]
pub struct Figures {
    times: [Histogram; OPERATIONS.len()],
    /// Calls that were refused, by reason.
    pub refused: By<{ REFUSALS.len() }>,
    batches: Histogram,
    /// Rows that were appended to archives.
    pub archived: Counter,
    /// Rows that were removed from archives, those of erased accounts left out.
    pub removed: Counter,
    /// When a write failed last that was not the caller's fault; 0: none that was not followed by one that
    /// succeeded.
    failed: AtomicU64,
}

/// A store that is measured.
pub struct Measured {
    store: SharedStore,
    figures: Arc<Figures>,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            times: std::array::from_fn(|_| Histogram::new(SECONDS)),
            refused: By::new(REFUSALS),
            batches: Histogram::new(COUNTS),
            archived: Counter::default(),
            removed: Counter::default(),
            failed: AtomicU64::new(0),
        }
    }
}

impl Figures {
    /// How long calls took, in seconds, by operation.
    pub fn times(&self) -> impl Iterator<Item = (&'static str, Reading)> {
        OPERATIONS.into_iter().zip(self.times.iter().map(Histogram::read))
    }

    /// How many batches were committed together.
    pub fn batches(&self) -> Reading {
        self.batches.read()
    }

    /// Whether the last write was refused for no fault of its caller, and not long ago.
    pub fn is_failing(&self) -> bool {
        let failed = self.failed.load(Ordering::Relaxed);
        failed > 0 && millis().saturating_sub(failed) < as_millis(RECENT)
    }

    fn note<T>(&self, operation: &str, since: Instant, result: &Result<T, Error>) {
        self.took(operation, since);
        if let Err(error) = result {
            self.refused.of(reason(error)).add_one();
        }
    }

    fn took(&self, operation: &str, since: Instant) {
        let place = OPERATIONS.iter().position(|known| *known == operation);
        if let Some(time) = place.and_then(|place| self.times.get(place)) {
            time.took(since.elapsed());
        }
    }

    fn committed(&self, result: &Result<(), Error>, (appended, removed): (u64, u64)) {
        match result {
            Ok(()) => {
                self.failed.store(0, Ordering::Relaxed);
                self.archived.add(appended);
                self.removed.add(removed);
            }
            Err(error) => {
                self.refused.of(reason(error)).add_one();
                if matches!(error, Error::Engine { .. } | Error::Full(_)) {
                    self.failed.store(millis(), Ordering::Relaxed);
                }
            }
        }
    }
}

impl Measured {
    /// Measures a store from now on.
    pub fn around(store: SharedStore, figures: Arc<Figures>) -> SharedStore {
        Arc::new(Self { store, figures })
    }

    fn measure<T: Send + 'static>(
        &self,
        operation: &'static str,
        call: impl FnOnce(&dyn Store) -> Reply<T>,
    ) -> Reply<T> {
        let (since, figures) = (Instant::now(), Arc::clone(&self.figures));
        let reply = call(&*self.store);
        Box::pin(async move {
            let result = reply.await;
            figures.note(operation, since, &result);
            result
        })
    }
}

impl Store for Measured {
    fn claim(&self, fence: Fence) -> Reply<()> {
        self.measure("claim", |store| store.claim(fence))
    }

    fn load(&self, fence: Fence, owner: BareJid, kinds: &'static [Kind]) -> Reply<Vec<Row>> {
        self.measure("load", |store| store.load(fence, owner, kinds))
    }

    fn get(&self, fence: Fence, key: Key) -> Reply<Option<Bytes>> {
        self.measure("get", |store| store.get(fence, key))
    }

    fn scan(
        &self,
        fence: Fence,
        owner: BareJid,
        kind: Kind,
        after: Option<Bytes>,
        limit: usize,
    ) -> Reply<Vec<Row>> {
        self.measure("scan", |store| store.scan(fence, owner, kind, after, limit))
    }

    fn commit(&self, batches: Vec<Batch>) -> BoxFuture<'static, Vec<Result<(), Error>>> {
        let (since, figures) = (Instant::now(), Arc::clone(&self.figures));
        figures.batches.counted(batches.len());
        let archived: Vec<(u64, u64)> = batches.iter().map(archive_rows).collect();
        let reply = self.store.commit(batches);
        Box::pin(async move {
            let results = reply.await;
            figures.took("commit", since);
            for (result, rows) in results.iter().zip(archived) {
                figures.committed(result, rows);
            }
            results
        })
    }

    fn query(&self, fence: Fence, owner: BareJid, query: ArchiveQuery) -> Reply<ArchivePage> {
        self.measure("query", |store| store.query(fence, owner, query))
    }

    fn owners(&self, kind: Kind, after: Option<BareJid>, limit: usize) -> Reply<Vec<BareJid>> {
        self.measure("owners", |store| store.owners(kind, after, limit))
    }

    fn walk(&self, kind: Kind, from: Cursor, limit: usize) -> Reply<Walked> {
        self.measure("walk", |store| store.walk(kind, from, limit))
    }

    fn erase(&self, fence: Fence, owner: BareJid) -> Reply<()> {
        self.measure("erase", |store| store.erase(fence, owner))
    }

    fn expire(&self, before_unix_micros: u64, limit: usize) -> Reply<usize> {
        let figures = Arc::clone(&self.figures);
        let reply = self.measure("expire", |store| store.expire(before_unix_micros, limit));
        Box::pin(async move {
            let removed = reply.await?;
            figures.removed.add(removed as u64);
            Ok(removed)
        })
    }

    fn waiting_bytes(&self) -> usize {
        self.store.waiting_bytes()
    }

    fn can_keep(&self) -> bool {
        self.store.can_keep()
    }

    fn fault(&self) -> Option<&'static str> {
        self.store.fault()
    }

    fn close(&self) -> Reply<()> {
        self.store.close()
    }
}

/// Archive rows that a batch appends, and that it removes.
fn archive_rows(batch: &Batch) -> (u64, u64) {
    batch.writes.iter().fold((0, 0), |(appended, removed), write| match write {
        Write::Append(..) => (appended + 1, removed),
        Write::Remove(..) => (appended, removed + 1),
        _ => (appended, removed),
    })
}

fn reason(error: &Error) -> &'static str {
    match error {
        Error::Fenced { .. } => "fenced",
        Error::Full(_) => "full",
        Error::TooLong(_) => "too_long",
        Error::Engine { .. } => "engine",
        Error::Closed => "closed",
        Error::InUse(_) => "other",
    }
}

/// Milliseconds since the first call; never 0.
fn millis() -> u64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    as_millis(BEGUN.elapsed()) + 1
}

fn as_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use xmpp::{Bucket, Epoch, Origin};

    use super::*;
    use crate::{ArchiveId, ArchiveRow, Memory};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn measured() -> (SharedStore, Arc<Figures>) {
        let figures = Arc::<Figures>::default();
        (Measured::around(Arc::new(Memory::new()), Arc::clone(&figures)), figures)
    }

    fn append(fence: Fence, id: u64) -> Batch {
        let owner = BareJid::parse("a@x").unwrap();
        let origin = Origin::Client { session: 1, seq: id, part: 0 };
        let row =
            ArchiveRow { id: ArchiveId(id), peer: owner.clone(), origin, stanza: "<m/>".into() };
        Batch::new(fence).with(Write::Append(owner, row))
    }

    #[test]
    fn calls_are_timed_and_archive_rows_counted() {
        let (store, figures) = measured();
        let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(2) };
        block_on(store.claim(fence)).unwrap();
        let results = block_on(store.commit(vec![append(fence, 1), append(fence, 2)]));
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(block_on(store.expire(2, 10)).unwrap(), 1);
        let counts: Vec<_> = figures
            .times()
            .filter(|(_, reading)| reading.count > 0)
            .map(|(operation, reading)| (operation, reading.count))
            .collect();
        assert_eq!(counts, [("claim", 1), ("commit", 1), ("expire", 1)]);
        assert_eq!((figures.archived.get(), figures.removed.get()), (2, 1));
        assert_eq!((figures.batches().count, figures.batches().sum), (1, 2.0));
    }

    #[test]
    fn refusals_are_counted_by_reason_and_an_old_epoch_is_no_failure_of_the_store() {
        let (store, figures) = measured();
        let fence = |epoch| Fence { bucket: Bucket::of_hash(0), epoch: Epoch(epoch) };
        block_on(store.claim(fence(2))).unwrap();
        assert!(block_on(store.commit(vec![append(fence(1), 1)]))[0].is_err());
        assert_eq!(figures.refused.of("fenced").get(), 1);
        assert!(!figures.is_failing());
        figures.committed(&Err(Error::Full("the disk is full")), (0, 0));
        assert!(figures.is_failing());
        figures.committed(&Ok(()), (0, 0));
        assert!(!figures.is_failing());
    }
}

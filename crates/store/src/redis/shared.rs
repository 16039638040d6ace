//! Owns what callers, readers and the writer share: how much waits, which server has what, what was claimed,
//! whether it is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use xmpp::{Bucket, Epoch, Fence};

use super::config::{Address, Config, Endpoints};
use super::engine;
use super::fitness::Fitness;
use super::map::Map;
use crate::{Error, MAX_WAITING_BYTES};

/// What they share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) endpoints: Endpoints,
    /// By what the data set is known.
    pub(super) marker: String,
    map: RwLock<Arc<Map>>,
    claims: Mutex<HashMap<Bucket, Claim>>,
    /// The servers that may be read from: those that have everything they were told.
    readable: Mutex<HashMap<Address, MultiplexedConnection>>,
    /// Told whenever one may read from more servers, or from others.
    pub(super) changed: watch::Sender<()>,
    waiting: AtomicUsize,
    items: AtomicUsize,
    pub(super) closed: AtomicBool,
    /// The data set is not the one that was opened.
    pub(super) is_other: AtomicBool,
    /// The cluster has begun anew without this process.
    pub(super) is_left_behind: AtomicBool,
    /// What is wrong with servers.
    pub(super) fitness: Fitness,
    /// When any server answered last.
    heard: Mutex<Instant>,
    /// No server had answered for long when that was looked at last.
    is_silent: AtomicBool,
    /// The bucket at which the next [`crate::Store::expire`] goes on.
    pub(super) expire_from: AtomicU16,
}

/// An epoch that a server has confirmed.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    pub(super) epoch: Epoch,
    /// When it was claimed first.
    since: Instant,
}

/// No more items wait than this.
const ITEMS_MAX: usize = 200_000;
/// Where no server has answered for so long, nobody is served. They are asked every five seconds.
const SILENT: Duration = Duration::from_secs(8);
/// What is said to a process of an earlier generation.
const LEFT_BEHIND: &str = "the cluster has begun anew without this member";
/// A claim that is so old has reached every replica that has reached anything.
const SETTLED: Duration = Duration::from_secs(60);

impl Shared {
    pub(super) fn new(config: Config, endpoints: Endpoints, marker: String, map: Map) -> Self {
        Self {
            config,
            endpoints,
            marker,
            map: RwLock::new(Arc::new(map)),
            claims: Mutex::default(),
            readable: Mutex::default(),
            changed: watch::Sender::new(()),
            waiting: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            is_other: AtomicBool::new(false),
            is_left_behind: AtomicBool::new(false),
            fitness: Fitness::default(),
            heard: Mutex::new(Instant::now()),
            is_silent: AtomicBool::new(false),
            expire_from: AtomicU16::new(0),
        }
    }

    /// Refuses what comes to a store that is closed, or whose data are not the ones it knew.
    pub(super) fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if self.is_other.load(Ordering::Acquire) {
            return Err(emptied());
        }
        if self.is_left_behind.load(Ordering::Acquire) {
            return Err(engine("looked whose its data are", LEFT_BEHIND));
        }
        Ok(())
    }

    /// A server has answered.
    pub(super) fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.is_silent.store(false, Ordering::Release);
    }

    /// Looks whether any server has answered of late.
    pub(super) fn note_silence(&self) {
        self.is_silent.store(self.silence() >= SILENT, Ordering::Release);
    }

    fn silence(&self) -> Duration {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether what is to be kept is, as far as is known.
    pub(super) fn can_keep(&self) -> bool {
        let is_gone = [&self.is_other, &self.is_left_behind, &self.is_silent]
            .iter()
            .any(|it| it.load(Ordering::Acquire));
        !is_gone && !self.fitness.refuses()
    }

    /// Why nothing is served.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.is_other.load(Ordering::Acquire) {
            return Some("the data in Redis were emptied or exchanged");
        }
        if self.is_left_behind.load(Ordering::Acquire) {
            return Some(LEFT_BEHIND);
        }
        if self.fitness.is_lost() {
            return Some(
                "a Redis server does not promise any more what it did; the log says which and why",
            );
        }
        (self.silence() >= SILENT).then_some("no server of Redis answers")
    }

    /// Makes room for what is to wait.
    pub(super) fn reserve(&self, bytes: usize, items: usize) -> Result<(), Error> {
        self.open()?;
        let add = |count: &AtomicUsize, more: usize, most: usize| {
            let sum = |now: usize| now.checked_add(more).filter(|sum| *sum <= most);
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum).is_ok()
        };
        if !add(&self.items, items, ITEMS_MAX) {
            return Err(Error::Full("too many writes wait"));
        }
        if !add(&self.waiting, bytes, MAX_WAITING_BYTES) {
            self.items.fetch_sub(items, Ordering::Relaxed);
            return Err(Error::Full("too much waits to be written"));
        }
        Ok(())
    }

    /// What waited is answered.
    pub(super) fn release(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.items.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this server has that bucket.
    pub(super) fn set_map(&self, map: Map) {
        self.fitness.forget_others(map.primaries());
        *self.map.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(map);
        self.changed.send_replace(());
    }

    fn readable(&self) -> MutexGuard<'_, HashMap<Address, MultiplexedConnection>> {
        self.readable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One may read from this server, or no longer.
    pub(super) fn set_readable(&self, address: &Address, read: Option<MultiplexedConnection>) {
        match read {
            Some(read) => drop(self.readable().insert(address.clone(), read)),
            None => drop(self.readable().remove(address)),
        }
        self.changed.send_replace(());
    }

    /// A connection to read from a server.
    pub(super) fn reader(&self, address: &Address) -> Option<MultiplexedConnection> {
        self.readable().get(address).cloned()
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<Bucket, Claim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server has confirmed a claim. Answers whether it is a new one.
    pub(super) fn set_claimed(&self, fence: Fence) -> bool {
        let mut claims = self.claims();
        let claim = Claim { epoch: fence.epoch, since: Instant::now() };
        let old = claims.get(&fence.bucket).map(|old| old.epoch);
        if old.is_none_or(|old| old < fence.epoch) {
            claims.insert(fence.bucket, claim);
            return true;
        }
        false
    }

    /// Somebody else owns the bucket now.
    pub(super) fn unclaim(&self, bucket: Bucket) {
        self.claims().remove(&bucket);
    }

    pub(super) fn claimed(&self, bucket: Bucket) -> Option<Claim> {
        self.claims().get(&bucket).copied()
    }

    /// Every claimed bucket.
    pub(super) fn claimed_buckets(&self) -> Vec<Bucket> {
        self.claims().keys().copied().collect()
    }
}

impl Claim {
    /// Whether a bucket that has forgotten everything was emptied by somebody.
    pub(super) fn is_settled(&self) -> bool {
        self.since.elapsed() >= SETTLED
    }
}

/// The data are not the ones that were opened.
pub(super) fn emptied() -> Error {
    engine("looked at its data", "they were emptied or exchanged while it ran; nothing is served")
}

//! Owns what the threads share: the open tables, the fences, how much waits, whether it is over.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use xmpp::{Bucket, Epoch, Fence};

use super::engine;
use super::tables::Tables;
use crate::{Error, MAX_WAITING_BYTES};

/// What the threads share.
pub(super) struct Shared {
    /// None while it is opened again, and once it is closed. Reads hold it while they last, so that
    /// opening again waits for them.
    pub(super) tables: RwLock<Option<Tables>>,
    pub(super) fences: Fences,
    /// Bytes accepted and not yet answered.
    pub(super) waiting: AtomicUsize,
    pub(super) closed: AtomicBool,
    /// The engine has failed, and everything is refused.
    pub(super) down: AtomicBool,
    /// Where the next [`crate::Store::expire`] goes on.
    pub(super) expired_to: Mutex<Vec<u8>>,
}

/// The least epoch of each bucket, as it is on the disk.
pub(super) struct Fences(Box<[AtomicU64]>);

impl Shared {
    pub(super) fn new(tables: Tables) -> Result<Self, Error> {
        let fences = Fences((0..Bucket::COUNT).map(|_| AtomicU64::new(0)).collect());
        fences.set(&tables.fences()?);
        Ok(Self {
            tables: RwLock::new(Some(tables)),
            fences,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            down: AtomicBool::new(false),
            expired_to: Mutex::default(),
        })
    }

    /// Reads the tables, under a fence where there is one.
    pub(super) fn read<T>(
        &self,
        fence: Option<Fence>,
        read: impl FnOnce(&Tables) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        if let Some(fence) = fence {
            self.fences.check(fence)?;
        }
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        read(tables.as_ref().ok_or_else(|| self.gone())?)
    }

    /// Makes room for what is to wait.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let add = |waiting: usize| {
            let sum = waiting.checked_add(bytes)?;
            (sum <= MAX_WAITING_BYTES).then_some(sum)
        };
        self.waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .map(drop)
            .map_err(|_| Error::Full("too much waits to be written"))
    }

    /// What waited is answered.
    pub(super) fn release(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Why nobody answers.
    pub(super) fn gone(&self) -> Error {
        if self.closed.load(Ordering::Acquire) {
            Error::Closed
        } else {
            engine("answered", "it is being opened again")
        }
    }
}

impl Fences {
    /// Refuses an epoch that was superseded.
    pub(super) fn check(&self, fence: Fence) -> Result<(), Error> {
        check(fence, self.get(fence.bucket))
    }

    pub(super) fn get(&self, bucket: Bucket) -> Epoch {
        let epoch = self.0.get(usize::from(bucket.number()));
        Epoch(epoch.map_or(0, |epoch| epoch.load(Ordering::Acquire)))
    }

    /// These are on the disk now.
    pub(super) fn set<'a>(&self, claims: impl IntoIterator<Item = (&'a Bucket, &'a Epoch)>) {
        for (bucket, epoch) in claims {
            if let Some(place) = self.0.get(usize::from(bucket.number())) {
                place.store(epoch.0, Ordering::Release);
            }
        }
    }
}

/// Refuses an epoch below the current one.
pub(super) fn check(fence: Fence, current: Epoch) -> Result<(), Error> {
    if fence.epoch < current {
        return Err(Error::Fenced { fence, current: current.0 });
    }
    Ok(())
}

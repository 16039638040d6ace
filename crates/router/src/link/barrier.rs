//! Owns the switch barrier: where a bucket's envelopes are under way, so that those that go another way wait for
//! them. Shared by all threads, without a lock.
//!
//! While anything for a bucket is unresolved on a lane to one process of a peer, nothing for the bucket goes
//! anywhere else, be it another peer, a later process of the same one, or an arbiter of this member. So what one
//! actor sends another stays in order when the other's shard changes its owner.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use xmpp::Bucket;

/// Where each bucket's envelopes are under way.
pub(crate) struct Barrier {
    /// For each bucket the process in the upper half, how many in the lower half; 0: none.
    cells: Box<[AtomicU64]>,
    /// How many arbiters hold something back.
    waiting: AtomicUsize,
}

/// One process of a peer, by its place in the order in which this member met them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way(pub(crate) u32);

impl Barrier {
    pub(crate) fn new() -> Self {
        let cells = (0..Bucket::COUNT).map(|_| AtomicU64::new(0)).collect();
        Self { cells, waiting: AtomicUsize::new(0) }
    }

    /// Counts an envelope that goes this way; false: others go another way, and it must wait.
    pub(crate) fn enter(&self, bucket: Bucket, way: Way) -> bool {
        let one_more = |cell: u64| {
            let same = cell == 0 || cell >> 32 == u64::from(way.0);
            same.then_some(u64::from(way.0) << 32 | ((cell & LOWER) + 1))
        };
        self.cell(bucket).fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_free(&self, bucket: Bucket) -> bool {
        self.cell(bucket).load(Ordering::Acquire) == 0
    }

    /// An envelope is resolved. True: the bucket is free now, and somebody waits.
    pub(crate) fn leave(&self, bucket: Bucket) -> bool {
        let one_less = |cell: u64| Some(if cell & LOWER <= 1 { 0 } else { cell - 1 });
        let before = self.cell(bucket).fetch_update(Ordering::SeqCst, Ordering::Acquire, one_less);
        before.is_ok_and(|cell| cell & LOWER <= 1) && self.waiting.load(Ordering::SeqCst) > 0
    }

    /// An arbiter holds something back from now on; it must look once more after this.
    pub(crate) fn begin_waiting(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// An arbiter holds nothing back any more.
    pub(crate) fn end_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn cell(&self, bucket: Bucket) -> &AtomicU64 {
        &self.cells[usize::from(bucket.number())]
    }
}

const LOWER: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_goes_one_way_until_nothing_is_under_way() {
        let (barrier, bucket) = (Barrier::new(), Bucket::of_hash(7));
        assert!(barrier.enter(bucket, Way(1)) && barrier.enter(bucket, Way(1)));
        assert!(!barrier.enter(bucket, Way(2)) && !barrier.is_free(bucket));
        assert!(!barrier.leave(bucket));
        assert!(!barrier.enter(bucket, Way(2)));
        assert!(!barrier.leave(bucket), "nobody waits");
        assert!(barrier.is_free(bucket) && barrier.enter(bucket, Way(2)));
    }

    #[test]
    fn whoever_waits_is_named_when_the_bucket_is_free() {
        let (barrier, bucket) = (Barrier::new(), Bucket::of_hash(7));
        assert!(barrier.enter(bucket, Way(1)));
        barrier.begin_waiting();
        assert!(barrier.leave(bucket));
        barrier.end_waiting();
        assert!(barrier.enter(bucket, Way(1)) && !barrier.leave(bucket));
    }
}

//! Owns what was written of late, bucket by bucket: a primary that comes up without it gets it again. Writes
//! of one bucket are repeated all and in order, so that the last one wins as it did.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use xmpp::Bucket;

use super::work::Work;
use crate::archive::ArchiveId;
use crate::batch::Write;

/// What was written of late.
#[derive(Default)]
pub(super) struct Ring {
    of: HashMap<Bucket, VecDeque<(u64, Work)>>,
    /// Every write in order: its number, bucket, time, and bytes.
    order: VecDeque<(u64, Bucket, Instant, usize)>,
    bytes: usize,
    next: u64,
    /// Archive rows below this were removed.
    expired: u64,
}

impl Ring {
    const BYTES_MAX: usize = 32 << 20;
    const AGE_MAX: Duration = Duration::from_secs(60);

    /// Keeps what was done for a while.
    pub(super) fn push(&mut self, bucket: Bucket, work: Work, bytes: usize, now: Instant) {
        self.of.entry(bucket).or_default().push_back((self.next, work));
        self.order.push_back((self.next, bucket, now, bytes));
        self.next += 1;
        self.bytes += bytes;
        self.trim(now);
    }

    /// Lets go of what is old, or too much.
    pub(super) fn trim(&mut self, now: Instant) {
        while let Some((number, bucket, at, bytes)) = self.order.front().copied() {
            if self.bytes <= Self::BYTES_MAX && now.duration_since(at) <= Self::AGE_MAX {
                return;
            }
            self.order.pop_front();
            self.bytes -= bytes;
            let Some(works) = self.of.get_mut(&bucket) else { continue };
            if works.front().is_some_and(|(first, _)| *first == number) {
                works.pop_front();
            }
            if works.is_empty() {
                self.of.remove(&bucket);
            }
        }
    }

    /// Another owner may have written to the bucket since.
    pub(super) fn forget(&mut self, bucket: Bucket) {
        self.of.remove(&bucket);
    }

    /// Archive rows below this are gone for good.
    pub(super) fn expire(&mut self, before: ArchiveId) {
        self.expired = self.expired.max(before.0);
    }

    /// What to repeat in a bucket.
    pub(super) fn works(&self, bucket: Bucket) -> impl Iterator<Item = Work> + '_ {
        self.of.get(&bucket).into_iter().flatten().map(|(_, work)| self.without_expired(work))
    }

    fn without_expired(&self, work: &Work) -> Work {
        let mut work = work.clone();
        if let Work::Commit(batch) = &mut work {
            batch
                .writes
                .retain(|write| !matches!(write, Write::Append(_, row) if row.id.0 < self.expired));
        }
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;
    use crate::contract::{archive_row, fence, juliet, romeo};

    fn append(id: u64) -> Work {
        let write = Write::Append(juliet(), archive_row(id, &romeo()));
        Work::Commit(Batch::new(fence(&juliet(), 1)).with(write))
    }

    fn ids(ring: &Ring, bucket: Bucket) -> Vec<u64> {
        let id = |work| match work {
            Work::Commit(batch) => batch.writes.first().map(|write| match write {
                Write::Append(_, row) => row.id.0,
                _ => 0,
            }),
            _ => None,
        };
        ring.works(bucket).filter_map(id).collect()
    }

    #[test]
    fn what_is_old_or_too_much_goes_first_and_buckets_are_forgotten_alone() {
        let [hers, his] = [fence(&juliet(), 1).bucket, fence(&romeo(), 1).bucket];
        let begin = Instant::now();
        let mut ring = Ring::default();
        ring.push(hers, append(1), 10, begin);
        ring.push(his, append(2), 10, begin + Duration::from_secs(30));
        ring.push(hers, append(3), 10, begin + Duration::from_secs(61));
        assert_eq!((ids(&ring, hers), ids(&ring, his)), (vec![3], vec![2]));
        ring.forget(hers);
        ring.push(hers, append(4), 10, begin + Duration::from_secs(62));
        assert_eq!((ids(&ring, hers), ids(&ring, his)), (vec![4], vec![2]));
        ring.push(his, append(5), Ring::BYTES_MAX, begin + Duration::from_secs(63));
        assert_eq!((ids(&ring, hers), ids(&ring, his)), (vec![], vec![5]));
        ring.trim(begin + Duration::from_secs(200));
        assert_eq!((ring.bytes, ring.of.len(), ring.order.len()), (0, 0, 0));
    }

    #[test]
    fn what_has_expired_is_not_brought_back() {
        let bucket = fence(&juliet(), 1).bucket;
        let mut ring = Ring::default();
        (1..=3).for_each(|id| ring.push(bucket, append(id), 10, Instant::now()));
        ring.expire(ArchiveId(3));
        assert_eq!(ids(&ring, bucket), [3]);
    }
}

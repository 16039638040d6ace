//! Owns what follows the verdicts on a group: answering, remembering, doing again, making good.

use std::collections::HashSet;
use std::time::Instant;

use xmpp::{Bucket, Fence};

use super::config::Address;
use super::link::Fault;
use super::run::{Ran, Verdict};
use super::shared::emptied;
use super::work::{Item, MORE, Work};
use super::writer::Writer;
use crate::Error;

/// What of a group must be done again.
#[derive(Default)]
struct Undone {
    items: Vec<Item>,
    buckets: HashSet<Bucket>,
    /// Those of them that do not remember what was claimed.
    forgotten: HashSet<Bucket>,
    /// Buckets that remember nothing, though they must.
    emptied: HashSet<Bucket>,
}

impl Undone {
    fn add(&mut self, item: Item) {
        self.buckets.insert(item.bucket);
        self.items.push(item);
    }
}

impl Writer {
    /// A group is back.
    pub(super) fn ran(&mut self, address: &Address, ran: Ran) {
        let now = Instant::now();
        let mut undone = Undone::default();
        let mut is_well = ran.trouble.is_none();
        for (mut item, mut verdict) in ran.items {
            // Behind what must be done again, everything in its bucket must be, or the order is lost.
            if undone.buckets.contains(&item.bucket) {
                item.is_sent |= matches!(verdict, Verdict::Done(_));
                verdict = Verdict::Again;
            }
            is_well |= matches!(verdict, Verdict::Done(_));
            self.settle(address, item, verdict, &mut undone);
        }
        let Some(lane) = self.lanes.get_mut(address) else { return };
        lane.is_running = false;
        lane.link = ran.link;
        lane.put(undone.items);
        if is_well {
            self.shared.hear();
            lane.is_well();
        }
        if let Some(fault) = ran.trouble.filter(|fault| !matches!(fault, Fault::NoScript)) {
            if lane.put_off(now) {
                tracing::warn!(peer = %address, error = %fault, "writes to Redis are not confirmed");
            }
            if matches!(fault, Fault::Moved) {
                // It may have become a replica.
                lane.link = None;
                if !self.shared.map().is_cluster {
                    self.shared.fitness.set_refusing(address, Some(fault.to_string()));
                }
            }
            self.map.is_wanted = true;
        }
        if lane.link.is_none() {
            self.shared.set_readable(address, None);
        }
        let mut forgotten = std::mem::take(&mut lane.doubtful);
        forgotten.extend(undone.forgotten);
        self.repair(&forgotten);
        undone.emptied.into_iter().for_each(|bucket| self.refuse_bucket(address, bucket));
        self.publish(address);
    }

    fn settle(&mut self, address: &Address, item: Item, verdict: Verdict, undone: &mut Undone) {
        let bucket = item.bucket;
        let is_own = item.is_own();
        let answer = match verdict {
            Verdict::Again => return undone.add(item),
            Verdict::Forgotten { nothing } if is_own || matches!(item.work, Work::Claim { .. }) => {
                if nothing {
                    undone.emptied.insert(bucket);
                }
                Err(emptied())
            }
            Verdict::Forgotten { nothing } => {
                if nothing {
                    // Look at once whether it is all gone.
                    self.watched = None;
                }
                undone.forgotten.insert(bucket);
                return undone.add(item);
            }
            // An erasing of many rows goes on.
            Verdict::Done(MORE) if is_own && matches!(item.work, Work::Erase(..)) => {
                return undone.add(item);
            }
            Verdict::Done(count) => Ok(count),
            Verdict::Refused(error) => {
                if matches!(error, Error::Full(_)) {
                    self.shared.fitness.set_refusing(address, Some(error.to_string()));
                }
                Err(error)
            }
            Verdict::Fenced(current) => {
                if self.shared.claimed(bucket).is_some_and(|claim| claim.epoch.0 < current) {
                    self.shared.unclaim(bucket);
                    self.ring.forget(bucket);
                }
                Err(Error::Fenced { fence: item.fence(), current })
            }
        };
        if is_own {
            if let Some(lane) = self.lanes.get_mut(address) {
                lane.drop_lacking(bucket);
            }
            return;
        }
        if answer.is_ok() {
            self.remember(&item);
        }
        self.answer(item, answer);
    }

    /// What was done may have to be done again.
    fn remember(&mut self, item: &Item) {
        match &item.work {
            Work::Claim { epoch, .. } => {
                if self.shared.set_claimed(Fence { bucket: item.bucket, epoch: *epoch }) {
                    self.ring.forget(item.bucket);
                }
            }
            Work::Commit(batch) if batch.is_empty() => {}
            Work::Commit(_) | Work::Erase(..) => {
                self.ring.push(item.bucket, item.work.clone(), item.bytes, Instant::now());
            }
            Work::Expire(before, _) => self.ring.expire(*before),
        }
    }

    pub(super) fn answer(&self, item: Item, answer: Result<u64, Error>) {
        self.shared.release(item.bytes);
        if let Some((call, part)) = item.waits {
            call.set(part, answer);
        }
    }

    /// Refuses what waits for a bucket that was emptied.
    fn refuse_bucket(&mut self, address: &Address, bucket: Bucket) {
        tracing::error!(peer = %address, "Redis has forgotten bucket {}", bucket.number());
        let Some(lane) = self.lanes.get_mut(address) else { return };
        let refused = lane.take_where(|item| item.bucket == bucket);
        refused.into_iter().for_each(|item| self.answer(item, Err(emptied())));
    }
}

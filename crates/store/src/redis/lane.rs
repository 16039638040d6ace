//! Owns what waits for one server, and how long it is left alone after a failure.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use xmpp::Bucket;

use super::link::Link;
use super::work::Item;
use crate::Error;

/// What waits for one server.
pub(super) struct Lane {
    pub(super) queue: VecDeque<Item>,
    pub(super) link: Option<Box<Link>>,
    /// Whether a connection is being opened.
    pub(super) is_opening: bool,
    /// Whether a group is on its way, with the connection.
    pub(super) is_running: bool,
    /// Nothing is tried before.
    pub(super) again: Instant,
    pause: Duration,
    /// The server's history when it last had everything. Another one, and it gets what it may lack.
    pub(super) history: String,
    /// Buckets that may have to be repaired when the group on its way is back.
    pub(super) doubtful: Vec<Bucket>,
    /// How many of the engine's own items it still lacks; it is not read from before.
    lacking: HashMap<Bucket, usize>,
}

/// A group takes no more behind so many bytes: an answer should not wait for the whole queue.
const GROUP_BYTES: usize = 4 << 20;
const GROUP_ITEMS: usize = 2_000;

impl Lane {
    const FIRST_PAUSE: Duration = Duration::from_millis(20);
    const LAST_PAUSE: Duration = Duration::from_secs(2);

    /// A server that nothing is known of.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            link: None,
            is_opening: false,
            is_running: false,
            again: now,
            pause: Self::FIRST_PAUSE,
            history: String::new(),
            doubtful: Vec::new(),
            lacking: HashMap::new(),
        }
    }

    /// Takes what goes next as one group.
    pub(super) fn take_group(&mut self) -> Vec<Item> {
        let mut bytes = 0;
        let mut count = 0;
        for item in self.queue.iter().take(GROUP_ITEMS) {
            bytes += item.bytes;
            count += 1;
            if bytes >= GROUP_BYTES {
                break;
            }
        }
        self.queue.drain(..count).collect()
    }

    /// Puts items in their places.
    pub(super) fn put(&mut self, items: Vec<Item>) {
        self.queue.extend(items);
        self.queue.make_contiguous().sort_by_key(|item| item.order);
    }

    /// Whether it can be used and has nothing on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.link.is_some() && self.queue.is_empty()
    }

    /// Whether it has everything.
    pub(super) fn is_whole(&self) -> bool {
        self.lacking.is_empty()
    }

    /// Whether a bucket is being repaired.
    pub(super) fn lacks(&self, bucket: Bucket) -> bool {
        self.lacking.contains_key(&bucket)
    }

    /// An item of the engine's own will have to be done.
    pub(super) fn add_lacking(&mut self, bucket: Bucket) {
        *self.lacking.entry(bucket).or_default() += 1;
    }

    /// One of them was done, or dropped.
    pub(super) fn drop_lacking(&mut self, bucket: Bucket) {
        if let Some(count) = self.lacking.get_mut(&bucket) {
            *count -= 1;
            if *count == 0 {
                self.lacking.remove(&bucket);
            }
        }
    }

    /// Takes out every item of which this holds.
    pub(super) fn take_where(&mut self, holds: impl FnMut(&Item) -> bool) -> Vec<Item> {
        let (taken, rest): (VecDeque<_>, _) =
            std::mem::take(&mut self.queue).into_iter().partition(holds);
        self.queue = rest;
        for item in taken.iter().filter(|item| item.is_own()) {
            self.drop_lacking(item.bucket);
        }
        taken.into_iter().filter(|item| !item.is_own()).collect()
    }

    /// Leaves the server alone for a while, longer each time; not quite as long as others do. Answers
    /// whether it is the first time since it was well.
    pub(super) fn put_off(&mut self, now: Instant) -> bool {
        let is_first = self.pause == Self::FIRST_PAUSE;
        self.again = now + self.pause.mul_f64(0.5 + jitter() / 2.0);
        self.pause = (self.pause * 2).min(Self::LAST_PAUSE);
        is_first
    }

    /// It works.
    pub(super) fn is_well(&mut self) {
        self.pause = Self::FIRST_PAUSE;
    }

    /// What no server has seen and what has waited for longer than this.
    pub(super) fn take_stale(&mut self, patience: Duration, now: Instant) -> Vec<Item> {
        take_stale(&mut self.queue, patience, now)
    }
}

/// Takes out what no server has seen and what has waited for too long.
pub(super) fn take_stale(
    queue: &mut VecDeque<Item>,
    patience: Duration,
    now: Instant,
) -> Vec<Item> {
    let is_stale =
        |item: &Item| !item.is_sent && !item.is_own() && now.duration_since(item.born) > patience;
    if !queue.iter().any(is_stale) {
        return Vec::new();
    }
    let (stale, rest) = std::mem::take(queue).into_iter().partition(is_stale);
    *queue = rest;
    let stale: VecDeque<Item> = stale;
    stale.into()
}

/// What is told about an item that no server has seen.
pub(super) fn unreachable() -> Error {
    super::engine("looked for the bucket's server", "it cannot be reached, or does not answer")
}

/// Between 0 and 1, another one each time.
fn jitter() -> f64 {
    let mut byte = [0; 1];
    match getrandom::fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 255.0,
        Err(_) => 1.0,
    }
}

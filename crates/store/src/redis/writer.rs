//! Owns the loop that writes: it takes what waits for each server as one group, sends it, and goes on with the
//! next when it is kept. It never waits for a group to fill. What a server may have lost it gets again before
//! anything else; what nobody knows about is done again, in order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use xmpp::Bucket;

use super::awake::Awake;
use super::config::Address;
use super::lane::{Lane, take_stale, unreachable};
use super::link::{Fault, Link};
use super::map::Map;
use super::ring::Ring;
use super::run::{Ran, run};
use super::shared::Shared;
use super::work::{Item, Work};
use super::{begin, watch};

/// What the writer is told.
pub(super) enum Job {
    /// To do, in order.
    Do(Vec<Item>),
    /// A reader found that a bucket does not remember what was claimed.
    Forgotten(Bucket),
    /// A reader found that a server does not answer.
    Broken(Address),
    /// A reader found that a bucket is somewhere else.
    Moved,
    /// To finish, and to say so.
    Close(oneshot::Sender<()>),
}

/// The writer's state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) lanes: HashMap<Address, Lane>,
    /// What is for buckets that no server has.
    stray: VecDeque<Item>,
    pub(super) ring: Ring,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    orders: u64,
    /// Another map, which waits until the lanes that lose buckets are at rest.
    next_map: Option<Map>,
    pub(super) map: Asking,
    pub(super) watched: Option<Instant>,
    awake: Awake,
    closing: Option<(oneshot::Sender<()>, Instant)>,
}

/// How the question stands who has which bucket.
#[derive(Default)]
pub(super) struct Asking {
    pub(super) is_wanted: bool,
    is_asked: bool,
    not_before: Option<Instant>,
}

enum Event {
    Opened(Address, Result<Box<Link>, Fault>),
    Ran(Address, Ran),
    Mapped(Result<Map, Fault>),
    Watched(watch::Seen),
}

/// The engine's own items come before all others.
const ORDERS_FROM: u64 = 1 << 63;
const WATCH_EVERY: Duration = Duration::from_secs(5);
const ASK_EVERY: Duration = Duration::from_millis(250);

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, jobs: mpsc::UnboundedReceiver<Job>) -> Self {
        Self {
            shared,
            jobs,
            lanes: HashMap::new(),
            stray: VecDeque::new(),
            ring: Ring::default(),
            events: FuturesUnordered::new(),
            orders: 0,
            next_map: None,
            map: Asking::default(),
            watched: Some(Instant::now()),
            awake: Awake::since(Instant::now()),
            closing: None,
        }
    }

    /// Works until it is told to close, or nobody is left to tell it anything.
    pub(super) async fn run(mut self) {
        self.make_lanes();
        loop {
            self.advance();
            if self.is_finished() {
                break;
            }
            let rest = if self.is_at_rest() { Duration::from_secs(1) } else { ASK_EVERY / 10 };
            tokio::select! {
                job = self.jobs.recv() => match job {
                    Some(job) => self.take(job),
                    None if self.closing.is_none() => {
                        self.closing = Some((oneshot::channel().0, Instant::now()));
                    }
                    None => tokio::time::sleep(rest).await,
                },
                Some(event) = self.events.next() => self.handle(event),
                () = tokio::time::sleep(rest) => {}
            }
            while let Ok(job) = self.jobs.try_recv() {
                self.take(job);
            }
        }
        self.lanes.keys().for_each(|address| self.shared.set_readable(address, None));
        if let Some((closed, _)) = self.closing.take() {
            // Whoever closed it may have gone.
            closed.send(()).unwrap_or_default();
        }
    }

    fn is_at_rest(&self) -> bool {
        self.stray.is_empty() && !self.map.is_wanted && self.lanes.values().all(Lane::is_idle)
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Do(items) => {
                for mut item in items {
                    self.orders += 1;
                    item.order = ORDERS_FROM + self.orders;
                    self.queue(item.bucket).push_back(item);
                }
            }
            Job::Forgotten(bucket) => self.repair(&[bucket]),
            Job::Broken(address) => self.broken(&address),
            Job::Moved => self.map.is_wanted = true,
            Job::Close(closed) => self.closing = Some((closed, Instant::now())),
        }
    }

    /// A server does not answer readers: its connections are opened anew. A group that is on its way finds
    /// out by itself.
    fn broken(&mut self, address: &Address) {
        self.map.is_wanted = true;
        if let Some(lane) = self.lanes.get_mut(address) {
            lane.link = None;
            self.shared.set_readable(address, None);
        }
    }

    /// Where items of a bucket wait.
    fn queue(&mut self, bucket: Bucket) -> &mut VecDeque<Item> {
        let map = self.shared.map();
        match map.primary(bucket).and_then(|address| self.lanes.get_mut(address)) {
            Some(lane) => &mut lane.queue,
            None => &mut self.stray,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Opened(address, opened) => self.opened(&address, opened),
            Event::Ran(address, ran) => self.ran(&address, ran),
            Event::Mapped(mapped) => {
                self.map.is_asked = false;
                match mapped {
                    Ok(map) => {
                        let is_down = |lane: &Lane| lane.link.is_none() && !lane.is_running;
                        self.map.is_wanted =
                            !self.stray.is_empty() || self.lanes.values().any(is_down);
                        self.next_map = (*self.shared.map() != map).then_some(map);
                    }
                    Err(fault) => {
                        tracing::warn!(error = %fault, "no Redis server says who has which bucket");
                    }
                }
            }
            Event::Watched(seen) => {
                seen.broken.iter().for_each(|address| self.broken(address));
                self.repair(&seen.forgotten);
            }
        }
    }

    /// Starts whatever can be started.
    fn advance(&mut self) {
        let now = Instant::now();
        if self.awake.look(now) {
            // Nor was any server silent meanwhile.
            self.shared.hear();
        }
        self.try_map();
        let addresses: Vec<Address> = self.lanes.keys().cloned().collect();
        for address in addresses {
            self.advance_lane(&address, now);
        }
        self.ask_map(now);
        if self.watched.is_none_or(|watched| now.duration_since(watched) >= WATCH_EVERY) {
            self.watched = Some(now);
            self.ring.trim(now);
            let shared = Arc::clone(&self.shared);
            self.events.push(async move { Event::Watched(watch::look(&shared).await) }.boxed());
        }
        self.refuse_stale(now);
    }

    fn advance_lane(&mut self, address: &Address, now: Instant) {
        // Before buckets move, what is on its way comes to rest.
        let may_run = self.next_map.is_none();
        let Some(lane) = self.lanes.get_mut(address) else { return };
        if lane.is_opening || lane.is_running || now < lane.again {
            return;
        }
        let (shared, address) = (Arc::clone(&self.shared), address.clone());
        let is_wanted = may_run && !lane.queue.is_empty();
        let event = match lane.link.take_if(|_| is_wanted) {
            Some(link) => {
                lane.is_running = true;
                let group = lane.take_group();
                async move { Event::Ran(address, run(link, group, shared).await) }.boxed()
            }
            None if lane.link.is_some() => return,
            None => {
                lane.is_opening = true;
                async move {
                    let opened = begin::open(&shared.config, &shared.endpoints, &address).await;
                    Event::Opened(address, opened.map(Box::new))
                }
                .boxed()
            }
        };
        self.events.push(event);
    }

    fn opened(&mut self, address: &Address, opened: Result<Box<Link>, Fault>) {
        let Some(lane) = self.lanes.get_mut(address) else { return };
        lane.is_opening = false;
        let link = match opened {
            Ok(link) => link,
            Err(fault) => {
                if lane.put_off(Instant::now()) {
                    tracing::warn!(peer = %address, error = %fault, "a Redis server cannot be used");
                }
                self.map.is_wanted = true;
                return;
            }
        };
        self.shared.hear();
        let is_other = lane.history != link.history;
        lane.history.clone_from(&link.history);
        lane.link = Some(link);
        if is_other {
            // It may have been another's replica, or have been restarted: it gets what it may lack.
            let map = self.shared.map();
            let mut buckets = self.shared.claimed_buckets();
            buckets.retain(|bucket| map.primary(*bucket) == Some(address));
            match buckets.len() {
                // As at the start, before any are claimed.
                0 => tracing::info!(peer = %address, "a Redis server is used"),
                count => {
                    tracing::info!(peer = %address, "a Redis server is used for {count} buckets")
                }
            }
            self.repair(&buckets);
        }
        self.publish(address);
    }

    /// A server that has everything may be read from.
    pub(super) fn publish(&self, address: &Address) {
        let Some(lane) = self.lanes.get(address) else { return };
        if let Some(link) = &lane.link
            && lane.is_whole()
            && self.shared.reader(address).is_none()
        {
            self.shared.set_readable(address, Some(link.read.clone()));
        }
    }

    /// Claims buckets once more and repeats what was written to them of late, before anything else.
    pub(super) fn repair(&mut self, buckets: &[Bucket]) {
        let map = self.shared.map();
        let mut items: HashMap<&Address, Vec<Item>> = HashMap::new();
        for bucket in buckets.iter().copied() {
            let Some(claim) = self.shared.claimed(bucket) else { continue };
            let Some(address) = map.primary(bucket) else { continue };
            let Some(lane) = self.lanes.get_mut(address) else { continue };
            if lane.lacks(bucket) {
                continue;
            }
            if lane.is_running {
                // What is on its way is newer than what would be repeated behind it.
                lane.doubtful.push(bucket);
                continue;
            }
            let first = Work::Claim { epoch: claim.epoch, must: claim.is_settled() };
            for work in std::iter::once(first).chain(self.ring.works(bucket)) {
                self.orders += 1;
                lane.add_lacking(bucket);
                items.entry(address).or_default().push(Item::own(bucket, work, self.orders));
            }
        }
        for (address, items) in items {
            if let Some(lane) = self.lanes.get_mut(address) {
                lane.put(items);
            }
        }
    }

    /// Refuses what no server has seen for too long; everything, where it was told to close long ago.
    fn refuse_stale(&mut self, now: Instant) {
        let patience = self.shared.config.patience;
        let mut stale = Vec::new();
        if self.awake.is_for(patience, now) {
            stale.extend(take_stale(&mut self.stray, patience, now));
            self.lanes.values_mut().for_each(|lane| stale.extend(lane.take_stale(patience, now)));
        }
        if self.closing.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > patience) {
            tracing::error!("the store on Redis was closed with writes that nobody confirmed");
            stale.extend(self.stray.drain(..));
            self.lanes.values_mut().for_each(|lane| stale.extend(lane.take_where(|_| true)));
        }
        stale.into_iter().for_each(|item| self.answer(item, Err(unreachable())));
    }

    fn is_finished(&self) -> bool {
        let is_done = |lane: &Lane| lane.queue.is_empty() && !lane.is_running;
        self.closing.is_some() && self.stray.is_empty() && self.lanes.values().all(is_done)
    }

    fn make_lanes(&mut self) {
        let now = Instant::now();
        for address in self.shared.map().primaries() {
            self.lanes.entry(address.clone()).or_insert_with(|| Lane::new(now));
        }
    }

    /// Asks who has which bucket, where that has become doubtful.
    fn ask_map(&mut self, now: Instant) {
        let is_early = self.map.not_before.is_some_and(|time| now < time);
        if !self.map.is_wanted || self.map.is_asked || is_early || !self.shared.map().is_cluster {
            return;
        }
        self.map.is_asked = true;
        self.map.not_before = Some(now + ASK_EVERY);
        let shared = Arc::clone(&self.shared);
        let well = self.lanes.iter().filter(|(_, lane)| lane.link.is_some());
        let well: Vec<Address> = well.map(|(address, _)| address.clone()).collect();
        self.events
            .push(async move { Event::Mapped(Map::find(&shared.endpoints, &well).await) }.boxed());
    }

    /// Takes the other map once nothing is on its way to servers.
    fn try_map(&mut self) {
        if self.lanes.values().any(|lane| lane.is_running) {
            return;
        }
        let Some(map) = self.next_map.take() else { return };
        let old = self.shared.map();
        let has_moved = |bucket: Bucket| old.primary(bucket) != map.primary(bucket);
        let mut items: Vec<Item> = self.stray.drain(..).collect();
        for lane in self.lanes.values_mut() {
            items.extend(lane.take_where(|item| has_moved(item.bucket)));
        }
        let mut moved = self.shared.claimed_buckets();
        moved.retain(|bucket| has_moved(*bucket));
        tracing::info!("{} buckets are on other Redis servers now", moved.len());
        self.lanes.retain(|address, _| map.primaries().contains(address));
        self.shared.set_map(map);
        self.make_lanes();
        items.sort_by_key(|item| item.order);
        for item in items {
            self.queue(item.bucket).push_back(item);
        }
        self.repair(&moved);
    }
}

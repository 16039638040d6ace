//! Owns ways: each is the place of one pair on a stream that it has not opened itself - one that the other server has
//! opened to any member (XEP-0288), or one of ours that was opened for another pair (XEP-0220 §2.6).
//!
//! The owner of a pair's queue sends by a way whatever member holds the stream, and keeps all that it has sent until the
//! receipts that it has sent along are released: written, and acknowledged where the other end counts. A way that ends
//! drops what it has, and its owner sends it again by another one, in order. So who holds a stream decides nothing.
//!
//! Each member says every so often, and when one comes or goes, which ways it holds; who says nothing for long holds none.
//! Where there are several lanes to a domain, each way is for one of them - of a stream of ours, for its own; of another
//! server's, for any - so that not all lanes go by one stream. What is for another lane is taken where nothing else works.
//!
//! Bound: 16,384 stanzas, 32 MiB of a way, more than the owners of all lanes send at a time; full: dropped, and so sent
//! again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster::plan::Status;
use proto::{Body, Envelope, HeldStreams, MemberId, RemoteId, Route, StreamId};
use router::{Place, Router, leaving};
use socket::{Bounds, Queue, Waiting};
use tokio::sync::Notify;
use xmpp::{Epoch, Origin};

use crate::pairs::{LaneId, PairId, Pairs};

const BOUNDS: Bounds = Bounds { items: 16_384, bytes: 32 << 20, wait: Duration::MAX };
/// A member that has said nothing of its ways for this long has none.
const SILENT: Duration = Duration::from_secs(20);
/// At every so many sweeps a member says which ways it holds.
const SAID_EVERY: u32 = 20;

/// A way of some member's, as the owners of pairs know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WayId {
    pub(crate) member: MemberId,
    pub(crate) number: u64,
}

/// One pair's place on a stream.
pub(crate) struct Way {
    pub(crate) id: PairId,
    /// The lane that takes it first.
    lane: u8,
    /// Never used again.
    pub(crate) number: u64,
    /// None: it has ended.
    queue: Mutex<Option<Queue<Envelope>>>,
    /// To whoever writes the stream.
    news: Arc<Notify>,
}

impl Way {
    /// The next stanza.
    pub(crate) fn pop(&self) -> Option<Waiting<Envelope>> {
        self.lock().as_mut().and_then(Queue::pop)
    }

    /// Drops what it cannot take: the receipt tells the owner.
    fn push(&self, envelope: Envelope) {
        let bytes = leaving::size(&envelope);
        if let Some(queue) = &mut *self.lock() {
            drop(queue.push(Duration::ZERO, envelope, bytes));
        }
        self.news.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Queue<Envelope>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ways on streams of this member, and those that the owners of pairs know.
pub(crate) struct Ways {
    router: Router,
    held: Mutex<HashMap<u64, Arc<Way>>>,
    known: Mutex<HashMap<LaneId, Known>>,
    /// Tells what this gate says from what all others say.
    session: u64,
    seq: AtomicU64,
    sweeps: AtomicU32,
    plan: AtomicU64,
}

/// What each member has said of its ways for a lane of a pair.
type Known = BTreeMap<MemberId, Told>;

/// What a member has said.
struct Told {
    /// The ways for this lane, and those for others.
    numbers: Vec<u64>,
    spare: Vec<u64>,
    heard: Duration,
}

impl Ways {
    pub(crate) fn new(router: Router) -> Self {
        Self {
            router,
            held: Mutex::default(),
            known: Mutex::default(),
            session: getrandom::u64().unwrap_or_default(),
            seq: AtomicU64::new(0),
            sweeps: AtomicU32::new(0),
            plan: AtomicU64::new(0),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, Arc<Way>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<LaneId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn origin(&self) -> Origin {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        Origin::Client { session: self.session, seq, part: 0 }
    }

    /// Hands what its owner has sent to the way of this number.
    pub(crate) fn hand_in(&self, line: &StreamId, envelope: Envelope) {
        let way = self.held().get(&line.number).cloned();
        if let Some(way) = way {
            way.push(envelope);
        }
    }

    /// A way for a lane to a member that is there; one of this member's own, if there is one.
    pub(crate) fn choose(&self, id: &LaneId) -> Option<WayId> {
        self.best(id, |told| &told.numbers)
    }

    /// The same among those that are for other lanes.
    pub(crate) fn choose_spare(&self, id: &LaneId) -> Option<WayId> {
        self.best(id, |told| &told.spare)
    }

    fn best(&self, id: &LaneId, among: impl Fn(&Told) -> &Vec<u64>) -> Option<WayId> {
        let known = self.known();
        let of = known.get(id)?;
        let own = self.router.member();
        let plan = self.router.plan();
        let is_there = |member: MemberId| {
            member == own || plan.member(member).is_some_and(|it| it.status != Status::Expelled)
        };
        let best = |(member, told): (&MemberId, &Told)| {
            among(told).iter().max().map(|number| WayId { member: *member, number: *number })
        };
        let all = of.iter().filter(|(member, _)| is_there(**member)).filter_map(best);
        all.max_by_key(|way| (way.member == own, way.number))
    }

    /// Whether a way is there still, as far as the owner of its pair knows.
    pub(crate) fn is_known(&self, id: &LaneId, way: WayId) -> bool {
        let known = self.known();
        let told = known.get(id).and_then(|of| of.get(&way.member));
        told.is_some_and(|it| it.numbers.contains(&way.number) || it.spare.contains(&way.number))
    }

    /// Learns which ways a member holds for a lane of a pair.
    fn learn(&self, id: &LaneId, member: MemberId, told: Told) {
        let mut known = self.known();
        let of = known.entry(id.clone()).or_default();
        if told.numbers.is_empty() && told.spare.is_empty() {
            of.remove(&member);
        } else {
            of.insert(member, told);
        }
        if of.is_empty() {
            known.remove(id);
        }
    }

    /// Forgets ways of members that are silent, or of pairs that others own now.
    fn forget(&self, now: Duration) {
        self.known().retain(|id, of| {
            of.retain(|_, told| told.heard + SILENT > now);
            !of.is_empty() && !matches!(self.router.place(&id.route()), Place::Member(_))
        });
    }

    fn is_time(&self) -> bool {
        let plan = self.router.plan_index();
        let sweeps = self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.plan.swap(plan, Ordering::Relaxed) != plan || sweeps.is_multiple_of(SAID_EVERY)
    }
}

impl Pairs {
    /// Another way, on a stream of this lane, if it is one of ours; `news` wakes whoever writes it.
    pub(crate) fn open_way(&self, id: PairId, lane: Option<u8>, news: &Arc<Notify>) -> Arc<Way> {
        let number = getrandom::u64().unwrap_or_default();
        let lanes = u64::from(self.lanes(&id.remote).get());
        let lane = lane.unwrap_or_else(|| u8::try_from(number % lanes).unwrap_or(0));
        let queue = Mutex::new(Some(Queue::new(BOUNDS, Arc::clone(&self.bytes))));
        let way = Arc::new(Way { id, lane, number, queue, news: Arc::clone(news) });
        self.ways.held().insert(number, Arc::clone(&way));
        self.announce(&way);
        way
    }

    /// A way has ended: what it had is dropped, so that its owner sends it by another one.
    pub(crate) fn close_way(&self, way: &Way) {
        self.ways.held().remove(&way.number);
        let queue = way.lock().take();
        drop(queue);
        self.announce(way);
    }

    /// Tells the owners of a pair's lanes which ways are here, as one comes or goes.
    fn announce(&self, way: &Way) {
        let held = self.ways.held();
        let of_pair = held.values().filter(|it| it.id == way.id);
        let numbers = of_pair.map(|it| (it.lane, it.number)).collect();
        drop(held);
        self.say_ways(&way.id, numbers, Some(way.lane));
    }

    /// `lane` hears of it too, however many lanes there are.
    fn say_ways(&self, id: &PairId, held: Vec<(u8, u64)>, lane: Option<u8>) {
        let of_ways = held.iter().map(|(lane, _)| *lane).chain(lane);
        let lanes: BTreeSet<u8> = (0..self.lanes(&id.remote).get()).chain(of_ways).collect();
        for lane in lanes {
            let (own, others): (Vec<_>, Vec<_>) = held.iter().partition(|(of, _)| *of == lane);
            let [numbers, spare] =
                [own, others].map(|ways| ways.iter().map(|(_, number)| *number).collect());
            let (member, local) = (self.ways.router.member(), Some(id.local.clone()));
            let word = HeldStreams { member, numbers, local, spare };
            self.say_to_owner(RemoteId { domain: id.remote.clone(), lane }, word);
        }
    }

    fn say_to_owner(&self, remote: RemoteId, word: HeldStreams) {
        let route = Route::Remote(remote.clone());
        match self.ways.router.place(&route) {
            Place::Member(_) | Place::Nobody => {
                let (body, origin) = (Body::HeldStreams(word), self.ways.origin());
                let envelope = Envelope::new(route, body, origin, Epoch::default());
                // It is said again soon.
                drop(self.ways.router.post(vec![envelope]));
            }
            _ => self.hear_of_ways(&remote, word),
        }
    }

    /// A member has said which ways it holds.
    pub(crate) fn hear_of_ways(&self, remote: &RemoteId, word: HeldStreams) {
        let Some(local) = word.local else { return };
        let pair = PairId { local, remote: remote.domain.clone() };
        let id = LaneId { pair, lane: remote.lane };
        let told = Told { numbers: word.numbers, spare: word.spare, heard: self.now() };
        self.ways.learn(&id, word.member, told);
        self.wake(&id);
    }

    /// Says which ways are here, where it is time, and forgets what nobody says any more.
    pub(crate) fn look_after_ways(&self) {
        self.ways.forget(self.now());
        if !self.ways.is_time() {
            return;
        }
        let mut by_pair: HashMap<PairId, Vec<(u8, u64)>> = HashMap::new();
        for way in self.ways.held().values() {
            by_pair.entry(way.id.clone()).or_default().push((way.lane, way.number));
        }
        by_pair.into_iter().for_each(|(id, held)| self.say_ways(&id, held, None));
    }
}

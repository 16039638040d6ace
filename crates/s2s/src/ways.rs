//! Owns ways: each is the place of one pair on a stream that it has not opened itself - one that the other server has
//! opened to any member (XEP-0288), or one of ours that was opened for another pair (XEP-0220 §2.6).
//!
//! The owner of a pair's queue sends by a way whatever member holds the stream, and keeps all that it has sent until the
//! receipts that it has sent along are released: written, and acknowledged where the other end counts. A way that ends
//! drops what it has, and its owner sends it again by another one, in order. So who holds a stream decides nothing.
//!
//! Each member says every so often, and when one comes or goes, which ways it holds; who says nothing for long holds none.
//!
//! Bound: 4,096 stanzas, 4 MiB of a way, far more than its owner sends at a time; full: dropped, and so sent again.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster::plan::Status;
use proto::{Body, Envelope, LineId, Lines, MemberId, Route};
use router::{Place, Router, leaving};
use socket::{Bounds, Queue, Waiting};
use tokio::sync::Notify;
use xmpp::{BareJid, Epoch, Origin};

use crate::pairs::{PairId, Pairs};

const BOUNDS: Bounds = Bounds { items: 4_096, bytes: 4 << 20, wait: Duration::MAX };
/// A member that has said nothing of its ways for this long has none.
const SILENT: Duration = Duration::from_secs(20);
/// At every so many sweeps a member says which ways it holds.
const SAID_EVERY: u32 = 20;

/// One pair's place on a stream.
pub(crate) struct Way {
    pub(crate) id: PairId,
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
    known: Mutex<HashMap<PairId, Known>>,
    /// Tells what this gate says from what all others say.
    session: u64,
    seq: AtomicU64,
    sweeps: AtomicU32,
    plan: AtomicU64,
}

/// For each member its ways for a pair, and when it said so.
type Known = BTreeMap<MemberId, (Vec<u64>, Duration)>;

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

    fn known(&self) -> MutexGuard<'_, HashMap<PairId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn origin(&self) -> Origin {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        Origin::Client { session: self.session, seq, part: 0 }
    }

    /// Hands what its owner has sent to the way of this number.
    pub(crate) fn hand_in(&self, line: &LineId, envelope: Envelope) {
        let way = self.held().get(&line.number).cloned();
        if let Some(way) = way {
            way.push(envelope);
        }
    }

    /// A way of a pair to a member that is there; one of this member's own, if there is one.
    pub(crate) fn choose(&self, id: &PairId) -> Option<(MemberId, u64)> {
        let known = self.known();
        let of = known.get(id)?;
        let own = self.router.member();
        let plan = self.router.plan();
        let is_there = |member: MemberId| {
            member == own || plan.member(member).is_some_and(|it| it.status != Status::Expelled)
        };
        let best = |(member, (numbers, _)): (&MemberId, &(Vec<u64>, Duration))| {
            numbers.iter().max().map(|number| (*member, *number))
        };
        let all = of.iter().filter(|(member, _)| is_there(**member)).filter_map(best);
        all.max_by_key(|(member, number)| (*member == own, *number))
    }

    /// Whether a way is there still, as far as the owner of its pair knows.
    pub(crate) fn is_known(&self, id: &PairId, (member, number): (MemberId, u64)) -> bool {
        let known = self.known();
        known.get(id).and_then(|of| of.get(&member)).is_some_and(|it| it.0.contains(&number))
    }

    /// Learns which ways a member holds for a pair.
    fn learn(&self, id: PairId, (member, numbers): (MemberId, Vec<u64>), now: Duration) {
        let mut known = self.known();
        let of = known.entry(id.clone()).or_default();
        if numbers.is_empty() {
            of.remove(&member);
        } else {
            of.insert(member, (numbers, now));
        }
        if of.is_empty() {
            known.remove(&id);
        }
    }

    /// Forgets ways of members that are silent, or of pairs that others own now.
    fn forget(&self, now: Duration) {
        self.known().retain(|id, of| {
            of.retain(|_, (_, heard)| *heard + SILENT > now);
            !of.is_empty() && !matches!(self.router.place(&id.route()), Place::Member(_))
        });
    }

    fn is_time(&self) -> bool {
        let plan = self.router.plan_index();
        let sweeps = self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.plan.swap(plan, Ordering::Relaxed) != plan || sweeps.is_multiple_of(SAID_EVERY)
    }
}

impl PairId {
    /// Where its queue is.
    fn route(&self) -> Route {
        Route::Remote(self.remote.clone())
    }
}

impl Pairs {
    /// Another way; `news` wakes whoever writes its stream.
    pub(crate) fn open_way(&self, id: PairId, news: &Arc<Notify>) -> Arc<Way> {
        let number = getrandom::u64().unwrap_or_default();
        let queue = Mutex::new(Some(Queue::new(BOUNDS, Arc::clone(&self.bytes))));
        let way = Arc::new(Way { id, number, queue, news: Arc::clone(news) });
        self.ways.held().insert(number, Arc::clone(&way));
        self.announce(&way.id);
        way
    }

    /// A way has ended: what it had is dropped, so that its owner sends it by another one.
    pub(crate) fn close_way(&self, way: &Way) {
        self.ways.held().remove(&way.number);
        let queue = way.lock().take();
        drop(queue);
        self.announce(&way.id);
    }

    /// Tells the owner of a pair which ways are here.
    fn announce(&self, id: &PairId) {
        let held = self.ways.held();
        let numbers = held.values().filter(|way| way.id == *id).map(|way| way.number).collect();
        drop(held);
        self.say_ways(id, numbers);
    }

    fn say_ways(&self, id: &PairId, numbers: Vec<u64>) {
        let (member, local) = (self.ways.router.member(), Some(id.local.clone()));
        let word = Lines { member, numbers, local };
        match self.ways.router.place(&id.route()) {
            Place::Member(_) | Place::Nobody => {
                let (body, origin) = (Body::Lines(word), self.ways.origin());
                let envelope = Envelope::new(id.route(), body, origin, Epoch::default());
                // It is said again soon.
                drop(self.ways.router.post(vec![envelope]));
            }
            _ => self.hear_of_ways(&id.remote, word),
        }
    }

    /// A member has said which ways it holds.
    pub(crate) fn hear_of_ways(&self, remote: &BareJid, word: Lines) {
        let Some(local) = word.local else { return };
        let id = PairId { local, remote: remote.clone() };
        self.ways.learn(id.clone(), (word.member, word.numbers), self.now());
        self.wake(&id);
    }

    /// Says which ways are here, where it is time, and forgets what nobody says any more.
    pub(crate) fn look_after_ways(&self) {
        self.ways.forget(self.now());
        if !self.ways.is_time() {
            return;
        }
        let mut by_pair: HashMap<PairId, Vec<u64>> = HashMap::new();
        for way in self.ways.held().values() {
            by_pair.entry(way.id.clone()).or_default().push(way.number);
        }
        by_pair.into_iter().for_each(|(id, numbers)| self.say_ways(&id, numbers));
    }
}

//! Owns the queues to other servers: one for each lane of a pair of a domain of ours and one of theirs, shared by all
//! threads. Whatever the router has for another domain is put here, or refused.
//!
//! **Lanes.** Whoever sends a stanza has decided on its lane ([`proto::Lanes`]); here whatever lane comes is served,
//! however many this member knows of. So where members were told different numbers, nothing is lost; but what an address
//! says after it has moved to another member may pass what it has said before, where that still waits in another lane.
//!
//! **Responsibility.** What has a receipt keeps it until the other server has acknowledged the stanza (XEP-0198), or,
//! where that one does not count, until the stanza is written to its stream; so a client is told that its message is
//! handled when it has left, or when the error is on its way back. Where such a connection breaks, the sender of what
//! was written lately hears that it may not have arrived ([`crate::recent`]). Presence, and what a room tells its
//! occupants, is promised in memory only: its receipts are released here, so that a server that is not there holds up
//! nobody.
//!
//! Bound: as the configuration says, for each lane of a pair, and 256 MiB for all; and nobody may begin more pairs than
//! are left for all others. Full: `resource-constraint`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::{Body, Envelope, RemoteId, Route};
use router::{Place, Refusal, RemoteGate, Repeats, Router, leaving};
use tokio::sync::{Notify, mpsc};
use xmpp::{BareJid, IqType, Kind, MessageType, Origin, PresenceType, Shard, Stanza};

use crate::config::Rules;
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::outbox::UNANSWERED;
use crate::past::{Fault, Past};
use crate::ways::Ways;
use socket::{Bounds, Queue, Waiting};

/// A domain of ours and one of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PairId {
    pub(crate) local: BareJid,
    pub(crate) remote: BareJid,
}

/// One lane of a pair: what has a queue of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LaneId {
    pub(crate) pair: PairId,
    pub(crate) lane: u8,
}

/// What is on its way from one domain to another in one lane.
pub(crate) struct Pair {
    pub(crate) id: PairId,
    pub(crate) lane: u8,
    state: Mutex<State>,
    /// Something has come.
    pub(crate) news: Notify,
    /// Ways by others' streams have come or gone.
    pub(crate) ways: Notify,
    /// An operator wants it to begin anew.
    pub(crate) reset: Notify,
    /// Something was popped, and may not have arrived.
    on_its_way: AtomicBool,
    /// How many of the first that wait the other end may have ended a stream for.
    pub(crate) suspects: AtomicUsize,
    /// In whose name the first stanza came.
    begun_by: BareJid,
}

struct State {
    queue: Queue<Envelope>,
    repeats: Repeats,
    standing: Standing,
}

/// How a pair stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was to be sent yet, or for long.
    Idle,
    /// Somebody is being looked for, connected to, or convinced.
    Connecting(Option<Failure>),
    /// Stanzas go.
    Open { address: SocketAddr, managed: bool },
    /// They go by a stream that is not its own.
    Shared,
    /// It failed, and is tried again later; a final failure is told to all who come until then.
    Failed { failure: Failure, until: Duration },
}

/// All pairs.
pub(crate) struct Pairs {
    map: Mutex<HashMap<LaneId, Arc<Pair>>>,
    rules: Rules,
    router: Router,
    clock: tokio::time::Instant,
    /// Bytes of all queues.
    pub(crate) bytes: Arc<AtomicUsize>,
    /// Why domains could not be spoken with of late.
    past: Mutex<Past>,
    /// By whose streams pairs may go.
    pub(crate) ways: Ways,
    /// To the thread that speaks with others.
    begin: mpsc::UnboundedSender<Arc<Pair>>,
    metrics: Arc<Metrics>,
}

impl RemoteGate for Pairs {
    fn take(&self, envelope: Envelope) -> Option<(Envelope, Refusal)> {
        match (&envelope.to, &envelope.body) {
            (Route::Remote(remote), Body::HeldStreams(word)) => {
                self.hear_of_ways(remote, word.clone());
                return None;
            }
            (Route::Stream(line), Body::Stanza(_)) => {
                let line = line.clone();
                self.ways.hand_in(&line, envelope);
                return None;
            }
            _ => {}
        }
        let (Route::Remote(remote), Body::Stanza(stanza)) = (&envelope.to, &envelope.body) else {
            return Some((envelope, Refusal::NoRemote));
        };
        let Some(from) = stanza.head().from.clone() else {
            return Some((envelope, Refusal::NoRemote));
        };
        // Nobody speaks in another server's name.
        if matches!(self.router.route_of(&from), Route::Remote(_)) {
            return Some((envelope, Refusal::NoRemote));
        }
        // But for the errors by which they hear that.
        let is_error = matches!(
            stanza.kind(),
            Kind::Message(MessageType::Error)
                | Kind::Iq(IqType::Error)
                | Kind::Presence(PresenceType::Error)
        );
        let to = stanza.head().to.as_ref();
        if !is_error && to.is_some_and(|to| self.rules.shuts_out(to)) {
            self.bounce(envelope, &Failure::Policy);
            return None;
        }
        let pair = PairId { local: from.domain(), remote: remote.domain.clone() };
        let id = LaneId { pair, lane: remote.lane };
        self.push(&id, &from.bare(), envelope)
    }

    fn is_sending(&self, shard: Shard) -> bool {
        let plan = self.router.plan();
        let is_of_shard = |pair: &Arc<Pair>| {
            let id = RemoteId { domain: pair.id.remote.clone(), lane: pair.lane };
            plan.hash_key().remote_bucket(&id).shard() == shard
        };
        self.all().iter().any(|pair| pair.is_sending() && is_of_shard(pair))
    }
}

impl Pairs {
    pub(crate) fn new(
        rules: Rules,
        router: Router,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Arc<Pair>>) {
        let (begin, beginning) = mpsc::unbounded_channel();
        let (map, bytes, clock) = (Mutex::default(), Arc::default(), tokio::time::Instant::now());
        let ways = Ways::new(router.clone());
        let past = Mutex::default();
        let all = Self { map, rules, router, clock, bytes, past, ways, begin, metrics };
        (Arc::new(all), beginning)
    }

    /// The time, by this gate's own clock.
    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// This is why a domain could not be spoken with just now.
    pub(crate) fn note(&self, remote: &BareJid, failure: &Failure) {
        self.past().note(remote, &failure.to_string(), self.now());
    }

    /// What was noted of late.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.past().list(self.now())
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All pairs now.
    pub(crate) fn all(&self) -> Vec<Arc<Pair>> {
        self.lock().values().cloned().collect()
    }

    /// How many stanzas wait.
    pub(crate) fn waiting(&self) -> usize {
        self.all().iter().map(|pair| pair.lock().queue.len()).sum()
    }

    /// Lets what comes in the name of `by` wait in a lane; gives back what there is no room for.
    fn push(
        &self,
        id: &LaneId,
        by: &BareJid,
        mut envelope: Envelope,
    ) -> Option<(Envelope, Refusal)> {
        let mut map = self.lock();
        let known = map.get(id).cloned();
        let pair = match known {
            Some(pair) => pair,
            None if is_share_used(&map, by, self.rules.domains) => {
                return Some((envelope, Refusal::Full));
            }
            None => {
                self.look_at_lane(id);
                let pair = Arc::new(Pair::new(id.clone(), by.clone(), self.bounds(), &self.bytes));
                map.insert(id.clone(), Arc::clone(&pair));
                // The thread is there as long as the gate; without it the stanza comes back by its time.
                self.begin.send(Arc::clone(&pair)).ok();
                pair
            }
        };
        let mut state = pair.lock();
        drop(map);
        let now = self.now();
        if let Standing::Failed { failure, until } = &state.standing
            && *until > now
            && failure.is_final()
        {
            let failure = failure.clone();
            drop(state);
            self.bounce(envelope, &failure);
            return None;
        }
        let must_arrive = leaving::must_arrive(&self.router, &envelope);
        let receipt = if must_arrive { None } else { envelope.receipt.take() };
        let refused = if state.repeats.has(&mut envelope, now) {
            self.metrics.repeats.add_one();
            None
        } else {
            let bytes = leaving::size(&envelope);
            state.queue.push(now, envelope, bytes).err()
        };
        drop(state);
        pair.news.notify_one();
        if let Some(receipt) = receipt {
            receipt.release();
        }
        refused.map(|envelope| (envelope, Refusal::Full))
    }

    /// Of one lane's queue.
    fn bounds(&self) -> Bounds {
        let Rules { queue_stanzas: items, queue_bytes: bytes, wait_seconds, .. } = self.rules;
        Bounds { items, bytes, wait: Duration::from_secs(wait_seconds) }
    }

    /// How long another server may leave something unacknowledged, or take nothing: no longer than a stanza waits.
    pub(crate) fn patience(&self) -> Duration {
        UNANSWERED.min(self.bounds().wait)
    }

    /// How many lanes there are to a domain.
    pub(crate) fn lanes(&self, remote: &BareJid) -> NonZeroU8 {
        self.router.hosts().lanes().count(remote.as_str())
    }

    /// Says so where other members know of more lanes.
    fn look_at_lane(&self, id: &LaneId) {
        let lanes = self.lanes(&id.pair.remote).get();
        if id.lane >= lanes {
            let (peer, lane) = (id.pair.remote.as_str(), id.lane);
            tracing::warn!(
                peer,
                "another member sends by lane {lane} of a domain that has {lanes} here: s2s.lanes and s2s.lanes_of must be the same on all members"
            );
        }
    }

    /// Answers for a stanza that will not arrive.
    pub(crate) fn bounce(&self, envelope: Envelope, failure: &Failure) {
        self.metrics.bounced.of(failure.word()).add_one();
        let error = failure.stanza_error();
        let refused = leaving::bounce(&self.router, envelope, &error, failure.is_final());
        self.metrics.refused.add(refused);
    }

    /// Whether what may have arrived already may be sent again.
    pub(crate) fn may_come_twice(&self, envelope: &Envelope) -> bool {
        leaving::may_come_twice(&self.router, envelope)
    }

    /// Sends what went by a way once more, by whatever way there is.
    pub(crate) fn say_again(&self, envelope: Envelope) {
        let Envelope { body, receipt, origin, .. } = envelope;
        if let Body::Stanza(stanza) = body {
            self.metrics.refused.add(leaving::send(&self.router, stanza, origin, receipt));
        }
    }

    /// Answers a stanza of another server with an error.
    pub(crate) fn refuse(&self, stanza: &Stanza, condition: xmpp::StanzaCondition, origin: Origin) {
        if let Some(error) = stanza.error(&condition.into()) {
            self.metrics.refused.add(leaving::send(&self.router, error, origin, None));
        }
    }

    /// Stanzas that have waited long enough go back, as do those that another member's queue is for now; pairs that
    /// nobody needs are forgotten.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        for pair in self.all() {
            let expired = pair.lock().queue.expired(now);
            if expired.is_empty() {
                continue;
            }
            let failure = pair.failure().unwrap_or(Failure::Silent);
            for envelope in expired {
                self.bounce(envelope, &failure);
            }
        }
        self.hand_over();
        self.look_after_ways();
    }

    /// The ways of a lane have changed.
    pub(crate) fn wake(&self, id: &LaneId) {
        if let Some(pair) = self.lock().get(id) {
            pair.ways.notify_one();
        }
    }

    /// What another member owns now finds its way there.
    fn hand_over(&self) {
        for pair in self.all() {
            if matches!(self.router.place(&pair.key().route()), Place::Member(_)) {
                let waiting = pair.lock().give_away();
                if !waiting.is_empty() {
                    drop(self.router.post(waiting));
                }
            }
        }
    }

    /// Whether places are rare: then no pair is kept that nothing waits for.
    pub(crate) fn is_crowded(&self) -> bool {
        self.lock().len() > self.rules.domains / 4
    }

    /// Forgets a pair, if nothing waits for it.
    pub(crate) fn forget(&self, pair: &Pair) -> bool {
        let mut map = self.lock();
        // Whoever pushes holds the map until it has the pair.
        if !pair.lock().queue.is_empty() {
            return false;
        }
        map.remove(&pair.key());
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaneId, Arc<Pair>>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody may begin no more pairs: as many as are left for all others. So whoever writes to more and more
/// domains is refused long before the last place is taken.
fn is_share_used(map: &HashMap<LaneId, Arc<Pair>>, by: &BareJid, most: usize) -> bool {
    let own = map.values().filter(|pair| pair.begun_by == *by).count();
    map.len() + own >= most
}

impl LaneId {
    /// Where its queue is.
    pub(crate) fn route(&self) -> Route {
        Route::Remote(RemoteId { domain: self.pair.remote.clone(), lane: self.lane })
    }
}

impl State {
    /// All that waits, for another owner. What comes back from there has not arrived.
    fn give_away(&mut self) -> Vec<Envelope> {
        let waiting = self.queue.drain();
        if !waiting.is_empty() {
            self.repeats = Repeats::default();
        }
        waiting
    }
}

impl Pair {
    fn new(
        LaneId { pair: id, lane }: LaneId,
        begun_by: BareJid,
        bounds: Bounds,
        all: &Arc<AtomicUsize>,
    ) -> Self {
        let queue = Queue::new(bounds, Arc::clone(all));
        let state = State { queue, repeats: Repeats::default(), standing: Standing::Idle };
        let (news, ways, reset) = (Notify::new(), Notify::new(), Notify::new());
        let on_its_way = AtomicBool::new(false);
        let suspects = AtomicUsize::new(0);
        let state = Mutex::new(state);
        Self { id, lane, state, news, ways, reset, on_its_way, suspects, begun_by }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells it from all others.
    pub(crate) fn key(&self) -> LaneId {
        LaneId { pair: self.id.clone(), lane: self.lane }
    }

    /// Says whether something that was popped may not have arrived; said before something is.
    pub(crate) fn has_on_its_way(&self, something: bool) {
        self.on_its_way.store(something, Ordering::SeqCst);
    }

    /// Whether something waits, or may not have arrived.
    fn is_sending(&self) -> bool {
        // In this order: what is popped in between is seen.
        self.waiting() > 0 || self.on_its_way.load(Ordering::SeqCst)
    }

    /// The next stanza.
    pub(crate) fn pop(&self) -> Option<Waiting<Envelope>> {
        self.lock().queue.pop()
    }

    /// What did not go.
    pub(crate) fn put_back(&self, items: Vec<Waiting<Envelope>>) {
        self.lock().queue.put_back(items.into_iter());
    }

    /// All that waits.
    pub(crate) fn drain(&self) -> Vec<Envelope> {
        self.lock().queue.drain()
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    pub(crate) fn standing(&self) -> Standing {
        self.lock().standing.clone()
    }

    pub(crate) fn stands(&self, standing: Standing) {
        self.lock().standing = standing;
    }

    /// An operator wants it to begin anew: who comes from now on is not told of a failure before.
    pub(crate) fn begins_anew(&self) {
        let mut state = self.lock();
        if matches!(state.standing, Standing::Failed { .. }) {
            state.standing = Standing::Idle;
        }
        drop(state);
        self.reset.notify_one();
    }

    /// Why it does not go, if so.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match &self.lock().standing {
            Standing::Failed { failure, .. } => Some(failure.clone()),
            Standing::Connecting(failure) => failure.clone(),
            Standing::Idle | Standing::Open { .. } | Standing::Shared => None,
        }
    }
}

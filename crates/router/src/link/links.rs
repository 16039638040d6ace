//! Owns all peers, as the plan names them: their lanes, what arrives from them, what comes back of what was sent.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cluster::plan::Status;
use cluster::{Lease, Plan, PlanHandle};
use proto::{ArbiterId, Body, Envelope, MemberId, Route, Target};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::COPIES;
use super::barrier::{Barrier, Way};
use super::carrier::{self, Address, Carrier};
use super::outputs::Outputs;
use super::pb::{Frame, Hello, Outcome, Reply};
use super::peer::{Lane, Peer};
use super::receiver::{Arrival, LaneError, Receiver};
use super::sender::{Departure, Fate, Returned, Why};
use crate::inbox::Post;
use crate::local::Refusal;
use crate::router::{Place, Router};

/// All links of this member.
pub struct Links {
    router: Router,
    /// Of this process, as the plan says; 0 before it does.
    incarnation: AtomicU64,
    carrier: Box<dyn Carrier>,
    runtime: Handle,
    peers: RwLock<HashMap<MemberId, Arc<Peer>>>,
    pub(crate) barrier: Barrier,
    pub(crate) outputs: Arc<Outputs>,
    ways: AtomicU32,
    plan_index: AtomicU64,
    started: Instant,
    figures: LinkFigures,
    follower: OnceLock<tokio::task::AbortHandle>,
}

/// Counts of all links, for metrics.
#[derive(Debug, Default)]
pub struct LinkFigures {
    /// Envelopes put on a lane.
    pub sent: AtomicU64,
    /// Envelopes that came, each once.
    pub received: AtomicU64,
    /// Of those sent, the ones that many are to get who live on the other member.
    pub sent_to_many: AtomicU64,
    /// The same of those received.
    pub received_for_many: AtomicU64,
    /// Envelopes that a lane had no room for.
    pub refused: AtomicU64,
    /// Envelopes that came back because their shard had moved, or their member was gone.
    pub rerouted: AtomicU64,
}

impl Links {
    /// Links members by this carrier from now on: to all members of the plan, as it changes. The loops run on
    /// `runtime`, which is no arbiter.
    pub fn start(
        router: &Router,
        carrier: impl Carrier,
        plan: PlanHandle,
        runtime: Handle,
    ) -> Arc<Self> {
        let links = Arc::new(Self {
            router: router.clone(),
            incarnation: AtomicU64::new(0),
            carrier: Box::new(carrier),
            runtime: runtime.clone(),
            peers: RwLock::default(),
            barrier: Barrier::new(),
            outputs: Outputs::new(),
            ways: AtomicU32::new(1),
            plan_index: AtomicU64::new(0),
            started: now_instant(),
            figures: LinkFigures::default(),
            follower: OnceLock::new(),
        });
        router.connect(&links);
        links.look_at(plan.clone().get());
        let following = runtime.spawn(follow(Arc::clone(&links), plan));
        // Set once, here.
        drop(links.follower.set(following.abort_handle()));
        links
    }

    /// Serves a connection that a peer has opened, until it ends.
    pub async fn serve(&self, frames: mpsc::Receiver<Frame>, replies: mpsc::Sender<Reply>) {
        let cut = carrier::serve(self, frames, replies).await;
        tracing::debug!(error = %cut, "a peer's lane ended");
    }

    /// Counts, for metrics.
    pub fn figures(&self) -> &LinkFigures {
        &self.figures
    }

    /// Envelopes kept for each peer, for metrics.
    pub fn kept(&self) -> Vec<(MemberId, usize)> {
        let kept = |peer: &Peer| peer.lanes.iter().map(|lane| lane.out().kept()).sum();
        self.peers().values().map(|peer| (peer.member, kept(peer))).collect()
    }

    /// The least that any lane may send at once, in bytes, for metrics; none where no lane has a connection.
    pub fn least_credit(&self) -> Option<u64> {
        let least =
            |peer: &Arc<Peer>| peer.lanes.iter().filter_map(|lane| lane.out().credit()).min();
        self.peers().values().filter_map(least).min()
    }

    /// Ends every link. What is under way is dropped, which its senders take as a fault.
    pub fn stop(&self) {
        if let Some(follower) = self.follower.get() {
            follower.abort();
        }
        let peers =
            std::mem::take(&mut *self.peers.write().unwrap_or_else(PoisonError::into_inner));
        for peer in peers.into_values() {
            drop(peer.end());
        }
    }

    /// Whether the lane for copies to a member has much to do; none where there is no way to it.
    pub(crate) fn is_busy_with_copies(&self, member: MemberId) -> Option<bool> {
        let peer = self.peer(member).filter(|peer| !peer.is_over())?;
        Some(peer.lanes.get(COPIES)?.out().is_half_full())
    }

    pub(crate) fn peer(&self, member: MemberId) -> Option<Arc<Peer>> {
        self.peers().get(&member).cloned()
    }

    pub(crate) fn lease(&self) -> &Lease {
        self.router.lease()
    }

    pub(crate) fn carrier(&self) -> &dyn Carrier {
        &*self.carrier
    }

    fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Acquire)
    }

    pub(crate) fn plan_index(&self) -> u64 {
        self.plan_index.load(Ordering::Acquire)
    }

    pub(crate) fn now(&self) -> Duration {
        now_instant() - self.started
    }

    pub(crate) fn hello(&self, to: &Address, lane: usize) -> Hello {
        let [cluster_high, cluster_low] = self.router.cluster();
        Hello {
            cluster_high,
            cluster_low,
            member: self.router.member().0,
            incarnation: self.incarnation(),
            to_member: to.member.0,
            to_incarnation: to.incarnation,
            lane: u32::try_from(lane).unwrap_or(u32::MAX),
        }
    }

    /// The peer behind a greeting, if it is of this cluster, means this process, and is the process of the member
    /// that the plan knows.
    pub(crate) fn known(&self, hello: &Hello) -> Option<(Arc<Peer>, usize)> {
        let cluster = [hello.cluster_high, hello.cluster_low] == self.router.cluster();
        let means_us = MemberId(hello.to_member) == self.router.member()
            && hello.to_incarnation == self.incarnation();
        let peer =
            self.peer(MemberId(hello.member)).filter(|it| it.incarnation == hello.incarnation)?;
        let lane = usize::try_from(hello.lane).ok().filter(|lane| *lane < peer.lanes.len())?;
        (cluster && means_us).then_some((peer, lane))
    }

    /// Puts what an arbiter sends on a lane; gives back what must be answered. What has another way now is held
    /// by the arbiter.
    pub(crate) fn push(
        &self,
        peer: &Peer,
        lane: usize,
        departures: Vec<Departure>,
    ) -> Vec<(Departure, Why)> {
        self.figures.sent.fetch_add(departures.len() as u64, Ordering::Relaxed);
        let for_many = departures.iter().filter(|it| !it.envelope.targets.is_empty()).count();
        self.figures.sent_to_many.fetch_add(for_many as u64, Ordering::Relaxed);
        let now = self.now();
        // One that may not act just now has not let anything out for as long as nobody knows.
        let lease = self.lease();
        let held_for = if lease.holds() { lease.held_for() } else { Duration::ZERO };
        let acts_since = now.saturating_sub(held_for);
        let back = peer.push(lane, departures, now, acts_since);
        self.figures.refused.fetch_add(back.len() as u64, Ordering::Relaxed);
        if back
            .iter()
            .any(|(it, why)| *why == Why::Full && matches!(it.envelope.body, Body::ToConnection(_)))
        {
            // Its sockets are as good as gone: whoever speaks to them must not go on as if they heard.
            self.router.tell_all(|| Post::Gone(peer.member));
        }
        back
    }

    /// Takes a frame of a peer, from the connection of this number.
    pub(crate) fn take(&self, lane: &Lane, connection: u64, frame: Frame) -> Result<(), LaneError> {
        let mut receiver = lane.receiver_of(connection)?;
        let arrivals = receiver.take(frame, self.plan_index())?;
        self.deliver(&mut receiver, arrivals);
        Ok(())
    }

    /// Takes what waits for a plan that does not come.
    pub(crate) fn take_without_plan(&self, lane: &Lane, connection: u64) -> Result<(), LaneError> {
        let mut receiver = lane.receiver_of(connection)?;
        let arrivals = receiver.wait_no_longer()?;
        self.deliver(&mut receiver, arrivals);
        Ok(())
    }

    /// Hands arrivals to the arbiters that they are for, in order, while the lane is locked.
    fn deliver(&self, receiver: &mut Receiver, arrivals: Vec<Arrival>) {
        self.figures.received.fetch_add(arrivals.len() as u64, Ordering::Relaxed);
        let mut batches: Vec<(ArbiterId, Vec<Envelope>)> = Vec::new();
        let index = self.plan_index();
        for arrival in arrivals {
            if !arrival.envelope.targets.is_empty() {
                self.figures.received_for_many.fetch_add(1, Ordering::Relaxed);
                self.deliver_to_all(receiver, arrival, &mut batches);
                continue;
            }
            if self.hear_as_member(&arrival.envelope, &mut batches) {
                continue;
            }
            let (place, _) = self.router.locate(&arrival.envelope.to);
            let turned = receiver.turns_away(&arrival);
            let Place::Here(arbiter) = (if turned { Place::Nobody } else { place }) else {
                receiver.give_back(arrival, Outcome::Moved, index);
                continue;
            };
            if arrival.crossing.bucket.is_some_and(|bucket| self.router.is_closed(bucket)) {
                // By the next plan it is known whose it is.
                receiver.give_back(arrival, Outcome::Moved, index + 1);
                continue;
            }
            if arrival.envelope.may_be_refused() && !self.router.has_room(arbiter) {
                receiver.give_back(arrival, Outcome::Full, index);
                continue;
            }
            put(&mut batches, arbiter, arrival.envelope);
        }
        self.hand_out(&mut batches);
    }

    /// Hears what is said to the member and not to somebody who lives here; whether it was such a word.
    fn hear_as_member(
        &self,
        envelope: &Envelope,
        batches: &mut Vec<(ArbiterId, Vec<Envelope>)>,
    ) -> bool {
        match (&envelope.to, &envelope.body) {
            (_, Body::Announced(word)) => {
                // Behind all that came before it.
                self.hand_out(batches);
                self.router.tell_all(|| Post::Announced(*word));
            }
            (Route::Member(_), Body::ComponentConnected(domain)) => {
                self.router.tell_all(|| Post::ComponentConnected(domain.clone()));
            }
            (Route::Member(_), Body::Disclosed(answer)) => {
                self.router.hosts().disclosed().learn(answer);
            }
            _ => return false,
        }
        true
    }

    fn hand_out(&self, batches: &mut Vec<(ArbiterId, Vec<Envelope>)>) {
        for (arbiter, batch) in batches.drain(..) {
            self.router.tell(arbiter, Post::LetIn(batch));
        }
    }

    /// One for many is taken as a whole, or turned away: its sender sends each copy by itself then.
    fn deliver_to_all(
        &self,
        receiver: &mut Receiver,
        mut arrival: Arrival,
        batches: &mut Vec<(ArbiterId, Vec<Envelope>)>,
    ) {
        let buckets = self.router.buckets_of(&arrival.envelope);
        let hosts = self.router.hosts();
        let closed = buckets.iter().any(|bucket| self.router.is_closed(*bucket));
        let here = |target: Target| {
            let to = arrival.envelope.route_to(&target.jid, hosts);
            match self.router.place(&to) {
                Place::Here(arbiter) if !closed && self.router.has_room(arbiter) => {
                    Some((arbiter, arrival.envelope.copy_for(target, to)))
                }
                _ => None,
            }
        };
        let turned = receiver.has_turned(&buckets);
        let copies: Option<Vec<_>> = arrival.envelope.recipients().map(here).collect();
        let Some(copies) = copies.filter(|_| !turned) else {
            receiver.turn(&buckets);
            let index = self.plan_index() + u64::from(closed);
            return receiver.give_back(arrival, Outcome::Moved, index);
        };
        for (arbiter, envelope) in copies {
            put(batches, arbiter, envelope);
        }
        if let Some(receipt) = arrival.envelope.receipt.take() {
            receipt.release();
        }
    }

    /// Waits until whatever is being delivered is: of each lane one frame at a time is.
    pub(crate) fn finish_deliveries(&self) {
        let peers: Vec<Arc<Peer>> = self.peers().values().cloned().collect();
        for lane in peers.iter().flat_map(|peer| &peer.lanes) {
            drop(lane.into());
        }
    }

    /// What became of what was sent.
    pub(crate) fn resolve(&self, peer: &Peer, fates: Vec<Fate>) {
        let (mut again, mut refused, mut freed) = (Vec::new(), Vec::new(), false);
        for fate in fates {
            match fate {
                Fate::Done(it) => {
                    freed |= self.leave(&it);
                    if let Some(receipt) = it.envelope.receipt {
                        receipt.release();
                    }
                }
                Fate::Faulty(it) => {
                    freed |= self.leave(&it);
                    drop(it);
                }
                Fate::Moved(returned) => again.push(returned),
                Fate::Full(it) => {
                    freed |= self.leave(&it);
                    refused.push((it, Refusal::Full));
                }
                Fate::Broken(it) => {
                    freed |= self.leave(&it);
                    tracing::error!(member = %peer.member, "a peer could not read an envelope");
                    refused.push((it, Refusal::NoOwner));
                }
            }
        }
        self.bring_back(again);
        for (it, refusal) in refused {
            self.router.tell(it.from, Post::Refused(it.envelope, refusal));
        }
        if freed {
            self.router.tell_all(|| Post::Look);
        }
    }

    /// It is not under way any more; true: somebody may wait for that.
    pub(crate) fn leave(&self, departure: &Departure) -> bool {
        if departure.envelope.targets.is_empty() {
            return departure.crossing.bucket.is_some_and(|bucket| self.barrier.leave(bucket));
        }
        let buckets = self.router.buckets_of(&departure.envelope);
        let freed = buckets.into_iter().filter(|bucket| self.barrier.leave(*bucket));
        freed.count() > 0
    }

    /// Gives envelopes back to the arbiters that sent them, which find them another way.
    fn bring_back(&self, returned: Vec<Returned>) {
        self.figures.rerouted.fetch_add(returned.len() as u64, Ordering::Relaxed);
        let mut batches: HashMap<ArbiterId, Vec<Returned>> = HashMap::new();
        for returned in returned {
            batches.entry(returned.departure.from).or_default().push(returned);
        }
        for (arbiter, batch) in batches {
            self.router.tell(arbiter, Post::Again(batch));
        }
    }

    /// A plan: peers come and go, and what waited for the plan goes on. Where this member was expelled and came
    /// back, everything begins anew: what it had sent as its former self has no right to arrive any more.
    fn look_at(self: &Arc<Self>, plan: &Plan) {
        let me = self.router.member();
        let wanted = wanted(plan, me);
        let incarnation = plan.member(me).map_or(0, |it| it.info.incarnation);
        let former = self.incarnation.swap(incarnation, Ordering::AcqRel);
        let is_another = former != 0 && former != incarnation;
        let gone: Vec<Arc<Peer>> = {
            let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
            let is_wanted = |peer: &Peer| {
                let is_it =
                    |it: &Address| (it.member, it.incarnation) == (peer.member, peer.incarnation);
                !is_another && wanted.iter().any(is_it)
            };
            let gone = peers.extract_if(|_, peer| !is_wanted(peer)).map(|(_, peer)| peer).collect();
            self.plan_index.store(plan.index(), Ordering::Release);
            gone
        };
        for peer in gone {
            if is_another {
                self.forget(&peer);
            } else {
                self.bury(&peer);
            }
        }
        for to in wanted {
            self.meet(to);
        }
        for peer in self.peers().values() {
            for lane in &peer.lanes {
                let mut receiver = lane.into();
                // A gap is found when the frame comes; here frames wait that were looked at.
                if let Ok(arrivals) = receiver.look(plan.index()) {
                    self.deliver(&mut receiver, arrivals);
                    lane.into_wake.notify_one();
                }
            }
        }
        self.router.tell_all(|| Post::Look);
    }

    fn meet(self: &Arc<Self>, to: Address) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        if peers.contains_key(&to.member) {
            return;
        }
        let way = Way(self.ways.fetch_add(1, Ordering::Relaxed));
        let peer = Arc::new(Peer::new(to.member, to.incarnation, way));
        peers.insert(to.member, Arc::clone(&peer));
        drop(peers);
        for lane in 0..peer.lanes.len() {
            let (links, peer, to) = (Arc::clone(self), Arc::clone(&peer), to.clone());
            self.runtime.spawn(carrier::send(links, peer, to, lane));
        }
    }

    /// A process is gone: its sockets are lost, and what it had not confirmed goes another way.
    fn bury(&self, peer: &Peer) {
        tracing::info!(member = %peer.member, "a peer is gone, incarnation {}", peer.incarnation);
        self.router.tell_all(|| Post::Gone(peer.member));
        let again = |mut departure: Departure| {
            departure.envelope.again = true;
            Returned { departure, plan_index: 0 }
        };
        self.bring_back(peer.end().into_iter().map(again).collect());
    }

    /// Nothing that this member had under way to a peer is said any more.
    fn forget(&self, peer: &Peer) {
        for departure in peer.end() {
            self.leave(&departure);
        }
    }

    fn peers(&self) -> std::sync::RwLockReadGuard<'_, HashMap<MemberId, Arc<Peer>>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(batches: &mut Vec<(ArbiterId, Vec<Envelope>)>, arbiter: ArbiterId, envelope: Envelope) {
    match batches.iter_mut().find(|(of, _)| *of == arbiter) {
        Some((_, batch)) => batch.push(envelope),
        None => batches.push((arbiter, vec![envelope])),
    }
}

/// The processes that the plan names beside this one.
fn wanted(plan: &Plan, me: MemberId) -> Vec<Address> {
    let others = plan.members().filter(|it| it.info.id != me && it.status != Status::Expelled);
    others
        .map(|it| Address {
            member: it.info.id,
            incarnation: it.info.incarnation,
            addr: it.info.addr.clone(),
        })
        .collect()
}

async fn follow(links: Arc<Links>, mut plan: PlanHandle) {
    while let Ok(plan) = plan.changed().await.map(Arc::clone) {
        links.look_at(&plan);
    }
}

#[expect(clippy::disallowed_methods, reason = "the shell reads the clock, so that lanes need not")]
fn now_instant() -> Instant {
    Instant::now()
}

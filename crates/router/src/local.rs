//! Owns one arbiter's turn: what actors and connections of this thread send, and when it leaves.
//!
//! What stays on the arbiter goes to its [`LocalHost`] at once. What leaves - batches for other arbiters,
//! writes to the store, bytes to sockets - is collected, and one flush task lets it out behind all tasks
//! that are ready in this turn, if the member's lease holds. So a batch grows with the load and never
//! waits.
//!
//! | module | owns |
//! |---|---|
//! | `copies` | what members are told about second copies |
//! | `many` | envelopes that many are to get |
//! | `former` | what a former self of the member has left |

mod copies;
mod former;
mod many;
mod post;
mod tasks;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use proto::session::ConnectionCommand;
use proto::wire::Crossing;
use proto::{Announced, ArbiterId, Body, ConnectionId, Envelope, MemberId, Receipt, Route};
use tokio::sync::Notify;
use xmpp::{BareJid, Bucket, Origin, Shard};

use crate::held::{Held, Waiting};
use crate::inbox::{Post, Receiver};
use crate::link::Links;
use crate::link::outputs::Sent;
use crate::link::peer::Peer;
use crate::link::sender::{Departure, Returned, Why};
use crate::router::{Place, Router};
use crate::trace;

pub use copies::{is_busy_with_copies, tell_announced};

/// The actors of an arbiter.
pub trait LocalHost {
    /// Hands envelopes to the actors that they are for.
    fn deliver(&self, batch: Vec<Envelope>);

    /// Answers for an envelope that cannot go on.
    fn refuse(&self, envelope: Envelope, refusal: Refusal);

    /// Lets out what was collected for the store.
    fn flush(&self);

    /// A member's process is gone, and the sockets with it that it held.
    fn member_gone(&self, member: MemberId);

    /// There may be another plan, and ways to all members in it.
    fn plan_changed(&self) {}

    /// A thread of a member has said all that it holds of this member's shards. What it said has come before.
    fn announced(&self, _word: Announced) {}

    /// A component has another stream, and is to be told who is here.
    fn component_connected(&self, _domain: &BareJid) {}
}

/// A socket of this arbiter, as its sessions see it.
pub trait Edge {
    /// Takes a command for the connection, with what has caused it. Must not call back into the router but for [`mark_dirty`].
    fn take(&self, command: ConnectionCommand, cause: Origin);

    /// Writes what was taken to the socket, as far as it goes.
    fn write(&self);

    /// What was held back since the lease did not hold may go on.
    fn thaw(&self) {}

    /// The member was expelled and has come back: sessions elsewhere have lost its sockets.
    fn expelled(&self) {}

    /// The shards of some accounts have new owners, since the ones before are gone: what the socket's session must
    /// know to go on there. Where it says again what it has said, its envelopes come from a socket of another name from
    /// now on, so that nobody takes what is still on its way for what comes next.
    fn announce(self: Rc<Self>, _owner: &dyn Fn(&BareJid) -> Option<MemberId>) -> Vec<Envelope> {
        Vec::new()
    }
}

/// Why an envelope cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A queue is full.
    Full,
    /// No member owns the shard now.
    NoOwner,
    /// It is for another server, and no gate leads there.
    NoRemote,
    /// It went round in circles.
    TooManyHops,
}

struct Local {
    id: ArbiterId,
    router: Router,
    host: Rc<dyn LocalHost>,
    edges: RefCell<HashMap<u64, Rc<dyn Edge>>>,
    next_edge: Cell<u64>,
    dirty: RefCell<Vec<u64>>,
    outgoing: RefCell<Vec<Vec<Envelope>>>,
    departing: RefCell<Vec<Departing>>,
    /// Goes to all arbiters, behind what was sent to them.
    announced: RefCell<Vec<Announced>>,
    /// Counts what was given to lanes.
    order: Cell<u64>,
    held: RefCell<Held>,
    /// The barrier knows that something is held.
    waits: Cell<bool>,
    /// The shard of the entity whose turn it is.
    sender: Cell<Option<Shard>>,
    flush: Rc<Notify>,
    stopped: Cell<bool>,
    /// The index of the plan that was looked at for this process's incarnation, and that.
    looked_at: Cell<u64>,
    incarnation: Cell<u64>,
    /// Something is to leave, and must not, since the lease does not hold.
    frozen: Cell<bool>,
}

/// What leaves for one lane at the end of the turn.
struct Departing {
    peer: Arc<Peer>,
    lane: usize,
    batch: Vec<Departure>,
}

/// Where something is to go.
struct Target {
    place: Place,
    bucket: Option<Bucket>,
    /// It came back, and is the first of its bucket to be sent again.
    anew: bool,
    /// Its place in the order, if it was sent before.
    order: Option<u64>,
    sent: Option<Sent>,
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Makes this thread an arbiter. The two futures are to be spawned on it: one takes what other threads
/// send, the other lets out what this one sends.
pub fn install(
    id: ArbiterId,
    router: Router,
    host: Rc<dyn LocalHost>,
    inbox: Receiver,
) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let arbiters = router.waiting().len();
    let local = Rc::new(Local {
        id,
        router,
        host,
        edges: RefCell::default(),
        // No later process of this member takes a socket of this one for its own.
        next_edge: Cell::new(RandomState::new().hash_one(id) >> 1),
        dirty: RefCell::default(),
        outgoing: RefCell::new((0..arbiters).map(|_| Vec::new()).collect()),
        departing: RefCell::default(),
        announced: RefCell::default(),
        order: Cell::new(1),
        held: RefCell::default(),
        waits: Cell::new(false),
        sender: Cell::new(None),
        flush: Rc::new(Notify::new()),
        stopped: Cell::new(false),
        looked_at: Cell::new(0),
        incarnation: Cell::new(0),
        frozen: Cell::new(false),
    });
    LOCAL.with(|slot| *slot.borrow_mut() = Some(Rc::clone(&local)));
    (tasks::receive(Rc::clone(&local), inbox), tasks::flush(local))
}

/// Whether this thread is an arbiter.
pub fn is_arbiter() -> bool {
    LOCAL.with(|slot| slot.borrow().is_some())
}

/// This arbiter's number and router; none on other threads.
pub fn here() -> Option<(ArbiterId, Router)> {
    LOCAL.with(|slot| slot.borrow().as_ref().map(|local| (local.id, local.router.clone())))
}

/// Sends envelopes on their way. Call it after an actor's turn, never within.
pub fn route(envelopes: Vec<Envelope>) {
    let Some(local) = local() else { return };
    let links = local.router.links();
    let mut stay = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let Some(envelope) = local.begin(envelope) else { continue };
        match &links {
            _ if !envelope.targets.is_empty() => {
                local.send_to_many(envelope, links.as_deref(), &mut stay);
            }
            None => local.send_alone(envelope, &mut stay),
            Some(links) => local.send_linked(envelope, links, &mut stay),
        }
    }
    if !stay.is_empty() {
        local.host.deliver(stay);
    }
}

/// As [`route`], for an entity of this shard.
pub fn route_from(shard: Shard, envelopes: Vec<Envelope>) {
    if envelopes.is_empty() {
        return;
    }
    let Some(local) = local() else { return };
    let before = local.sender.replace(Some(shard));
    route(envelopes);
    local.sender.set(before);
}

/// Gives a socket of this arbiter its number, and a way for its session to reach it.
pub fn attach(edge: Rc<dyn Edge>) -> Option<ConnectionId> {
    let local = local()?;
    let number = local.next_edge.replace(local.next_edge.get() + 1);
    local.edges.borrow_mut().insert(number, edge);
    Some(ConnectionId { member: local.router.member(), arbiter: local.id, number })
}

/// The sockets of this arbiter.
pub fn edges() -> Vec<Rc<dyn Edge>> {
    local().map(|local| local.edges.borrow().values().cloned().collect()).unwrap_or_default()
}

/// Forgets a socket. Commands that still come for it are dropped: its session has been told.
pub fn detach(connection: ConnectionId) {
    if let Some(local) = local() {
        local.edges.borrow_mut().remove(&connection.number);
    }
}

/// Has [`Edge::write`] called at the end of the turn.
pub fn mark_dirty(connection: ConnectionId) {
    if let Some(local) = local() {
        local.dirty.borrow_mut().push(connection.number);
        local.flush.notify_one();
    }
}

/// Whether nothing may leave this arbiter for now: the member's lease does not hold. Whoever reads sockets waits until
/// [`Edge::thaw`], so that their clients wait too.
pub fn is_frozen() -> bool {
    LOCAL.with(|slot| slot.borrow().as_ref().is_some_and(|local| local.frozen.get()))
}

/// Has [`LocalHost::flush`] called at the end of the turn.
pub fn mark_unsaved() {
    if let Some(local) = local() {
        local.flush.notify_one();
    }
}

/// Ends the flush task of this arbiter after a last flush.
pub fn stop() {
    if let Some(local) = local() {
        local.stopped.set(true);
        local.flush.notify_one();
    }
}

/// Builds that check themselves send every envelope through its message, so that each test also tests that
/// nothing is lost between members.
#[cfg(debug_assertions)]
fn as_another_member_reads_it(envelope: Envelope) -> Envelope {
    proto::wire::there_and_back(envelope).expect("what is written as a message can be read back")
}

fn local() -> Option<Rc<Local>> {
    LOCAL.with(|slot| slot.borrow().clone())
}

impl Local {
    /// Counts the hop.
    fn begin(&self, mut envelope: Envelope) -> Option<Envelope> {
        if envelope.hops >= Envelope::MAX_HOPS {
            self.host.refuse(envelope, Refusal::TooManyHops);
            return None;
        }
        envelope.hops += 1;
        if envelope.trace.is_some() {
            trace::routed(&self.router, &mut envelope);
        }
        #[cfg(debug_assertions)]
        let envelope = as_another_member_reads_it(envelope);
        Some(envelope)
    }

    /// Where there is no way to other members.
    fn send_alone(&self, envelope: Envelope, stay: &mut Vec<Envelope>) {
        match self.router.place(&envelope.to) {
            Place::Member(_) => self.host.refuse(envelope, Refusal::NoOwner),
            place => self.send_here(envelope, place, stay),
        }
    }

    fn send_here(&self, envelope: Envelope, place: Place, stay: &mut Vec<Envelope>) {
        match place {
            Place::Here(arbiter) if arbiter != self.id => self.collect(arbiter, envelope),
            Place::Here(_) | Place::Anywhere => self.keep(envelope, stay),
            Place::Remote => self.host.refuse(envelope, Refusal::NoRemote),
            Place::Member(_) | Place::Nobody => self.host.refuse(envelope, Refusal::NoOwner),
        }
    }

    /// Behind what waits for the same bucket.
    fn send_linked(&self, envelope: Envelope, links: &Links, stay: &mut Vec<Envelope>) {
        let (place, bucket) = self.router.locate(&envelope.to);
        if matches!(place, Place::Here(_)) && envelope.is_within() {
            // What waits is from others: it does not wait behind that, also where its shard is closed.
            return self.send_here(envelope, place, stay);
        }
        let sent = || self.counted();
        if let Some(bucket) = bucket
            && self.held.borrow().holds(bucket)
        {
            let sent = sent();
            return self.hold(Waiting { envelope, bucket, plan: 0, returned: None, sent }, links);
        }
        let crosses = matches!(place, Place::Member(_));
        let counted = if crosses { sent() } else { None };
        let target = Target { place, bucket, anew: false, order: None, sent: counted };
        let back = self.try_send(envelope, target, links, stay);
        if let (Some((envelope, counted)), Some(bucket)) = (back, bucket) {
            let sent = counted.or_else(sent);
            self.hold(Waiting { envelope, bucket, plan: 0, returned: None, sent }, links);
        }
    }

    /// Counts an envelope as sent by the shard whose entity has its turn.
    fn counted(&self) -> Option<Sent> {
        let shard = self.sender.get()?;
        self.router.links().map(|links| links.outputs.count(shard))
    }

    /// Gives back what must wait until its way is free.
    fn try_send(
        &self,
        envelope: Envelope,
        Target { place, bucket, anew, order, sent }: Target,
        links: &Links,
        stay: &mut Vec<Envelope>,
    ) -> Option<(Envelope, Option<Sent>)> {
        let Place::Member(member) = place else {
            let free = bucket.is_none_or(|bucket| {
                links.barrier.is_free(bucket) && !self.router.is_closed(bucket)
            });
            if !free {
                return Some((envelope, sent));
            }
            self.send_here(envelope, place, stay);
            return None;
        };
        let Some(peer) = links.peer(member).filter(|peer| !peer.is_over()) else {
            return self.has_no_way(envelope, bucket).map(|envelope| (envelope, sent));
        };
        if bucket.is_some_and(|bucket| !links.barrier.enter(bucket, peer.way)) {
            return Some((envelope, sent));
        }
        // What an actor tells itself has no meaning where it no longer is.
        if matches!(envelope.body, Body::Woken | Body::MemberGone(_)) {
            if let Some(bucket) = bucket {
                links.barrier.leave(bucket);
            }
            return None;
        }
        let crossing = Crossing { anew, ..self.router.crossing(&envelope, bucket) };
        let lane = self.router.lane_of(&envelope, bucket);
        let order = order.unwrap_or_else(|| self.order.replace(self.order.get() + 1));
        self.depart(peer, lane, Departure { envelope, crossing, from: self.id, order, sent });
        None
    }

    /// The plan names a member that there are no lanes to: they come with the next plan. The sockets of a process
    /// that is gone are gone too, and their sessions are told; a component may have others.
    fn has_no_way(&self, envelope: Envelope, bucket: Option<Bucket>) -> Option<Envelope> {
        if bucket.is_some() {
            return Some(envelope);
        }
        match envelope.to {
            // Whoever gives the copy must not take it for kept.
            Route::Copy(_) => self.host.refuse(envelope, Refusal::NoOwner),
            // Whoever sends to another server by a way hears that its receipt is dropped.
            Route::Stream(stream) if !self.router.is_component(&stream.domain) => {}
            // It goes for the first time, as far as the owner of the component's domain can know.
            Route::Stream(stream) => {
                let to = Route::Component(stream.domain);
                route(vec![Envelope { to, again: false, ..envelope }]);
            }
            _ => envelope.receipt.into_iter().for_each(Receipt::release),
        }
        None
    }

    fn depart(&self, peer: Arc<Peer>, lane: usize, departure: Departure) {
        let mut departing = self.departing.borrow_mut();
        let same = |it: &&mut Departing| it.lane == lane && Arc::ptr_eq(&it.peer, &peer);
        match departing.iter_mut().find(same) {
            Some(known) => known.batch.push(departure),
            None => departing.push(Departing { peer, lane, batch: vec![departure] }),
        }
        self.flush.notify_one();
    }

    fn hold(&self, waiting: Waiting, links: &Links) {
        if let Some(envelope) = self.held.borrow_mut().push(waiting) {
            return self.host.refuse(envelope, Refusal::Full);
        }
        if !self.waits.replace(true) {
            links.barrier.begin_waiting();
        }
        // Looked at once more, now that whoever frees the way knows.
        self.flush.notify_one();
    }

    /// Sends what waited and need not any more.
    fn retry(&self, links: &Links) {
        if self.held.borrow().is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut *self.held.borrow_mut());
        let (mut stay, index) = (Vec::new(), self.router.plan_index());
        // What came back goes when all of its bucket has: a run of them, one after the other.
        // The first of a lane says so, since its receiver turns away what follows what it has turned away.
        let (mut running, mut begun) = (HashSet::new(), HashSet::new());
        held.retry(|waiting| {
            let (bucket, plan, returned) = (waiting.bucket, waiting.plan, waiting.returned);
            let back = returned.is_some();
            let ready = !back || running.contains(&bucket) || links.barrier.is_free(bucket);
            if plan > index || !ready {
                return Some(waiting);
            }
            let lane = self.router.lane_of(&waiting.envelope, Some(bucket));
            let anew = back && begun.insert((bucket, lane));
            if back {
                running.insert(bucket);
            }
            let (place, _) = self.router.locate(&waiting.envelope.to);
            let Waiting { envelope, sent, .. } = waiting;
            let target = Target { place, bucket: Some(bucket), anew, order: returned, sent };
            let (envelope, sent) = self.try_send(envelope, target, links, &mut stay)?;
            Some(Waiting { envelope, bucket, plan, returned, sent })
        });
        if held.is_empty() && self.waits.replace(false) {
            links.barrier.end_waiting();
        }
        *self.held.borrow_mut() = held;
        if !stay.is_empty() {
            self.host.deliver(stay);
        }
    }

    /// What this arbiter sent comes back to find another way, before all that was sent later.
    fn take_back(&self, batch: Vec<Returned>, links: &Links) {
        let mut earlier = Vec::with_capacity(batch.len());
        for Returned { departure, plan_index: plan } in batch {
            if !departure.envelope.targets.is_empty() {
                earlier.extend(self.take_back_many(departure, plan, links));
                continue;
            }
            let Departure { envelope, crossing, order, sent, .. } = departure;
            let Some(bucket) = crossing.bucket else {
                // For a socket of a process that is gone: nobody waits for it there.
                self.has_no_way(envelope, None);
                continue;
            };
            links.barrier.leave(bucket);
            // It has passed nobody, and so counts no hop: while a shard moves it may come back with every plan.
            earlier.push(Waiting { envelope, bucket, plan, returned: Some(order), sent });
        }
        self.held.borrow_mut().take_back(earlier);
        if !self.held.borrow().is_empty() && !self.waits.replace(true) {
            links.barrier.begin_waiting();
            self.flush.notify_one();
        }
        self.retry(links);
        // Others may wait for what has gone from here.
        self.router.tell_all(|| Post::Look);
    }

    fn flush_departing(&self, links: &Links) {
        for Departing { peer, lane, batch } in self.departing.take() {
            for (departure, why) in links.push(&peer, lane, batch) {
                if !departure.envelope.targets.is_empty() {
                    self.was_not_taken(departure, why, links);
                    continue;
                }
                let Departure { envelope, crossing, order, sent, .. } = departure;
                if let Some(bucket) = crossing.bucket {
                    links.barrier.leave(bucket);
                }
                match (why, crossing.bucket) {
                    (Why::Over, Some(bucket)) => {
                        let returned = Some(order);
                        self.hold(Waiting { envelope, bucket, plan: 0, returned, sent }, links);
                    }
                    (Why::Full, None) if matches!(envelope.to, Route::Stream(_)) => {
                        self.host.refuse(envelope, Refusal::Full);
                    }
                    (_, None) => drop(self.has_no_way(envelope, None)),
                    (Why::Full, _) => self.host.refuse(envelope, Refusal::Full),
                }
            }
        }
    }

    fn keep(&self, envelope: Envelope, stay: &mut Vec<Envelope>) {
        match (envelope.to, envelope.body) {
            (Route::Connection(connection), Body::ToConnection(command)) => {
                let edge = self.edges.borrow().get(&connection.number).cloned();
                if let Some(edge) = edge {
                    let _span = trace::delivered(envelope.trace.as_deref(), &command);
                    edge.take(command, envelope.origin);
                } else if matches!(command, ConnectionCommand::Stanza(_)) {
                    self.router.count_gone();
                }
                if let Some(receipt) = envelope.receipt {
                    receipt.release();
                }
            }
            (to @ (Route::Remote(_) | Route::Component(_) | Route::Stream(_)), body) => {
                let envelope = Envelope { to, body, ..envelope };
                if let Some((envelope, refusal)) = self.router.send_out(envelope) {
                    self.host.refuse(envelope, refusal);
                }
            }
            (to, body) => stay.push(Envelope { to, body, ..envelope }),
        }
    }

    fn collect(&self, arbiter: ArbiterId, envelope: Envelope) {
        if let Some(batch) = self.outgoing.borrow_mut().get_mut(usize::from(arbiter.0)) {
            batch.push(envelope);
            self.flush.notify_one();
        }
    }

    fn flush_once(&self) {
        let links = self.router.links();
        if let Some(links) = &links {
            self.forget_former(links);
        }
        self.host.flush();
        if let Some(links) = links {
            self.retry(&links);
            self.flush_departing(&links);
        }
        self.hand_on();
        for announced in self.announced.take() {
            self.router.tell_all(|| Post::Announced(announced));
        }
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for number in dirty {
            let edge = self.edges.borrow().get(&number).cloned();
            if let Some(edge) = edge {
                edge.write();
            }
        }
    }
}

//! Owns one arbiter's turn: what actors and connections of this thread send, and when it leaves.
//!
//! What stays on the arbiter goes to its [`LocalHost`] at once. What leaves - batches for other arbiters,
//! writes to the store, bytes to sockets - is collected, and one flush task lets it out behind all tasks
//! that are ready in this turn, if the member's lease holds. So a batch grows with the load and never
//! waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use proto::session::HomeWord;
use proto::{ArbiterId, Body, ConnectionId, Envelope, Route};
use tokio::sync::Notify;

use crate::inbox::Receiver;
use crate::router::{Place, Router};
use crate::trace;

/// The actors of an arbiter.
pub trait LocalHost {
    /// Hands envelopes to the actors that they are for.
    fn deliver(&self, batch: Vec<Envelope>);

    /// Answers for an envelope that cannot go on.
    fn refuse(&self, envelope: Envelope, refusal: Refusal);

    /// Lets out what was collected for the store.
    fn flush(&self);
}

/// A socket of this arbiter, as its sessions see it.
pub trait Edge {
    /// Takes a word for the client. Must not call back into the router but for [`mark_dirty`].
    fn take(&self, word: HomeWord);

    /// Writes what was taken to the socket, as far as it goes.
    fn write(&self);
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
    flush: Rc<Notify>,
    stopped: Cell<bool>,
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
        next_edge: Cell::new(1),
        dirty: RefCell::default(),
        outgoing: RefCell::new((0..arbiters).map(|_| Vec::new()).collect()),
        flush: Rc::new(Notify::new()),
        stopped: Cell::new(false),
    });
    LOCAL.with(|slot| *slot.borrow_mut() = Some(Rc::clone(&local)));
    (receive(inbox), flush(local))
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
    let mut stay = Vec::with_capacity(envelopes.len());
    for mut envelope in envelopes {
        if envelope.hops >= Envelope::MAX_HOPS {
            local.host.refuse(envelope, Refusal::TooManyHops);
            continue;
        }
        envelope.hops += 1;
        if envelope.trace.is_some() {
            trace::routed(&local.router, &mut envelope);
        }
        #[cfg(debug_assertions)]
        let envelope = as_another_member_reads_it(envelope);
        match local.router.place(&envelope.to) {
            Place::Here(arbiter) if arbiter == local.id => local.keep(envelope, &mut stay),
            Place::Anywhere => local.keep(envelope, &mut stay),
            Place::Here(arbiter) => local.collect(arbiter, envelope),
            Place::Remote => local.host.refuse(envelope, Refusal::NoRemote),
            Place::Member(_) | Place::Nobody => local.host.refuse(envelope, Refusal::NoOwner),
        }
    }
    if !stay.is_empty() {
        local.host.deliver(stay);
    }
}

/// Gives a socket of this arbiter its number, and a way for its session to reach it.
pub fn attach(edge: Rc<dyn Edge>) -> Option<ConnectionId> {
    let local = local()?;
    let number = local.next_edge.replace(local.next_edge.get() + 1);
    local.edges.borrow_mut().insert(number, edge);
    Some(ConnectionId { member: local.router.member(), arbiter: local.id, number })
}

/// Forgets a socket. Words that still come for it are dropped: its session has been told.
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
    fn keep(&self, envelope: Envelope, stay: &mut Vec<Envelope>) {
        match (envelope.to, envelope.body) {
            (Route::Connection(connection), Body::Home(word)) => {
                let edge = self.edges.borrow().get(&connection.number).cloned();
                if let Some(edge) = edge {
                    let _span = trace::delivered(envelope.trace.as_deref(), &word);
                    edge.take(word);
                } else if matches!(word, HomeWord::Stanza(_)) {
                    self.router.count_gone();
                }
                if let Some(receipt) = envelope.receipt {
                    receipt.release();
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
        self.host.flush();
        let arbiters = self.outgoing.borrow().len();
        for index in 0..arbiters {
            let batch = std::mem::take(&mut self.outgoing.borrow_mut()[index]);
            if batch.is_empty() {
                continue;
            }
            let arbiter = ArbiterId(u16::try_from(index).unwrap_or(u16::MAX));
            for envelope in self.router.push(arbiter, batch) {
                self.host.refuse(envelope, Refusal::Full);
            }
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

async fn receive(mut inbox: Receiver) {
    while let Some(batch) = inbox.next().await {
        route(batch);
    }
}

async fn flush(local: Rc<Local>) {
    while !local.stopped.get() {
        local.flush.notified().await;
        // Behind all tasks that are ready now.
        tokio::task::yield_now().await;
        // Rule A: an effect leaves only while the lease holds.
        let lease = local.router.lease();
        if !lease.holds() && lease.until_valid().await.is_err() {
            // Expelled or stopping: nothing may leave any more.
            return;
        }
        local.flush_once();
    }
}

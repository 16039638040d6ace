//! Owns the actors of one arbiter: starts them when something comes for them, ends them when they are idle.
//!
//! | module | owns |
//! |---|---|
//! | [`handoff`] | a part of them frozen, as data, given away, and taken in |
//! | `takeover` | what happens when the owner of a shard is gone |
//! | `gates` | what waits until all have said what they hold of it (pure) |
//! | `connected` | how a component hears who is here |
//! | `copies` | second copies of entities (pure) |
//! | `table` | which actors there are, by address and by shard |

mod connected;
mod copies;
mod gates;
pub mod handoff;
mod table;
mod takeover;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr};
use cluster::Plan;
use cluster::plan::{Member, Status};
use meter::clock;
use proto::{Announced, Body, Envelope, Hosts, MemberId, Now, Route};
use router::{LocalHost, Refusal, Router};
use store::SharedStore;
use xmpp::{BareJid, Fence, Origin, Shard};

use crate::actor::copy::Keeper;
use crate::actor::{ActorState, Arrived, EntityActor, Order, Passivate, Permits};
use crate::context::Waker;
use crate::entity::Entity;
use crate::figures::Figures;
use crate::inbox::Inbox;
use crate::refuse::{self, Fault};
use crate::writer::Writer;
use handoff::Hold;
use table::{Entry, Table};
use takeover::Takeover;

/// How often idle entities are looked for.
const NAP_EVERY: Duration = Duration::from_secs(60);

/// The actors of one arbiter.
pub struct Host {
    table: RefCell<Table>,
    starters: Vec<Box<dyn Start>>,
    arbiter: Rc<ArbiterContext>,
    /// What comes for parts that are frozen, or about to be.
    holds: RefCell<Vec<Hold>>,
    takeover: RefCell<Takeover>,
    /// There are ways to other members.
    linked: Cell<bool>,
    /// The index of the plan that it goes by.
    seen: Cell<u64>,
    /// Components that are being told who is here, and the accounts that have not done so yet.
    connected: RefCell<BTreeMap<BareJid, Vec<BareJid>>>,
}

/// What an arbiter's actors share.
pub(crate) struct ArbiterContext {
    host: RefCell<Weak<Host>>,
    router: Router,
    writer: Rc<Writer>,
    figures: Arc<Figures>,
    started: Instant,
    counter: Cell<u64>,
    /// None while there is no other member.
    plan: RefCell<Option<Arc<Plan>>>,
    /// Entities sleep between their turns, for tests.
    drowsy: bool,
}

/// Starts actors of one kind of entity.
pub trait Start {
    /// Whether a route is of this kind.
    fn is_for(&self, route: &Route) -> bool;

    /// Starts the actor.
    fn start(&self, seed: Seed) -> Rc<dyn Mailbox>;
}

/// What a new actor is made from.
pub struct Seed {
    pub(crate) route: Route,
    pub(crate) fence: Fence,
    pub(crate) permits: Rc<Permits>,
    pub(crate) arbiter: Rc<ArbiterContext>,
    pub(crate) packed: Option<ActorState>,
    pub(crate) frozen: bool,
}

/// The way into an actor.
pub trait Mailbox {
    /// Hands envelopes over; gives them back if the actor has ended.
    fn push(&self, batch: Vec<Envelope>) -> Result<(), Vec<Envelope>>;

    /// Asks the actor to end if nothing would be lost.
    fn passivate(&self);

    /// Has the actor do something beside its turns; false if it has ended.
    #[expect(private_interfaces, reason = "the host alone gives orders")]
    fn order(&self, order: Order) -> bool;
}

/// Starts actors of `E` for the routes that `is_for` names.
pub struct Spawn<E: Entity> {
    /// What all of them share.
    pub shared: Arc<E::Shared>,
    /// Which routes are theirs.
    pub is_for: fn(&Route) -> bool,
}

impl<E: Entity> Start for Spawn<E> {
    fn is_for(&self, route: &Route) -> bool {
        (self.is_for)(route)
    }

    fn start(&self, seed: Seed) -> Rc<dyn Mailbox> {
        let inbox = Rc::new(Inbox::default());
        let of_actor = Rc::clone(&inbox);
        let actor = EntityActor::<E>::create(|ctx| {
            // The bound is our own ([`Permits`]), and must be so before the actor has its first turn: what comes sooner
            // would find the few places that actix has by itself taken, and the actor be held for dead.
            ctx.set_mailbox_capacity(usize::MAX >> 8);
            EntityActor::new(seed, of_actor, Arc::clone(&self.shared))
        });
        Rc::new(Door { actor, inbox })
    }
}

/// The way into an actor of `E`.
struct Door<E: Entity> {
    actor: Addr<EntityActor<E>>,
    inbox: Rc<Inbox>,
}

impl<E: Entity> Mailbox for Door<E> {
    fn push(&self, batch: Vec<Envelope>) -> Result<(), Vec<Envelope>> {
        if !self.actor.connected() {
            return Err(batch);
        }
        if self.inbox.put(batch) && self.actor.try_send(Arrived).is_err() {
            return Err(self.inbox.take_back());
        }
        Ok(())
    }

    fn passivate(&self) {
        self.inbox.close();
        // An actor that has ended needs no word.
        drop(self.actor.try_send(Passivate));
    }

    fn order(&self, order: Order) -> bool {
        self.inbox.close();
        self.actor.try_send(order).is_ok()
    }
}

impl Host {
    /// The actors of this thread; `starters` are asked in order.
    pub fn new(
        router: Router,
        store: SharedStore,
        figures: Arc<Figures>,
        starters: Vec<Box<dyn Start>>,
    ) -> Rc<Self> {
        Self::with(router, store, figures, starters, is_drowsy())
    }

    fn with(
        router: Router,
        store: SharedStore,
        figures: Arc<Figures>,
        starters: Vec<Box<dyn Start>>,
        drowsy: bool,
    ) -> Rc<Self> {
        let arbiter = Rc::new(ArbiterContext {
            host: RefCell::new(Weak::new()),
            router,
            writer: Writer::new(store),
            figures,
            started: now_instant(),
            counter: Cell::new(0),
            plan: RefCell::default(),
            drowsy,
        });
        let (table, holds, takeover, linked, seen, connected) = Default::default();
        let desk_of_host = Rc::clone(&arbiter);
        let host = Rc::new(Self {
            table,
            starters,
            arbiter: desk_of_host,
            holds,
            takeover,
            linked,
            seen,
            connected,
        });
        *arbiter.host.borrow_mut() = Rc::downgrade(&host);
        host
    }

    /// Looks for idle entities, for ever; to be spawned on the arbiter.
    pub async fn look_for_idle(host: Weak<Self>) {
        loop {
            tokio::time::sleep(NAP_EVERY).await;
            let Some(host) = host.upgrade() else { return };
            for entry in host.table.borrow().entries() {
                if !entry.used.replace(false) {
                    entry.mailbox.passivate();
                }
            }
        }
    }

    fn entry(&self, route: &Route) -> Option<(Rc<dyn Mailbox>, Rc<Permits>)> {
        if let Some(entry) = self.table.borrow().get(route) {
            entry.used.set(true);
            return Some((Rc::clone(&entry.mailbox), Rc::clone(&entry.permits)));
        }
        let key = route.key()?;
        // What has no state has no owner, and acts by no epoch.
        let fence = match self.arbiter.router.fence(key) {
            Some(fence) => fence,
            None if matches!(route, Route::Domain(_)) => {
                Fence { bucket: self.arbiter.router.bucket(key), epoch: xmpp::Epoch::default() }
            }
            None => return None,
        };
        self.plant(route, fence, None)
    }

    /// Starts an actor; none where no kind of entity answers for the route.
    fn plant(
        &self,
        route: &Route,
        fence: Fence,
        packed: Option<ActorState>,
    ) -> Option<(Rc<dyn Mailbox>, Rc<Permits>)> {
        let starter = self.starters.iter().find(|starter| starter.is_for(route))?;
        let permits = Rc::new(Permits::default());
        let seed = Seed {
            route: route.clone(),
            fence,
            permits: Rc::clone(&permits),
            arbiter: Rc::clone(&self.arbiter),
            packed,
            frozen: self.is_closed(route),
        };
        let mailbox = starter.start(seed);
        let entry = Entry {
            mailbox: Rc::clone(&mailbox),
            permits: Rc::clone(&permits),
            used: Cell::new(true),
            shard: has_owner(route).then(|| fence.bucket.shard()),
        };
        self.table.borrow_mut().insert(route.clone(), entry);
        self.arbiter.figures.entities.of(route.name()).add_one();
        Some((mailbox, permits))
    }

    /// Hands a run of envelopes for one route over.
    fn hand_over(&self, route: &Route, run: Vec<Envelope>) {
        if let Route::Copy(copy) = route {
            return self.take_copies(copy, run);
        }
        let run = self.pass_gates(route, run);
        let mut run = self.hold_back(route, run);
        if run.is_empty() {
            return;
        }
        let Some((mailbox, permits)) = self.entry(route) else {
            for envelope in run {
                self.arbiter.refuse(envelope, Fault::Way(Refusal::NoOwner));
            }
            return;
        };
        for envelope in run.extract_if(.., |envelope| !permits.take(envelope)) {
            self.arbiter.refuse(envelope, Fault::Mailbox);
        }
        self.arbiter.figures.mailbox_peak.note(permits.waiting() as u64);
        if run.is_empty() {
            return;
        }
        if let Err(batch) = mailbox.push(run) {
            // It ended by a fault of its own; the next envelope starts a new one.
            self.forget(route);
            for envelope in batch {
                self.arbiter.refuse(envelope, Fault::Panic);
            }
        }
    }

    /// The shard that decides whose an address is; none where nobody owns it.
    fn shard_of(&self, route: &Route) -> Option<Shard> {
        let key = route.key().filter(|_| has_owner(route))?;
        Some(self.arbiter.router.bucket(key).shard())
    }

    fn forget(&self, route: &Route) {
        if self.table.borrow_mut().remove(route) {
            self.arbiter.figures.entities.of(route.name()).take_one();
        }
    }
}

impl LocalHost for Host {
    fn deliver(&self, batch: Vec<Envelope>) {
        self.keep_up();
        let is_for_one = |first: &Envelope| batch.iter().all(|it| it.to == first.to);
        if let Some(first) = batch.first().filter(|first| is_for_one(first)) {
            let route = first.to.clone();
            return self.hand_over(&route, batch);
        }
        let mut batch = batch.into_iter().peekable();
        while let Some(first) = batch.next() {
            let route = first.to.clone();
            let mut run = vec![first];
            while let Some(next) = batch.next_if(|next| next.to == route) {
                run.push(next);
            }
            self.hand_over(&route, run);
        }
    }

    fn refuse(&self, mut envelope: Envelope, refusal: Refusal) {
        self.note_lost_copy(&mut envelope);
        self.arbiter.refuse(envelope, Fault::Way(refusal));
    }

    fn flush(&self) {
        self.arbiter.writer.flush();
    }

    fn member_gone(&self, member: MemberId) {
        self.note_gone(member);
        self.tell_gone(member);
    }

    fn plan_changed(&self) {
        self.linked.set(true);
        self.keep_up();
        self.speak();
    }

    fn announced(&self, announced: Announced) {
        self.hear_announced(announced);
    }

    fn component_connected(&self, domain: &BareJid) {
        self.tell_of(domain);
    }
}

impl Host {
    /// Tells every session of the loss of sockets.
    fn tell_gone(&self, member: MemberId) {
        let table = self.table.borrow();
        let sessions = table.routes().filter(|route| matches!(route, Route::Session(_)));
        let envelope = |route: &Route| {
            let fence = route.key().and_then(|key| self.arbiter.router.fence(key))?;
            let origin = self.arbiter.next_origin(fence);
            let body = Body::MemberGone(member);
            Some(Envelope::new(route.clone(), body, origin, fence.epoch))
        };
        let envelopes: Vec<Envelope> = sessions.filter_map(envelope).collect();
        drop(table);
        LocalHost::deliver(self, envelopes);
    }
}

impl ArbiterContext {
    pub(crate) fn store(&self) -> &SharedStore {
        self.writer.store()
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The host, unless it has ended.
    pub(crate) fn host(&self) -> Option<Rc<Host>> {
        self.host.borrow().upgrade()
    }

    pub(crate) fn member(&self) -> MemberId {
        self.router.member()
    }

    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    /// Goes by this plan from now on.
    fn follow(&self, plan: Arc<Plan>) {
        let me = self.member();
        let is_other = |member: &Member| member.info.id != me && member.status != Status::Expelled;
        let others = plan.members().any(is_other);
        *self.plan.borrow_mut() = others.then_some(plan);
    }

    /// Whether there are other members.
    pub(crate) fn has_others(&self) -> bool {
        self.plan.borrow().is_some()
    }

    /// Who keeps the second copies of a shard; the outer one is none while there is no other member.
    pub(crate) fn keeper(&self, shard: Shard) -> Option<Option<Keeper>> {
        let plan = self.plan.borrow();
        let plan = plan.as_ref()?;
        let standby = plan.ownership(shard).and_then(|held| held.standby);
        let member = standby.filter(|it| *it != self.member()).and_then(|it| plan.member(it));
        let member = member.filter(|member| member.status != Status::Expelled);
        let info = member.map(|member| &member.info);
        Some(info.map(|info| Keeper { member: info.id, incarnation: info.incarnation }))
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        self.router.hosts()
    }

    /// The time of a turn. The only clock that entities see.
    pub(crate) fn now(&self) -> Now {
        Now { unix_micros: clock::unix_micros(), elapsed: now_instant() - self.started }
    }

    /// Whether entities sleep between their turns.
    pub(crate) fn is_drowsy(&self) -> bool {
        self.drowsy
    }

    pub(crate) fn next_origin(&self, fence: Fence) -> Origin {
        // The lowest 16 bits count what one turn causes, the highest 8 tell threads apart.
        let counter = self.counter.replace(self.counter.get() + (1 << 16));
        let thread = router::local::here().map_or(0, |(arbiter, _)| u64::from(arbiter.0));
        let counter = counter & (u64::MAX >> 8) | thread << 56;
        Origin::Shard { shard: fence.bucket.shard(), epoch: fence.epoch, counter }
    }

    pub(crate) fn waker(&self, route: &Route, fence: Fence) -> Waker {
        let (router, route) = (self.router.clone(), route.clone());
        let origin = Origin::Shard { shard: fence.bucket.shard(), epoch: fence.epoch, counter: 0 };
        Arc::new(move || {
            // A control envelope is never refused.
            drop(router.post(vec![Envelope::new(route.clone(), Body::Woken, origin, fence.epoch)]));
        })
    }

    pub(crate) fn refuse(&self, envelope: Envelope, fault: Fault) {
        self.figures.refuse(&envelope, fault);
        let answer =
            refuse::answer(envelope, fault, |from, to| self.router.route_between(from, to));
        // Not from within: whoever refuses may be in the middle of a turn.
        if let Some(answer) = answer {
            actix_rt::spawn(async move { router::local::route(vec![answer]) });
        }
    }

    pub(crate) fn count_repeat(&self) {
        self.figures.repeats.add_one();
    }

    pub(crate) fn count_panic(&self) {
        self.figures.panics.add_one();
    }

    pub(crate) fn forget(&self, route: &Route) {
        if let Some(host) = self.host.borrow().upgrade() {
            host.forget(route);
        }
    }
}

/// Whether one member at a time may act for an address.
fn has_owner(route: &Route) -> bool {
    !matches!(route, Route::Domain(_) | Route::Remote(_) | Route::Component(_))
}

/// Never in what is released: there nothing reads the variable.
fn is_drowsy() -> bool {
    #[cfg(debug_assertions)]
    return std::env::var_os(crate::actor::DROWSY).is_some_and(|value| value == "1");
    #[cfg(not(debug_assertions))]
    false
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shell reads the clock, so that entities need not"
)]
fn now_instant() -> Instant {
    Instant::now()
}

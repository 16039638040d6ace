//! Owns the actix shell around an entity: mailbox, timers, reads, panics, sleep. The only actix code for
//! entities; it knows none in particular.
//!
//! | module | owns |
//! |---|---|
//! | `ask` | what is asked of its archive before it acts |
//! | `copy` | the second copy of the entity |
//! | `rest` | the entity as data: frozen for another member, or asleep until something comes for it |
//!
//! Mailbox bound: [`Permits::MAX_STANZAS`] and [`Permits::MAX_BYTES`] per entity, counted here, since
//! actix's own capacity grows with every clone of an address. Full: stanzas are refused with
//! `resource-constraint`; control envelopes are always taken.

mod ask;
pub(crate) mod copy;
mod fault;
mod rest;

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context as ActixContext, Handler, Message,
};
use actix::{SpawnHandle, WrapFuture};
use proto::session::UserEvent;
use proto::{Body, Envelope, Route};
use router::trace;
use smallvec::SmallVec;
use store::{ArchiveId, Row};
use tokio::sync::oneshot;
use xmpp::Fence;

use crate::context::{Cause, Context, Effect, ReadCall, Surroundings, Then, Timer, Waker};
use crate::entity::Entity;
use crate::host::{ArbiterContext, Seed};
use crate::inbox::Inbox;
use crate::order::Awaited;
use crate::refuse::Fault;
use crate::repeats::Repeats;
use crate::writer::{Commit, Done};
use copy::{Copied, Former, SecondCopy};
#[cfg(debug_assertions)]
pub(crate) use rest::DROWSY;
pub(crate) use rest::{Act, ActorState, Order, Standing};

/// More reads than this under way, and an entity takes no more envelopes until one is answered.
pub(crate) const MAX_PENDING: usize = 64;

/// There is a batch in the inbox.
pub(crate) struct Arrived;

impl Message for Arrived {
    type Result = ();
}

/// From the host: end, if nothing would be lost.
pub(crate) struct Passivate;

impl Message for Passivate {
    type Result = ();
}

/// So many envelopes that an entity has caused leave together: more would be copied from one long vector to the next, in
/// memory that no cache holds.
const RUN: usize = 32;

/// What an entity does once an answer has come.
type Turn<E> = Box<dyn FnOnce(&mut E, &mut Context<'_, E>)>;

/// Counts what waits for one entity; shared with the host, which asks before it hands on.
#[derive(Default)]
pub(crate) struct Permits {
    stanzas: Cell<usize>,
    bytes: Cell<usize>,
}

impl Permits {
    /// Most stanzas that wait for one entity.
    pub(crate) const MAX_STANZAS: usize = 4_096;
    /// Most bytes of them.
    pub(crate) const MAX_BYTES: usize = 8 << 20;

    /// Takes a place for an envelope, if there is one.
    pub(crate) fn take(&self, envelope: &Envelope) -> bool {
        let (stanzas, bytes) = (self.stanzas.get() + 1, self.bytes.get() + size(envelope));
        let fits = stanzas <= Self::MAX_STANZAS && bytes <= Self::MAX_BYTES;
        if fits || !envelope.may_be_refused() {
            self.stanzas.set(stanzas);
            self.bytes.set(bytes);
            return true;
        }
        false
    }

    fn give_back(&self, envelope: &Envelope) {
        self.stanzas.set(self.stanzas.get().saturating_sub(1));
        self.bytes.set(self.bytes.get().saturating_sub(size(envelope)));
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.stanzas.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stanzas.get() == 0
    }
}

fn size(envelope: &Envelope) -> usize {
    match &envelope.body {
        Body::Stanza(stanza) => stanza.len(),
        _ => 0,
    }
}

/// An entity with its mailbox.
pub(crate) struct EntityActor<E: Entity> {
    entity: Option<E>,
    route: Route,
    fence: Fence,
    shared: Arc<E::Shared>,
    arbiter: Rc<ArbiterContext>,
    waker: Waker,
    permits: Rc<Permits>,
    inbox: Rc<Inbox>,
    backlog: VecDeque<Envelope>,
    timers: SmallVec<[Alarm; 1]>,
    pending: usize,
    /// What follows writes, and what follows reads: each goes on in order, and neither waits for the other.
    writes: Awaited<(Turn<E>, Cause)>,
    reads: Awaited<(Turn<E>, Cause)>,
    closing: bool,
    /// What the entity goes on from once it is loaded.
    packed: Option<ActorState>,
    /// While it sleeps: wakes it for its first timer.
    asleep: Option<Option<SpawnHandle>>,
    /// Takes no turn, so that nothing of it changes.
    frozen: bool,
    /// None until something has come over a link, or again.
    repeats: Option<Box<Repeats>>,
    /// The archive is asked for its last rows, and nothing is received meanwhile.
    asking: bool,
    /// What the keeper of its second copy was told.
    copied: Option<Copied>,
    /// Who keeps the copies that it has gone on from.
    former: Former,
}

/// A timer that is set.
struct Alarm {
    timer: Timer,
    /// By the clock of [`proto::Now::elapsed`].
    due: Duration,
    handle: SpawnHandle,
}

impl<E: Entity> EntityActor<E> {
    pub(crate) fn new(seed: Seed, inbox: Rc<Inbox>, shared: Arc<E::Shared>) -> Self {
        let Seed { route, fence, permits, arbiter, packed, frozen } = seed;
        let waker = arbiter.waker(&route, fence);
        Self {
            entity: None,
            route,
            fence,
            shared,
            arbiter,
            waker,
            permits,
            inbox,
            backlog: VecDeque::new(),
            timers: SmallVec::new(),
            pending: 0,
            writes: Awaited::default(),
            reads: Awaited::default(),
            closing: false,
            packed,
            asleep: None,
            frozen,
            repeats: None,
            asking: false,
            copied: None,
            former: Former::default(),
        }
    }

    fn load(&mut self, ctx: &mut ActixContext<Self>) {
        let owner = self.route.key().cloned();
        let Some(owner) = owner.filter(|_| !E::KINDS.is_empty()) else {
            return self.loaded(Ok(Vec::new()), ctx);
        };
        let rows = self.arbiter.store().load(self.fence, owner, E::KINDS);
        ctx.spawn(rows.into_actor(self).map(|rows, actor, ctx| actor.loaded(rows, ctx)));
    }

    fn loaded(&mut self, rows: Result<Vec<Row>, store::Error>, ctx: &mut ActixContext<Self>) {
        let entity = match rows {
            Ok(rows) => E::load(&self.route, rows, &self.shared).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match entity {
            Ok(entity) => {
                self.entity = Some(entity);
                match self.unpack(ctx) {
                    Ok(()) => self.work(ctx),
                    Err(error) => self.give_up(&error.to_string(), ctx),
                }
            }
            Err(error) => self.give_up(&error, ctx),
        }
    }

    fn give_up(&mut self, error: &str, ctx: &mut ActixContext<Self>) {
        let jid = self.route.key().map(tracing::field::display);
        tracing::error!(route = E::NAME, jid, error, "an entity could not be loaded");
        self.entity = None;
        self.packed = None;
        for envelope in std::mem::take(&mut self.backlog) {
            self.permits.give_back(&envelope);
            self.arbiter.refuse(envelope, Fault::Load);
        }
        self.closing = true;
        self.end_if_closing(ctx);
    }

    /// Receives what waits, as far as the entity is ready, and performs what that causes.
    fn work(&mut self, ctx: &mut ActixContext<Self>) {
        let mut out = Vec::new();
        while self.entity.is_some() && self.pending < MAX_PENDING && !self.frozen && !self.asking {
            let Some(mut envelope) = self.backlog.pop_front() else { break };
            if let Some(rows) = self.must_ask(&envelope) {
                self.backlog.push_front(envelope);
                self.ask(rows, ctx);
                break;
            }
            self.permits.give_back(&envelope);
            if self.is_judged(&envelope) && self.has_come_before(&mut envelope) {
                continue;
            }
            if matches!(envelope.body, Body::Woken) {
                envelope.origin = self.arbiter.next_origin(self.fence);
            }
            let _span = trace::station(E::NAME, &mut envelope);
            let (receipt, trace) = (envelope.receipt.take(), envelope.trace.take());
            let again = envelope.again;
            let row = self.row_of(&envelope);
            let cause = Cause { receipt, trace, again, row, ..Cause::own(envelope.origin) };
            let stanza = stanza_of(&envelope.body);
            let is_faulty = fault::is_due(&envelope.body);
            let turn = move |entity: &mut E, cx: &mut Context<'_, E>| {
                assert!(!is_faulty, "a fault was asked for");
                entity.receive(envelope, cx);
            };
            if !self.turn(turn, cause, &mut out, ctx) {
                self.panicked(stanza, ctx);
            }
        }
        self.let_out(out);
        self.end_if_closing(ctx);
        self.doze(ctx);
    }

    /// Whether it is looked whether an envelope has come before. With other members every stanza is: what has come from
    /// within this one may come again from without. What a user tells a session is the session's to judge, and what a
    /// session tells its user is done once more, since it is not known how much of it was.
    fn is_judged(&self, envelope: &Envelope) -> bool {
        let watches = self.repeats.is_some() || self.arbiter.has_others();
        let is_stanza = matches!(envelope.body, Body::Stanza(_));
        let within = matches!(self.route, Route::Session(_) | Route::Domain(_));
        envelope.crossed || (is_stanza && !within && (envelope.again || watches))
    }

    /// What is sent between members may come twice; here it is acted on once.
    fn has_come_before(&mut self, envelope: &mut Envelope) -> bool {
        let known = self.repeats.get_or_insert_default().has(envelope);
        if known {
            self.arbiter.count_repeat();
        }
        known
    }

    fn row_of(&mut self, envelope: &Envelope) -> Option<ArchiveId> {
        let repeats = self.repeats.as_mut().filter(|_| envelope.again)?;
        repeats.row_of(envelope.origin, self.arbiter.now().elapsed)
    }

    /// Sends what turns have caused.
    pub(super) fn let_out(&self, out: Vec<Envelope>) {
        router::local::route_from(self.fence.bucket.shard(), out);
    }

    /// One turn; false if it panicked.
    fn turn(
        &mut self,
        turn: impl FnOnce(&mut E, &mut Context<'_, E>),
        cause: Cause,
        out: &mut Vec<Envelope>,
        ctx: &mut ActixContext<Self>,
    ) -> bool {
        let Some(entity) = &mut self.entity else { return true };
        let mut random = fill_random;
        let keeper = self.arbiter.keeper(self.fence.bucket.shard());
        let surroundings = Surroundings {
            now: self.arbiter.now(),
            shared: &self.shared,
            hosts: self.arbiter.hosts(),
            fence: self.fence,
            waker: &self.waker,
            place: (self.arbiter.member(), keeper.flatten().is_some()),
            can_keep: self.arbiter.store().can_keep(),
        };
        let mut context = Context::new(surroundings, cause, &mut random);
        let (route, copied, former) = (&self.route, &mut self.copied, &self.former);
        let done = catch_unwind(AssertUnwindSafe(|| {
            turn(entity, &mut context);
            if let Some(keeper) = keeper {
                let former = former.of(&self.arbiter);
                let copy = SecondCopy { route, copied, keeper, former };
                copy::after_turn(entity, &mut context, copy);
            }
        }));
        let effects = context.finish();
        if done.is_err() {
            return false;
        }
        for effect in effects {
            self.perform(effect, out, ctx);
        }
        true
    }

    fn perform(
        &mut self,
        effect: Effect<E>,
        out: &mut Vec<Envelope>,
        ctx: &mut ActixContext<Self>,
    ) {
        match effect {
            Effect::Send(envelope) => {
                out.push(envelope);
                if out.len() >= RUN {
                    self.let_out(std::mem::replace(out, Vec::with_capacity(RUN)));
                }
            }
            Effect::Commit { writes, receipt, then, origin, trace, again } => {
                let batch = store::Batch { fence: self.fence, writes };
                let span = trace::below(trace.as_deref(), "store commit");
                let cause = Cause { trace, again, ..Cause::own(origin) };
                let done = then.map(|then| self.follow(then, cause, ctx));
                self.arbiter.writer().push(Commit { batch, receipt, done, span });
            }
            Effect::Read(ReadCall { call, then, cause }) => {
                self.pending += 1;
                let question = self.reads.ask();
                let answer = call(&**self.arbiter.store(), self.fence);
                ctx.spawn(answer.into_actor(self).map(move |answer, actor, ctx| {
                    let turn: Turn<E> = Box::new(move |entity, cx| then(entity, cx, answer));
                    actor.reads.answer(question, (turn, cause));
                    actor.go_on(ctx);
                }));
            }
            Effect::SetTimer(timer, after) => self.set(timer, after, ctx),
            Effect::CancelTimer(timer) => self.cancel(timer, ctx),
            Effect::Close => self.closing = true,
            Effect::Stay => self.closing = false,
        }
    }

    /// The turn that follows a write, as something that the writer can call.
    fn follow(
        &mut self,
        then: Then<E, Result<(), store::Error>>,
        cause: Cause,
        ctx: &mut ActixContext<Self>,
    ) -> Done {
        self.pending += 1;
        let question = self.writes.ask();
        let (sender, receiver) = oneshot::channel();
        ctx.spawn(receiver.into_actor(self).map(move |answer, actor, ctx| {
            let (result, receipt) = answer.unwrap_or((Err(store::Error::Closed), None));
            let turn: Turn<E> = Box::new(move |entity, cx| then(entity, cx, result));
            actor.writes.answer(question, (turn, Cause { receipt, ..cause }));
            actor.go_on(ctx);
        }));
        Box::new(move |result, receipt| {
            // An actor that has ended drops the receipt, which its stream takes as a fault.
            drop(sender.send((result, receipt)));
        })
    }

    /// Takes the turns that follow answers, as far as it is their turn. Futures of an actor that are ready
    /// together are not polled in the order in which they were spawned.
    fn go_on(&mut self, ctx: &mut ActixContext<Self>) {
        let mut out = Vec::new();
        while let Some((turn, cause)) = self.writes.next().or_else(|| self.reads.next()) {
            self.pending = self.pending.saturating_sub(1);
            if !self.turn(turn, cause, &mut out, ctx) {
                self.panicked(None, ctx);
            }
        }
        self.let_out(out);
        self.work(ctx);
    }

    fn set(&mut self, timer: Timer, after: Duration, ctx: &mut ActixContext<Self>) {
        self.cancel(timer, ctx);
        let due = self.arbiter.now().elapsed.saturating_add(after);
        let handle = ctx.run_later(after, move |actor, ctx| actor.ring(timer, ctx));
        self.timers.push(Alarm { timer, due, handle });
    }

    fn ring(&mut self, timer: Timer, ctx: &mut ActixContext<Self>) {
        if self.frozen {
            // It stays in the list, and rings when the entity goes on, here or elsewhere.
            return;
        }
        self.timers.retain(|alarm| alarm.timer != timer);
        let cause = Cause::own(self.arbiter.next_origin(self.fence));
        let mut out = Vec::new();
        if !self.turn(|entity, cx| entity.wake(timer, cx), cause, &mut out, ctx) {
            self.panicked(None, ctx);
        }
        self.let_out(out);
        self.end_if_closing(ctx);
        self.doze(ctx);
    }

    fn cancel(&mut self, timer: Timer, ctx: &mut ActixContext<Self>) {
        if let Some(index) = self.timers.iter().position(|alarm| alarm.timer == timer) {
            ctx.cancel_future(self.timers.swap_remove(index).handle);
        }
    }

    /// As after a member's death: the entity is loaded again, the stanza is answered, the process goes on.
    fn panicked(&mut self, stanza: Option<Body>, ctx: &mut ActixContext<Self>) {
        let jid = self.route.key().map(tracing::field::display);
        tracing::error!(route = E::NAME, jid, "an entity panicked; it is loaded again");
        self.arbiter.count_panic();
        if let Some(body) = stanza {
            let origin = self.arbiter.next_origin(self.fence);
            let envelope = Envelope::new(self.route.clone(), body, origin, self.fence.epoch);
            self.arbiter.refuse(envelope, Fault::Panic);
        }
        for alarm in std::mem::take(&mut self.timers) {
            ctx.cancel_future(alarm.handle);
        }
        self.entity = None;
        self.copied.iter_mut().for_each(Copied::avoid);
        self.load(ctx);
    }

    /// What still waits for a closing entity is received first.
    fn end_if_closing(&mut self, ctx: &mut ActixContext<Self>) {
        if self.closing && self.permits.is_empty() && self.pending == 0 {
            self.arbiter.forget(&self.route);
            ctx.stop();
        }
    }
}

impl<E: Entity> Actor for EntityActor<E> {
    type Context = ActixContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.load(ctx);
    }
}

impl<E: Entity> Drop for EntityActor<E> {
    /// What came too late is lost with the actor, not with whoever forgets it next.
    fn drop(&mut self) {
        while self.inbox.take().is_some() {}
    }
}

impl<E: Entity> Handler<Arrived> for EntityActor<E> {
    type Result = ();

    fn handle(&mut self, _: Arrived, ctx: &mut Self::Context) {
        let Some(batch) = self.inbox.take() else { return };
        if self.backlog.is_empty() {
            self.backlog = batch.into();
        } else {
            self.backlog.extend(batch);
        }
        self.rise(ctx);
        self.work(ctx);
        // An idle entity holds no room.
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
    }
}

impl<E: Entity> Handler<Passivate> for EntityActor<E> {
    type Result = ();

    fn handle(&mut self, _: Passivate, ctx: &mut Self::Context) {
        let idle = self.permits.is_empty() && self.pending == 0 && self.timers.is_empty();
        let now = self.arbiter.now();
        if idle && !self.frozen && self.entity.as_ref().is_some_and(|it| it.may_sleep(now)) {
            self.closing = true;
            self.end_if_closing(ctx);
        }
    }
}

/// What is answered if the turn panics: a stanza that comes, or one of the account's own client.
fn stanza_of(body: &Body) -> Option<Body> {
    match body {
        Body::Stanza(stanza) => Some(Body::Stanza(stanza.clone())),
        Body::User(UserEvent::Outbound { session, stanza }) => {
            Some(Body::User(UserEvent::Outbound { session: *session, stanza: stanza.clone() }))
        }
        _ => None,
    }
}

/// The operating system's generator does not fail once the process runs; if it does, nothing is safe.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes");
}

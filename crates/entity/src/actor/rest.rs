//! Owns the entity as data: what is packed and unpacked when it freezes for another member, and when it
//! sleeps until something comes for it.
//!
//! In production an entity sleeps only where nothing would be lost ([`Entity::may_sleep`]), and goes on from its rows
//! alone. To keep snapshots honest, a server that is built for debugging and started with [`DROWSY`] in its
//! environment puts every entity to sleep after each turn that leaves nothing under way, so that it goes on from its
//! rows, its snapshot and its timers.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    ActorContext, ActorFutureExt, AsyncContext, Context as ActixContext, Handler, Message,
    WrapFuture,
};
use bytes::Bytes;
use cluster::HashKey;
use proto::snapshot::{EntitySnapshot, SnapshotError, TimerSnapshot};
use proto::{MemberId, Now, Receipt};
use tokio::sync::oneshot;
use xmpp::{BareJid, Shard};

use super::copy::Copied;
use super::{Cause, Commit, Context, Done, EntityActor, Timer};
use crate::entity::Entity;
use crate::mirror::{Copy, Taken};

/// The environment variable that keeps entities asleep between their turns; debug builds only.
#[cfg(debug_assertions)]
pub(crate) const DROWSY: &str = "ROOKERY_DROWSY";

/// What an entity goes on from, beside its rows.
#[derive(Default)]
pub(crate) struct ActorState {
    /// None: rows and timers are all.
    pub(crate) state: Option<Bytes>,
    pub(crate) timers: Vec<TimerSnapshot>,
    /// When, by the clock of another member, both were so: see [`EntitySnapshot::handed_over`].
    pub(crate) handed_over: Option<u64>,
    /// Its former owner is gone: copies, newest first.
    pub(crate) copies: Vec<Copy>,
    /// And what others have with it.
    pub(crate) claims: Vec<Bytes>,
    /// Who keeps those copies until there is another one.
    pub(crate) former: Vec<MemberId>,
    /// Told whether it goes on.
    pub(crate) restored: Option<oneshot::Sender<bool>>,
}

/// What the host wants of an actor.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Say how things stand.
    Look,
    /// Say how things stand, and be written down as it is, unless a turn is under way.
    Picture,
    /// Take no more turns, unless one is under way.
    Freeze,
    /// Go on.
    Thaw,
    /// Be over, whatever waits.
    End,
    /// See to its second copy; true: the keeper may have missed something.
    Mirror(bool),
    /// Say to the new owners of these shards what it has with entities there.
    Announce(Arc<HashMap<Shard, MemberId>>, HashKey),
}

/// From the host, to be answered.
pub(crate) struct Order {
    pub(crate) act: Act,
    pub(crate) reply: oneshot::Sender<Standing>,
    /// What waits for it.
    pub(crate) receipt: Option<Receipt>,
}

impl Order {
    /// One whose answer nobody waits for.
    pub(crate) fn of(act: Act) -> Self {
        Self { act, reply: oneshot::channel().0, receipt: None }
    }
}

impl Message for Order {
    type Result = ();
}

/// How things stand with an entity.
#[derive(Debug)]
pub(crate) struct Standing {
    /// It is being loaded, has envelopes before it, or awaits answers of the store.
    pub(crate) busy: bool,
    /// [`Entity::is_settled`].
    pub(crate) settled: bool,
    /// To [`Act::Freeze`] and [`Act::Picture`], unless it is busy: the entity; none: its rows are all.
    pub(crate) snapshot: Option<EntitySnapshot>,
}

impl<E: Entity> EntityActor<E> {
    /// Whether no turn is under way and none is to come.
    fn is_quiet(&self) -> bool {
        (self.entity.is_some() || self.asleep.is_some())
            && self.backlog.is_empty()
            && self.pending == 0
    }

    /// Puts the entity to sleep where the server is drowsy and nothing is under way.
    pub(super) fn doze(&mut self, ctx: &mut ActixContext<Self>) {
        if !self.arbiter.is_drowsy() || self.closing || self.frozen || !self.is_quiet() {
            return;
        }
        let Some(entity) = &self.entity else { return };
        let now = self.arbiter.now();
        let state = entity.snapshot(now);
        if !entity.is_settled() || (state.is_none() && !entity.may_sleep(now)) {
            return;
        }
        if self.timers.iter().any(|alarm| alarm.due <= now.elapsed) {
            // It rings at once.
            return;
        }
        let timers = self.timers_as_data();
        for alarm in std::mem::take(&mut self.timers) {
            ctx.cancel_future(alarm.handle);
        }
        let first = timers.iter().map(|timer| timer.due).min();
        let alarm = first.map(|due| {
            let after = now.from_unix(due).saturating_sub(now.elapsed);
            ctx.run_later(after, |actor, ctx| actor.rise(ctx))
        });
        self.asleep = Some(alarm);
        self.packed = Some(ActorState { state, timers, ..ActorState::default() });
        if let Some(mut entity) = self.entity.take() {
            entity.rest();
        }
    }

    /// Wakes the entity if it sleeps.
    pub(super) fn rise(&mut self, ctx: &mut ActixContext<Self>) {
        let Some(alarm) = self.asleep.take_if(|_| !self.frozen) else { return };
        if let Some(alarm) = alarm {
            ctx.cancel_future(alarm);
        }
        // Its rows are read when all that it wrote is answered: writes are kept in order, so an empty one
        // behind them is answered after them.
        let batch = store::Batch { fence: self.fence, writes: Vec::new() };
        let (sender, receiver) = oneshot::channel();
        let done = move |result, _| drop(sender.send(result));
        let done: Option<Done> = Some(Box::new(done));
        self.arbiter.writer().push(Commit { batch, receipt: None, done, span: None });
        ctx.spawn(receiver.into_actor(self).map(|_, actor, ctx| actor.load(ctx)));
    }

    /// What a loaded entity was packed with is given back to it.
    pub(super) fn unpack(&mut self, ctx: &mut ActixContext<Self>) -> Result<(), SnapshotError> {
        let Some(packed) = self.packed.take() else { return Ok(()) };
        let ActorState { state, timers, handed_over, copies, claims, former, restored } = packed;
        self.former.keep(former);
        let now = self.arbiter.now();
        // What another member has measured ends when it would have there, however wrong the clock is.
        let now = Now { unix_micros: handed_over.unwrap_or(now.unix_micros), ..now };
        if let Some(state) = state {
            let restore = move |entity: &mut E, cx: &mut Context<'_, E>| {
                cx.now = now;
                entity.restore(&state, cx)
            };
            self.continue_from(restore, ctx)?;
        }
        if !copies.is_empty() || !claims.is_empty() {
            self.continue_from(move |entity, cx| entity.take_over(copies, claims, cx), ctx)?;
        }
        for TimerSnapshot { name, number, due } in timers {
            let Some(name) = E::TIMERS.iter().find(|known| **known == name) else {
                tracing::error!(route = E::NAME, "the timer {name} is not known any more");
                continue;
            };
            let after = now.from_unix(due).saturating_sub(now.elapsed);
            self.set(Timer(name, number), after, ctx);
        }
        if let Some(restored) = restored {
            // Whoever waited has given up.
            restored.send(true).ok();
        }
        Ok(())
    }

    fn continue_from(
        &mut self,
        from: impl FnOnce(&mut E, &mut Context<'_, E>) -> Result<(), SnapshotError> + 'static,
        ctx: &mut ActixContext<Self>,
    ) -> Result<(), SnapshotError> {
        let result = Rc::new(Cell::new(Err(SnapshotError("turn"))));
        let told = Rc::clone(&result);
        self.turn_of_its_own(move |entity, cx| told.set(from(entity, cx)), None, ctx);
        result.get()
    }

    /// A turn that nothing else has caused.
    fn turn_of_its_own(
        &mut self,
        turn: impl FnOnce(&mut E, &mut Context<'_, E>),
        receipt: Option<Receipt>,
        ctx: &mut ActixContext<Self>,
    ) {
        let cause = Cause { receipt, ..Cause::own(self.arbiter.next_origin(self.fence)) };
        let mut out = Vec::new();
        if !self.turn(turn, cause, &mut out, ctx) {
            self.arbiter.count_panic();
        }
        self.let_out(out);
    }

    /// `receipt`: of what was lost on its way to the keeper, and waits for what comes in its place.
    fn mirror(&mut self, anew: bool, receipt: Option<Receipt>, ctx: &mut ActixContext<Self>) {
        if anew {
            self.copied.iter_mut().for_each(Copied::avoid);
        }
        if self.entity.is_some() && !self.frozen {
            self.turn_of_its_own(|_, _| (), receipt, ctx);
        }
    }

    fn announce(
        &mut self,
        taken: Arc<HashMap<Shard, MemberId>>,
        key: HashKey,
        ctx: &mut ActixContext<Self>,
    ) {
        if self.entity.is_none() || self.frozen {
            return;
        }
        let owner = |jid: &BareJid| taken.get(&key.bucket(jid).shard()).copied();
        self.turn_of_its_own(|entity, cx| entity.announce(&Taken { owner: &owner }, cx), None, ctx);
    }

    fn timers_as_data(&self) -> Vec<TimerSnapshot> {
        let now = self.arbiter.now();
        let data = |alarm: &super::Alarm| TimerSnapshot {
            name: alarm.timer.0.to_owned(),
            number: alarm.timer.1,
            due: now.to_unix(alarm.due),
        };
        self.timers.iter().map(data).collect()
    }

    fn as_data(&self) -> Option<EntitySnapshot> {
        let now = self.arbiter.now();
        let (state, timers, by) = match (&self.entity, &self.packed) {
            (Some(entity), _) => (entity.snapshot(now), self.timers_as_data(), None),
            (None, Some(packed)) => {
                (packed.state.clone(), packed.timers.clone(), packed.handed_over)
            }
            (None, None) => return None,
        };
        if state.is_none() && timers.is_empty() {
            return None;
        }
        let state = state.unwrap_or_default();
        let handed_over = by.or(Some(now.unix_micros));
        Some(EntitySnapshot { route: self.route.clone(), state, timers, handed_over })
    }

    fn freeze(&mut self, ctx: &mut ActixContext<Self>) -> Option<EntitySnapshot> {
        self.frozen = true;
        for alarm in &self.timers {
            ctx.cancel_future(alarm.handle);
        }
        self.as_data()
    }

    fn thaw(&mut self, ctx: &mut ActixContext<Self>) {
        self.frozen = false;
        let now = self.arbiter.now().elapsed;
        for alarm in std::mem::take(&mut self.timers) {
            self.set(alarm.timer, alarm.due.saturating_sub(now), ctx);
        }
        if let Some(alarm) = &mut self.asleep {
            // Whatever its first timer is: if it is not due, the entity sleeps again.
            let early = ctx.run_later(Duration::ZERO, |actor, ctx| actor.rise(ctx));
            if let Some(before) = alarm.replace(early) {
                ctx.cancel_future(before);
            }
        }
        self.work(ctx);
    }
}

impl<E: Entity> Handler<Order> for EntityActor<E> {
    type Result = ();

    fn handle(&mut self, Order { act, reply, receipt }: Order, ctx: &mut Self::Context) {
        let busy = !self.is_quiet();
        let settled = self.entity.as_ref().is_none_or(E::is_settled);
        let snapshot = match act {
            Act::Freeze if !busy => self.freeze(ctx),
            Act::Picture if !busy => self.as_data(),
            Act::Freeze | Act::Picture | Act::Look => None,
            Act::Mirror(anew) => {
                self.mirror(anew, receipt, ctx);
                None
            }
            Act::Announce(taken, key) => {
                self.announce(taken, key, ctx);
                None
            }
            Act::Thaw => {
                self.thaw(ctx);
                None
            }
            Act::End => {
                // The host has forgotten it; another may be at its place already.
                ctx.stop();
                None
            }
        };
        // A host that has given up asks again when it wants to know.
        drop(reply.send(Standing { busy, settled, snapshot }));
    }
}

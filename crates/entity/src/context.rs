//! Owns one turn of an entity: what it may know, and what it causes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use proto::{
    Body, CopyId, CopyUpdate, Envelope, Hosts, MemberId, Now, Receipt, Route, Target, TraceContext,
};
use smallvec::SmallVec;
use store::{ArchiveId, Reply, Store, Write};
use xmpp::{BareJid, Fence, Jid, Origin, Stanza, StanzaError};

use crate::entity::Entity;

/// What an entity knows in one turn, and what it causes. Effects are performed in order after the turn.
pub struct Context<'a, E: Entity> {
    /// The time of the turn.
    pub now: Now,
    /// What all entities of this kind share.
    pub shared: &'a Arc<E::Shared>,
    /// The domains of the cluster.
    pub hosts: &'a Hosts,
    /// By what right the entity acts.
    pub fence: Fence,
    /// Where it acts.
    pub member: MemberId,
    /// Whether another member keeps its second copy ([`Entity::mirror`]).
    pub has_standby: bool,
    /// Whether the store takes what is to be kept, as far as is known.
    pub can_keep: bool,
    waker: &'a Waker,
    cause: Cause,
    random: &'a mut dyn FnMut(&mut [u8]),
    effects: Vec<Effect<E>>,
}

/// Wakes an entity from any thread: it receives [`Body::Woken`].
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Why a turn happens: the origin and the responsibility that go along with everything it causes.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) origin: Origin,
    pub(crate) parts: u16,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) trace: Option<Box<TraceContext>>,
    /// It was acted on before, perhaps, by a process that is gone.
    pub(crate) again: bool,
    /// The row of the archive in which such a process has put it.
    pub(crate) row: Option<ArchiveId>,
    /// How much each session was told: what it gets has the same origin whoever else gets something.
    pub(crate) told: SmallVec<[(u64, u16); 2]>,
}

/// What a turn causes.
pub enum Effect<E: Entity> {
    /// Something for another actor.
    Send(Envelope),
    /// Rows to keep; then, when they are as durable as the store promises, or refused, the rest.
    Commit {
        /// The rows.
        writes: Vec<Write>,
        /// Released when the rows are kept; without a `then`, dropped (a fault) when they are not.
        receipt: Option<Receipt>,
        /// What follows.
        then: Option<Then<E, Result<(), store::Error>>>,
        /// The origin of what follows.
        origin: Origin,
        /// The trace that it belongs to.
        trace: Option<Box<TraceContext>>,
        /// What caused it may have been acted on before.
        again: bool,
    },
    /// Rows to read; then the rest.
    Read(ReadCall<E>),
    /// A turn later on.
    SetTimer(Timer, Duration),
    /// No such turn after all.
    CancelTimer(Timer),
    /// The entity is over; what still waits for it is received first.
    Close,
    /// It is not, since something did wait for it.
    Stay,
}

/// What follows an answer of the store: a turn of its own, with the same cause.
pub type Then<E, T> = Box<dyn FnOnce(&mut E, &mut Context<'_, E>, T)>;

/// Asks the store; the answer comes back as a turn.
pub struct ReadCall<E: Entity> {
    pub(crate) call: StoreCall,
    pub(crate) then: Then<E, Box<dyn Any + Send>>,
    pub(crate) cause: Cause,
}

type StoreCall = Box<dyn FnOnce(&dyn Store, Fence) -> BoxFuture<'static, Box<dyn Any + Send>>>;

/// A timer's name. Setting one of a name replaces the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timer(pub &'static str, pub u64);

impl<'a, E: Entity> Context<'a, E> {
    /// A turn, for shells and tests.
    pub(crate) fn new(
        surroundings: Surroundings<'a, E>,
        cause: Cause,
        random: &'a mut dyn FnMut(&mut [u8]),
    ) -> Self {
        let Surroundings { now, shared, hosts, fence, waker, place, can_keep } = surroundings;
        let (member, has_standby) = place;
        let effects = Vec::new();
        Self {
            now,
            shared,
            hosts,
            fence,
            member,
            has_standby,
            can_keep,
            waker,
            cause,
            random,
            effects,
        }
    }

    /// Ends the turn: what it caused; its own share of the responsibility is released, since everything
    /// caused holds a share of its own.
    pub(crate) fn finish(self) -> Vec<Effect<E>> {
        if let Some(receipt) = self.cause.receipt {
            receipt.release();
        }
        self.effects
    }

    /// What caused the turn.
    pub fn origin(&self) -> Origin {
        self.cause.origin
    }

    /// Whether what caused the turn may have been acted on before, by a process that is gone.
    pub fn is_again(&self) -> bool {
        self.cause.again
    }

    /// The row of the archive in which a process that is gone has put what causes the turn. What else that process has
    /// done about it nobody knows.
    pub fn row(&self) -> Option<ArchiveId> {
        self.cause.row
    }

    /// What caused the turn may have been acted on before.
    pub fn set_again(&mut self) {
        self.cause.again = true;
    }

    /// The origin of the next thing that a session is told, counted for each session by itself.
    fn next_origin_for(&mut self, session: u64) -> Origin {
        let told = &mut self.cause.told;
        let known = told.iter_mut().find(|(of, _)| *of == session);
        let part = match known {
            Some((_, parts)) => {
                *parts = parts.wrapping_add(1);
                *parts
            }
            None => {
                told.push((session, 0));
                0
            }
        };
        self.cause.origin.later(part)
    }

    /// The origin of the next thing that this turn causes: no other thing with the same cause has it, in whatever
    /// turn it comes about.
    fn next_origin(&mut self) -> Origin {
        let next = self.cause.parts;
        self.cause.parts = self.cause.parts.wrapping_add(1);
        self.cause.origin.later(next)
    }

    /// The origin of a later turn, whose parts are not those of this one.
    fn branch_origin(&mut self) -> Origin {
        match self.next_origin() {
            Origin::Client { session, seq, part } => {
                Origin::Client { session, seq, part: branch(part) }
            }
            Origin::Shard { shard, epoch, counter } => {
                let part = branch(u16::try_from(counter & 0xffff).unwrap_or(0));
                Origin::Shard { shard, epoch, counter: counter & !0xffff | u64::from(part) }
            }
        }
    }

    /// Sends a stanza to the address in its `to`, which must be there.
    pub fn send(&mut self, stanza: Stanza) {
        let Some(to) = stanza.head().to.as_ref() else {
            debug_assert!(false, "a stanza without an address was sent");
            return;
        };
        let route = Route::between(stanza.head().from.as_ref(), to, self.hosts);
        self.tell(route, Body::Stanza(stanza));
    }

    /// The same under an origin of the entity's own, of which there must be no other.
    pub fn send_as(&mut self, origin: Origin, stanza: Stanza) {
        let Some(to) = stanza.head().to.as_ref() else { return };
        let route = Route::between(stanza.head().from.as_ref(), to, self.hosts);
        self.tell_as(origin, route, Body::Stanza(stanza));
    }

    /// Acts for a while as if another stanza were the cause.
    pub fn caused_by(
        &mut self,
        origin: Origin,
        receipt: Option<Receipt>,
        act: impl FnOnce(&mut Self),
    ) {
        let (trace, again) = (self.cause.trace.clone(), self.cause.again);
        let cause = Cause { receipt, trace, again, ..Cause::own(origin) };
        let before = std::mem::replace(&mut self.cause, cause);
        act(self);
        let own = std::mem::replace(&mut self.cause, before);
        if let Some(receipt) = own.receipt {
            receipt.release();
        }
    }

    /// Sends a stanza to many, in any order. It stays one envelope until it is at the member where they live.
    pub fn send_to_all(&mut self, stanza: Stanza, recipients: impl IntoIterator<Item = Jid>) {
        let envelope = self.for_all(stanza, recipients);
        self.effects.extend(envelope.map(Effect::Send));
    }

    /// The same, where another one with the same cause and epoch may have come to some of them before, from a
    /// process that is gone: they drop what they have.
    pub fn send_again_to_all(&mut self, stanza: Stanza, recipients: impl IntoIterator<Item = Jid>) {
        let envelope = self.for_all(stanza, recipients);
        let again = |it: Envelope| Envelope { again: true, crossed: true, ..it };
        self.effects.extend(envelope.map(again).map(Effect::Send));
    }

    fn for_all(
        &mut self,
        stanza: Stanza,
        recipients: impl IntoIterator<Item = Jid>,
    ) -> Option<Envelope> {
        // Who gets several copies, as another address of the same account, knows them apart by their parts.
        let recipients: Vec<Jid> = recipients.into_iter().collect();
        let mut counts: HashMap<BareJid, u16> = HashMap::with_capacity(recipients.len());
        let target = |jid: Jid| {
            let count = counts.entry(jid.bare()).or_default();
            let part = *count;
            *count = count.wrapping_add(1);
            Target { jid, part }
        };
        let targets: Vec<Target> = recipients.into_iter().map(target).collect();
        let first = targets.first()?;
        let route = Route::between(stanza.head().from.as_ref(), &first.jid, self.hosts);
        let most = targets.iter().map(|target| target.part).max().unwrap_or(0);
        let (origin, receipt) = (self.next_origin(), self.cause.receipt.clone());
        self.cause.parts = self.cause.parts.wrapping_add(most);
        let envelope = self.envelope(origin, route, Body::Stanza(stanza));
        let envelope = envelope.with_recipients(targets, self.hosts)?;
        Some(match envelope.targets.is_empty() {
            true => envelope.with_share(receipt),
            // Each copy takes its share by where it goes.
            false => envelope.with_receipt(receipt),
        })
    }

    /// Sends a stanza under a responsibility of the entity's own: whoever caused it need not wait for it, since
    /// the entity keeps it.
    pub fn send_for(&mut self, stanza: Stanza, receipt: Receipt) {
        let Some(to) = stanza.head().to.as_ref() else { return };
        let route = Route::between(stanza.head().from.as_ref(), to, self.hosts);
        let origin = self.next_origin();
        let envelope = self.envelope(origin, route, Body::Stanza(stanza));
        self.effects.push(Effect::Send(envelope.with_receipt(Some(receipt))));
    }

    /// Takes back what the turn has sent until now: it goes out in a later one ([`Context::send_held`]).
    pub fn hold_sent(&mut self) -> Vec<Envelope> {
        let is_sent = |effect: &mut Effect<E>| matches!(effect, Effect::Send(_));
        let held = self.effects.extract_if(.., is_sent).map(|effect| match effect {
            Effect::Send(envelope) => Some(envelope),
            _ => None,
        });
        held.flatten().collect()
    }

    /// Sends what was held back, as it was.
    pub fn send_held(&mut self, held: Vec<Envelope>) {
        self.effects.extend(held.into_iter().map(Effect::Send));
    }

    /// What the cause asked for was not kept: its share of the responsibility is dropped, so that whoever
    /// holds the rest sends it again.
    pub fn fail(&mut self) {
        drop(self.cause.receipt.take());
    }

    /// Answers a stanza with an error; a stanza that must not be answered so is left alone.
    pub fn send_error(&mut self, stanza: &Stanza, error: impl Into<StanzaError>) {
        if let Some(answer) = stanza.error(&error.into()).filter(|it| it.head().to.is_some()) {
            self.send(answer);
        }
    }

    /// Sends something to an actor.
    pub fn tell(&mut self, to: Route, body: Body) {
        let origin = match &to {
            Route::Session(session) => self.next_origin_for(session.uid),
            _ => self.next_origin(),
        };
        self.tell_as(origin, to, body);
    }

    fn tell_as(&mut self, origin: Origin, to: Route, body: Body) {
        let share = self.cause.receipt.clone();
        let envelope = self.envelope(origin, to, body).with_share(share);
        self.effects.push(Effect::Send(envelope));
    }

    fn envelope(&self, origin: Origin, to: Route, body: Body) -> Envelope {
        let again = self.cause.again;
        let envelope = Envelope::new(to, body, origin, self.fence.epoch);
        Envelope { again, ..envelope.with_trace(self.cause.trace.clone()) }
    }

    /// Says to the new owner of an address whose former owner is gone what this entity has with the one there, in a
    /// shape that both know ([`Entity::announce`], [`Entity::take_over`]).
    pub fn claim(&mut self, owner: MemberId, with: Route, what: Bytes) {
        let to = Route::Copy(CopyId { member: owner, of: Box::new(with) });
        self.tell(to, Body::Copy(CopyUpdate::Claim(what)));
    }

    /// Keeps rows. The stanza that caused them counts as handled when they are durable; if they cannot be
    /// kept, its stream ends, so that the client sends it again.
    pub fn commit(&mut self, writes: Vec<Write>) {
        let receipt = self.cause.receipt.clone();
        let origin = self.next_origin();
        let trace = self.cause.trace.clone();
        let again = self.cause.again;
        self.effects.push(Effect::Commit { writes, receipt, then: None, origin, trace, again });
    }

    /// Keeps rows, then goes on; `then` decides what a refusal by the store means, and the stanza that
    /// caused it counts as handled when `then` and what it causes are done.
    pub fn commit_then(
        &mut self,
        writes: Vec<Write>,
        then: impl FnOnce(&mut E, &mut Context<'_, E>, Result<(), store::Error>) + 'static,
    ) {
        let receipt = self.cause.receipt.clone();
        let (origin, then) = (self.branch_origin(), Some(Box::new(then) as Then<E, _>));
        let trace = self.cause.trace.clone();
        let again = self.cause.again;
        self.effects.push(Effect::Commit { writes, receipt, then, origin, trace, again });
    }

    /// Asks the store and goes on with the answer in a later turn.
    pub fn read<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&dyn Store, Fence) -> Reply<T> + 'static,
        then: impl FnOnce(&mut E, &mut Context<'_, E>, Result<T, store::Error>) + 'static,
    ) {
        let call = move |store: &dyn Store, fence| {
            let reply = call(store, fence);
            Box::pin(async move { Box::new(reply.await) as Box<dyn Any + Send> })
                as BoxFuture<'static, _>
        };
        let then = move |entity: &mut E, cx: &mut Context<'_, E>, answer: Box<dyn Any + Send>| {
            if let Ok(answer) = answer.downcast::<Result<T, store::Error>>() {
                then(entity, cx, *answer);
            }
        };
        let origin = self.branch_origin();
        let cause = Cause { origin, parts: 0, ..self.cause.share() };
        self.effects.push(Effect::Read(ReadCall {
            call: Box::new(call),
            then: Box::new(then),
            cause,
        }));
    }

    /// Has [`Entity::wake`] called after a while.
    pub fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.effects.push(Effect::SetTimer(timer, after));
    }

    /// Takes a timer back.
    pub fn cancel_timer(&mut self, timer: Timer) {
        self.effects.push(Effect::CancelTimer(timer));
    }

    /// Ends the entity.
    pub fn close(&mut self) {
        self.effects.push(Effect::Close);
    }

    /// The entity goes on, though it was to end ([`Context::close`]): what has come before it did is not dealt with in
    /// this turn alone.
    pub fn stay(&mut self) {
        self.effects.push(Effect::Stay);
    }

    /// A share of the responsibility for what caused the turn, for whoever must hold it beyond the turn
    /// (a queue that is itself the safe place releases it instead).
    pub fn receipt(&self) -> Option<Receipt> {
        self.cause.receipt.clone()
    }

    /// Goes on as if another stanza were the cause: everything caused until the turn ends, or until the
    /// next call, carries this origin and receipt. The former cause's share is released.
    pub fn set_cause(&mut self, origin: Origin, receipt: Option<Receipt>) {
        let before = std::mem::replace(&mut self.cause.receipt, receipt);
        (self.cause.origin, self.cause.parts) = (origin, 0);
        self.cause.told.clear();
        if let Some(receipt) = before {
            receipt.release();
        }
    }

    /// What wakes this entity from any thread.
    pub fn waker(&self) -> Waker {
        Arc::clone(self.waker)
    }

    /// Random bytes that nobody can guess.
    pub fn random(&mut self, bytes: &mut [u8]) {
        (self.random)(bytes);
    }

    /// A random number that nobody can guess.
    pub fn random_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What a shell knows of a turn beside its cause.
pub(crate) struct Surroundings<'a, E: Entity> {
    pub(crate) now: Now,
    pub(crate) shared: &'a Arc<E::Shared>,
    pub(crate) hosts: &'a Hosts,
    pub(crate) fence: Fence,
    pub(crate) waker: &'a Waker,
    /// The member, and whether another one keeps a copy.
    pub(crate) place: (MemberId, bool),
    /// Whether the store takes what is to be kept.
    pub(crate) can_keep: bool,
}

/// Where the parts of a later turn begin, by the part at which it branches off: a first one gets a run of 256
/// parts of its own, one that follows on a later turn another.
fn branch(part: u16) -> u16 {
    match part {
        0..0x4000 => 0x4000 | (part & 0x3f) << 8,
        _ => 0x8000 | ((part >> 8 & 0xf) << 3 | part & 7) << 8,
    }
}

impl Cause {
    pub(crate) fn share(&self) -> Self {
        let (receipt, trace) = (self.receipt.clone(), self.trace.clone());
        let told = SmallVec::new();
        let (parts, again, row) = (self.parts, self.again, self.row);
        Self { origin: self.origin, parts, receipt, trace, again, row, told }
    }

    /// What nobody asked for, and nothing is owed for.
    pub(crate) fn own(origin: Origin) -> Self {
        let (receipt, trace, row, told) = (None, None, None, SmallVec::new());
        Self { origin, parts: 0, receipt, trace, again: false, row, told }
    }
}

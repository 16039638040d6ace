//! Owns the trial: an entity without an actor, for unit tests. Effects are performed at once: writes and
//! reads on the store given, timers when the test moves the clock. What there is with other members is in `member`.

mod member;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proto::snapshot::SnapshotError;
use proto::{Body, Envelope, Hosts, MemberId, Now, Receipt, Route};
use store::{ArchiveQuery, Row, SharedStore, Slice};
use xmpp::{Epoch, Fence, Origin, Shard};

use crate::context::{Cause, Context, Effect, ReadCall, Surroundings, Timer, Waker};
use crate::entity::{Entity, LoadError};
use crate::mirror::{Copy, Mirror};
use crate::repeats::Repeats;
use member::Copying;

/// An entity on trial.
pub struct Trial<E: Entity> {
    /// The entity.
    pub entity: E,
    /// Its store.
    pub store: SharedStore,
    /// The clock; [`Trial::advance`] moves it.
    pub now: Now,
    /// Whether it closed itself.
    pub closed: bool,
    /// Whether it sleeps after each turn, and goes on from its rows, its snapshot and its timers.
    pub drowsy: bool,
    route: Route,
    shared: Arc<E::Shared>,
    hosts: Hosts,
    fence: Fence,
    waker: Waker,
    woken: Arc<AtomicUsize>,
    timers: BTreeMap<Timer, Duration>,
    random: u64,
    runtime: tokio::runtime::Runtime,
    sent: Vec<Envelope>,
    counter: u64,
    /// Writes whose answer a test holds back; none: they are answered at once.
    held: Option<Vec<Effect<E>>>,
    /// Answers to reads that a test holds back; none: they come at once.
    late: Option<Vec<Late<E>>>,
    /// Another member keeps the second copy.
    pub has_standby: bool,
    /// The store takes what is to be kept.
    pub can_keep: bool,
    member: MemberId,
    repeats: Repeats,
    /// What the second copy learns; none: nobody asks.
    copying: Option<Copying>,
}

/// What follows an answer.
type Late<E> = Box<dyn FnOnce(&mut Trial<E>)>;

/// What a turn has led to ([`Trial::play`]).
pub struct Played {
    /// What the second copy must learn.
    pub mirror: Mirror,
    /// What waits until it has learned that.
    pub receipt: Option<Receipt>,
    /// What was sent.
    pub sent: Vec<Envelope>,
}

impl<E: Entity> Trial<E> {
    /// Loads the entity from the store, by epoch 1.
    ///
    /// # Errors
    /// When the entity refuses its rows.
    ///
    /// # Panics
    /// When the store fails.
    pub fn new(
        route: &Route,
        shared: Arc<E::Shared>,
        hosts: Hosts,
        store: SharedStore,
    ) -> Result<Self, LoadError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers needs nothing");
        let bucket = xmpp::Bucket::of_hash(0);
        let fence = Fence { bucket, epoch: Epoch(1) };
        let rows = rows::<E>(&runtime, &store, route, fence);
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        Ok(Self {
            entity: E::load(route, rows, &shared)?,
            store,
            now: Now { unix_micros: 1_700_000_000_000_000, elapsed: Duration::ZERO },
            closed: false,
            drowsy: false,
            route: route.clone(),
            shared,
            hosts,
            fence,
            waker: Arc::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }),
            woken,
            timers: BTreeMap::new(),
            random: 1,
            runtime,
            sent: Vec::new(),
            counter: 0,
            held: None,
            late: None,
            has_standby: false,
            can_keep: true,
            member: MemberId(1),
            repeats: Repeats::default(),
            copying: None,
        })
    }

    /// Hands a body to the entity; what it sends, until nothing is left to do.
    pub fn receive(&mut self, to: Route, body: Body) -> Vec<Envelope> {
        self.receive_with(to, body, None)
    }

    /// As [`Trial::receive`], with a receipt.
    pub fn receive_with(
        &mut self,
        to: Route,
        body: Body,
        receipt: Option<Receipt>,
    ) -> Vec<Envelope> {
        let origin = self.next_origin();
        self.receive_for(to, body, origin, receipt)
    }

    /// The same, caused by this.
    pub fn receive_for(
        &mut self,
        to: Route,
        body: Body,
        origin: Origin,
        receipt: Option<Receipt>,
    ) -> Vec<Envelope> {
        let envelope = Envelope::new(to.clone(), body, origin, self.fence.epoch);
        let cause = Cause { receipt, ..Cause::own(origin) };
        self.tell_last(&envelope);
        self.turn(cause, |entity, cx| entity.receive(envelope, cx));
        self.wake_up(&to);
        self.doze();
        std::mem::take(&mut self.sent)
    }

    /// Hands a body to the entity that has come with this origin before, or may have.
    pub fn receive_as(&mut self, to: Route, body: Body, origin: Origin) -> Vec<Envelope> {
        let envelope = Envelope::new(to, body, origin, self.fence.epoch);
        self.tell_last(&envelope);
        self.turn(Cause::own(origin), |entity, cx| entity.receive(envelope, cx));
        std::mem::take(&mut self.sent)
    }

    /// As [`Trial::receive_as`], marked as sent before to a process that is gone.
    pub fn receive_again(&mut self, to: Route, body: Body, origin: Origin) -> Vec<Envelope> {
        let envelope =
            Envelope { again: true, ..Envelope::new(to, body, origin, self.fence.epoch) };
        let cause = Cause { again: true, ..Cause::own(origin) };
        self.turn(cause, |entity, cx| entity.receive(envelope, cx));
        std::mem::take(&mut self.sent)
    }

    /// From now on it is this member that acts, by this epoch.
    pub fn acts_as(&mut self, member: MemberId, epoch: Epoch) {
        (self.member, self.fence.epoch) = (member, epoch);
    }

    /// A turn as the shell takes it where there are other members, with what a second copy must learn at its end; `cause`
    /// is the origin, whether it comes again, and what waits for it.
    pub fn play(
        &mut self,
        cause: Option<(Origin, bool, Option<Receipt>)>,
        anew: bool,
        turn: impl FnOnce(&mut E, &mut Context<'_, E>),
    ) -> Played {
        let own = (self.next_origin(), false, None);
        let (origin, again, receipt) = cause.unwrap_or(own);
        let cause = Cause { receipt, again, ..Cause::own(origin) };
        let mut told = (Mirror::Nothing, None);
        self.turn(cause, |entity, cx| {
            turn(entity, cx);
            told = (entity.mirror(anew, cx), cx.receipt());
        });
        let (mirror, receipt) = told;
        Played { mirror, receipt, sent: std::mem::take(&mut self.sent) }
    }

    /// Whether the waker was called since this was asked last.
    pub fn is_woken(&self) -> bool {
        self.woken.swap(0, Ordering::SeqCst) > 0
    }

    /// The origin of what came last.
    pub fn last_origin(&self) -> Origin {
        self.origin(self.counter)
    }

    /// Has the entity do something in a turn of its own; what it sends.
    pub fn act(&mut self, turn: impl FnOnce(&mut E, &mut Context<'_, E>)) -> Vec<Envelope> {
        let cause = Cause::own(self.next_origin());
        self.turn(cause, turn);
        std::mem::take(&mut self.sent)
    }

    /// Moves the clock and rings the timers that are due, in order.
    pub fn advance(&mut self, by: Duration) -> Vec<Envelope> {
        let end = self.now.elapsed + by;
        while let Some((timer, due)) = self.next_timer().filter(|(_, due)| *due <= end) {
            self.timers.remove(&timer);
            self.set_clock(due);
            let cause = Cause::own(self.next_origin());
            self.turn(cause, |entity, cx| entity.wake(timer, cx));
            self.doze();
        }
        self.set_clock(end);
        std::mem::take(&mut self.sent)
    }

    /// The timers that are set.
    pub fn timers(&self) -> impl Iterator<Item = Timer> {
        self.timers.keys().copied()
    }

    fn next_timer(&self) -> Option<(Timer, Duration)> {
        self.timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due))
    }

    fn set_clock(&mut self, elapsed: Duration) {
        let passed = elapsed.saturating_sub(self.now.elapsed);
        self.now.elapsed = elapsed;
        self.now.unix_micros += u64::try_from(passed.as_micros()).unwrap_or(0);
    }

    /// Delivers [`Body::Woken`] as often as the waker was called.
    fn wake_up(&mut self, to: &Route) {
        while self.woken.swap(0, Ordering::SeqCst) > 0 {
            let origin = self.next_origin();
            let envelope = Envelope::new(to.clone(), Body::Woken, origin, self.fence.epoch);
            let cause = Cause::own(origin);
            self.turn(cause, |entity, cx| entity.receive(envelope, cx));
        }
    }

    /// From now on nothing becomes durable, as on a slow disk, until [`Trial::let_writes_go`].
    pub fn hold_writes(&mut self) {
        self.held = Some(Vec::new());
    }

    /// What was held back becomes durable, in order; what follows.
    pub fn let_writes_go(&mut self) -> Vec<Envelope> {
        for effect in self.held.take().unwrap_or_default() {
            self.perform(effect);
        }
        std::mem::take(&mut self.sent)
    }

    /// From now on what is read is what the store has then, but is not told until [`Trial::let_answers_go`].
    pub fn hold_answers(&mut self) {
        self.late = Some(Vec::new());
    }

    /// What was read is told, in order; what follows.
    pub fn let_answers_go(&mut self) -> Vec<Envelope> {
        for answer in self.late.take().unwrap_or_default() {
            answer(self);
        }
        std::mem::take(&mut self.sent)
    }

    /// As at the end of a turn where another member keeps the second copy.
    pub fn mirror(&mut self, anew: bool) -> (Mirror, Vec<Envelope>) {
        self.has_standby = true;
        let mut mirror = Mirror::Nothing;
        let cause = Cause::own(self.next_origin());
        self.turn(cause, |entity, cx| mirror = entity.mirror(anew, cx));
        (mirror, std::mem::take(&mut self.sent))
    }

    /// Goes on from second copies, newest first; what it sends.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn take_over(&mut self, copies: Vec<Copy>) -> Result<Vec<Envelope>, SnapshotError> {
        let mut result = Ok(());
        let cause = Cause::own(self.next_origin());
        self.turn(cause, |entity, cx| result = entity.take_over(copies, Vec::new(), cx));
        result.map(|()| std::mem::take(&mut self.sent))
    }

    /// As after receipts were released elsewhere: lets the entity look.
    pub fn settle(&mut self, to: Route) -> Vec<Envelope> {
        self.wake_up(&to);
        self.doze();
        std::mem::take(&mut self.sent)
    }

    fn doze(&mut self) {
        // While something is held back, an answer is awaited.
        let awaits = self.held.is_some() || self.late.is_some();
        if self.drowsy && self.entity.is_settled() && !awaits {
            self.nap();
        }
    }

    /// Puts the entity to sleep, unless it must stay, and loads it again with what its snapshot says.
    ///
    /// # Panics
    /// When it cannot read what it wrote.
    pub fn nap(&mut self) {
        let snapshot = self.entity.snapshot(self.now);
        if self.closed || (snapshot.is_none() && !self.entity.may_sleep(self.now)) {
            return;
        }
        self.load_again();
        if let Some(snapshot) = snapshot {
            let timers = self.timers.clone();
            let cause = Cause::own(self.next_origin());
            self.turn(cause, |entity, cx| {
                entity.restore(&snapshot, cx).expect("it reads its snapshot");
            });
            self.timers.extend(timers);
        }
        let known = |timer: &Timer| E::TIMERS.contains(&timer.0);
        assert!(self.timers.keys().all(known), "a timer has a name that it is set again by");
    }

    /// As when nobody has needed the entity for a while: it ends, unless it must stay, and is loaded again from its
    /// rows alone.
    ///
    /// # Panics
    /// When it cannot read what it wrote.
    pub fn passivate(&mut self) {
        if !self.closed && self.timers.is_empty() && self.entity.may_sleep(self.now) {
            self.load_again();
        }
    }

    fn load_again(&mut self) {
        let rows = rows::<E>(&self.runtime, &self.store, &self.route, self.fence);
        self.entity = E::load(&self.route, rows, &self.shared).expect("it reads its rows again");
    }

    fn next_origin(&mut self) -> Origin {
        self.counter += 1;
        self.origin(self.counter)
    }

    fn origin(&self, counter: u64) -> Origin {
        let shard = Shard::new(0).expect("there is a first shard");
        // In the lowest bits are the parts of each turn.
        Origin::Shard { shard, epoch: self.fence.epoch, counter: counter << 16 }
    }

    fn tell_last(&mut self, envelope: &Envelope) {
        let Some(owner) = self.route.key().filter(|_| self.entity.needs_last(envelope)) else {
            return;
        };
        let query = ArchiveQuery { slice: Slice::Last, limit: 1, ..ArchiveQuery::default() };
        let page = self.runtime.block_on(self.store.query(self.fence, owner.clone(), query));
        let last = page.ok().and_then(|page| page.rows.last().map(|row| row.id));
        self.entity.learn_last(last);
    }

    fn turn(&mut self, cause: Cause, turn: impl FnOnce(&mut E, &mut Context<'_, E>)) {
        let seed = &mut self.random;
        let mut random = |bytes: &mut [u8]| {
            for byte in bytes {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (*seed >> 56) as u8;
            }
        };
        let surroundings = Surroundings {
            now: self.now,
            shared: &self.shared,
            hosts: &self.hosts,
            fence: self.fence,
            waker: &self.waker,
            place: (self.member, self.has_standby),
            can_keep: self.can_keep,
        };
        let mut context = Context::new(surroundings, cause, &mut random);
        turn(&mut self.entity, &mut context);
        if let Some(copying) = &mut self.copying {
            copying.after_turn(&mut self.entity, &mut context);
        }
        for effect in context.finish() {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect<E>) {
        match (effect, &mut self.held) {
            (effect @ Effect::Commit { .. }, Some(held)) => held.push(effect),
            (effect, _) => self.do_now(effect),
        }
    }

    fn do_now(&mut self, effect: Effect<E>) {
        match effect {
            Effect::Send(envelope) => self.sent.extend(envelope.expand(&self.hosts)),
            Effect::Commit { writes, receipt, then, origin, .. } => {
                let batch = store::Batch { fence: self.fence, writes };
                let result = self.runtime.block_on(self.store.commit(vec![batch])).remove(0);
                match then {
                    Some(then) => {
                        let cause = Cause { receipt, ..Cause::own(origin) };
                        self.turn(cause, |entity, cx| then(entity, cx, result));
                    }
                    None if result.is_ok() => {
                        if let Some(receipt) = receipt {
                            receipt.release();
                        }
                    }
                    None => drop(receipt),
                }
            }
            Effect::Read(ReadCall { call, then, cause }) => {
                let answer = self.runtime.block_on(call(&*self.store, self.fence));
                let follow = move |trial: &mut Self| {
                    trial.turn(cause, |entity, cx| then(entity, cx, answer));
                };
                match &mut self.late {
                    Some(late) => late.push(Box::new(follow)),
                    None => follow(self),
                }
            }
            Effect::SetTimer(timer, after) => {
                self.timers.insert(timer, self.now.elapsed + after);
            }
            Effect::CancelTimer(timer) => {
                self.timers.remove(&timer);
            }
            Effect::Close => self.closed = true,
            Effect::Stay => self.closed = false,
        }
    }
}

fn rows<E: Entity>(
    runtime: &tokio::runtime::Runtime,
    store: &SharedStore,
    route: &Route,
    fence: Fence,
) -> Vec<Row> {
    let Some(owner) = route.key().filter(|_| !E::KINDS.is_empty()) else { return Vec::new() };
    let rows = runtime.block_on(store.load(fence, owner.clone(), E::KINDS));
    rows.expect("a test's store loads")
}

impl<E: Entity> Drop for Trial<E> {
    /// Receipts of a trial that ends are no fault of the entity.
    fn drop(&mut self) {
        for envelope in self.sent.drain(..) {
            if let Some(receipt) = envelope.receipt {
                receipt.release();
            }
        }
    }
}

//! Owns a part of an arbiter's entities on their way to somebody else: another member that is to own their
//! shard, or this one after a restart.
//!
//! ```text
//! freeze -> take_snapshots -> (the other one has them) -> release, take_waiting
//!        \-> thaw, where it comes to nothing
//! ```
//!
//! **Freezing** has two steps. First whatever comes from outside the part is held back, while what sessions
//! and their users say to each other still passes, until no turn is under way. Then every entity stops:
//! no timer rings, no effect leaves. What is held back waits, at most [`WAITING_STANZAS`] or
//! [`WAITING_BYTES`]; full: stanzas are refused with `resource-constraint`, control envelopes are taken.
//!
//! **Taking in.** Whoever takes a part in freezes it first, starts its entities, and thaws it: none of them
//! says anything before all are there.
//!
//! **Receipts.** What is held back may carry receipts of sessions that freeze. Freezing waits for a while
//! until all are released, and then goes on without: a snapshot counts only what is handled
//! ([`proto::snapshot`]).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use proto::snapshot::EntitySnapshot;
use proto::{Body, CopyUpdate, Envelope, MemberId, Route};
use tokio::sync::oneshot;
use xmpp::{Epoch, Fence, Shard};

use super::{Host, Mailbox};
use crate::actor::{Act, ActorState, Order, Standing};
use crate::refuse::Fault;
use crate::writer::{Commit, Done};

/// Most stanzas that are held back for a part.
pub const WAITING_STANZAS: usize = 8_192;
/// Most bytes of them.
pub const WAITING_BYTES: usize = 16 << 20;

/// So many entities are written down before others have a turn.
const AT_A_TIME: usize = 16;

/// How often freezing looks whether all is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Which entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those of a shard.
    Shard(Shard),
    /// All that have an owner.
    Whole,
}

impl Part {
    /// Whether what lives in a shard is of this part.
    fn has(self, shard: Shard) -> bool {
        self == Self::Whole || self == Self::Shard(shard)
    }
}

/// How long freezing waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For turns that are under way; after that nothing is frozen.
    pub turns: Duration,
    /// Of that, for receipts of sessions; after that it goes on without.
    pub receipts: Duration,
}

/// Turns did not end in time: nothing is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{busy} entities did not come to rest")]
pub struct Restless {
    /// How many.
    pub busy: usize,
}

/// Why an entity cannot be started from a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// It is here already.
    #[error("an entity is here already")]
    Here,
    /// No kind of entity answers for its address.
    #[error("no entity answers for this address")]
    NoKind,
    /// Its rows or its snapshot cannot be read.
    #[error("an entity cannot go on from its snapshot")]
    Unreadable,
}

/// What is held back for a part.
pub(super) struct Hold {
    part: Part,
    /// Nothing passes any more.
    closed: bool,
    /// What passed since somebody looked.
    passed: bool,
    waiting: VecDeque<Envelope>,
    stanzas: usize,
    bytes: usize,
    snapshots: Vec<EntitySnapshot>,
    since: Duration,
}

impl Hold {
    fn new(part: Part, since: Duration) -> Self {
        Self {
            part,
            since,
            closed: false,
            passed: true,
            waiting: VecDeque::new(),
            stanzas: 0,
            bytes: 0,
            snapshots: Vec::new(),
        }
    }

    /// What comes from within passes again, and has passed now.
    fn open(&mut self) -> Vec<Envelope> {
        self.closed = false;
        let (within, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(Envelope::is_within);
        self.waiting = waiting.into();
        within
    }

    /// Takes an envelope; gives it back where there is no room.
    fn wait(&mut self, envelope: Envelope) -> Option<Envelope> {
        if let Body::Stanza(stanza) = &envelope.body {
            if self.stanzas >= WAITING_STANZAS || self.bytes + stanza.len() > WAITING_BYTES {
                return Some(envelope);
            }
            self.stanzas += 1;
            self.bytes += stanza.len();
        }
        self.waiting.push_back(envelope);
        None
    }
}

/// Whether what lives there has second copies.
fn has_copy(route: &Route) -> bool {
    matches!(route, Route::Session(_) | Route::Room(_))
}

/// Whether an envelope stays within an account, and something is said and not only a look asked for.
fn is_word_within(envelope: &Envelope) -> bool {
    envelope.is_within() && !matches!(envelope.body, Body::Woken)
}

thread_local! {
    static HERE: RefCell<Weak<Host>> = const { RefCell::new(Weak::new()) };
}

impl Host {
    /// The host of this arbiter, if one was made known.
    pub fn here() -> Option<Rc<Self>> {
        HERE.with_borrow(Weak::upgrade)
    }

    /// Makes the host known to [`Host::here`] on this thread.
    pub fn make_known(self: &Rc<Self>) {
        HERE.set(Rc::downgrade(self));
    }

    /// Whether nothing lives in a part.
    pub fn is_empty(&self, part: Part) -> bool {
        self.table.borrow().routes_of(part).next().is_none() && !self.is_shut(part)
    }

    /// The entities of a part that are in memory.
    pub fn entities(&self, part: Part) -> Vec<Route> {
        self.table.borrow().routes_of(part).cloned().collect()
    }

    /// Whether nothing is under way in a part: no turn, no receipt.
    pub async fn is_quiet(&self, part: Part) -> bool {
        let standings = self.order(part, Act::Look).await;
        standings.iter().all(|standing| !standing.busy && standing.settled)
    }

    /// Freezes a part. Where it is frozen already, nothing happens.
    ///
    /// # Errors
    /// [`Restless`]; what was held back goes on then.
    pub async fn freeze(&self, part: Part, patience: Patience) -> Result<(), Restless> {
        if self.holds.borrow().iter().any(|hold| hold.part == part) {
            return Ok(());
        }
        let since = self.arbiter.now().elapsed;
        self.holds.borrow_mut().push(Hold::new(part, since));
        let started = tokio::time::Instant::now();
        loop {
            self.with_hold(part, |hold| hold.passed = false);
            let standings = self.order(part, Act::Look).await;
            let passed = self.with_hold(part, |hold| hold.passed).unwrap_or(false);
            let busy = standings.iter().filter(|standing| standing.busy).count();
            let settled = standings.iter().all(|standing| standing.settled)
                || started.elapsed() >= patience.receipts;
            let complete = !self.is_shut(part);
            if busy == 0 && !passed && settled && complete && self.close(part).await {
                return Ok(());
            }
            if started.elapsed() >= patience.turns {
                self.thaw(part);
                return Err(Restless { busy });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops every entity of a part that has come to rest; false if one has not.
    async fn close(&self, part: Part) -> bool {
        self.with_hold(part, |hold| hold.closed = true);
        let standings = self.order(part, Act::Freeze).await;
        // A timer may have rung between the last look and now.
        let said = |hold: &mut Hold| hold.waiting.iter().any(is_word_within);
        let all = standings.iter().all(|standing| !standing.busy)
            && !self.with_hold(part, said).unwrap_or(false);
        if all {
            let snapshots = standings.into_iter().filter_map(|standing| standing.snapshot);
            self.with_hold(part, |hold| hold.snapshots = snapshots.collect());
        } else {
            self.tell(part, &Act::Thaw);
            let within = self.with_hold(part, Hold::open).unwrap_or_default();
            self.go_on(within);
        }
        all
    }

    /// Whether nothing waits for a frozen part.
    pub fn is_nothing_held_back(&self, part: Part) -> bool {
        self.with_hold(part, |hold| hold.waiting.is_empty()).unwrap_or(true)
    }

    /// Waits until all that entities here have written so far is answered. Says whether the store still answers.
    pub async fn written(&self, fence: Fence) -> bool {
        // Writes are kept in order, so an empty one behind them is answered after them.
        let batch = store::Batch { fence, writes: Vec::new() };
        let (sender, answer) = oneshot::channel();
        let done: Done = Box::new(move |result, _| drop(sender.send(result)));
        self.arbiter.writer().push(Commit { batch, receipt: None, done: Some(done), span: None });
        matches!(answer.await, Ok(Ok(())))
    }

    /// Shows the entities of a part as data, as they are now, while all goes on; who is busy is left out. For whoever wants
    /// to send most of it before the part is frozen. `see` says whether it wants the next one.
    pub async fn picture(&self, part: Part, mut see: impl FnMut(EntitySnapshot) -> bool) {
        for some in self.mailboxes(part).chunks(AT_A_TIME) {
            let standings = ask(some, &Act::Picture).await;
            let mut snapshots = standings.into_iter().filter_map(|standing| standing.snapshot);
            if !snapshots.all(&mut see) {
                return;
            }
            // Others have their turns in between.
            tokio::task::yield_now().await;
        }
    }

    /// The entities of a frozen part as data; those whose rows are all are not among them.
    pub fn take_snapshots(&self, part: Part) -> Vec<EntitySnapshot> {
        self.with_hold(part, |hold| std::mem::take(&mut hold.snapshots)).unwrap_or_default()
    }

    /// A part goes on as if it had not been frozen.
    pub fn thaw(&self, part: Part) {
        let hold = self.take_hold(part);
        self.tell(part, &Act::Thaw);
        let Some(Hold { waiting, since, .. }) = hold else { return };
        for act in self.missed(since) {
            self.tell(part, &act);
        }
        self.go_on(waiting.into());
    }

    /// The entities of a frozen part are somebody else's: they end here without a word. What was held
    /// back is given back, in order, to be sent after them.
    #[must_use = "whoever owns the part now must get what waited for it"]
    pub fn release(&self, part: Part) -> Vec<Envelope> {
        self.tell(part, &Act::End);
        let gone = self.entities(part);
        for route in gone {
            self.forget(&route);
        }
        // What an entity says to itself is of no use to another.
        let waiting = self.take_hold(part).into_iter().flat_map(|hold| hold.waiting);
        waiting.filter(|envelope| !matches!(envelope.body, Body::Woken)).collect()
    }

    /// Keeps what was handed over by this epoch as second copies: the new owner, or its standby, may be gone before there
    /// are others. It says when they may be forgotten.
    pub fn keep_copies(&self, snapshots: Vec<EntitySnapshot>, epoch: Epoch) {
        let copies = &mut self.takeover.borrow_mut().copies;
        for EntitySnapshot { route, state, .. } in snapshots {
            if has_copy(&route) && !state.is_empty() {
                copies.take(route, epoch, CopyUpdate::Whole(state));
            }
        }
    }

    /// Starts an entity from a snapshot, to act by this right, and waits until it goes on.
    ///
    /// # Errors
    /// [`StartError`]; an entity that is here already is left alone.
    pub async fn start(&self, snapshot: EntitySnapshot, fence: Fence) -> Result<(), StartError> {
        self.start_from(snapshot, fence, None).await
    }

    /// The same, from what another member has handed over, and [keeps](Self::keep_copies).
    ///
    /// # Errors
    /// As above.
    pub async fn start_from(
        &self,
        snapshot: EntitySnapshot,
        fence: Fence,
        by: Option<MemberId>,
    ) -> Result<(), StartError> {
        let EntitySnapshot { route, state, timers, handed_over } = snapshot;
        let former: Vec<MemberId> = by.filter(|_| has_copy(&route)).into_iter().collect();
        if self.table.borrow().has(&route) {
            return Err(StartError::Here);
        }
        let (restored, done) = oneshot::channel();
        let state = Some(state).filter(|state| !state.is_empty());
        let restored = Some(restored);
        let packed =
            ActorState { state, timers, handed_over, former, restored, ..ActorState::default() };
        self.plant(&route, fence, Some(packed)).ok_or(StartError::NoKind)?;
        done.await.ok().filter(|done| *done).map(|_| ()).ok_or(StartError::Unreadable)
    }

    /// Holds back what must wait; the rest goes on.
    pub(super) fn hold_back(&self, route: &Route, run: Vec<Envelope>) -> Vec<Envelope> {
        if self.holds.borrow().is_empty() {
            return run;
        }
        let Some(shard) = self.shard_of(route) else { return run };
        let mut holds = self.holds.borrow_mut();
        let Some(hold) = holds.iter_mut().find(|hold| hold.part.has(shard)) else { return run };
        let (mut pass, mut full) = (Vec::new(), Vec::new());
        for envelope in run {
            if !hold.closed && envelope.is_within() {
                hold.passed = true;
                pass.push(envelope);
            } else {
                full.extend(hold.wait(envelope));
            }
        }
        drop(holds);
        for envelope in full {
            self.arbiter.refuse(envelope, Fault::Mailbox);
        }
        pass
    }

    /// Whether an entity is of a part that is frozen.
    pub(super) fn is_closed(&self, route: &Route) -> bool {
        let closed = |shard| self.holds.borrow().iter().any(|it| it.closed && it.part.has(shard));
        !self.holds.borrow().is_empty() && self.shard_of(route).is_some_and(closed)
    }

    /// Whether what lives there is still on its way here from second copies: there is more than what is in memory.
    fn is_shut(&self, part: Part) -> bool {
        matches!(part, Part::Shard(shard) if self.goes_on_from_copies(shard))
    }

    fn with_hold<T>(&self, part: Part, act: impl FnOnce(&mut Hold) -> T) -> Option<T> {
        self.holds.borrow_mut().iter_mut().find(|hold| hold.part == part).map(act)
    }

    fn take_hold(&self, part: Part) -> Option<Hold> {
        let mut holds = self.holds.borrow_mut();
        let index = holds.iter().position(|hold| hold.part == part)?;
        Some(holds.remove(index))
    }

    fn go_on(&self, waiting: Vec<Envelope>) {
        router::LocalHost::deliver(self, waiting);
    }

    pub(super) fn mailboxes(&self, part: Part) -> Vec<Rc<dyn Mailbox>> {
        self.table.borrow().mailboxes_of(part)
    }

    /// Has every actor of a part do something; what those say that are still there.
    pub(super) async fn order(&self, part: Part, act: Act) -> Vec<Standing> {
        ask(&self.mailboxes(part), &act).await
    }

    fn tell(&self, part: Part, act: &Act) {
        for mailbox in self.mailboxes(part) {
            // One that has ended needs no word.
            mailbox.order(Order::of(act.clone()));
        }
    }
}

/// Has actors do something; what those say that are still there.
async fn ask(mailboxes: &[Rc<dyn Mailbox>], act: &Act) -> Vec<Standing> {
    let answers = mailboxes.iter().filter_map(|mailbox| {
        let (reply, answer) = oneshot::channel();
        let order = Order { reply, ..Order::of(act.clone()) };
        mailbox.order(order).then_some(answer)
    });
    let answers: Vec<_> = answers.collect();
    join_all(answers).await.into_iter().filter_map(Result::ok).collect()
}

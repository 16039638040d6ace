//! Owns what is on its way from a room: while there is a second copy of the room, it learns up to which number
//! everything has reached all, what no archive has of the rest, and what was acted on of late.
//!
//! Each message and each presence goes out under a receipt of the room's own beside its sender's; when the last copy of
//! it is safe with its recipient's home, it counts. Bounds: what is unfinished has senders that wait for it, and those
//! bounds of their own; of what was acted on, the last [`REMEMBERED`] are known.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use entity::context::Waker;
use proto::receipt::Settle;
use proto::{Ledger, Receipt};
use store::ArchiveId;
use xmpp::Origin;

use crate::mirror::{Inheritance, read_origin, write_origin};
use crate::snapshot::pb;

/// Stands for the session in the origins of what a room tells: no session has it.
const NO_SESSION: u64 = 0;

/// The part of the origins of what a new owner tells in words of its own: no account has so many clients in a room.
const ANEW: u16 = 0x2000;

/// What a room remembers of what it has acted on: longer than anything comes again.
const REMEMBERED: usize = 256;

/// What is on its way.
#[derive(Debug, Default)]
pub(crate) struct FanOuts(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    /// None: nobody has a copy of the room.
    ledger: Option<Arc<Ledger>>,
    watched: bool,
    /// Not known to have reached all, oldest first.
    open: VecDeque<ArchiveId>,
    /// How many of the ledger's are not in `open` any more.
    counted: u64,
    /// The number of what has reached all, with everything before it.
    finished: u64,
    /// `finished` is greater than the copy knows.
    news: bool,
    /// Behind `finished`, what no archive has, oldest first.
    said: Untold<pb::Said>,
    /// What waits until the copy has that.
    copying: Vec<Receipt>,
    /// What presence and requests were dealt with, oldest first.
    acted: Untold<pb::Origin>,
    /// Those of a former owner.
    acted_before: HashSet<Origin>,
    inherited: Option<(ArchiveId, Inheritance)>,
    known: HashSet<Origin>,
}

/// What the copy learns one after the other.
#[derive(Debug)]
struct Untold<T> {
    all: VecDeque<T>,
    /// How many of these the copy has.
    told: usize,
}

impl<T> Default for Untold<T> {
    fn default() -> Self {
        Self { all: VecDeque::new(), told: 0 }
    }
}

impl<T: Clone> Untold<T> {
    fn push(&mut self, item: T) {
        self.all.push_back(item);
    }

    fn drop_first(&mut self) {
        self.all.pop_front();
        self.told = self.told.saturating_sub(1);
    }

    /// What the copy does not know; `anew`: all of it.
    fn tell(&mut self, anew: bool) -> Vec<T> {
        let known = if anew { 0 } else { self.told };
        self.told = self.all.len();
        self.all.iter().skip(known).cloned().collect()
    }
}

impl State {
    fn acted(&mut self, cause: pb::Origin) {
        if self.acted.all.len() >= REMEMBERED {
            self.acted.drop_first();
        }
        self.acted.push(cause);
    }
}

/// By what everything that a room tells is known again: the room's own number, which only grows.
pub(crate) fn origin(id: ArchiveId) -> Origin {
    Origin::Client { session: NO_SESSION, seq: id.0, part: 0 }
}

/// The same of what a new owner says in other words than the one before: these numbers are counted by themselves, so
/// that greater ones do not pass for news behind which what the former owner has told would be too old to be known.
pub(crate) fn origin_anew(id: ArchiveId) -> Origin {
    origin(id).later(ANEW)
}

/// The part of an origin of a room's own.
pub(crate) fn part(origin: Origin) -> u16 {
    match origin {
        Origin::Client { part, .. } => part,
        Origin::Shard { .. } => 0,
    }
}

impl FanOuts {
    /// There is a copy from now on.
    pub(crate) fn watch(&self) {
        self.0.borrow_mut().watched = true;
    }

    /// Whether somebody has a copy.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.borrow().watched
    }

    /// Something goes out: its origin, and the receipt under which it goes.
    pub(crate) fn begin(
        &self,
        id: ArchiveId,
        cause: Option<Receipt>,
        waker: &Waker,
    ) -> (Origin, Option<Receipt>) {
        let mut state = self.0.borrow_mut();
        if !state.watched {
            state.finished = state.finished.max(id.0);
            return (origin(id), cause);
        }
        let ledger = state.ledger.get_or_insert_with(|| {
            let waker = Arc::clone(waker);
            Ledger::new(0, move || waker())
        });
        let both = Both { own: Mutex::new(Some((ledger.open(), cause))) };
        state.open.push_back(id);
        (origin(id), Some(Receipt::new(0, Arc::new(both))))
    }

    /// Something that no archive has: the copy must have it.
    pub(crate) fn say(&self, said: impl FnOnce() -> pb::Said) {
        let mut state = self.0.borrow_mut();
        if state.watched {
            state.said.push(said());
        }
    }

    /// A presence, or a request, is dealt with, whatever came of it.
    pub(crate) fn acted(&self, cause: Origin) {
        let state = &mut *self.0.borrow_mut();
        if state.watched {
            state.acted(write_origin(cause.first()));
        }
    }

    /// What of that is known, for whoever goes on from it: it may come again from there.
    pub(crate) fn all_acted(&self) -> Vec<pb::Origin> {
        self.0.borrow().acted.all.iter().cloned().collect()
    }

    /// The same, by a former owner.
    pub(crate) fn acted_before(&self, cause: pb::Origin) {
        let state = &mut *self.0.borrow_mut();
        state.acted_before.extend(read_origin(&cause));
        state.acted(cause);
    }

    /// Whether a former owner has dealt with a presence, or a request: what it has told is told again by itself.
    pub(crate) fn has_acted(&self, cause: Origin) -> bool {
        let before = &self.0.borrow().acted_before;
        !before.is_empty() && before.contains(&cause.first())
    }

    /// Something has reached all.
    pub(crate) fn look(&self) {
        let state = &mut *self.0.borrow_mut();
        let Some(ledger) = &state.ledger else { return };
        let handled = ledger.standing().handled;
        while state.counted < handled {
            state.counted += 1;
            if let Some(id) = state.open.pop_front() {
                state.finished = state.finished.max(id.0);
                state.news = true;
            }
        }
        while state.said.all.front().is_some_and(|it| it.id <= state.finished) {
            state.said.drop_first();
        }
    }

    /// Everything up to this number has reached all.
    pub(crate) fn finished(&self) -> ArchiveId {
        ArchiveId(self.0.borrow().finished)
    }

    /// The room is made, or loaded, with this as its last message: nothing up to there is under way.
    pub(crate) fn start_after(&self, last: ArchiveId) {
        self.go_on_from(last.max(ArchiveId(1)));
    }

    /// As a snapshot says.
    pub(crate) fn go_on_from(&self, finished: ArchiveId) {
        let mut state = self.0.borrow_mut();
        state.finished = state.finished.max(finished.0);
    }

    /// Where nobody says how far messages have come: what the archive has until now is under way nowhere.
    pub(crate) fn begin_behind(&self, last: ArchiveId) {
        let mut state = self.0.borrow_mut();
        if state.finished == 0 {
            state.finished = last.0;
        }
    }

    /// Whether something is known to be under way.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.0.borrow().open.is_empty()
    }

    /// Whether there is news of that since this was asked last.
    pub(crate) fn take_news(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().news)
    }

    /// What no archive has and the copy does not know; `anew`: all of it.
    pub(crate) fn tell_said(&self, anew: bool) -> Vec<pb::Said> {
        self.0.borrow_mut().said.tell(anew)
    }

    /// What was acted on that the copy does not know; `anew`: all of it.
    pub(crate) fn tell_acted(&self, anew: bool) -> Vec<pb::Origin> {
        self.0.borrow_mut().acted.tell(anew)
    }

    pub(crate) fn inherit(&self, finished: ArchiveId, inheritance: Inheritance) {
        self.0.borrow_mut().inherited = Some((finished, inheritance));
    }

    /// Whether the archive must be read for what a former owner has left.
    pub(crate) fn has_inherited(&self) -> bool {
        self.0.borrow().inherited.is_some()
    }

    /// Up to where the former owner knew that all has reached all; 0: it has said nothing. None where there was no
    /// former owner.
    pub(crate) fn inherits_from(&self) -> Option<ArchiveId> {
        self.0.borrow().inherited.as_ref().map(|(finished, _)| *finished)
    }

    pub(crate) fn take_inheritance(&self) -> Option<(ArchiveId, Inheritance)> {
        self.0.borrow_mut().inherited.take()
    }

    pub(crate) fn knows(&self, causes: HashSet<Origin>) {
        self.0.borrow_mut().known = causes;
    }

    /// What is said in this turn must be in the copy before it is done: whether it is. None: nobody has one.
    pub(crate) fn copy(&self, waker: Waker) -> Option<Copied> {
        let mut state = self.0.borrow_mut();
        if !state.watched {
            return None;
        }
        let is_so = Arc::<AtomicBool>::default();
        let copying = Copying(Arc::clone(&is_so), waker);
        state.copying.push(Receipt::new(0, Arc::new(copying)));
        Some(Copied(is_so))
    }

    /// What waits until the copy has learned what it is told now.
    pub(crate) fn take_copying(&self) -> Vec<Receipt> {
        std::mem::take(&mut self.0.borrow_mut().copying)
    }

    /// Whether a former owner has acted on a message with this cause.
    pub(crate) fn has_known(&self, cause: Origin) -> bool {
        self.0.borrow_mut().known.remove(&cause)
    }
}

/// Two receipts as one. What is a fault for the sender, who says it again, is over for the room.
struct Both {
    own: Mutex<Option<(Receipt, Option<Receipt>)>>,
}

impl Settle for Both {
    fn settle(&self, _: u64, faulty: bool) {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((own, cause)) = own else { return };
        own.release();
        match cause {
            Some(cause) if faulty => drop(cause),
            Some(cause) => cause.release(),
            None => {}
        }
    }
}

/// Whether the second copy has what a turn has said.
#[derive(Debug)]
pub(crate) struct Copied(Arc<AtomicBool>);

impl Copied {
    /// Whether it is so.
    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Makes it so, and wakes the room. A copy that is lost holds up nobody: there is none then.
struct Copying(Arc<AtomicBool>, Waker);

impl Settle for Copying {
    fn settle(&self, _: u64, _: bool) {
        self.0.store(true, Ordering::Release);
        (self.1)();
    }
}

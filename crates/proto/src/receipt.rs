//! Owns receipts: responsibility for a stanza, as a value that is handed on with what the stanza causes.
//!
//! A session opens a receipt for each stanza that its client wants acknowledged (XEP-0198 §4). Clones go
//! along with everything that must be safe first: an envelope to another actor, a write on its way to the
//! disk. When the last clone is released, the [`Ledger`] marks the stanza as handled; h rises over the
//! unbroken run of handled ones. A clone that is dropped instead of released is a fault: the ledger says
//! so and the stream ends, so that the client sends again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One share of the responsibility for one stanza.
#[must_use = "a receipt must be released or handed on"]
pub struct Receipt {
    share: Option<Arc<Share>>,
}

/// What all shares of one stanza have in common; settles it when the last is gone.
struct Share {
    seq: u64,
    ledger: Arc<dyn Settle>,
    faulty: AtomicBool,
}

/// Whoever opens receipts and hears what became of them.
pub trait Settle: Send + Sync {
    /// All shares of this receipt are gone; at least one was dropped unreleased where it is `faulty`. Called
    /// from any thread.
    fn settle(&self, seq: u64, faulty: bool);
}

/// Which of a session's stanzas are handled. Shared by all threads that hold receipts of it.
pub struct Ledger {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// Stanzas handled without a gap; the h of XEP-0198.
    handled: u64,
    /// For each stanza behind `handled`, whether it is handled.
    open: VecDeque<bool>,
    faulty: bool,
    /// The session was woken and has not looked since.
    woken: bool,
}

/// What a session finds when it looks at its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Stanzas handled without a gap.
    pub handled: u64,
    /// A receipt was dropped unreleased: the stream must end.
    pub faulty: bool,
    /// Stanzas beyond, at that very moment: another thread may settle one before it is asked for anything else.
    pub open: usize,
}

impl Ledger {
    /// A ledger from which nothing is handled yet beyond `handled`. `wake` is called from any thread when
    /// there is news, once until [`Ledger::standing`] is asked.
    pub fn new(handled: u64, wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { handled, ..State::default() }),
            wake: Box::new(wake),
        })
    }

    /// Opens the receipt of the next stanza.
    pub fn open(self: &Arc<Self>) -> Receipt {
        let mut state = self.lock();
        state.open.push_back(false);
        let seq = state.handled + state.open.len() as u64;
        Receipt::new(seq, Arc::clone(self) as Arc<dyn Settle>)
    }

    /// How many stanzas are open: the bound that makes the edge stop reading.
    pub fn open_count(&self) -> usize {
        self.lock().open.len()
    }

    /// What is handled so far.
    pub fn standing(&self) -> Standing {
        let mut state = self.lock();
        state.woken = false;
        Standing { handled: state.handled, faulty: state.faulty, open: state.open.len() }
    }

    /// A panic while the lock is held cannot leave the counters wrong, so a poisoned lock is taken.
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle for Ledger {
    fn settle(&self, seq: u64, faulty: bool) {
        let mut state = self.lock();
        let before = state.handled;
        state.faulty |= faulty;
        let slot = seq.checked_sub(before + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(done) = slot.and_then(|slot| state.open.get_mut(slot)) {
            *done = !faulty;
        }
        while state.open.front() == Some(&true) {
            state.open.pop_front();
            state.handled += 1;
        }
        let news = !state.woken && (state.faulty || state.handled > before);
        state.woken |= news;
        drop(state);
        if news {
            (self.wake)();
        }
    }
}

impl Receipt {
    /// A receipt of this number, whose fate `ledger` hears.
    pub fn new(seq: u64, ledger: Arc<dyn Settle>) -> Self {
        Self { share: Some(Arc::new(Share { seq, ledger, faulty: AtomicBool::new(false) })) }
    }

    /// One that nobody waits for.
    pub fn unwatched() -> Self {
        Self::new(0, Arc::new(Unwatched))
    }

    /// One for two: what becomes of it becomes of both.
    pub fn both(one: Self, other: Self) -> Self {
        Self::new(0, Arc::new(Both(Mutex::new(vec![one, other]))))
    }

    /// The stanza's share is safe.
    pub fn release(mut self) {
        self.share = None;
    }
}

/// Nobody waits.
struct Unwatched;

impl Settle for Unwatched {
    fn settle(&self, _: u64, _: bool) {}
}

/// Two receipts with one fate.
struct Both(Mutex<Vec<Receipt>>);

impl Settle for Both {
    fn settle(&self, _: u64, faulty: bool) {
        let receipts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for receipt in receipts {
            if faulty {
                drop(receipt);
            } else {
                receipt.release();
            }
        }
    }
}

impl Clone for Receipt {
    fn clone(&self) -> Self {
        Self { share: self.share.clone() }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(share) = &self.share {
            share.faulty.store(true, Ordering::Release);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.ledger.settle(self.seq, *self.faulty.get_mut());
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({:?})", self.share.as_ref().map(|share| share.seq))
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "Ledger(handled {}, open {})", state.handled, state.open.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn ledger() -> (Arc<Ledger>, Arc<AtomicUsize>) {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        (
            Ledger::new(0, move || {
                count.fetch_add(1, Ordering::Relaxed);
            }),
            woken,
        )
    }

    #[test]
    fn handled_rises_over_the_unbroken_run_only() {
        let (ledger, woken) = ledger();
        let (first, second, third) = (ledger.open(), ledger.open(), ledger.open());
        second.release();
        assert_eq!((ledger.standing().handled, woken.load(Ordering::Relaxed)), (0, 0));
        first.release();
        assert_eq!((ledger.standing().handled, woken.load(Ordering::Relaxed)), (2, 1));
        third.release();
        assert_eq!((ledger.standing().handled, ledger.open_count()), (3, 0));
    }

    #[test]
    fn what_is_handled_and_what_is_open_are_of_one_moment() {
        const COUNT: usize = 10_000;
        let (ledger, _) = ledger();
        let receipts: Vec<Receipt> = (0..COUNT).map(|_| ledger.open()).collect();
        let releasing = std::thread::spawn(|| receipts.into_iter().for_each(Receipt::release));
        let mut open = COUNT;
        while open > 0 {
            let standing = ledger.standing();
            open = standing.open;
            assert_eq!(standing.handled + open as u64, COUNT as u64);
        }
        releasing.join().unwrap();
    }

    #[test]
    fn of_two_in_one_both_are_released_or_dropped() {
        for faulty in [false, true] {
            let [one, other] = [(); 2].map(|()| ledger().0);
            let both = Receipt::both(one.open(), other.open());
            let share = both.clone();
            both.release();
            assert_eq!(one.standing(), Standing { handled: 0, faulty: false, open: 1 });
            if faulty {
                drop(share);
            } else {
                share.release();
            }
            for ledger in [&one, &other] {
                let handled = u64::from(!faulty);
                let open = usize::from(faulty);
                assert_eq!(ledger.standing(), Standing { handled, faulty, open });
            }
        }
    }

    #[test]
    fn every_share_must_be_released() {
        let (ledger, _) = ledger();
        let receipt = ledger.open();
        let share = receipt.clone();
        receipt.release();
        assert_eq!(ledger.standing().handled, 0);
        share.release();
        assert_eq!(ledger.standing().handled, 1);
    }

    #[test]
    fn a_dropped_share_is_a_fault_that_stops_the_count() {
        let (ledger, woken) = ledger();
        drop(ledger.open());
        ledger.open().release();
        assert_eq!(ledger.standing(), Standing { handled: 0, faulty: true, open: 2 });
        assert!(woken.load(Ordering::Relaxed) >= 1);
    }

    #[test]
    fn the_session_is_woken_once_until_it_looks() {
        let (ledger, woken) = ledger();
        for _ in 0..3 {
            ledger.open().release();
        }
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        ledger.standing();
        ledger.open().release();
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }
}

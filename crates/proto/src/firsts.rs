//! Owns the receipts of what comes more than once: a repeat is as safe as the first one, and what failed is told, since it
//! must be done when it comes again.
//!
//! Bound: the first ones whose receipts are not settled, which have senders that wait for them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::receipt::{Receipt, Settle};

/// First ones that are not settled, each known by its mark.
pub struct Firsts<M> {
    failed: Arc<Mutex<Vec<M>>>,
    open: Vec<(M, Weak<Watch<M>>)>,
}

impl<M> Default for Firsts<M> {
    fn default() -> Self {
        Self { failed: Arc::default(), open: Vec::new() }
    }
}

impl<M: Copy + PartialEq + Send + Sync + 'static> Firsts<M> {
    /// A first one has come: the receipt under which it goes on.
    pub fn watch(&mut self, mark: M, receipt: Receipt) -> Receipt {
        let state = Mutex::new(State::Open(vec![receipt]));
        let watch = Arc::new(Watch { state, failed: Arc::clone(&self.failed), mark });
        if self.open.len() == self.open.capacity() {
            self.open.retain(|(_, watch)| watch.strong_count() > 0);
        }
        self.open.push((mark, Arc::downgrade(&watch)));
        Receipt::new(0, watch)
    }

    /// It has come once more: the repeat's receipt is settled as that of the first one is.
    pub fn join(&self, mark: M, repeat: Receipt) {
        let first = self.open.iter().rev().find(|(of, _)| *of == mark);
        match first.and_then(|(_, watch)| watch.upgrade()) {
            Some(first) => first.add(repeat),
            // What failed was told: this has not.
            None => repeat.release(),
        }
    }

    /// Those that failed since this was asked last: their receipts were dropped.
    pub fn take_failed(&self) -> Vec<M> {
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sees what becomes of the receipt of a first one.
struct Watch<M> {
    state: Mutex<State>,
    failed: Arc<Mutex<Vec<M>>>,
    mark: M,
}

enum State {
    /// With its own receipt, and those of its repeats.
    Open(Vec<Receipt>),
    Settled {
        faulty: bool,
    },
}

impl<M> Watch<M> {
    /// It has come once more.
    fn add(&self, repeat: Receipt) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Open(receipts) => receipts.push(repeat),
            State::Settled { faulty: false } => repeat.release(),
            State::Settled { faulty: true } => drop(repeat),
        }
    }
}

impl<M: Copy + Send + Sync> Settle for Watch<M> {
    fn settle(&self, _: u64, faulty: bool) {
        let settled = State::Settled { faulty };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, settled);
        drop(state);
        if faulty {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(self.mark);
        }
        let State::Open(receipts) = before else { return };
        for receipt in receipts {
            if faulty {
                drop(receipt);
            } else {
                receipt.release();
            }
        }
    }
}

//! Owns the receipts that a lane opens for what came over it: which were released, which were dropped. Shared by
//! all threads that hold receipts of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::receipt::Settle;

/// What became of a lane's receipts since it was asked last.
pub(super) struct Confirms {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// A receipt that was released, or dropped.
pub(super) struct Settled {
    pub(super) number: u64,
    pub(super) is_faulty: bool,
}

#[derive(Default)]
struct State {
    settled: Vec<Settled>,
    withdrawn: HashSet<u64>,
}

impl Confirms {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), wake: Box::new(wake) })
    }

    /// Takes the receipts that were settled, in that order.
    pub(super) fn drain(&self) -> Vec<Settled> {
        std::mem::take(&mut self.lock().settled)
    }

    /// Nothing will be said of this one when it is settled.
    pub(super) fn withdraw(&self, number: u64) {
        self.lock().withdrawn.insert(number);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle for Confirms {
    fn settle(&self, number: u64, is_faulty: bool) {
        let mut state = self.lock();
        if state.withdrawn.remove(&number) {
            return;
        }
        let first = state.settled.is_empty();
        state.settled.push(Settled { number, is_faulty });
        drop(state);
        if first {
            (self.wake)();
        }
    }
}

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

#[derive(Default)]
struct State {
    settled: Vec<(u64, bool)>,
    withdrawn: HashSet<u64>,
}

impl Confirms {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), wake: Box::new(wake) })
    }

    /// The receipts that were settled, by number, and whether by a fault.
    pub(super) fn drain(&self) -> Vec<(u64, bool)> {
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
    fn settle(&self, number: u64, faulty: bool) {
        let mut state = self.lock();
        if state.withdrawn.remove(&number) {
            return;
        }
        let first = state.settled.is_empty();
        state.settled.push((number, faulty));
        drop(state);
        if first {
            (self.wake)();
        }
    }
}

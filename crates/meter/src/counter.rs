//! Owns the counter. Each thread adds to a stripe of its own, a cache line that no other thread writes as
//! long as there are no more threads than stripes; reading sums the stripes up.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads beyond this many share stripes, which is slower and just as right.
const STRIPES: usize = 8;

/// A figure that threads share.
#[derive(Debug, Default)]
pub struct Counter([Stripe; STRIPES]);

/// Two lines: processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl Counter {
    /// The figure. What other threads add at this moment may be missing.
    pub fn get(&self) -> u64 {
        let stripes = self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed));
        // A thread may take what another one added: single stripes go below zero, the sum does not.
        let sum = stripes.fold(0, u64::wrapping_add);
        if sum > u64::MAX / 2 { 0 } else { sum }
    }

    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0[stripe()].0.fetch_add(count, Ordering::Relaxed);
    }

    /// One less.
    pub fn take_one(&self) {
        self.take(1);
    }

    /// So many less.
    pub fn take(&self, count: u64) {
        self.0[stripe()].0.fetch_sub(count, Ordering::Relaxed);
    }
}

/// This thread's stripe.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
    }
    // While a thread ends, its own stripe may be gone; any will do.
    OWN.try_with(Cell::get).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_add_and_take_is_summed_up() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| (0..1_000).for_each(|_| counter.add(2)));
            }
        });
        assert_eq!(counter.get(), 40_000);
        std::thread::scope(|scope| {
            // Another stripe than most of it was added to.
            scope.spawn(|| counter.take(39_999));
        });
        assert_eq!(counter.get(), 1);
        counter.take_one();
        assert_eq!(counter.get(), 0);
    }

    #[test]
    fn a_figure_that_is_below_zero_for_a_moment_reads_as_none() {
        let counter = Counter::default();
        counter.take_one();
        assert_eq!(counter.get(), 0);
        counter.add(3);
        assert_eq!(counter.get(), 2);
    }
}

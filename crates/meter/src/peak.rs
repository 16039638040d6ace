//! Owns the peak: how high a figure was at most, lately.

use std::sync::atomic::{AtomicU64, Ordering};

/// The highest of what was noted in this window and the one before.
#[derive(Debug, Default)]
pub struct Peak {
    window: AtomicU64,
    before: AtomicU64,
}

impl Peak {
    /// It was so high. Costs a read, unless it was higher than ever in this window.
    pub fn note(&self, height: u64) {
        if height > self.window.load(Ordering::Relaxed) {
            self.window.fetch_max(height, Ordering::Relaxed);
        }
    }

    /// The highest of this window and the one before.
    pub fn get(&self) -> u64 {
        self.window.load(Ordering::Relaxed).max(self.before.load(Ordering::Relaxed))
    }

    /// A new window begins.
    pub fn turn(&self) {
        self.before.store(self.window.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_forgotten_after_two_windows() {
        let peak = Peak::default();
        [3, 7, 5].into_iter().for_each(|height| peak.note(height));
        assert_eq!(peak.get(), 7);
        peak.turn();
        peak.note(2);
        assert_eq!(peak.get(), 7);
        peak.turn();
        assert_eq!(peak.get(), 2);
    }
}

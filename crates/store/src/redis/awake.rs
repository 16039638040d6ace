//! Owns since when this process runs without having stood still (stopped, or without a processor): what waited
//! meanwhile was kept waiting by no server, and no server was silent.

use std::time::{Duration, Instant};

/// Whoever looks once a second at least and sees that so much has passed has stood still.
const STOOD_STILL: Duration = Duration::from_secs(3);

/// When was looked last, and since when there was no such gap.
#[derive(Debug)]
pub(super) struct Awake {
    looked: Instant,
    since: Instant,
}

impl Awake {
    pub(super) fn since(now: Instant) -> Self {
        Self { looked: now, since: now }
    }

    /// Looks; says whether the process has stood still since the last time.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let stood_still = now.duration_since(self.looked) > STOOD_STILL;
        self.looked = now;
        if stood_still {
            self.since = now;
        }
        stood_still
    }

    /// Whether it has run for longer than this.
    pub(super) fn is_for(&self, patience: Duration, now: Instant) -> bool {
        now.duration_since(self.since) > patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_when_a_process_goes_on_that_stood_still() {
        let patience = Duration::from_secs(15);
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut awake = Awake::since(begun);
        for second in 1..=16 {
            assert!(!awake.look(at(second)), "it looks every second");
        }
        assert!(awake.is_for(patience, at(16)));
        assert!(awake.look(at(40)), "it was stopped");
        assert!(!awake.is_for(patience, at(40)));
        for second in 41..=55 {
            assert!(!awake.look(at(second)));
            assert!(!awake.is_for(patience, at(second)), "after {second} s");
        }
        assert!(awake.is_for(patience, at(56)));
    }
}

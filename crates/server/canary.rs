//! Owns the canaries: on each arbiter a task that is due ten times a second. How late it is tells how long
//! other work - a handshake, a large stanza - held the arbiter up.

#![expect(clippy::disallowed_methods, reason = "it measures time, and decides nothing by it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entity::Figures;
use meter::histogram::SECONDS;
use meter::{Histogram, Peak, Reading};

/// How often a canary sings.
const EVERY: Duration = Duration::from_millis(100);
/// Peaks are forgotten after one or two windows of so many songs.
const WINDOW: u32 = 100;

/// The canaries of all arbiters.
pub(crate) struct Canaries {
    begun: Instant,
    cages: Vec<Cage>,
    figures: Arc<Figures>,
}

/// What is known of one arbiter.
struct Cage {
    lag: Histogram,
    /// In microseconds.
    peak: Peak,
    /// When it sang last, in milliseconds since all began; 0: never.
    sang: AtomicU64,
    /// By how many milliseconds that was late.
    late: AtomicU64,
}

impl Canaries {
    /// For so many arbiters. `figures` has the peaks that are turned with the canaries' own.
    pub(crate) fn new(arbiters: usize, figures: Arc<Figures>) -> Arc<Self> {
        let cage = |_| Cage {
            lag: Histogram::new(SECONDS),
            peak: Peak::default(),
            sang: AtomicU64::new(0),
            late: AtomicU64::new(0),
        };
        let cages = (0..arbiters).map(cage).collect();
        Arc::new(Self { begun: Instant::now(), cages, figures })
    }

    /// Sings for ever; to be spawned on the arbiter of this number.
    pub(crate) async fn sing(self: Arc<Self>, arbiter: usize) {
        let mut songs = 0;
        loop {
            let due = Instant::now() + EVERY;
            tokio::time::sleep_until(due.into()).await;
            self.note(arbiter, due.elapsed());
            songs += 1;
            if songs % WINDOW == 0 {
                self.turn(arbiter);
            }
        }
    }

    fn note(&self, arbiter: usize, late: Duration) {
        let Some(cage) = self.cages.get(arbiter) else { return };
        cage.lag.took(late);
        cage.peak.note(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
        cage.late.store(millis(late), Ordering::Relaxed);
        cage.sang.store(millis(self.begun.elapsed()).max(1), Ordering::Relaxed);
    }

    fn turn(&self, arbiter: usize) {
        if let Some(cage) = self.cages.get(arbiter) {
            cage.peak.turn();
        }
        // One canary turns what all share.
        if arbiter == 0 {
            self.figures.mailbox_peak.turn();
        }
    }

    /// How late canaries were, by arbiter.
    pub(crate) fn lags(&self) -> impl Iterator<Item = (usize, Reading)> {
        self.cages.iter().map(|cage| cage.lag.read()).enumerate()
    }

    /// How late they were at most lately, in seconds, by arbiter.
    pub(crate) fn peaks(&self) -> impl Iterator<Item = (usize, f64)> {
        let peaks = self.cages.iter().map(|cage| Duration::from_micros(cage.peak.get()));
        peaks.map(|peak| peak.as_secs_f64()).enumerate()
    }

    /// How far the arbiter is behind that is furthest: it has done nothing for so long, or its last song was so late. One
    /// that is held up again and again is behind all the time.
    pub(crate) fn lag(&self) -> Duration {
        let now = millis(self.begun.elapsed());
        let behind = |cage: &Cage| {
            let silent = now.saturating_sub(cage.sang.load(Ordering::Relaxed));
            silent.max(cage.late.load(Ordering::Relaxed))
        };
        Duration::from_millis(self.cages.iter().map(behind).max().unwrap_or(0))
    }

    /// The first arbiter that has done nothing for so long.
    pub(crate) fn silent(&self, patience: Duration) -> Option<usize> {
        let now = millis(self.begun.elapsed());
        let silent =
            |cage: &Cage| now.saturating_sub(cage.sang.load(Ordering::Relaxed)) > millis(patience);
        self.cages.iter().position(silent)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arbiter_that_is_held_up_is_late_by_as_much() {
        let canaries = Canaries::new(2, Arc::default());
        let singer = Arc::clone(&canaries);
        actix_rt::System::new().block_on(async move {
            actix_rt::spawn(Arc::clone(&singer).sing(1));
            tokio::task::yield_now().await;
            // The canary is due while the thread does something else.
            std::thread::sleep(EVERY + Duration::from_millis(60));
            while singer.cages[1].lag.read().count == 0 {
                tokio::task::yield_now().await;
            }
        });
        let peaks: Vec<f64> = canaries.peaks().map(|(_, peak)| peak).collect();
        assert!(peaks[0] == 0.0 && peaks[1] >= 0.05, "{peaks:?}");
        let (_, lag) = canaries.lags().nth(1).unwrap();
        let short = lag.buckets.iter().find(|(bound, _)| *bound >= 0.05).unwrap();
        assert_eq!(short.1, 0, "{lag:?}");
        assert!(
            canaries.lag() >= EVERY + Duration::from_millis(60),
            "the first one has never sung"
        );
        canaries.note(0, Duration::from_secs(3));
        canaries.note(1, Duration::ZERO);
        assert!(canaries.lag() >= Duration::from_secs(3), "its last song was as late");
        canaries.note(0, Duration::ZERO);
        assert!(canaries.lag() < Duration::from_secs(3));
        let minute = Duration::from_secs(60);
        assert_eq!(canaries.silent(minute), None, "nobody is silent in the first seconds");
    }
}

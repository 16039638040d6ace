//! The clock of the open loop: which messages are due, and a timer that wakes the poll for them.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// The timer's token: above all sessions.
const TIMER: Token = Token(usize::MAX - 1);

/// More wake-ups in a second gain nothing: several messages leave in one.
const SHORTEST_TICK: Duration = Duration::from_micros(50);

/// Evenly spaced turns from an epoch on.
#[derive(Debug)]
pub struct Pace {
    rate: f64,
    epoch: Instant,
    next: u64,
    timer: TimerFd,
}

/// One message that is due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Its number, from 0.
    pub number: u64,
    /// When it should leave, from the epoch.
    pub at: Duration,
}

impl Pace {
    /// A clock of `rate` turns in a second, waking the poll of `registry`.
    pub fn new(rate: f64, epoch: Instant, registry: &Registry) -> io::Result<Pace> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let tick = Duration::from_secs_f64(1.0 / rate).max(SHORTEST_TICK);
        let nanos = i64::try_from(tick.as_nanos()).unwrap_or(i64::MAX);
        let expiration = Expiration::Interval(TimeSpec::nanoseconds(nanos));
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        let fd = timer.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        Ok(Pace { rate, epoch, next: 0, timer })
    }

    /// The turns that are due by `now` and were not given before.
    pub fn due(&mut self, now: Instant) -> impl Iterator<Item = Turn> + use<> {
        // An expiry must be read for the timer to run on; if there is none yet, that is no error.
        self.timer.wait().unwrap_or_default();
        let rate = self.rate;
        let elapsed = now.saturating_duration_since(self.epoch).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a non-negative count of turns"
        )]
        let end = (elapsed * rate) as u64 + 1;
        let begin = self.next;
        self.next = begin.max(end);
        (begin..self.next).map(move |number| Turn { number, at: at(number, rate) })
    }
}

#[expect(clippy::cast_precision_loss, reason = "runs have far fewer than 2^52 turns")]
fn at(number: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(number as f64 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;

    #[test]
    fn turns_come_when_due_and_only_once() {
        let poll = Poll::new().unwrap();
        let epoch = Instant::now();
        let mut pace = Pace::new(1000.0, epoch, poll.registry()).unwrap();
        let mut due = |ms| {
            let turns: Vec<u64> =
                pace.due(epoch + Duration::from_millis(ms)).map(|t| t.number).collect();
            turns
        };
        assert_eq!(due(0), [0]);
        assert_eq!(due(3), [1, 2, 3]);
        assert!(due(3).is_empty());
        assert!(due(1).is_empty());
        let last = pace.due(epoch + Duration::from_millis(4)).last().unwrap();
        assert_eq!(last.at, Duration::from_millis(4));
    }
}

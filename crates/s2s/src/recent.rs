//! Owns what was written lately to a server that does not count what it gets, and so may be lost when its connection
//! breaks. Pure: time is handed in.
//!
//! Bound: as for what is not acknowledged; with more, the oldest counts as arrived.

use std::collections::VecDeque;
use std::time::Duration;

use socket::Waiting;
use stream::sm::Bounds;

/// A connection that is gone without a word is noticed within this time ([`socket::io::tune`]).
const UNNOTICED: Duration = Duration::from_secs(60);
/// A server whose connection ends has read what was written this long before.
const UNREAD: Duration = Duration::from_secs(5);

/// What was written, and when; the oldest first.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    written: VecDeque<(Duration, Waiting<T>)>,
    bytes: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { written: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Recent<T> {
    /// One more was written now.
    pub(crate) fn push(&mut self, now: Duration, waiting: Waiting<T>) {
        let most = Bounds::default();
        self.bytes += waiting.bytes;
        self.written.push_back((now, waiting));
        self.forget(now);
        while self.written.len() > most.stanzas || self.bytes > most.bytes {
            self.drop_first();
        }
    }

    /// What was written long ago has arrived.
    pub(crate) fn forget(&mut self, now: Duration) {
        while self.written.front().is_some_and(|(at, _)| *at + UNNOTICED <= now) {
            self.drop_first();
        }
    }

    /// What may be lost where the connection breaks now, the oldest first; `silently`: nobody has said so, it only
    /// does not answer any more.
    pub(crate) fn take(&mut self, now: Duration, silently: bool) -> Vec<Waiting<T>> {
        let since = if silently { UNNOTICED } else { UNREAD };
        self.bytes = 0;
        let all = self.written.drain(..);
        all.filter(|(at, _)| *at + since > now).map(|(_, waiting)| waiting).collect()
    }

    fn drop_first(&mut self) {
        if let Some((_, waiting)) = self.written.pop_front() {
            self.bytes -= waiting.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn written(seconds: &[u64]) -> Recent<u64> {
        let mut recent = Recent::default();
        for item in seconds {
            recent.push(at(*item), Waiting { item: *item, bytes: 10, due: at(0) });
        }
        recent
    }

    fn items(lost: Vec<Waiting<u64>>) -> Vec<u64> {
        lost.into_iter().map(|waiting| waiting.item).collect()
    }

    #[test]
    fn what_was_written_shortly_before_the_end_may_be_lost_and_more_where_nobody_has_said_so() {
        let seconds = [1, 30, 66, 67, 70];
        assert_eq!(items(written(&seconds).take(at(70), false)), [66, 67, 70]);
        assert_eq!(items(written(&seconds).take(at(70), true)), [30, 66, 67, 70]);
        assert!(written(&seconds).take(at(200), true).is_empty());
    }

    #[test]
    fn no_more_is_kept_than_the_bound() {
        let most = Bounds::default();
        let mut recent = written(&vec![1; most.stanzas + 1]);
        assert_eq!(recent.take(at(1), false).len(), most.stanzas);
        recent.push(at(1), Waiting { item: 1, bytes: most.bytes, due: at(0) });
        recent.push(at(1), Waiting { item: 2, bytes: 1, due: at(0) });
        assert_eq!((items(recent.take(at(1), false)), recent.bytes), (vec![2], 0));
        recent.push(at(1), Waiting { item: 3, bytes: 1, due: at(0) });
        recent.forget(at(61));
        assert!(recent.written.is_empty());
    }
}

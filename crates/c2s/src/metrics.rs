//! Owns the gate's figures: counters that anybody may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use xmpp::StreamCondition;

/// What the gate has counted since its start; [`Metrics::connections`] alone goes down too.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections now.
    pub connections: Counter,
    /// Bound sessions whose connection is here, now.
    pub sessions: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused: too many in all, or from their address.
    pub refused: Counter,
    /// Accepting failed: no descriptors left, most often.
    pub accept_errors: Counter,
    /// Connections over TLS that came to the end of their handshake.
    pub handshakes: Counter,
    /// TLS handshakes that failed.
    pub handshakes_failed: Counter,
    /// Log-ins that succeeded.
    pub logins: Counter,
    /// Log-ins that failed, for whatever reason.
    pub logins_failed: Counter,
    /// Log-ins that the throttle refused or made wait.
    pub logins_throttled: Counter,
    /// Connections that had not logged in, or bound a resource, in time.
    pub logins_late: Counter,
    /// Stanzas of clients.
    pub stanzas_in: Counter,
    /// Stanzas to clients.
    pub stanzas_out: Counter,
    /// Bytes from sockets.
    pub bytes_in: Counter,
    /// Bytes to sockets.
    pub bytes_out: Counter,
    /// Connections that were given up because their out-buffer was full.
    pub out_full: Counter,
    /// How often reading from a connection was put off: too much, too fast.
    pub reads_delayed: Counter,
    /// Panics that ended a connection. Each is a fault of this program.
    pub panics: Counter,
    stream_errors: [Counter; StreamCondition::ALL.len()],
}

/// A figure that threads share.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The figure.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// One less.
    pub fn take_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Stream errors sent, by condition (RFC 6120 §4.9.3).
    pub fn stream_errors(&self) -> impl Iterator<Item = (StreamCondition, u64)> {
        let counts = self.stream_errors.iter().map(Counter::get);
        StreamCondition::ALL.iter().copied().zip(counts)
    }

    pub(crate) fn count_stream_error(&self, condition: StreamCondition) {
        let all = StreamCondition::ALL.iter().zip(&self.stream_errors);
        if let Some((_, counter)) = all.into_iter().find(|(known, _)| **known == condition) {
            counter.add_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_errors_are_counted_by_condition() {
        let metrics = Metrics::default();
        metrics.count_stream_error(StreamCondition::UnsupportedVersion);
        metrics.count_stream_error(StreamCondition::UnsupportedVersion);
        let counted: Vec<_> = metrics.stream_errors().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(StreamCondition::UnsupportedVersion, 2)]);
    }
}

//! Owns the gate's figures: counters that anybody may read at any time.

pub use meter::Counter;

use auth::Mechanism;
use auth::token::TokenMechanism;
use meter::By;
use xmpp::{Kind, StreamCondition};

use crate::listener::Kind as Transport;

/// What the gate has counted since its start; connections and sessions go down too.
#[derive(Debug)]
pub struct Metrics {
    /// Connections now, by transport.
    pub connections: By<4>,
    /// Bound sessions whose connection is here, now, by transport.
    pub sessions: By<4>,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused: too many in all, from their address, for the memory, or gone before anything was said.
    pub refused: By<{ REFUSALS.len() }>,
    /// Accepting failed: no descriptors left, most often.
    pub accept_errors: Counter,
    /// Connections over TLS that came to the end of their handshake.
    pub handshakes: Counter,
    /// TLS handshakes that failed.
    pub handshakes_failed: Counter,
    /// Log-ins that succeeded, by mechanism.
    pub logins: By<{ MECHANISMS.len() }>,
    /// Log-ins that failed, for whatever reason, by mechanism.
    pub logins_failed: By<{ MECHANISMS.len() }>,
    /// Log-ins that the throttle refused or made wait.
    pub logins_throttled: Counter,
    /// Connections that had not logged in, or bound a resource, in time.
    pub logins_late: Counter,
    /// Resumptions that name no session that ever was.
    pub resumes_malformed: Counter,
    /// Stanzas of clients.
    pub stanzas_in: By<3>,
    /// Stanzas to clients.
    pub stanzas_out: By<3>,
    /// Bytes from sockets.
    pub bytes_in: Counter,
    /// Bytes to sockets.
    pub bytes_out: Counter,
    /// Connections that were given up because their out-buffer was full.
    pub out_full: Counter,
    /// Stanzas that came for a client whose stream was closing.
    pub closing: Counter,
    /// How often reading from a connection was put off: too much, too fast.
    pub reads_delayed: Counter,
    /// Panics that ended a connection. Each is a fault of this program.
    pub panics: Counter,
    stream_errors: [Counter; StreamCondition::ALL.len()],
}

/// How a stream begins: in the clear, with TLS later on; with TLS at once; over a WebSocket; by
/// requests of HTTP.
const TRANSPORTS: [&str; 4] = ["starttls", "tls", "websocket", "bosh"];

const REFUSALS: [&str; 4] = ["all", "address", "memory", "gone"];

const KINDS: [&str; 3] = ["message", "presence", "iq"];

/// The last one stands for whatever clients make up.
const MECHANISMS: [&str; 11] = [
    "EXTERNAL",
    "ANONYMOUS",
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
    "HT-SHA-256",
    "unknown",
];

/// Stanzas by kind that the metrics do not know of yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally([u32; KINDS.len()]);

impl Tally {
    pub(crate) fn count(&mut self, kind: Kind) {
        let place = match kind {
            Kind::Message(_) => 0,
            Kind::Presence(_) => 1,
            Kind::Iq(_) => 2,
        };
        self.0[place] += 1;
    }

    pub(crate) fn sum(self) -> usize {
        self.0.iter().map(|count| *count as usize).sum()
    }

    /// Adds up, and begins anew.
    pub(crate) fn publish(&mut self, counters: &By<{ KINDS.len() }>) {
        for (place, count) in std::mem::take(&mut self.0).into_iter().enumerate() {
            if count > 0 {
                counters.at(place).add(count.into());
            }
        }
    }
}

/// The name of a transport, as a label.
pub(crate) fn transport(kind: Transport) -> &'static str {
    match kind {
        Transport::Clear => TRANSPORTS[0],
        Transport::Direct => TRANSPORTS[1],
        Transport::WebSocket => TRANSPORTS[2],
        Transport::Bosh => TRANSPORTS[3],
    }
}

/// The name of a mechanism, as a label.
pub(crate) fn mechanism(name: &str) -> &'static str {
    match Mechanism::from_name(name) {
        Some(mechanism) => mechanism.name(),
        None if TokenMechanism::from_name(name).is_some() => "HT-SHA-256",
        None => "unknown",
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            connections: By::new(TRANSPORTS),
            sessions: By::new(TRANSPORTS),
            accepted: Counter::default(),
            refused: By::new(REFUSALS),
            accept_errors: Counter::default(),
            handshakes: Counter::default(),
            handshakes_failed: Counter::default(),
            logins: By::new(MECHANISMS),
            logins_failed: By::new(MECHANISMS),
            logins_throttled: Counter::default(),
            logins_late: Counter::default(),
            resumes_malformed: Counter::default(),
            stanzas_in: By::new(KINDS),
            stanzas_out: By::new(KINDS),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            out_full: Counter::default(),
            closing: Counter::default(),
            reads_delayed: Counter::default(),
            panics: Counter::default(),
            stream_errors: std::array::from_fn(|_| Counter::default()),
        }
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
    use xmpp::MessageType;

    use super::*;

    #[test]
    fn stream_errors_are_counted_by_condition() {
        let metrics = Metrics::default();
        metrics.count_stream_error(StreamCondition::UnsupportedVersion);
        metrics.count_stream_error(StreamCondition::UnsupportedVersion);
        let counted: Vec<_> = metrics.stream_errors().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(StreamCondition::UnsupportedVersion, 2)]);
    }

    #[test]
    fn every_mechanism_has_a_label_and_what_clients_make_up_has_one_for_all() {
        for known in Mechanism::ALL {
            assert!(MECHANISMS.contains(&mechanism(known.name())), "{known}");
        }
        assert_eq!(mechanism("X-\"\n"), "unknown");
    }

    #[test]
    fn a_tally_is_published_once() {
        let metrics = Metrics::default();
        let mut tally = Tally::default();
        tally.count(Kind::Message(MessageType::Chat));
        tally.count(Kind::Message(MessageType::Error));
        assert_eq!(tally.sum(), 2);
        tally.publish(&metrics.stanzas_in);
        tally.publish(&metrics.stanzas_in);
        assert_eq!(metrics.stanzas_in.of("message").get(), 2);
        assert_eq!(metrics.stanzas_in.get(), 2);
    }
}

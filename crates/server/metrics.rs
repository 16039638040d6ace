//! Owns the page of metrics: which figure of which crate stands there under which name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use c2s::Metrics;
use entity::host::Figures;
use router::Router;
use store::SharedStore;
use web::Text;

/// Where figures come from.
pub(crate) struct Sources {
    pub(crate) gate: Arc<Metrics>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) accounts: Arc<user::config::Figures>,
    pub(crate) router: Router,
    pub(crate) store: SharedStore,
}

impl Sources {
    /// The page as it stands now.
    pub(crate) fn page(&self) -> String {
        let mut text = Text::default();
        self.connections(&mut text);
        self.logins(&mut text);
        self.stanzas(&mut text);
        self.actors(&mut text);
        text.finish()
    }

    fn connections(&self, text: &mut Text) {
        let gate = &self.gate;
        text.gauge("connections", "Client connections.", gate.connections.get());
        text.gauge("sessions", "Bound sessions with a connection here.", gate.sessions.get());
        text.counter("connections_accepted_total", "Accepted connections.", gate.accepted.get());
        text.counter("connections_refused_total", "Refused connections.", gate.refused.get());
        text.counter("accept_errors_total", "Failures to accept.", gate.accept_errors.get());
        let handshakes = [("ok", gate.handshakes.get()), ("failed", gate.handshakes_failed.get())];
        text.counters("tls_handshakes_total", "TLS handshakes.", "result", handshakes);
        let errors = gate.stream_errors().map(|(condition, count)| (condition.name(), count));
        text.counters("stream_errors_total", "Stream errors sent.", "condition", errors);
        text.counter("received_bytes_total", "Bytes from clients.", gate.bytes_in.get());
        text.counter("sent_bytes_total", "Bytes to clients.", gate.bytes_out.get());
    }

    fn logins(&self, text: &mut Text) {
        let gate = &self.gate;
        let results = [
            ("ok", gate.logins.get()),
            ("failed", gate.logins_failed.get()),
            ("throttled", gate.logins_throttled.get()),
            ("late", gate.logins_late.get()),
        ];
        text.counters("logins_total", "Log-ins by result.", "result", results);
    }

    fn stanzas(&self, text: &mut Text) {
        let gate = &self.gate;
        let stanzas = [("in", gate.stanzas_in.get()), ("out", gate.stanzas_out.get())];
        text.counters("stanzas_total", "Stanzas of clients.", "direction", stanzas);
        let drops = [
            ("out_buffer_full", gate.out_full.get()),
            ("inbox_full", self.router.refused()),
            ("mailbox_full", self.figures.mailbox_full.load(Ordering::Relaxed)),
            ("refused", self.figures.refused.load(Ordering::Relaxed)),
        ];
        text.counters("drops_total", "What could not go on, by reason.", "reason", drops);
        let lost = self.accounts.messages_lost.load(Ordering::Relaxed);
        text.counter("messages_lost_total", "Lost though acknowledged; alarm on any.", lost);
        text.counter("reads_delayed_total", "Reads put off by rates.", gate.reads_delayed.get());
    }

    fn actors(&self, text: &mut Text) {
        let figures = &self.figures;
        text.gauge("entities", "Actors in memory.", figures.entities.load(Ordering::Relaxed));
        let panics = figures.panics.load(Ordering::Relaxed) + self.gate.panics.get();
        text.counter("panics_total", "Panics that were caught; alarm on any.", panics);
        let waiting = self.router.waiting().into_iter().enumerate();
        let waiting = waiting.map(|(arbiter, count)| (arbiter.to_string(), count));
        text.gauges("inbox_stanzas", "Envelopes waiting for an arbiter.", "arbiter", waiting);
        text.gauge("store_waiting_bytes", "Bytes not durable yet.", self.store.waiting_bytes());
        let lease = u8::from(self.router.lease().holds());
        text.gauge("lease_valid", "Whether this member may act.", lease);
    }
}

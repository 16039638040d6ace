//! Owns the page of metrics: which figure of which crate stands there under which name. Every name ends in its
//! unit, every label comes from a closed set; `k8s/metrics.md` is written from the page by a test.

pub(crate) mod process;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use c2s::Metrics;
use entity::Figures;
use router::Router;
use router::link::{LinkFigures, Links};
use store::SharedStore;
use web::Text;

use crate::canary::Canaries;
use crate::foundation::Foundation;
use crate::memory::Memory;
use crate::telemetry::SPANS;
use crate::telemetry::panics::PANICS;

/// Where figures come from.
pub(crate) struct Sources {
    pub(crate) gate: Arc<Metrics>,
    pub(crate) memory: Memory,
    pub(crate) federation: Arc<s2s::Metrics>,
    pub(crate) http: Arc<web::clients::Figures>,
    /// None where no files are taken.
    pub(crate) files: Option<Arc<files::Keeper>>,
    pub(crate) bytestreams: Arc<proxy::Hub>,
    pub(crate) components: Arc<component::Metrics>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) user: Arc<user::Figures>,
    pub(crate) measured: Arc<store::measured::Figures>,
    pub(crate) canaries: Arc<Canaries>,
    pub(crate) router: Router,
    pub(crate) store: SharedStore,
    /// Not held: it is taken down when nobody holds it.
    pub(crate) foundation: Weak<Foundation>,
}

impl Sources {
    /// The page as it stands now.
    pub(crate) fn page(&self) -> String {
        let mut text = Text::default();
        let version = env!("CARGO_PKG_VERSION");
        text.gauges("build_info", "The running version; always 1.", "version", [(version, 1)]);
        self.connections(&mut text);
        self.sessions(&mut text);
        self.logins(&mut text);
        self.stanzas(&mut text);
        self.drops(&mut text);
        self.actors(&mut text);
        self.queues(&mut text);
        self.storage(&mut text);
        self.cluster(&mut text);
        self.links(&mut text);
        self.federation(&mut text);
        self.files(&mut text);
        self.bytestreams(&mut text);
        self.components(&mut text);
        self.telemetry(&mut text);
        process::write(&mut text);
        self.memory(&mut text);
        text.finish()
    }

    fn connections(&self, text: &mut Text) {
        let gate = &self.gate;
        let bound = gate.sessions.each().map(|(transport, count)| ([transport, "bound"], count));
        let unbound = gate.connections.each().zip(gate.sessions.each()).map(
            |((transport, all), (_, bound))| ([transport, "unbound"], all.saturating_sub(bound)),
        );
        let labels = ["transport", "state"];
        text.gauge_pairs("connections", "Client connections now.", labels, bound.chain(unbound));
        text.counter("connections_accepted_total", "Accepted connections.", gate.accepted.get());
        let refused = gate.refused.each();
        text.counters("connections_refused_total", "Refused connections.", "reason", refused);
        let help = "Connections of HTTP that were refused.";
        text.counters("http_connections_refused_total", help, "reason", self.http.refused.each());
        text.counter("accept_errors_total", "Failures to accept.", gate.accept_errors.get());
        let handshakes = [("ok", gate.handshakes.get()), ("failed", gate.handshakes_failed.get())];
        text.counters("tls_handshakes_total", "TLS handshakes.", "result", handshakes);
        let errors = gate.stream_errors().map(|(condition, count)| (condition.name(), count));
        text.counters("stream_errors_total", "Stream errors sent.", "condition", errors);
        text.counter("received_bytes_total", "Bytes from clients.", gate.bytes_in.get());
        text.counter("sent_bytes_total", "Bytes to clients.", gate.bytes_out.get());
        text.counter("reads_delayed_total", "Reads put off by rates.", gate.reads_delayed.get());
    }

    fn sessions(&self, text: &mut Text) {
        let sessions =
            [("bound", self.gate.sessions.get()), ("detached", self.user.detached.get())];
        let help = "Sessions now: with a connection here, or waiting here to be resumed.";
        text.gauges("sessions", help, "state", sessions);
        let elsewhere = [
            ("malformed", self.gate.resumes_malformed.get()),
            ("unreachable", self.figures.resumes_unreachable.get()),
        ];
        let resumes = self.user.resumes.each().chain(elsewhere);
        text.counters("sm_resumes_total", "Attempts to resume a session.", "result", resumes);
        let faults = self.user.receipt_faults.get();
        let help =
            "Streams ended because a stanza was not kept, so that the client sends it again.";
        text.counter("receipt_faults_total", help, faults);
    }

    fn logins(&self, text: &mut Text) {
        let gate = &self.gate;
        let ok = gate.logins.each().map(|(mechanism, count)| ([mechanism, "ok"], count));
        let failed =
            gate.logins_failed.each().map(|(mechanism, count)| ([mechanism, "failed"], count));
        let labels = ["mechanism", "result"];
        text.counter_pairs("logins_total", "Log-ins.", labels, ok.chain(failed));
        let help = "Attempts to log in that the throttle delayed or refused.";
        text.counter("logins_throttled_total", help, gate.logins_throttled.get());
        let help = "Connections that did not log in, or bind a resource, in time.";
        text.counter("logins_late_total", help, gate.logins_late.get());
    }

    fn stanzas(&self, text: &mut Text) {
        let from = self.gate.stanzas_in.each().map(|(kind, count)| ([kind, "in"], count));
        let to = self.gate.stanzas_out.each().map(|(kind, count)| ([kind, "out"], count));
        let labels = ["kind", "direction"];
        text.counter_pairs("stanzas_total", "Stanzas from and to clients.", labels, from.chain(to));
        let stored = self.user.offline_stored.get();
        let help = "Messages stored for accounts whose clients were away.";
        text.counter("offline_messages_total", help, stored);
    }

    /// Every point at which something does not go on.
    fn drops(&self, text: &mut Text) {
        let gates = [
            ("out_buffer_full", self.gate.out_full.get()),
            ("stream_closing", self.gate.closing.get()),
            ("connection_gone", self.router.gone()),
        ];
        let drops =
            gates.into_iter().chain(self.figures.refused.each()).chain(self.user.drops.each());
        text.counters("drops_total", "What did not go on, by reason.", "reason", drops);
        let lost = self.user.messages_lost.get();
        text.counter("messages_lost_total", "Lost though acknowledged; alarm on any.", lost);
    }

    fn actors(&self, text: &mut Text) {
        let figures = &self.figures;
        text.gauges("entities", "Entities in memory now.", "kind", figures.entities.each());
        let caught = figures.panics.get() + self.gate.panics.get();
        let panics = PANICS.get().max(caught);
        text.counter("panics_total", "Faults of this program; alarm on any.", panics);
        let help =
            "How late an arbiter does what is due: the time for which other work held it up.";
        text.histograms("arbiter_lag_seconds", help, "arbiter", self.canaries.lags());
        let help = "The latest that an arbiter was in the last ten to twenty seconds.";
        text.gauges("arbiter_lag_peak_seconds", help, "arbiter", self.canaries.peaks());
    }

    fn queues(&self, text: &mut Text) {
        let waiting = self.router.waiting().into_iter().enumerate();
        text.gauges("inbox_stanzas", "Envelopes waiting for an arbiter now.", "arbiter", waiting);
        let help = "Most envelopes that waited for one entity in the last ten to twenty seconds.";
        text.gauge("mailbox_peak_stanzas", help, self.figures.mailbox_peak.get());
        let help = "Stanzas given to clients and not acknowledged by them now.";
        text.gauge("unacknowledged_stanzas", help, self.user.unacknowledged.get());
        let help = "Bytes that are not durable yet.";
        text.gauge("store_waiting_bytes", help, self.store.waiting_bytes());
    }

    fn storage(&self, text: &mut Text) {
        let measured = &self.measured;
        let help = "How long calls of the store take.";
        text.histograms("store_operation_seconds", help, "operation", measured.times());
        let refused = measured.refused.each();
        text.counters("store_refusals_total", "Calls that the store refused.", "reason", refused);
        let help = "Batches of one turn that are committed together.";
        text.histogram("store_commit_batches", help, &measured.batches());
        let rows = [("appended", measured.archived.get()), ("removed", measured.removed.get())];
        text.counters("archive_rows_total", "Rows of message archives.", "change", rows);
    }

    fn cluster(&self, text: &mut Text) {
        let lease = self.router.lease();
        text.gauge("lease_valid", "Whether this member may act: 0 or 1.", u8::from(lease.holds()));
        let help = "How long this member may act without hearing from the cluster.";
        // A lease without end, as in a trial without a cluster, is no figure.
        let left = Some(lease.remaining().as_secs_f64()).filter(|left| *left < 1e9);
        let left = left.map_or_else(|| "+Inf".to_owned(), |left| left.to_string());
        text.gauge("lease_remaining_seconds", help, left);
        let Some(foundation) = self.foundation.upgrade() else { return };
        let status = foundation.cluster.status();
        let help = "The last entry of the log in this member's plan; members should agree.";
        text.gauge("plan_index", help, status.applied);
        text.gauge("raft_commit_index", "The last committed entry of the log.", status.commit);
        text.counter("raft_terms_total", "The term; grows with each election.", status.term);
        let leads = status.leader.as_ref() == Some(&status.member);
        text.gauge("raft_leader", "Whether this member leads: 0 or 1.", u8::from(leads));
        text.gauge("members", "Members of the cluster.", status.members.len());
        let ahead = status.members.iter().filter_map(|row| row.clock_ahead_millis);
        let most = ahead.map(i64::unsigned_abs).max().unwrap_or(0);
        let help = "The most that another member's wall clock differs from this one's.";
        let seconds = Duration::from_millis(most).as_secs_f64();
        text.gauge("clock_difference_seconds", help, seconds);
        let own = status.members.iter().find(|row| row.id == status.member);
        text.gauge("shards_owned", "Shards of this member.", own.map_or(0, |row| row.shards));
        text.gauge("shards_moving", "Shards on the move in the cluster.", status.moving);
        let (mut plan, me) = (foundation.cluster.plan(), foundation.cluster.member_id());
        let owned = plan.get().ownerships().filter(|(_, it)| it.owner == me);
        let epoch = owned.map(|(_, it)| it.epoch.0).max();
        let help = "The highest epoch of this member's shards; that of a shard grows when it gets another owner.";
        text.gauge("epoch", help, epoch.unwrap_or(0));
        let help = "For how long shards stood still that have moved from this member.";
        text.histogram("handoff_pause_seconds", help, &foundation.handoff.pauses());
    }

    fn links(&self, text: &mut Text) {
        let links = self.router.links();
        let figures = links.as_deref().map(Links::figures);
        let count = |of: fn(&LinkFigures) -> &AtomicU64| {
            figures.map_or(0, |figures| of(figures).load(Ordering::Relaxed))
        };
        let fates = [
            ("sent", count(|figures| &figures.sent)),
            ("received", count(|figures| &figures.received)),
            ("refused", count(|figures| &figures.refused)),
            ("rerouted", count(|figures| &figures.rerouted)),
        ];
        let help = "Envelopes to and from other members.";
        text.counters("link_envelopes_total", help, "fate", fates);
        let fates = [
            ("sent", count(|figures| &figures.sent_to_many)),
            ("received", count(|figures| &figures.received_for_many)),
        ];
        let help = "Of these, what many get who live on the other member: one for all of them.";
        text.counters("link_multicasts_total", help, "fate", fates);
        let kept = links.map_or(0, |links| links.kept().into_iter().map(|(_, kept)| kept).sum());
        let help = "Envelopes that other members have not confirmed now.";
        text.gauge("link_kept_envelopes", help, kept);
        let help = "What every lane to another member may send at once; 0: one waits.";
        let least = self.router.links().and_then(|links| links.least_credit());
        text.gauge("link_credit_bytes", help, least.unwrap_or(0));
        let help = "What came once more, and was acted on once.";
        let repeats = [&self.figures.repeats, &self.federation.repeats, &self.components.repeats];
        let repeats: u64 = repeats.into_iter().map(|it| it.get()).sum();
        text.counter("repeats_total", help, repeats);
    }

    fn federation(&self, text: &mut Text) {
        let federation = &self.federation;
        let [out, into] = &federation.streams;
        let streams = [("out", out.get()), ("in", into.get())];
        text.gauges("federation_streams", "Streams with other servers now.", "direction", streams);
        let stanzas = [("out", federation.stanzas_out.get()), ("in", federation.stanzas_in.get())];
        let help = "Stanzas to and from other servers.";
        text.counters("federation_stanzas_total", help, "direction", stanzas);
        let help = "Attempts to open a stream to another server that failed.";
        text.counters("federation_failures_total", help, "reason", federation.failures.each());
        let help = "Stanzas for other servers that came back.";
        text.counters("federation_bounced_total", help, "reason", federation.bounced.each());
        let help = "Stanzas of other servers that were not taken.";
        text.counters("federation_not_taken_total", help, "reason", federation.not_taken.each());
        let refused = federation.turned_away.each();
        let help = "Connections of other servers that were turned away.";
        text.counters("federation_connections_refused_total", help, "reason", refused);
        let help = "Dialback keys of other servers that were checked.";
        text.counters("federation_keys_checked_total", help, "verdict", federation.verified.each());
    }

    fn memory(&self, text: &mut Text) {
        let help = "Most memory that this process may have; 0 where nobody knows.";
        text.gauge("memory_budget_bytes", help, self.memory.budget.unwrap_or(0));
        let help = "What is given up for lack of it: 0 nothing, 1 more connections, 2 also bursts.";
        text.gauge("memory_pressure", help, self.memory.pressure.level() as u64);
    }

    fn files(&self, text: &mut Text) {
        let none = files::Figures::default();
        let files = self.files.as_ref().map_or(&none, |files| &files.figures);
        let fates = [("kept", files.kept.get()), ("ended", files.ended.get())];
        let help = "Files that clients have brought, and that were removed at their end.";
        text.counters("files_total", help, "fate", fates);
        let bytes = [("in", files.bytes_in.get()), ("out", files.bytes_out.get())];
        let help = "Bytes of files that clients have brought, and of what was given out.";
        text.counters("files_bytes_total", help, "direction", bytes);
        let help = "Files that were not taken.";
        text.counters("files_refused_total", help, "reason", files.refused.each());
    }

    fn bytestreams(&self, text: &mut Text) {
        let figures = &self.bytestreams.figures;
        let help = "Connections for bytestreams now.";
        text.gauge("bytestreams_connections", help, figures.connections.get());
        let help = "Bytestreams that have begun.";
        text.counter("bytestreams_total", help, figures.begun.get());
        let help = "Bytes that were carried between clients.";
        text.counter("bytestreams_bytes_total", help, figures.bytes.get());
        let help =
            "Connections for bytestreams that were let go, and bytestreams that did not begin.";
        text.counters("bytestreams_refused_total", help, "reason", figures.refused.each());
    }

    fn components(&self, text: &mut Text) {
        let components = &self.components;
        let help = "Streams of components now.";
        text.gauge("component_streams", help, components.streams.get());
        let stanzas = [("out", components.stanzas_out.get()), ("in", components.stanzas_in.get())];
        let help = "Stanzas to and from components.";
        text.counters("component_stanzas_total", help, "direction", stanzas);
        let help = "Stanzas for components that came back.";
        text.counters("component_bounced_total", help, "reason", components.bounced.each());
        let help = "Stanzas of components that were not taken.";
        text.counters("component_not_taken_total", help, "reason", components.not_taken.each());
        let refused = components.turned_away.each();
        let help = "Connections that did not become a component's.";
        text.counters("component_connections_refused_total", help, "reason", refused);
    }

    fn telemetry(&self, text: &mut Text) {
        let spans = [
            ("exported", SPANS.exported.get()),
            ("dropped", SPANS.dropped.get()),
            ("failed", SPANS.failed.get()),
        ];
        text.counters("trace_spans_total", "Spans of sampled stanzas.", "result", spans);
    }
}

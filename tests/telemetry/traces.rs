//! Traces of sampled stanzas (W3C Trace Context, OTLP): one message is one trace, with a span for each station,
//! each beneath the one before.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::Span;

use super::collector::{Collector, field};
use super::fields::FIELDS;
use crate::stage::{PASSWORD, Stage, play_on};

const BODY: &str = "meet-me-at-the-tomb";

pub(crate) fn chat(id: &str) -> String {
    format!(
        "romeo/home    connects
         juliet/garden connects
         romeo/home    sends    <message to='{{juliet/garden}}' type='chat' id='{id}'><body>{BODY}</body></message>
         juliet/garden receives <message id='{id}'><body>{BODY}</body>…</message>
         everyone      is quiet"
    )
}

/// The spans of the trace in which a stanza of this id was.
pub(crate) fn trace_of(spans: &[Span], id: &str) -> Vec<Span> {
    let Some(of) = spans.iter().find(|span| field(span, "id").as_deref() == Some(id)) else {
        return Vec::new();
    };
    spans.iter().filter(|span| span.trace_id == of.trace_id).cloned().collect()
}

fn names(trace: &[Span]) -> BTreeSet<&str> {
    trace.iter().map(|span| span.name.as_str()).collect()
}

const STATIONS: [&str; 8] = [
    "deliver",
    "edge",
    "route",
    "session inbound",
    "session outbound",
    "store commit",
    "user inbound",
    "user outbound",
];

pub(crate) fn is_whole(trace: &[Span]) -> bool {
    names(trace).into_iter().eq(STATIONS)
}

#[test]
fn a_message_is_one_trace_with_a_span_for_each_station() {
    let collector = Collector::start();
    let stage = Stage::start(&collector.settings(1.0));
    play_on(&stage, &chat("traced"));
    let spans = collector.spans(|spans| is_whole(&trace_of(spans, "traced")));
    let trace = trace_of(&spans, "traced");
    let by_id: BTreeMap<&[u8], &Span> =
        trace.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    for span in &trace {
        let parent = by_id.get(span.parent_span_id.as_slice());
        match span.name.as_str() {
            "edge" => assert!(span.parent_span_id.is_empty(), "{span:?}"),
            "session outbound" => assert_eq!(parent.unwrap().name, "edge"),
            "user outbound" => assert_eq!(parent.unwrap().name, "session outbound"),
            "user inbound" | "session inbound" => assert_eq!(parent.unwrap().name, "route"),
            "deliver" => assert_eq!(parent.unwrap().name, "session inbound"),
            _ => assert!(parent.is_some(), "{span:?}"),
        }
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    }
    let kind =
        |name| trace.iter().find(|span| span.name == name).and_then(|it| field(it, "stanza"));
    assert_eq!(kind("edge").as_deref(), Some("message chat"));
    assert_eq!(kind("deliver").as_deref(), Some("message chat"));
}

#[test]
fn spans_hold_fixed_fields_and_neither_bodies_nor_secrets() {
    let collector = Collector::start();
    let stage = Stage::start(&collector.settings(1.0));
    play_on(&stage, &chat("traced"));
    let spans = collector.spans(|spans| is_whole(&trace_of(spans, "traced")));
    for attribute in spans.iter().flat_map(|span| &span.attributes) {
        assert!(FIELDS.contains(&attribute.key.as_str()), "{attribute:?}");
    }
    assert!(spans.iter().all(|span| span.events.is_empty() && span.links.is_empty()));
    let said = format!("{spans:?}");
    assert!(!said.contains(BODY) && !said.contains(PASSWORD));
    let jids = spans.iter().filter_map(|span| field(span, "jid"));
    assert!(jids.clone().any(|jid| jid.starts_with("romeo")));
    assert!(jids.clone().all(|jid| !jid.contains('/')), "bare: {:?}", jids.collect::<Vec<_>>());
}

#[test]
fn what_is_under_way_when_the_server_stops_is_exported() {
    let collector = Collector::start();
    let mut stage = Stage::start(&collector.settings(1.0));
    play_on(&stage, &chat("last-words"));
    stage.terminate();
    let spans = collector.spans(|spans| is_whole(&trace_of(spans, "last-words")));
    assert!(!spans.is_empty());
}

#[test]
fn what_is_not_sampled_leaves_no_span() {
    let collector = Collector::start();
    let mut stage = Stage::start(&collector.settings(0.0));
    play_on(&stage, &chat("unseen"));
    // At its end it would export what there is.
    stage.terminate();
    assert!(collector.spans(|_| true).is_empty());
}

#[test]
fn a_collector_that_is_away_hurts_nobody() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::start(&format!("[telemetry]\notlp = 'http://{nobody}'\nsample_ratio = 1.0"));
    play_on(&stage, &chat("unheard"));
    play_on(&stage, &chat("unheard-again"));
}

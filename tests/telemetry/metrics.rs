//! The page of metrics: its form, its names, its document, and counts that move when something happens.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::exposition::{Family, Labels, Page};
use crate::commands::get;
use crate::docs::must_be;
use crate::stage::{Stage, play_on};

/// What is counted is published within a turn or two; longer than this, and it is not.
const PATIENCE: Duration = Duration::from_secs(30);

const HEAD: &str = "# Metrics

`GET /metrics` on the HTTP listener answers in Prometheus' text form. Written from a running server's page by
`ROOKERY_WRITE_DOCS=1 cargo test --test main metrics`.

| name | type | labels | what it is |
|---|---|---|---|
";

fn page(stage: &Stage) -> Page {
    let (status, text) = get(stage, "/metrics");
    assert_eq!(status, 200);
    Page::read(&text)
}

/// The page as soon as it is so.
fn page_where(stage: &Stage, is: impl Fn(&Page) -> bool) -> Page {
    let begun = Instant::now();
    loop {
        let page = page(stage);
        if is(&page) {
            return page;
        }
        assert!(begun.elapsed() < PATIENCE, "{:#?}", page.0);
    }
}

/// A label with its values, where these are not as many as threads or releases.
fn values(family: &Family, label: &str) -> String {
    let values = family.samples.iter().filter_map(|(_, labels, _)| labels.get(label));
    let values: BTreeSet<String> = values.map(|value| format!("`{value}`")).collect();
    match label {
        "arbiter" | "version" => label.to_owned(),
        _ => format!("{label}: {}", values.into_iter().collect::<Vec<_>>().join(" ")),
    }
}

fn label_names(labels: &Labels) -> BTreeSet<&str> {
    labels.keys().map(String::as_str).filter(|name| *name != "le").collect()
}

#[test]
fn the_page_is_well_formed_and_names_follow_one_rule() {
    let stage = Stage::start("");
    for (name, family) in page(&stage).0 {
        assert!(name.starts_with("rookery_"), "{name}");
        assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{name}");
        assert!(family.help.ends_with('.') && family.help.len() > 5, "{name}: {}", family.help);
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name} {}", family.kind);
        assert!(!family.samples.is_empty(), "{name} has every label from the start");
        let (_, first, _) = &family.samples[0];
        for (_, labels, value) in &family.samples {
            assert_eq!(label_names(labels), label_names(first), "{name}");
            assert!(*value >= 0.0, "{name}");
        }
    }
}

#[test]
fn histograms_grow_from_bucket_to_bucket_and_end_with_the_count() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    let page = page(&stage);
    let histograms = page.0.iter().filter(|(_, family)| family.kind == "histogram");
    for (name, family) in histograms {
        let (mut before, mut last) = (0.0, None);
        for (sample, labels, value) in &family.samples {
            match labels.get("le") {
                Some(bound) => {
                    assert!(*value >= before, "{name} {labels:?}");
                    before = *value;
                    last = (bound == "+Inf").then_some(*value);
                }
                None if sample.ends_with("_count") => {
                    assert_eq!(last, Some(*value), "{name} {labels:?}");
                    before = 0.0;
                }
                None => assert!(sample.ends_with("_sum"), "{sample}"),
            }
        }
    }
    assert!(page.value("rookery_store_operation_seconds_count", "operation=commit") >= 1.0);
}

#[test]
fn every_metric_is_documented() {
    let stage = Stage::start("");
    let mut document = HEAD.to_owned();
    for (name, family) in page(&stage).0 {
        let labels = label_names(&family.samples[0].1).into_iter();
        let labels: Vec<String> = labels.map(|label| values(&family, label)).collect();
        let (kind, labels, help) = (&family.kind, labels.join("; "), &family.help);
        document.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    must_be("k8s/metrics.md", &document);
}

#[test]
fn a_chat_moves_the_counts_that_it_should() {
    let stage = Stage::start("");
    play_on(
        &stage,
        "romeo/phone   connects
         juliet/garden connects
         romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='a'><body>1</body></message>
         juliet/garden receives <message id='a'><body>1</body>…</message>
         romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='b'><body>2</body></message>
         juliet/garden receives <message id='b'><body>2</body>…</message>
         romeo/phone   sends    <message to='somebody@elsewhere.example' type='chat' id='c'><body>3</body></message>
         romeo/phone   receives <message type='error' id='c'>…</message>
         romeo/phone   sends    <message to='{juliet/garden}' type='error' id='d'><error type='cancel'/></message>
         juliet/garden receives <message id='d'>…</message>
         romeo/phone   sends    <message to='nobody@localhost' type='headline' id='e'><body>4</body></message>
         everyone      is quiet",
    );
    let page = page_where(&stage, |page| {
        page.value("rookery_connections", "transport=starttls,state=bound") == 0.0
            && page.value("rookery_connections", "transport=starttls,state=unbound") == 0.0
    });
    let is = |name: &str, labels: &str, expected: f64| {
        let found = page.value(name, labels);
        assert!((found - expected).abs() < 0.5, "{name} {labels}: {found}, not {expected}");
    };
    is("rookery_stanzas_total", "kind=message,direction=in", 5.0);
    is("rookery_stanzas_total", "kind=message,direction=out", 4.0);
    assert!(page.value("rookery_stanzas_total", "kind=iq,direction=in") >= 2.0);
    is("rookery_logins_total", "mechanism=PLAIN,result=ok", 2.0);
    is("rookery_logins_total", "mechanism=PLAIN,result=failed", 0.0);
    is("rookery_connections_accepted_total", "", 2.0);
    // Both sides of both messages; what is refused on its way to another server is kept by its sender.
    is("rookery_archive_rows_total", "change=appended", 5.0);
    is("rookery_drops_total", "reason=no_remote", 1.0);
    is("rookery_drops_total", "reason=nobody_there", 1.0);
    is("rookery_panics_total", "", 0.0);
    is("rookery_sessions", "state=bound", 0.0);
    assert!(page.value("rookery_received_bytes_total", "") > 500.0);
    assert!(page.value("rookery_arbiter_lag_seconds_count", "arbiter=0") >= 1.0);
    assert!(page.value("rookery_lease_remaining_seconds", "") > 0.0);
    assert!(page.value("rookery_plan_index", "") >= 1.0);
    assert!(page.value("rookery_shards_owned", "") >= 4_096.0);
    assert!(page.value("rookery_process_resident_bytes", "") > 1e6);
}

#[test]
fn what_a_blocked_contact_sends_is_counted() {
    let stage = Stage::start("");
    play_on(
        &stage,
        "romeo/phone   connects
         juliet/garden connects
         juliet/garden sends    <iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{romeo}'/></block></iq>
         juliet/garden receives <iq type='result' id='b'/>
         romeo/phone   sends    <message to='{juliet/garden}' type='headline'><body>1</body></message>
         romeo/phone   sends    <message to='{juliet/garden}' type='chat' id='m'><body>2</body></message>
         romeo/phone   finds    <message type='error' id='m'>…</message>
         everyone      is quiet",
    );
    page_where(&stage, |page| page.value("rookery_drops_total", "reason=blocked") >= 1.0);
}

#[test]
fn sessions_that_wait_and_resumptions_are_counted() {
    let stage = Stage::start("");
    play_on(
        &stage,
        "juliet/garden connects
         romeo/phone   connects
         romeo/phone   sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
         romeo/phone   receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
         juliet/garden sends    <message to='{romeo/phone}' type='chat' id='m1'><body>1</body></message>
         romeo/phone   receives <message id='m1'><body>1</body>…</message>
         romeo/phone   vanishes
         romeo/phone   logs in
         romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='nonsense' h='0'/>
         romeo/phone   receives <failed xmlns='urn:xmpp:sm:3'>…</failed>
         romeo/phone   sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
         romeo/phone   receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
         romeo/phone   receives <message id='m1'><body>1</body>…</message>
         romeo/phone   vanishes",
    );
    let page = page_where(&stage, |page| {
        page.value("rookery_sessions", "state=detached") == 1.0
            && page.value("rookery_sessions", "state=bound") == 0.0
    });
    assert_eq!(page.value("rookery_sm_resumes_total", "result=ok"), 1.0);
    assert_eq!(page.value("rookery_sm_resumes_total", "result=malformed"), 1.0);
    assert_eq!(page.value("rookery_unacknowledged_stanzas", ""), 1.0);
    assert!(page.value("rookery_entities", "kind=session") >= 1.0);
}

#[test]
fn failed_log_ins_and_stream_errors_are_counted_by_kind() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    let mut socket = std::net::TcpStream::connect(stage.c2s).unwrap();
    let header = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>";
    let wrong = auth::encoding::encode(b"\0romeo\0wrong");
    let auth =
        format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>");
    let made_up = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='MADE-UP'/>";
    use std::io::{Read as _, Write as _};
    for (said, awaited) in [
        (header, "</stream:features>"),
        (&auth, "</failure>"),
        (made_up, "</failure>"),
        ("<a", "<"),
    ] {
        socket.write_all(said.as_bytes()).unwrap();
        let mut heard = String::new();
        while said != "<a" && !heard.contains(awaited) {
            let mut bytes = [0; 4_096];
            let count = socket.read(&mut bytes).unwrap();
            assert!(count > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }
    socket.write_all(b"<<<").unwrap();
    let condition = "condition=not-well-formed";
    let page =
        page_where(&stage, |page| page.value("rookery_stream_errors_total", condition) == 1.0);
    assert_eq!(page.value("rookery_logins_total", "mechanism=PLAIN,result=failed"), 1.0);
    assert_eq!(page.value("rookery_logins_total", "mechanism=unknown,result=failed"), 1.0);
}

#[test]
fn spans_that_no_collector_takes_are_counted() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::start(&format!("[telemetry]\notlp = 'http://{nobody}'\nsample_ratio = 1.0"));
    play_on(&stage, "romeo/phone connects\neveryone is quiet");
    page_where(&stage, |page| page.value("rookery_trace_spans_total", "result=failed") > 0.0);
}

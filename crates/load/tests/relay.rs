//! The loads against the floor, on loopback and in small counts.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use load::fleet::Target;
use load::relay::Relay;
use load::signin::{Manner, Mechanism, Security};
use load::{chat, idle, storm, tls};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// A relay on a thread of its own, stopped when dropped.
struct Floor {
    address: SocketAddr,
    goes_on: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Floor {
    fn start(security: Security) -> Floor {
        let config = (security == Security::Direct).then(|| tls::server(None).unwrap());
        let mut relay = Relay::bind("127.0.0.1:0".parse().unwrap(), config).unwrap();
        let goes_on = Arc::new(AtomicBool::new(true));
        let watched = Arc::clone(&goes_on);
        Floor {
            address: relay.address().unwrap(),
            goes_on,
            thread: Some(spawn(move || {
                relay.run(|| watched.load(Ordering::Relaxed)).unwrap();
            })),
        }
    }

    fn target(&self, security: Security) -> Target {
        Target {
            address: self.address,
            manner: Manner {
                domain: "localhost".to_owned(),
                mechanism: Mechanism::Plain,
                security,
                presence: true,
            },
            prefix: "load".to_owned(),
            password: "secret".to_owned(),
            old_tls: false,
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn options() -> chat::Options {
    chat::Options {
        pairs: 5,
        window: 10,
        rate: 0.0,
        bytes: 200,
        full: false,
        ack: false,
        ask_every: 0,
        concurrency: 4,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(20),
        count: 2000,
    }
}

fn chat_is_whole(security: Security, options: chat::Options) -> chat::Report {
    let floor = Floor::start(security);
    let report = chat::run(floor.target(security), options, None).unwrap();
    assert_eq!(report.tally, load::tracker::Tally::default(), "no message is lost or out of order");
    assert!(report.sent >= report.delivered);
    assert_eq!((report.errors, report.sessions_lost), (0, 0));
    assert!(report.latency.p50_ms > 0.0 && report.latency.p50_ms <= report.latency.max_ms);
    report
}

#[test]
fn a_closed_loop_delivers_what_it_was_asked_for() {
    let report = chat_is_whole(Security::None, options());
    assert!(report.delivered >= 2000, "{} were delivered", report.delivered);
}

#[test]
fn a_closed_loop_runs_under_tls() {
    let report = chat_is_whole(Security::Direct, options());
    assert!(report.delivered >= 2000, "{} were delivered", report.delivered);
}

#[test]
fn an_open_loop_sends_by_the_clock() {
    let options =
        chat::Options { rate: 1000.0, duration: Duration::from_millis(300), count: 0, ..options() };
    let report = chat_is_whole(Security::None, options);
    let due = report.used.seconds * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let sent = report.sent as f64;
    assert!(sent <= due + 2.0 && sent > due * 0.7, "{sent} were sent, {due} were due");
    assert_eq!(report.unsent, 0);
}

#[test]
fn a_storm_counts_its_log_ins() {
    for security in [Security::None, Security::Direct] {
        let floor = Floor::start(security);
        let options = storm::Options { count: 30, concurrency: 4, accounts: 7 };
        let report = storm::run(floor.target(security), options, None).unwrap();
        assert_eq!((report.succeeded, report.failed), (30, 0));
    }
}

#[test]
fn a_mechanism_that_is_not_offered_fails_the_run_and_says_so() {
    let floor = Floor::start(Security::None);
    let mut target = floor.target(Security::None);
    target.manner.mechanism = Mechanism::ScramSha1;
    let error = chat::run(target, options(), None).unwrap_err();
    assert!(error.to_string().contains("SCRAM-SHA-1 is not offered"), "{error}");
}

#[test]
fn idle_sessions_are_held() {
    let floor = Floor::start(Security::None);
    let options = idle::Options {
        sessions: 30,
        concurrency: 10,
        before: 5,
        settle: Duration::from_millis(10),
        hold: Duration::from_millis(10),
    };
    let report = idle::run(floor.target(Security::None), options, None).unwrap();
    assert_eq!(report.sessions_lost, 0);
    assert_eq!(report.server_kib_per_session, None, "no server was named");
}

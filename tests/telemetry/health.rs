//! Health: readiness names what is missing; liveness stays what it is.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::logs::lines;
use crate::commands::get;
use crate::security::durability::SmallDisk;
use crate::stage::Stage;

fn json(stage: &Stage, path: &str) -> (u16, Value) {
    let (status, body) = get(stage, path);
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
}

#[test]
fn a_server_that_is_well_is_live_and_ready() {
    let stage = Stage::start("");
    let (status, ready) = json(&stage, "/healthz/ready");
    assert_eq!((status, &ready["ready"]), (200, &Value::Bool(true)));
    assert_eq!(ready["unmet"], Value::Array(Vec::new()));
    let (status, live) = json(&stage, "/healthz/live");
    assert_eq!((status, &live["live"]), (200, &Value::Bool(true)));
}

/// Asks until the answer has this status.
fn json_where(stage: &Stage, path: &str, status: u16) -> Value {
    let begun = Instant::now();
    loop {
        let (came, body) = json(stage, path);
        if came == status {
            return body;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{body}; {}", stage.log.lock().unwrap());
    }
}

#[test]
fn a_store_that_refuses_writes_is_named_aloud_and_the_process_stays_live() {
    let mut stage = Stage::start(
        "[telemetry]\nlog_format = 'json'\n[store]\nengine = 'embedded'\nmin_free_bytes = 4194304",
    );
    stage.kill();
    let Some(disk) = SmallDisk::over(&stage.dir.join("data")) else {
        return println!("skipped: mounting a small file system needs root");
    };
    stage.kill_and_restart();
    disk.fill();
    let add = ["account", "add", "romeo@localhost", "--password", "x"];
    let begun = Instant::now();
    // Free space is looked at now and then.
    while stage.run(&add).is_ok() {
        stage.run(&["account", "delete", "romeo@localhost"]).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is refused");
    }
    let ready = json_where(&stage, "/healthz/ready", 503);
    assert_eq!(ready["ready"], Value::Bool(false), "{ready}");
    assert_eq!(ready["unmet"][0]["condition"], "store", "{ready}");
    let why = ready["unmet"][0]["why"].as_str();
    assert!(why.is_some_and(|why| why.contains("store.min_free_bytes")), "{ready}");
    assert_eq!(json(&stage, "/healthz/live").0, 200);
    let said = |level: &str, message: &str| {
        let begun = Instant::now();
        let is = |line: &Value| line["level"] == level && line["fields"]["message"] == message;
        while !lines(&stage).iter().any(is) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:#?}", lines(&stage));
        }
    };
    said("ERROR", "not ready for clients");
    std::fs::remove_file(disk.filler()).unwrap();
    json_where(&stage, "/healthz/ready", 200);
    said("INFO", "store is well again");
    drop(stage);
}

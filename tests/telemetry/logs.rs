//! Log lines: one JSON object each where asked for, with the fixed fields, and addresses as private as the
//! level says.

use serde_json::Value;

use super::fields::FIELDS;
use crate::stage::{Stage, play_on};

const CRATES: [&str; 12] = [
    "server", "c2s", "web", "user", "domain", "entity", "archive", "router", "cluster", "store",
    "auth", "stream",
];

/// What was logged, but for what is for people.
pub(super) fn lines(stage: &Stage) -> Vec<Value> {
    let log = stage.log.lock().unwrap();
    let lines = log.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn debug() -> String {
    let levels = CRATES.map(|name| format!("{name}=debug")).join(",");
    format!("[telemetry]\nlog_format = 'json'\nlog = 'info,{levels}'")
}

#[test]
fn json_lines_have_fixed_fields_and_bare_addresses_at_info() {
    let mut stage = Stage::start(&debug());
    play_on(
        &stage,
        "romeo/phone connects
         romeo/phone sends    <enable xmlns='urn:xmpp:sm:3' resume='true'/>
         romeo/phone receives <enabled xmlns='urn:xmpp:sm:3' id='{$id}' resume='true'/>
         romeo/phone vanishes
         romeo/phone logs in
         romeo/phone sends    <resume xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
         romeo/phone receives <resumed xmlns='urn:xmpp:sm:3' previd='{$id}' h='0'/>
         everyone    is quiet",
    );
    stage.terminate();
    let lines = lines(&stage);
    assert!(!lines.is_empty());
    for line in &lines {
        for key in ["timestamp", "level", "target", "fields"] {
            assert!(!line[key].is_null(), "{line}");
        }
        let fields = line["fields"].as_object().unwrap();
        let own = CRATES.iter().any(|name| line["target"].as_str().unwrap().starts_with(name));
        for name in fields.keys().filter(|_| own) {
            assert!(name == "message" || FIELDS.contains(&name.as_str()), "{line}");
        }
        let jid = fields.get("jid").and_then(Value::as_str).unwrap_or("");
        assert!(line["level"] == "DEBUG" || !jid.contains('/'), "a full address: {line}");
    }
    let said = |level: &str, message: &str| {
        let is = |line: &&Value| line["level"] == level && line["fields"]["message"] == message;
        lines.iter().find(is).unwrap_or_else(|| panic!("nobody said {message:?}: {lines:#?}"))
    };
    said("DEBUG", "a connection begins");
    let begins = said("DEBUG", "a session begins");
    assert!(begins["fields"]["jid"].as_str().unwrap().ends_with("/phone"), "{begins}");
    said("DEBUG", "a session waits to be resumed");
    said("DEBUG", "a session is resumed");
    said("DEBUG", "a connection is over");
    said("INFO", "draining; a second signal stops at once");
}

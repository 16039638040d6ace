//! What is left behind: no secrets and no bodies in logs, no line that a client has made up, no password on
//! the disk.

use std::fs;
use std::path::Path;

use memchr::memmem;

use super::bystander::Bystander;
use super::wire::{Wire, auth_element, plain};
use crate::stage::{PASSWORD, Stage, rookery};

const SECRET: &str = "correct-horse-battery-staple";
const BODY: &str = "meet-me-at-the-tomb";

/// Everything in a directory that contains these bytes.
fn files_with(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).is_ok_and(|it| memmem::find(&it, bytes).is_some()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn exchange(stage: &Stage) {
    let mut romeo = Wire::bound(stage, "romeo", "x");
    let mut juliet = Wire::open(stage.c2s);
    juliet.say(&plain("juliet", SECRET));
    juliet.until("<success");
    romeo.say(&format!("<message to='juliet@localhost' type='chat'><body>{BODY}</body></message>"));
    romeo.say(&format!("<iq type='set' id='1'><query xmlns='{BODY}'/></iq>"));
    romeo.until("</iq>");
    let mut wrong = Wire::open(stage.c2s);
    wrong.say(&plain("juliet", &format!("{SECRET}-wrong")));
    wrong.until("</failure>");
}

#[test]
fn logs_hold_no_secrets_bodies_or_lines_of_others() {
    const FORGED: &str = "2026-01-01T00:00:00.000000Z ERROR forged";
    for format in ["text", "json"] {
        let stage = Stage::start(&format!(
            "[telemetry]\nlog = 'info,c2s=trace,user=trace,server=trace,auth=trace'\nlog_format = '{format}'"
        ));
        stage.add_accounts(&["romeo"]);
        stage.run(&["account", "add", "juliet@localhost", "--password", SECRET]).unwrap();
        let bystander = Bystander::beside(&stage);
        exchange(&stage);
        for name in [format!("x\n{FORGED}"), "x\x1b[31mred".to_owned(), "x\r\x07\x08".to_owned()] {
            let mut wire = Wire::open(stage.c2s);
            wire.say(&auth_element("PLAIN", format!("\0{name}\0{PASSWORD}").as_bytes()));
            wire.until("</failure>");
            let mut wire = Wire::open(stage.c2s);
            wire.say(&auth_element("SCRAM-SHA-256", format!("n,,n={name},r=a").as_bytes()));
            wire.until(">");
        }
        bystander.was_not_hurt("logs");
        let log = stage.log.lock().unwrap();
        assert!(!log.contains(SECRET) && !log.contains(BODY), "{log}");
        assert!(!log.lines().any(|line| line.starts_with(FORGED)), "{log}");
        let control = |it: char| it.is_control() && it != '\n' && it != '\t';
        assert!(!log.contains(control), "{log:?}");
    }
}

// RFC 6120 §13.8.1; XEP-0438 §7
#[test]
fn a_password_is_nowhere_on_the_disk() {
    let mut stage = Stage::start("[store]\nengine = 'embedded'");
    stage.add_accounts(&["romeo"]);
    stage.run(&["account", "add", "juliet@localhost", "--password", SECRET]).unwrap();
    exchange(&stage);
    stage.kill();
    let data = stage.dir.join("data");
    assert!(!files_with(&data, b"juliet").is_empty(), "accounts are kept here");
    let found = files_with(&data, SECRET.as_bytes());
    assert!(found.is_empty(), "{found:?}");
    let encoded = auth::encoding::encode(SECRET.as_bytes());
    assert!(files_with(&data, encoded.as_bytes()).is_empty());
    assert!(rookery(&stage.dir).args(["account", "list"]).output().unwrap().status.success());
}

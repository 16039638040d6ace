//! What operators rely on: the command line, health, metrics, and that what was done outlives the process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use town::Client;
use town::client::Login;

use crate::security::secure;
use crate::stage::{PASSWORD, Stage, rookery};

/// A stage whose data outlives its process.
const EMBEDDED: &str = "[store]\nengine = 'embedded'\n";

fn log_in(stage: &Stage, name: &str) -> Client {
    Client::log_in(&Login { address: stage.c2s, domain: "localhost", name, password: PASSWORD })
}

/// Status and body of a GET.
pub(crate) fn get(stage: &Stage, path: &str) -> (u16, String) {
    split(&ask(stage, "GET", path))
}

/// The whole answer to a request without a body.
fn ask(stage: &Stage, method: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(stage.http).unwrap();
    write!(socket, "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn split(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn sessions_are_listed_and_ended() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    let jid = romeo.bind("phone");
    let list = stage.run(&["session", "list", "--json"]).unwrap();
    assert!(list.contains(&jid), "{list}");
    stage.run(&["session", "kick", &jid]).unwrap();
    let error = romeo.next().unwrap();
    assert!(error.is("error", xmpp::ns::STREAM), "{error:?}");
    assert!(error.child("reset", xmpp::ns::STREAMS).is_some(), "{error:?}");
    assert_eq!(romeo.next(), None);
    // One that waits to be resumed is seen too, and ended.
    let mut romeo = log_in(&stage, "romeo");
    let jid = romeo.bind("phone");
    romeo.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    assert!(romeo.next().unwrap().is("enabled", "urn:xmpp:sm:3"));
    drop(romeo);
    let waits = format!("{jid}  waits  at rookery  since ");
    let list = || stage.run(&["session", "list"]).unwrap();
    while !list().starts_with(&waits) {}
    assert!(list().contains("  until "));
    stage.run(&["session", "kick", &jid]).unwrap();
    while !list().is_empty() {}
    let missing = stage.run(&["session", "kick", "nobody@localhost"]).unwrap_err();
    assert_eq!(missing, "rookery: nobody is logged in as nobody@localhost\n");
}

#[test]
fn a_disabled_account_is_thrown_out_and_kept_out_until_it_is_enabled() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    romeo.bind("phone");
    stage.run(&["account", "disable", "romeo@localhost"]).unwrap();
    assert!(romeo.next().unwrap().is("error", xmpp::ns::STREAM));
    let list = stage.run(&["account", "list"]).unwrap();
    assert_eq!(list, "romeo@localhost  (disabled)\n");
    let enabled = stage.run(&["account", "enable", "romeo@localhost", "--json"]).unwrap();
    assert_eq!(enabled, "{\"jid\":\"romeo@localhost\",\"enabled\":true}\n");
    log_in(&stage, "romeo").bind("phone");
}

#[test]
fn accounts_outlive_the_process_and_can_be_changed_while_none_runs() {
    let mut stage = Stage::start(EMBEDDED);
    stage.add_accounts(&["romeo", "juliet"]);
    stage.kill();
    stage.run(&["account", "delete", "juliet@localhost"]).unwrap();
    stage.run(&["account", "add", "paris@localhost", "--password", PASSWORD]).unwrap();
    let taken = stage.run(&["account", "add", "paris@localhost", "--password", "x"]).unwrap_err();
    assert_eq!(taken, "rookery: paris@localhost exists already\n");
    stage.kill_and_restart();
    let list = stage.run(&["account", "list"]).unwrap();
    assert_eq!(list, "paris@localhost\nromeo@localhost\n");
    log_in(&stage, "romeo").bind("phone");
    log_in(&stage, "paris").bind("phone");
}

#[test]
fn health_and_metrics_are_there_for_operators() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    log_in(&stage, "romeo").bind("phone");
    assert_eq!(get(&stage, "/healthz/live"), (200, r#"{"live":true,"unmet":[]}"#.to_owned()));
    assert_eq!(get(&stage, "/healthz/ready"), (200, r#"{"ready":true,"unmet":[]}"#.to_owned()));
    let (status, page) = get(&stage, "/metrics");
    assert_eq!(status, 200);
    for line in
        ["rookery_logins_total{mechanism=\"PLAIN\",result=\"ok\"} 1", "rookery_panics_total 0"]
    {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert_eq!(get(&stage, "/api/v1/accounts").0, 404, "administration is on the socket only");
}

#[test]
fn health_and_metrics_are_there_for_head_and_no_other_method() {
    let stage = Stage::start("");
    for path in ["/healthz/live", "/healthz/ready", "/metrics"] {
        assert_eq!(split(&ask(&stage, "HEAD", path)), (200, String::new()), "{path}");
        let refused = ask(&stage, "POST", path);
        assert_eq!(split(&refused).0, 405, "{path}");
        assert!(refused.to_ascii_lowercase().contains("\r\nallow: get, head\r\n"), "{refused}");
    }
}

#[test]
fn a_second_server_on_one_directory_is_refused_in_one_line() {
    let stage = Stage::start(EMBEDDED);
    let second = rookery(&stage.dir).arg("serve").stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{error}");
    let last = error.lines().last().unwrap();
    assert!(last.contains("is used by another process"), "{error}");
}

#[test]
fn a_wrong_configuration_and_a_wrong_command_line_have_their_exit_codes() {
    let stage = Stage::start("");
    fs::write(stage.dir.join("rookery.toml"), "[limits]\nstanza_byte = 1\n").unwrap();
    let error = stage.run(&["config", "check"]).unwrap_err();
    assert!(error.contains("did you mean `stanza_bytes`?"), "{error}");
    let usage = rookery(&stage.dir).arg("no-such-thing").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

/// The certificate that new connections are shown.
fn certificate(stage: &Stage) -> Vec<u8> {
    secure::open(stage.c2s_tls).1.certificate
}

/// Where a stage keeps the certificate that it has made.
fn certificates(stage: &Stage) -> PathBuf {
    stage.dir.join("data/certificates")
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn a_hangup_has_certificates_read_again_and_disturbs_nobody() {
    let (stage, other) = (Stage::start(""), Stage::start(""));
    stage.add_accounts(&["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    romeo.bind("phone");
    let (before, next) = (certificate(&stage), certificate(&other));
    assert_ne!(before, next);
    copy_files(&certificates(&other), &certificates(&stage));
    assert_eq!(certificate(&stage), before, "nobody has asked to read it again");
    stage.signal("HUP");
    stage.await_log("certificates were read again");
    assert_eq!(certificate(&stage), next);
    romeo.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(romeo.next().unwrap().attr("type"), Some("result"));
}

#[test]
fn a_broken_certificate_is_told_and_the_one_before_stays() {
    let stage = Stage::start("");
    let before = certificate(&stage);
    for entry in fs::read_dir(certificates(&stage)).unwrap() {
        fs::write(entry.unwrap().path(), "no PEM").unwrap();
    }
    stage.signal("HUP");
    stage.await_log("no certificate was read again");
    assert_eq!(certificate(&stage), before);
}

#[test]
fn a_hangup_has_the_configuration_read_again_and_says_what_takes_a_restart() {
    let stage = Stage::start("[telemetry]\nlog = 'info'");
    let file = stage.dir.join("rookery.toml");
    let text = fs::read_to_string(&file).unwrap();
    let change = |from: &str, to: &str| fs::write(&file, text.replace(from, to)).unwrap();
    stage.await_log("serves localhost");

    change("log = \"info\"", "log = \"info,rookery=debug,web=trace\"\nsample_ratio = 0.5");
    stage.signal("HUP");
    stage.await_log("changed: telemetry.log, telemetry.sample_ratio");

    change("[telemetry]", "[room]\nrooms = 7\n[telemetry]");
    stage.signal("HUP");
    stage.await_log("changed, but takes a restart: room.rooms");

    change("log = \"info\"", "log = \"info\"\nlogg = 1");
    stage.signal("HUP");
    stage.await_log("the configuration stays as it was");
    change("log = \"info\"", "log = \"c2s=perhaps\"");
    stage.signal("HUP");
    stage.await_log("c2s=perhaps");
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut stage = Stage::start("[c2s]\nclose_seconds = 60\n");
    stage.add_accounts(&["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    romeo.bind("phone");
    stage.signal("TERM");
    // It waits for romeo to close his stream, which he does not.
    let error = romeo.next().unwrap();
    assert!(error.child("system-shutdown", xmpp::ns::STREAMS).is_some(), "{error:?}");
    stage.signal("INT");
    assert!(stage.await_end().success());
    stage.await_log("stopped before everything was drained");
}

#[test]
fn a_signal_drains_the_server() {
    let stage = Stage::start("");
    stage.add_accounts(&["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    romeo.bind("phone");
    stage.signal("TERM");
    let error = romeo.next().unwrap();
    assert!(error.child("system-shutdown", xmpp::ns::STREAMS).is_some(), "{error:?}");
    stage.await_log("draining");
    assert_ne!(stage.c2s, stage.c2s_tls);
}

#[test]
fn a_signal_that_means_nothing_here_ends_nothing_and_quit_stops_in_order() {
    let mut stage = Stage::start("");
    for signal in ["USR1", "USR2"] {
        stage.signal(signal);
        stage.await_log(&format!("SIG{signal} does nothing here"));
    }
    assert_eq!(get(&stage, "/healthz/ready").0, 200);
    stage.signal("QUIT");
    assert!(stage.await_end().success());
    stage.await_log("draining");
}

#[test]
fn nothing_is_said_of_a_reader_that_has_had_enough() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let done =
        rookery(Path::new("none")).args(["config", "example"]).stdout(writer).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}

#[test]
fn a_server_whose_disk_is_full_from_the_beginning_is_not_ready_and_says_why() {
    let temporary = std::env::temp_dir();
    let asked = Command::new("df").args(["--output=avail", "-B1"]).arg(temporary).output().unwrap();
    let free: u64 =
        String::from_utf8(asked.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap();
    // What a server needs for itself still has room.
    let full = format!("[store]\nengine = 'embedded'\nmin_free_bytes = {}\n", free * 2);
    let stage = Stage::start(&full);
    let (status, words) = get(&stage, "/healthz/ready");
    assert!(status == 503 && words.contains("store.min_free_bytes"), "{status}: {words}");
}

#[test]
fn a_public_domain_without_a_certificate_is_pointed_out() {
    let stage = Stage::start("");
    fs::write(stage.dir.join("rookery.toml"), "[[domain]]\nname = 'chat.example'\n").unwrap();
    let done = rookery(&stage.dir).args(["config", "check"]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.contains("chat.example has no certificate"), "{said}");
}

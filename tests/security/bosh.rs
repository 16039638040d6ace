//! Attacks by BOSH, and on the HTTP beneath it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use town::http::{ask, post};

use super::bystander::Bystander;
use super::guarded;
use super::wire::PATIENCE;
use crate::stage::Stage;

const NAMESPACE: &str = "xmlns='http://jabber.org/protocol/httpbind'";

/// What is no request ends with a terminal condition or a status of the client's fault, and never with one of ours.
#[test]
fn bodies_that_are_no_requests_are_refused() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let deep = format!("<body rid='1' {NAMESPACE}>{}", "<a xmlns='u'>".repeat(10_000));
    for (body, condition) in [
        ("", "bad-request"),
        ("{\"rid\": 1}", "bad-request"),
        ("<body rid='1'/>", "bad-request"),
        (&*format!("<body {NAMESPACE}/>"), "bad-request"),
        (&*format!("<body rid='9007199254740993' {NAMESPACE}/>"), "bad-request"),
        (&*format!("<!DOCTYPE a><body rid='1' {NAMESPACE}/>"), "bad-request"),
        (&*deep, "bad-request"),
        (&*format!("<body rid='1' sid='1-guess' {NAMESPACE}/>"), "item-not-found"),
    ] {
        let answer = post(stage.http, "/http-bind", body);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(&format!("condition='{condition}'")), "{answer}");
    }
    let large = format!("<body rid='1' {NAMESPACE}>{}</body>", " ".repeat(1 << 20));
    assert!(post(stage.http, "/http-bind", &large).starts_with("HTTP/1.1 413 "));
    let unread = "POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n";
    let mut socket = TcpStream::connect(stage.http).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(unread.as_bytes()).unwrap();
    let chunk = [b' '; 1 << 16];
    // The server hangs up long before all of it has come.
    let begun = Instant::now();
    while socket.write_all(&chunk).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "everything is taken");
    }
    assert!(ask(stage.http, "DELETE /http-bind HTTP/1.1\r\n", "").starts_with("HTTP/1.1 40"));
    bystander.was_not_hurt("bodies that are no requests");
}

#[test]
fn one_address_cannot_begin_sessions_without_end() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let first = format!("<body rid='7' to='localhost' wait='1' hold='1' {NAMESPACE}/>");
    let begun = (0..400).filter(|_| post(stage.http, "/http-bind", &first).contains(" sid='"));
    let begun = begun.count();
    assert!((200..=256).contains(&begun), "{begun} sessions");
    bystander.was_not_hurt("400 sessions");
}

#[test]
fn a_body_before_login_is_as_small_as_a_stanza_there() {
    let stage = guarded();
    let padding = "x".repeat(30_000);
    let first = format!(
        "<body rid='7' to='localhost' wait='1' hold='1' {NAMESPACE}><a xmlns='u'>{padding}</a></body>"
    );
    let answer = post(stage.http, "/http-bind", &first);
    assert!(answer.contains("condition='policy-violation'"), "{answer}");
}

#[test]
fn pages_may_ask_without_credentials_if_the_operator_lets_them() {
    let stage = Stage::start("[web]\norigins = ['https://chat.example.org']");
    let preflight = |origin: &str| {
        ask(stage.http, &format!("OPTIONS /http-bind HTTP/1.1\r\nOrigin: {origin}\r\n"), "")
    };
    let right = preflight("https://chat.example.org");
    assert!(right.contains("access-control-allow-origin: https://chat.example.org"), "{right}");
    assert!(right.contains("access-control-allow-methods: GET, POST, OPTIONS"), "{right}");
    assert!(!right.contains("allow-credentials"), "{right}");
    assert!(!preflight("https://evil.example").contains("allow-origin"));
    let head = "POST /http-bind HTTP/1.1\r\nOrigin: https://evil.example\r\n";
    assert!(ask(stage.http, head, "").starts_with("HTTP/1.1 403 "));
}

/// Who sends a head without end is cut off; slow ones by the clock of HTTP.
#[test]
fn heads_without_end_are_cut_off() {
    let stage = guarded();
    let mut socket = TcpStream::connect(stage.http).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    drop(socket.write_all(b"GET / HTTP/1.1\r\n"));
    let line = format!("X-Long: {}\r\n", "x".repeat(1_000));
    let sent = (0..10_000).take_while(|_| socket.write_all(line.as_bytes()).is_ok()).count();
    assert!(sent < 10_000, "everything was taken");
    let mut answer = Vec::new();
    drop(socket.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

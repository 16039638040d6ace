//! XEP-0363 HTTP File Upload. A slot is asked for, a file is brought for it by HTTP, and anybody has it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use town::Client;
use town::http::{ask, get};
use xmpp::Element;

use crate::redis::log_in;
use crate::stage::{Stage, play_on};

const NS: &str = "urn:xmpp:http:upload:0";

/// URLs of files begin with an address that only tests reach.
pub(crate) const CONFIG: &str = "[upload]\nurl = 'https://files.example/'\n";

/// Where a file is brought, and where it is found: paths.
pub(crate) struct Slot {
    pub(crate) put: String,
    pub(crate) get: String,
}

/// A server with accounts of these names.
pub(crate) fn stage(more: &str, names: &[&str]) -> Stage {
    let stage = Stage::start(&format!("{CONFIG}{more}"));
    stage.add_accounts(names);
    stage
}

/// The answer to a request for a slot.
pub(crate) fn request(client: &mut Client, attributes: &str) -> Element {
    client.send(format!(
        "<iq type='get' id='s' to='upload.localhost'><request xmlns='{NS}' {attributes}/></iq>"
    ));
    client.next().expect("an answer")
}

pub(crate) fn slot(client: &mut Client, attributes: &str) -> Slot {
    let answer = request(client, attributes);
    let slot = answer.child("slot", NS).unwrap_or_else(|| panic!("no slot: {answer:?}"));
    let path = |name| {
        let url = slot.child(name, NS).unwrap().attr("url").unwrap();
        url.strip_prefix("https://files.example").unwrap().to_owned()
    };
    Slot { put: path("put"), get: path("get") }
}

/// The status of a PUT: what comes first, since who is refused is not heard to the end.
pub(crate) fn put(address: SocketAddr, path: &str, ty: &str, body: &str) -> u16 {
    let length = format!("Content-Length: {}\r\n", body.len());
    put_with(address, path, &format!("Content-Type: {ty}\r\n{length}"), body)
}

/// As [`put`], with these headers.
pub(crate) fn put_with(address: SocketAddr, path: &str, headers: &str, body: &str) -> u16 {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = format!("PUT {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    // Who is refused early need not take all of it.
    drop(socket.write_all(body.as_bytes()));
    let mut first = String::new();
    BufReader::new(socket).read_line(&mut first).unwrap();
    status(&first)
}

pub(crate) fn status(response: &str) -> u16 {
    response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}

// XEP-0363 §3, §4, §6
#[test]
fn clients_find_the_service_and_are_told_what_it_does_not_take() {
    let stage = Stage::start(&format!("{CONFIG}size_bytes = 20000\n"));
    let error = |condition: &str, inner: &str| {
        format!(
            "<error type='modify'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>…{inner}</error>"
        )
    };
    let too_large = error(
        "not-acceptable",
        &format!(
            "<file-too-large xmlns='{NS}'><max-file-size>20000</max-file-size></file-too-large>"
        ),
    );
    play_on(&stage, &format!("
        romeo/phone connects
        romeo/phone sends    <iq type='get' to='{{domain}}' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>
        romeo/phone receives <iq type='result' id='1'><query xmlns='http://jabber.org/protocol/disco#items'>…<item jid='upload.{{domain}}' name='Files'/>…</query></iq>
        romeo/phone sends    <iq type='get' to='upload.{{domain}}' id='2'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
        romeo/phone receives <iq type='result' id='2' from='upload.{{domain}}'><query xmlns='http://jabber.org/protocol/disco#info'><identity category='store' type='file' name='Files'/>…<feature var='{NS}'/>…<feature var='urn:xmpp:http:upload:purpose:0#ephemeral'/>…<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>{NS}</value></field><field var='max-file-size' type='text-single'><value>20000</value></field></x></query></iq>
        romeo/phone sends    <iq type='get' to='upload.{{domain}}' id='3'><request xmlns='{NS}' filename='très cool.jpg' size='23456' content-type='image/jpeg'/></iq>
        romeo/phone receives <iq type='error' id='3'>…{too_large}</iq>
        romeo/phone sends    <iq type='get' to='upload.{{domain}}' id='4'><request xmlns='{NS}' filename='a' size='-1'/></iq>
        romeo/phone receives <iq type='error' id='4'>…{}</iq>
        romeo/phone sends    <iq type='get' to='upload.{{domain}}/r' id='5'><request xmlns='{NS}' filename='a' size='1'/></iq>
        romeo/phone receives <iq type='error' id='5'>{{error cancel service-unavailable}}</iq>
        romeo/phone sends    <message to='upload.{{domain}}' id='6'><body>hi</body></message>
        romeo/phone receives <message type='error' id='6'>{{error cancel service-unavailable}}</message>
        everyone    is quiet
    ", error("bad-request", "")));
}

// XEP-0363 §7, §8, §9.1
#[test]
fn a_file_is_brought_once_and_had_by_anybody_in_whole_or_in_part() {
    let stage = stage("", &["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    let slot = slot(&mut romeo, "filename='très cool.png' size='9' content-type='image/png'");
    assert!(slot.get.ends_with("/tr%C3%A8s%20cool.png"), "{}", slot.get);
    assert_eq!(status(&get(stage.http, &slot.get, "")), 404);
    let (put, have) = (
        |body: &str| put(stage.http, &slot.put, "image/png", body),
        |headers: &str| get(stage.http, &slot.get, headers),
    );
    assert_eq!(put("but soft!"), 201);
    assert_eq!(put("but loud!"), 409);
    let whole = have("Origin: https://page.example\r\n");
    assert_eq!(status(&whole), 200);
    assert!(whole.ends_with("\r\n\r\nbut soft!"), "{whole}");
    for header in [
        "content-length: 9",
        "content-type: image/png",
        "content-disposition: inline",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox",
        "x-content-type-options: nosniff",
        "access-control-allow-origin: *",
        "accept-ranges: bytes",
    ] {
        assert!(whole.contains(header), "{header} is missing: {whole}");
    }
    let part = have("Range: bytes=4-7\r\n");
    assert!(status(&part) == 206 && part.ends_with("\r\n\r\nsoft"), "{part}");
    assert!(part.contains("content-range: bytes 4-7/9"), "{part}");
    assert_eq!(status(&have("Range: bytes=9-\r\n")), 416);
    let tag = whole.split("etag: ").nth(1).unwrap().split('\r').next().unwrap();
    assert_eq!(status(&have(&format!("If-None-Match: {tag}\r\n"))), 304);
    let head = ask(stage.http, &format!("HEAD {} HTTP/1.1\r\n", slot.get), "");
    assert!(status(&head) == 200 && head.contains("content-length: 9"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    let preflight = ask(stage.http, &format!("OPTIONS {} HTTP/1.1\r\n", slot.put), "");
    assert!(preflight.contains("access-control-allow-methods: GET, HEAD, PUT, OPTIONS"));
}

// XEP-0077 §3.2
#[test]
fn files_of_an_account_are_gone_with_it_and_those_of_others_stay() {
    let stage = stage("", &["romeo", "juliet"]);
    let bring = |name: &str| {
        let slot =
            slot(&mut log_in(&stage, name), "filename='a.txt' size='4' content-type='text/plain'");
        assert_eq!(put(stage.http, &slot.put, "text/plain", "soft"), 201);
        slot
    };
    let (his, hers) = (bring("romeo"), bring("juliet"));
    let unused =
        slot(&mut log_in(&stage, "romeo"), "filename='b.txt' size='4' content-type='text/plain'");
    assert_eq!(status(&get(stage.http, &his.get, "")), 200);
    stage.run(&["account", "delete", "romeo@localhost"]).unwrap();
    stage.await_log("an account is gone");
    assert_eq!(status(&get(stage.http, &his.get, "")), 404);
    assert_eq!(status(&get(stage.http, &hers.get, "")), 200);
    assert_ne!(put(stage.http, &unused.put, "text/plain", "soft"), 201);
}

// XEP-0363 §5.3
#[test]
fn a_file_that_was_to_last_for_a_moment_is_gone_after_it() {
    let stage = stage("", &["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    // Longer than it takes to bring it, and no longer than a test may wait.
    let end = now() + 8;
    let stamp = xmpp::datetime::format_seconds(end * 1_000_000);
    romeo.send(format!(
        "<iq type='get' id='s' to='upload.localhost'><request xmlns='{NS}' filename='a' size='1'>\
         <ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='{stamp}'/></request></iq>"
    ));
    let answer = romeo.next().unwrap();
    let url = |name| {
        let slot = answer.child("slot", NS).unwrap();
        slot.child(name, NS).unwrap().attr("url").unwrap().replace("https://files.example", "")
    };
    // A busy machine may be late; then the slot is over, which is as good.
    let brought = put(stage.http, &url("put"), "text/plain", "a");
    assert!(brought == 201 || brought == 410, "{brought}");
    while status(&get(stage.http, &url("get"), "")) == 200 {
        std::thread::park_timeout(Duration::from_millis(200));
    }
    assert!(now() >= end || brought == 410);
}

fn now() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    now.as_secs()
}

// XEP-0363 §6
#[test]
fn an_account_has_a_quota_and_what_did_not_come_counts_no_longer_than_it_may_come() {
    let stage = stage("quota_bytes = 10\n", &["romeo", "juliet"]);
    let mut romeo = log_in(&stage, "romeo");
    slot(&mut romeo, "filename='a' size='6'");
    let answer = request(&mut romeo, "filename='b' size='6'");
    let error = answer.child("error", "").unwrap();
    assert_eq!(error.attr("type"), Some("wait"));
    assert!(error.child("retry", NS).unwrap().attr("stamp").is_some());
    // Others have their own.
    slot(&mut log_in(&stage, "juliet"), "filename='a' size='6'");
}

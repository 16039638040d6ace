//! Attacks by way of files: lies about sizes, forged slots, active content, paths, floods of slots.

use std::io::Write as _;
use std::net::TcpStream;

use town::http::get;

use super::bystander::Bystander;
use crate::redis::log_in;
use crate::stage::Stage;
use crate::xep::upload::{CONFIG, put, put_with, request, slot, stage, status};

/// What is left of files that did not come whole.
fn parts(stage: &Stage) -> usize {
    std::fs::read_dir(stage.dir.join("data/uploads/parts")).unwrap().count()
}

#[test]
fn a_slot_takes_what_it_was_given_for_and_nothing_else() {
    let stage = stage("", &["romeo", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut romeo = log_in(&stage, "romeo");
    let slot = slot(&mut romeo, "filename='a.txt' size='4' content-type='text/plain'");
    let ty = "text/plain";
    for (body, expected) in [("abc", 413), ("abcde", 413), ("", 413)] {
        assert_eq!(put(stage.http, &slot.put, ty, body), expected, "{body}");
    }
    assert_eq!(put(stage.http, &slot.put, "text/html", "abcd"), 415);
    let (path, query) = slot.put.split_once('?').unwrap();
    let id = path.split('/').nth(2).unwrap();
    let forever = path.replace(id, &format!("ffffffff{}", &id[8..]));
    for forged in [
        path.to_owned(),
        format!("{path}?for=romeo%40localhost&key="),
        slot.put.replace("romeo", "tybalt"),
        slot.put.replace("a.txt", "a.html"),
        format!("{forever}?{query}"),
        format!("{path}?{query}A"),
        format!("/upload/x/a.txt?{query}"),
        format!("/upload/..%2f..%2frookery.toml/a.txt?{query}"),
    ] {
        let refused = put(stage.http, &forged, ty, "abcd");
        assert!((400..500).contains(&refused), "{forged}: {refused}");
    }
    let refused =
        put_with(stage.http, &slot.put, "Transfer-Encoding: chunked\r\n", "4\r\nabcd\r\n");
    assert!((400..500).contains(&refused), "{refused}");
    assert_eq!(status(&get(stage.http, &slot.get, "")), 404, "nothing came of all that");
    assert_eq!(put(stage.http, &slot.put, ty, "abcd"), 201);
    assert_eq!(put(stage.http, &slot.put, ty, "efgh"), 409, "once is all");
    assert_eq!(parts(&stage), 0);
    bystander.was_not_hurt("forged slots");
}

#[test]
fn what_breaks_off_leaves_nothing_and_may_be_brought_again() {
    let stage = stage("", &["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    let slot = slot(&mut romeo, "filename='a' size='1000000'");
    let mut socket = TcpStream::connect(stage.http).unwrap();
    let head = format!("PUT {} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", slot.put);
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&[b'a'; 500_000]).unwrap();
    while parts(&stage) == 0 {
        std::thread::yield_now();
    }
    drop(socket);
    while parts(&stage) > 0 {
        std::thread::yield_now();
    }
    assert_eq!(status(&get(stage.http, &slot.get, "")), 404);
    assert_eq!(put(stage.http, &slot.put, "text/plain", &"a".repeat(1_000_000)), 201);
}

#[test]
fn active_content_is_never_run_in_the_name_of_the_server() {
    let stage = stage("", &["romeo"]);
    let mut romeo = log_in(&stage, "romeo");
    for ty in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"] {
        let slot = slot(&mut romeo, &format!("filename='a.html' size='4' content-type='{ty}'"));
        assert_eq!(put(stage.http, &slot.put, ty, "<a/>"), 201);
        let had = get(stage.http, &slot.get, "");
        for header in [
            "content-disposition: attachment",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'; sandbox",
        ] {
            assert!(had.contains(header), "{ty}: {header} is missing: {had}");
        }
    }
    // A header cannot be broken up by a type.
    let answer =
        request(&mut romeo, "filename='a' size='1' content-type='a/b&#xD;&#xA;Set-Cookie: c=d'");
    assert_eq!(answer.attr("type"), Some("error"));
}

#[test]
fn slots_without_end_are_refused_and_hurt_nobody() {
    let stage = Stage::start(&format!("{CONFIG}quota_files = 50\n[limits]\nenabled = true"));
    stage.add_accounts(&["romeo"]);
    let bystander = Bystander::beside(&stage);
    let mut romeo = log_in(&stage, "romeo");
    let granted =
        |_: &u32| request(&mut romeo, "filename='a' size='1'").attr("type") == Some("result");
    assert_eq!((0..400).filter(granted).count(), 50);
    bystander.was_not_hurt("400 requests for slots");
}

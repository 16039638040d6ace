//! Mapping to and from other networks over the administration interface (RFC 3922).

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::stage::Stage;

/// The status and the body of an answer.
fn post(stage: &Stage, path: &str, body: &str) -> (u16, String) {
    let mut socket = UnixStream::connect(stage.dir.join("data/admin.sock")).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}",
        body.len()
    );
    socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[test]
fn a_gateway_has_stanzas_mapped_both_ways() {
    let stage = Stage::start("");
    let stanza = "<message from='juliet@example.com/balcony' to='romeo@example.net'><body>O</body></message>";
    let (status, object) = post(&stage, "/api/v1/cpim/from-xmpp", stanza);
    assert_eq!(status, 200, "{object}");
    assert!(object.starts_with("From: <im:juliet@example.com>\r\nTo: <im:romeo@example.net>\r\n"));
    let (status, back) = post(&stage, "/api/v1/cpim/to-xmpp", &object);
    assert_eq!(status, 200, "{back}");
    let back: serde_json::Value = serde_json::from_str(&back).unwrap();
    let expected =
        "<message from='juliet@example.com' to='romeo@example.net'><body>O</body></message>";
    assert_eq!(back["stanzas"], serde_json::json!([expected]));

    // Devices of one account stand in one document.
    let device =
        |name| format!("<presence from='juliet@example.com/{name}' to='romeo@example.net'/>");
    let devices = format!("{}\n{}\n", device("balcony"), device("chamber"));
    let (status, object) = post(&stage, "/api/v1/cpim/from-xmpp", &devices);
    assert_eq!((status, object.matches("<tuple ").count()), (200, 2), "{object}");

    let (status, why) = post(&stage, "/api/v1/cpim/from-xmpp", "<iq type='get' id='x'/>");
    assert_eq!((status, why.contains("only messages and presence")), (422, true), "{why}");
    let (status, _) = post(&stage, "/api/v1/cpim/to-xmpp", "nothing at all");
    assert_eq!(status, 422);
}

//! What TLS is spoken, and what is said without it (RFC 7590, RFC 9325).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustls::ProtocolVersion;

use super::bystander::Bystander;
use super::guarded;
use super::secure::{self, STARTTLS};
use super::wire::{FEATURES, HEADER, PATIENCE, Wire, plain};
use crate::stage::{PASSWORD, Stage};

/// A handshake's first record, by a client of this version that knows these suites.
pub(crate) fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let list = |items: &[u16]| -> Vec<u8> {
        let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_be_bytes()).collect();
        with_length(&bytes)
    };
    let extension = |kind: u16, data: &[u8]| [&kind.to_be_bytes()[..], &with_length(data)].concat();
    let groups = extension(10, &list(&[0x001d, 0x0017]));
    let points = extension(11, &[1, 0]);
    let signatures = extension(13, &list(&[0x0403, 0x0804, 0x0401, 0x0807]));
    let extensions = with_length(&[groups, points, signatures].concat());
    let body =
        [&version.to_be_bytes()[..], &[7; 32], &[0], &list(suites), &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &with_length(&body)].concat();
    [&[0x16, 3, 1][..], &with_length(&message)].concat()
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a record is short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The first byte that the server answers: 0x16 goes on with the handshake, 0x15 is an alert.
fn answer(address: SocketAddr, hello: &[u8]) -> Option<u8> {
    let mut socket = TcpStream::connect(address).expect("the server listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
    socket.write_all(hello).expect("a new connection takes bytes");
    let mut first = [0];
    match socket.read(&mut first) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(first[0]),
    }
}

// RFC 9325 §3.1.1, §4.1, §4.2
#[test]
fn old_versions_and_weak_suites_are_refused() {
    const GOOD: [u16; 2] = [0xc02b, 0xc02f];
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    assert_eq!(answer(stage.c2s_tls, &hello(0x0303, &GOOD)), Some(0x16), "this hello is sound");
    for version in [0x0300, 0x0301, 0x0302] {
        let answer = answer(stage.c2s_tls, &hello(version, &GOOD));
        assert_ne!(answer, Some(0x16), "version {version:04x}");
    }
    // NULL, RC4, 3DES, RSA key exchange, anonymous, CBC with SHA-1, finite-field groups.
    let weak = [
        0x0002, 0x003b, 0x0005, 0x000a, 0x002f, 0x009c, 0x0034, 0xc018, 0xc009, 0xc013, 0xc014,
        0x0033, 0x009e, 0xc006, 0xc010,
    ];
    for suite in weak {
        let answer = answer(stage.c2s_tls, &hello(0x0303, &[suite]));
        assert_ne!(answer, Some(0x16), "suite {suite:04x}");
    }
    bystander.was_not_hurt("old TLS");
}

// XEP-0368 §3; RFC 7590 §3.4
#[test]
fn the_two_current_versions_are_spoken_and_the_protocol_is_named() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let (_, agreed) = secure::open(stage.c2s_tls);
    assert_eq!(agreed.version, Some(ProtocolVersion::TLSv1_3));
    assert_eq!(agreed.alpn.as_deref(), Some(&b"xmpp-client"[..]));
    let old = [&rustls::version::TLS12];
    let twelve = secure::shake_hands(Wire::connect(stage.c2s_tls), &old, &[]);
    assert_eq!(twelve.expect("TLS 1.2").1.version, Some(ProtocolVersion::TLSv1_2));
    let other = secure::shake_hands(Wire::connect(stage.c2s_tls), &secure::VERSIONS, &[b"h2"]);
    assert!(other.is_err(), "HTTP/2 is not spoken here");
    bystander.was_not_hurt("current TLS");
}

#[test]
fn what_is_said_in_the_clear_on_a_secured_line_ends_it() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let (mut wire, _) = secure::open(stage.c2s_tls);
    wire.tcp.write_all(b"<presence/>").expect("the line is open");
    wire.rest();
    let mut again = secure::open(stage.c2s_tls).0;
    again.say(STARTTLS);
    assert!(again.rest().contains("<failure"), "TLS within TLS is refused");
    bystander.was_not_hurt("clear text within TLS");
}

// RFC 6120 §13.8.3; RFC 7590 §3.1
#[test]
fn no_mechanism_is_named_or_taken_in_the_clear_where_tls_is_required() {
    let stage = Stage::start("[c2s]\nrequire_tls = true\nallow_plain_without_tls = false");
    stage.add_accounts(&["juliet"]);
    let mut wire = Wire::connect(stage.c2s);
    wire.say(HEADER);
    let features = wire.until(FEATURES);
    assert!(features.contains("<required/>") && !features.contains("mechanism"), "{features}");
    wire.say(&plain("juliet", PASSWORD));
    let heard = wire.until("</failure>");
    assert!(heard.contains("encryption-required"), "{heard}");
    let (mut wire, _) = secure::open(stage.c2s_tls);
    wire.say(&plain("juliet", PASSWORD));
    wire.until("<success");
}

// XEP-0440 §2, XEP-0480 §2.1
#[test]
fn what_a_log_in_can_be_bound_to_is_said_over_tls_alone() {
    let stage = Stage::start("");
    let mut wire = Wire::connect(stage.c2s);
    wire.say(HEADER);
    let features = wire.until(FEATURES);
    assert!(!features.contains("channel-binding") && !features.contains("-PLUS"), "{features}");
    let (_, features) = secure::open_as(stage.c2s_tls, None).expect("a handshake");
    let bindings = features.split("<sasl-channel-binding").nth(1).expect("bindings are named");
    assert!(bindings.starts_with(" xmlns='urn:xmpp:sasl-cb:0'"), "{features}");
    for name in ["tls-exporter", "tls-server-end-point"] {
        assert!(bindings.contains(&format!("<channel-binding type='{name}'/>")), "{features}");
    }
    assert!(features.contains("<mechanism>SCRAM-SHA-256-PLUS</mechanism>"), "{features}");
}

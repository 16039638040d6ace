//! Attacks over WebSocket: broken frames, floods of them, requests that are no handshake.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use town::websocket::{self, Incoming};

use super::bystander::Bystander;
use super::secure::shake_hands;
use super::wire::{PATIENCE, Wire};
use super::{guarded, secure};
use crate::stage::Stage;

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";

/// A WebSocket whose handshake is done.
struct Socket {
    tcp: TcpStream,
    frames: Incoming,
}

impl Socket {
    fn open(address: SocketAddr) -> Self {
        let mut tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = websocket::shake_hands(&mut tcp).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self { tcp, frames: Incoming::default() }
    }

    /// Says these bytes; a peer that hangs up shows when something is awaited.
    fn say(&mut self, bytes: &[u8]) {
        drop(self.tcp.write_all(bytes));
    }

    /// The next frame; none when the server has hung up.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.frames.next() {
                return Some(frame);
            }
            let mut buffer = [0; 16_384];
            match self.tcp.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.frames.feed(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing came"),
                Err(_) => return None,
            }
        }
    }

    /// The code that the server closes with, behind whatever else it says; it hangs up then.
    fn closing_code(&mut self) -> u16 {
        let mut code = None;
        while let Some((opcode, payload)) = self.next() {
            assert_eq!(code, None, "nothing comes behind a closing frame");
            if opcode == 8 {
                code = Some(u16::from_be_bytes([payload[0], payload[1]]));
            }
        }
        code.expect("a closing frame")
    }
}

// RFC 6455 §5, §7.4.1
#[test]
fn frames_that_break_the_rules_close_the_websocket_with_the_code_for_it() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let mut unmasked = websocket::frame(0x81, OPEN.as_bytes());
    unmasked[1] &= 0x7f;
    let huge = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    let endless: Vec<u8> = std::iter::once(websocket::frame(0x01, b"<"))
        .chain((0..2_000).map(|_| websocket::frame(0x00, b"")))
        .flatten()
        .collect();
    for (what, bytes, code) in [
        ("not masked", unmasked, 1002),
        ("a reserved bit", websocket::frame(0xc1, OPEN.as_bytes()), 1002),
        ("an unknown opcode", websocket::frame(0x83, b""), 1002),
        ("a ping in parts", websocket::frame(0x09, b""), 1002),
        ("binary", websocket::frame(0x82, OPEN.as_bytes()), 1003),
        ("no UTF-8", websocket::frame(0x81, b"<\xff/>"), 1007),
        ("2^63 octets", huge(1 << 63), 1002),
        ("2^62 octets", huge(1 << 62), 1009),
        ("more than a stanza before log-in", huge(70_000), 1009),
        ("endless frames", endless, 1009),
    ] {
        let mut socket = Socket::open(stage.http);
        socket.say(&bytes);
        assert_eq!(socket.closing_code(), code, "{what}");
    }
    bystander.was_not_hurt("broken frames");
}

#[test]
fn a_flood_of_pings_is_answered_with_few_pongs() {
    let stage = guarded();
    let bystander = Bystander::beside(&stage);
    let mut socket = Socket::open(stage.http);
    let pings: Vec<u8> =
        (0..20_000_u32).flat_map(|number| websocket::frame(0x89, &number.to_be_bytes())).collect();
    let mut writer = socket.tcp.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        writer.write_all(&pings).unwrap();
        writer.write_all(&websocket::frame(0x81, OPEN.as_bytes())).unwrap();
    });
    let (mut pongs, mut messages) = (0, 0);
    // Of pings that come together only the newest is answered.
    while messages < 2 {
        match socket.next().expect("the server goes on") {
            (10, _) => pongs += 1,
            (1, _) => messages += 1,
            other => panic!("{other:?}"),
        }
    }
    writing.join().unwrap();
    assert!(pongs < 10_000, "{pongs} pongs");
    bystander.was_not_hurt("20,000 pings");
}

#[test]
fn xml_that_is_no_stream_ends_with_a_stream_error() {
    let stage = guarded();
    for (text, condition) in [
        ("<message xmlns='jabber:client'><body>hi</body></message>", "not-authorized"),
        ("<!DOCTYPE a><open/>", "restricted-xml"),
        ("no XML", "bad-format"),
        ("<open", "bad-format"),
        ("<open></close>", "not-well-formed"),
    ] {
        let mut socket = Socket::open(stage.http);
        socket.say(&websocket::frame(0x81, text.as_bytes()));
        let mut said = String::new();
        while let Some((opcode, payload)) = socket.next() {
            if opcode == 1 {
                said += &String::from_utf8(payload).unwrap();
            }
        }
        assert!(said.contains(&format!("<{condition} ")), "{text}: {said}");
    }
}

#[test]
fn a_request_that_is_no_handshake_for_xmpp_is_refused() {
    let stage = guarded();
    let right = websocket::handshake();
    for (from, to, status) in [
        ("Sec-WebSocket-Protocol: xmpp", "Sec-WebSocket-Protocol: mqtt", 400),
        ("Sec-WebSocket-Protocol: xmpp\r\n", "", 400),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: x", 400),
        ("GET /xmpp-websocket", "GET /elsewhere", 404),
        ("GET /xmpp-websocket", "POST /xmpp-websocket", 405),
        ("keep-alive, Upgrade", "keep-alive", 400),
    ] {
        let mut wire = Wire::connect(stage.http);
        wire.say(&right.replace(from, to));
        let answer = wire.until("\r\n\r\n");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{from} -> {to}: {answer}");
    }
}

// RFC 6455 §10.2
#[test]
fn only_pages_of_the_configured_origins_may_speak() {
    let stage = Stage::start("[web]\norigins = ['https://chat.example.org']");
    let ask = |origin: &str| {
        let mut wire = Wire::connect(stage.http);
        wire.say(&websocket::handshake().replace("\r\n\r\n", &format!("\r\n{origin}\r\n\r\n")));
        wire.until("\r\n\r\n")
    };
    assert!(ask("Origin: https://chat.example.org").starts_with("HTTP/1.1 101 "));
    assert!(ask("X-Nothing: of the kind").starts_with("HTTP/1.1 101 "));
    assert!(ask("Origin: https://evil.example").starts_with("HTTP/1.1 403 "));
    assert!(ask("Origin: null").starts_with("HTTP/1.1 403 "));
}

/// Where TLS is demanded, a WebSocket without it offers no way to log in; with it, or behind a proxy that is
/// trusted and has it, it does.
#[test]
fn nobody_logs_in_without_tls_where_that_is_demanded() {
    let demanding = "[c2s]\nrequire_tls = true\nallow_plain_without_tls = false\n";
    let stage = Stage::start(&format!("{demanding}[web]\nproxies = ['127.0.0.1']"));
    let offered = |more: &str| {
        let mut tcp = TcpStream::connect(stage.http).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = websocket::handshake().replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
        tcp.write_all(request.as_bytes()).unwrap();
        websocket::read_head(&mut tcp).unwrap();
        let mut socket = Socket { tcp, frames: Incoming::default() };
        socket.say(&websocket::frame(0x81, OPEN.as_bytes()));
        socket.next().expect("the header");
        String::from_utf8(socket.next().expect("the features").1).unwrap()
    };
    let clear = offered("X-Nothing: of the kind");
    assert!(!clear.contains("<mechanism"), "{clear}");
    let behind = offered("X-Forwarded-Proto: https\r\nX-Forwarded-For: 192.0.2.1");
    assert!(behind.contains("<mechanism>PLAIN<"), "{behind}");
    let wire = Wire::connect(stage.https);
    let (mut wire, _) = shake_hands(wire, &secure::VERSIONS, &[b"http/1.1"]).expect("TLS");
    wire.say(&websocket::handshake());
    let answer = wire.until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    wire.say_bytes(&websocket::frame(0x81, OPEN.as_bytes()));
    let features = wire.until_bytes(b"</stream:features>");
    let features = String::from_utf8_lossy(&features);
    assert!(features.contains("<mechanism>SCRAM-SHA-256-PLUS<"), "{features}");
    assert!(features.contains("<channel-binding type='tls-exporter'/>"), "{features}");
}

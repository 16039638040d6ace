//! Peers that have not proved who they are: silent, slow, stuck, early, many.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::bystander::Bystander;
use super::guarded;
use super::secure::{self, STARTTLS, VERSIONS};
use super::wire::{FEATURES, HEADER, Wire, plain};
use crate::stage::{PASSWORD, Stage};

/// Of each kind of half-open connection.
const EACH: usize = 120;

/// A connection that does not get on: its socket, and what it dribbles, a byte at a time.
struct Stuck {
    socket: TcpStream,
    dribble: Vec<u8>,
}

impl Stuck {
    fn new(address: SocketAddr, first: &str, dribble: &[u8]) -> Self {
        let mut socket = TcpStream::connect(address).expect("the server listens");
        socket.write_all(first.as_bytes()).expect("a new connection takes bytes");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a time-out can be set");
        Self { socket, dribble: dribble.iter().rev().copied().collect() }
    }

    /// Says one more byte, and looks whether the server still holds the line.
    fn is_held(&mut self) -> bool {
        if let Some(byte) = self.dribble.pop() {
            drop(self.socket.write_all(&[byte]));
        }
        match self.socket.read(&mut [0; 4096]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn stuck(stage: &Stage) -> Vec<Stuck> {
    let open = format!("{HEADER}{STARTTLS}");
    let endless = " ".repeat(1_000);
    let hello = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03".repeat(90);
    let kinds: [(SocketAddr, &str, &[u8]); 6] = [
        (stage.c2s, "", b""),
        (stage.c2s, "", HEADER.as_bytes()),
        (stage.c2s, HEADER, endless.as_bytes()),
        (stage.c2s, &open, b""),
        (stage.c2s_tls, "", b""),
        (stage.c2s_tls, "", &hello),
    ];
    let one = |(address, first, dribble): (SocketAddr, &str, &[u8])| {
        (0..EACH).map(move |_| Stuck::new(address, first, dribble)).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(one).collect()
}

// A deadline for all of the log-in, not for silence.
#[test]
fn half_open_connections_end_in_time_and_hinder_nobody() {
    // One address stands for many.
    let stage = Stage::start(
        "[c2s]\nconnections_per_address = 1000\n[limits]\nenabled = true\nlogin_seconds = 5",
    );
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    let begun = Instant::now();
    let mut held = stuck(&stage);
    let login = Instant::now();
    Wire::bound(&stage, "juliet", "balcony");
    assert!(login.elapsed() < Duration::from_secs(5), "a log-in took {:?}", login.elapsed());
    while !held.is_empty() {
        held.retain_mut(Stuck::is_held);
        let time = begun.elapsed();
        assert!(time < Duration::from_secs(16), "{} are held after {time:?}", held.len());
    }
    assert!(begun.elapsed() > Duration::from_secs(3), "they were given no time");
    // Hanging up and giving back may overlap: the server is asked for something in between.
    Wire::bound(&stage, "juliet", "balcony");
    assert!(bystander.more_descriptors() <= 20, "{} more", bystander.more_descriptors());
    bystander.was_not_hurt("half-open connections");
}

/// What nobody may say before log-in.
const EARLY: [&str; 12] = [
    "<message to='juliet@localhost'><body>early</body></message>",
    "<presence/>",
    "<presence to='juliet@localhost' type='subscribe'/>",
    "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>",
    "<iq type='set' id='1'><query xmlns='jabber:iq:register'><username>x</username><password>y</password></query></iq>",
    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<resume xmlns='urn:xmpp:sm:3' h='0' previd='AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'/>",
    "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
    "<db:result xmlns:db='jabber:server:dialback' from='a.example' to='localhost'>key</db:result>",
    "<handshake xmlns='jabber:component:accept'>00</handshake>",
];

// RFC 6120 §4.9.3.12, XEP-0198 §12
#[test]
fn nothing_is_done_for_whoever_has_not_logged_in() {
    let stage = guarded();
    stage.add_accounts(&["juliet", "tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut juliet = Wire::bound(&stage, "juliet", "balcony");
    juliet.say("<presence/>");
    juliet.until("<presence");
    juliet.until(">");
    for early in EARLY {
        let mut wire = Wire::open(stage.c2s);
        wire.say(early);
        let heard = wire.rest();
        // What is of no namespace of this stream is refused for that alone.
        let refused = ["not-authorized", "invalid-namespace"].iter().any(|it| heard.contains(it));
        assert!(refused, "after {early}: {heard}");
        assert!(!heard.contains("<iq") && !heard.contains("<proceed"), "after {early}: {heard}");
    }
    for early in
        EARLY.iter().filter(|early| early.starts_with("<message") || early.starts_with("<pre"))
    {
        let mut wire = Wire::log_in(&stage, "tybalt");
        wire.say(early);
        let heard = wire.rest();
        assert!(heard.contains("not-authorized"), "before binding, after {early}: {heard}");
    }
    juliet.say("<iq type='get' id='still'><ping xmlns='urn:xmpp:ping'/></iq>");
    let heard = juliet.until("still");
    assert!(!heard.contains("early") && !heard.contains("subscribe"), "{heard}");
    bystander.was_not_hurt("stanzas before log-in");
}

// RFC 6120 §5.3.5, §5.4.3.3
#[test]
fn what_was_said_in_the_clear_behind_starttls_is_not_heard_under_tls() {
    let stage = guarded();
    stage.add_accounts(&["tybalt"]);
    let bystander = Bystander::beside(&stage);
    let mut wire = Wire::open(stage.c2s);
    let login = plain("tybalt", PASSWORD);
    wire.say(&format!("{STARTTLS}{HEADER}{login}<presence/>"));
    wire.until("<proceed");
    wire.until("/>");
    if let Ok((mut wire, _)) = secure::shake_hands(wire, &VERSIONS, &[]) {
        wire.say(HEADER);
        let heard = wire.until(FEATURES);
        assert!(heard.starts_with("<?xml") && !heard.contains("success"), "{heard}");
        wire.say("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>");
        assert!(wire.rest().contains("not-authorized"));
    }
    bystander.was_not_hurt("STARTTLS injection");
}

#[test]
fn junk_in_handshakes_and_many_connections_leave_nothing_behind() {
    let stage = guarded();
    stage.add_accounts(&["juliet"]);
    let bystander = Bystander::beside(&stage);
    // 20 MiB of junk.
    let junk: Vec<u8> = (0..=u8::MAX).rev().cycle().take(1 << 18).collect();
    for number in 0..240 {
        let mut wire = Wire::connect(stage.c2s_tls);
        match number % 3 {
            0 => drop(wire.say_bytes(&junk)),
            1 => wire.say(HEADER),
            _ => drop(wire.say_bytes(b"\x16\x03\x01\xff\xff\x01\x00\xff\xff")),
        }
        wire.hush();
        wire.rest();
    }
    for _ in 0..200 {
        let wire = Wire::connect(stage.c2s_tls);
        drop(secure::shake_hands(wire, &VERSIONS, &[]).expect("a handshake"));
    }
    for number in 0..5_000 {
        let mut wire = Wire::connect(stage.c2s);
        if number % 2 == 0 {
            wire.say("<");
        }
    }
    Wire::bound(&stage, "juliet", "balcony");
    let begun = Instant::now();
    while bystander.more_descriptors() > 20 {
        let more = bystander.more_descriptors();
        assert!(begun.elapsed() < Duration::from_secs(10), "{more} descriptors are still open");
        std::thread::yield_now();
    }
    assert!(bystander.growth() < 32 << 20, "{} bytes", bystander.growth());
    bystander.was_not_hurt("handshake junk and connects");
}

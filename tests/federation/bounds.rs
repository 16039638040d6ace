//! How long a stranger may take for a handshake of TLS, and how much of what another server sends may be unsafe at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cluster::clock::BootTime;
use xmpp::ns;

use super::attacks::let_in;
use super::impostor::Impostor;
use super::land::{Land, Proof, free, hears_body};
use super::program::Program;
use super::tls::upgraded;
use crate::cluster::figures::figure;
use crate::security::tls::hello;

/// A handshake that goes on, a byte at a time.
struct Dribble {
    tcp: TcpStream,
    left: Vec<u8>,
}

impl Dribble {
    fn over(tcp: TcpStream, hello: &[u8]) -> Self {
        tcp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { tcp, left: hello.iter().rev().copied().collect() }
    }

    /// Says one more byte, and looks whether the other end still holds the line.
    fn is_held(&mut self) -> bool {
        if let Some(byte) = self.left.pop() {
            drop(self.tcp.write_all(&[byte]));
        }
        match self.tcp.read(&mut [0; 4096]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

// RFC 6120 §13.12: the time is for all of it, and whoever is let go leaves a place.
#[test]
fn a_handshake_that_does_not_come_to_its_end_is_ended_in_time_and_hinders_nobody() {
    const SECONDS: u64 = 3;
    let direct = free();
    let few = format!(
        "[listen]\ns2s_tls = ['{direct}']\n[s2s]\nnegotiation_seconds = {SECONDS}\n\
         connections_per_address = 4\n[limits]\nenabled = true\n"
    );
    let land = Land::start_with(Proof::Certificate, &few);
    let (mut romeo, mut juliet) = land.lovers();
    // What the other server needs is there before strangers take all places of this address.
    juliet.send("<message to='romeo@a.example' type='chat'><body>before</body></message>");
    hears_body(&mut romeo, "before");
    let began = BootTime::now();
    let connect = |address: SocketAddr| TcpStream::connect(address).unwrap();
    let said = hello(0x0303, &[0xc02b]);
    let mut held = [
        Dribble::over(connect(direct), &[]),
        Dribble::over(connect(direct), &said),
        Dribble::over(upgraded(land.s2s[0], "a.example"), &[]),
        Dribble::over(upgraded(land.s2s[0], "a.example"), &said),
    ]
    .into_iter()
    .collect::<Vec<_>>();
    let mut more = connect(direct);
    assert_eq!(more.read(&mut [0; 1]).unwrap(), 0, "one too many");
    juliet.send("<message to='romeo@a.example' type='chat'><body>meanwhile</body></message>");
    hears_body(&mut romeo, "meanwhile");
    while !held.is_empty() {
        held.retain_mut(Dribble::is_held);
        let time = BootTime::now().since(began);
        assert!(time < Duration::from_secs(4 * SECONDS), "{} are held after {time:?}", held.len());
    }
    let time = BootTime::now().since(began);
    assert!(time >= Duration::from_secs(SECONDS) / 2, "they were given no time: {time:?}");
    Impostor::dial(land.s2s[0], "evil.example").hears("features");
}

// XEP-0198 §4: a component that is away keeps what is for it unsafe. Its sender is read no further, and so slowed by TCP; all of
// it arrives once, in order.
#[test]
fn a_server_of_which_too_much_is_not_safe_is_read_no_further_and_loses_nothing() {
    // As many as may be unsafe, and more than one read brings beyond.
    const COUNT: usize = 1_500;
    const MOST: f64 = 1_024.0 + 100.0;
    let address = free();
    let away = format!(
        "[listen]\ncomponent = ['{address}']\n[[component]]\nname = 'irc.a.example'\n\
         secret = 'secret'\nwait_seconds = 600\n"
    );
    let land = Land::start_with(Proof::Certificate, &away);
    let (mut romeo, mut juliet) = land.lovers();
    let mut other = let_in(&land, "other.example");
    other.say("<enable xmlns='urn:xmpp:sm:3'/>");
    other.hears("enabled");
    let long = "x".repeat(200);
    let to = |to: &str, body: &str| {
        format!(
            "<message from='x@other.example' to='{to}' type='chat'><body>{body}</body><x xmlns='urn:x'>{long}</x></message>"
        )
    };
    let all = (0..COUNT).map(|number| to("y@irc.a.example", &number.to_string()));
    other.say(
        &(all.collect::<String>() + &to("romeo@a.example", "last") + "<r xmlns='urn:xmpp:sm:3'/>"),
    );
    let taken = "rookery_federation_stanzas_total{direction=\"in\"}";
    while figure(&land.a, taken) <= 1_024.0 {
        std::thread::yield_now();
    }
    // Others are heard as ever, while this one is not.
    for number in 0..20 {
        let text = number.to_string();
        juliet.send(format!(
            "<message to='romeo@a.example' type='chat'><body>{text}</body></message>"
        ));
        let next = super::land::hears(&mut romeo, |it| it.name() == "message");
        assert_eq!(super::land::body(&next), Some(text));
    }
    let count = figure(&land.a, taken);
    assert!(count < MOST + 20.0, "{count} were taken");

    let mut irc = Program::connect(address, "irc.a.example");
    for number in 0..COUNT {
        assert_eq!(irc.hears_body(), number.to_string());
    }
    hears_body(&mut romeo, "last");
    // It may be told more than once, ever more.
    loop {
        let told = other.hears("a");
        assert_eq!(told.ns(), ns::SM);
        if told.attr("h") == Some((COUNT + 1).to_string().as_str()) {
            break;
        }
    }
}

//! Owns a server by hand: the other end of streams that ours opens.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use stream::{Event, Limits, Parser};
use xmpp::{Element, Stanza, ns};

use super::land::{Authority, Client, add, free, log_in, settings};
use crate::stage::{Stage, merge};

const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

/// A server by hand, at the end of a stream that ours has opened.
pub(super) struct Peer<S> {
    io: S,
    parser: Parser,
    heard: Vec<Event>,
}

impl<S: Read + Write> Peer<S> {
    fn new(io: S) -> Self {
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        Self { io, parser, heard: Vec::new() }
    }

    pub(super) fn say(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).unwrap();
        self.io.flush().unwrap();
    }

    pub(super) fn next(&mut self) -> Event {
        while self.heard.is_empty() {
            let mut bytes = [0; 4096];
            let count = self.io.read(&mut bytes).unwrap();
            assert!(count > 0, "the stream has ended");
            self.parser.feed(&bytes[..count], &mut self.heard).unwrap();
        }
        self.heard.remove(0)
    }

    pub(super) fn nonza(&mut self) -> Element {
        match self.next() {
            Event::Nonza(element) => element,
            other => panic!("something else: {other:?}"),
        }
    }

    pub(super) fn stanza(&mut self) -> Stanza {
        match self.next() {
            Event::Stanza(stanza) => stanza,
            other => panic!("something else: {other:?}"),
        }
    }

    /// Answers a header with one, and with features.
    fn open(&mut self, features: &str) {
        let Event::Open(header) = self.next() else { panic!("no header") };
        let [own, other] = [header.to, header.from].map(Option::unwrap);
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{}' from='{own}' \
             to='{other}' id='x' version='1.0'><stream:features>{features}</stream:features>",
            ns::STREAM
        ));
    }
}

/// The other end of a stream that ours has opened.
pub(super) type Called = Peer<StreamOwned<ServerConnection, TcpStream>>;

impl Called {
    /// Says this again and again until it is not taken any more, and reads nothing meanwhile; so many bytes of `most`.
    pub(super) fn floods(&mut self, text: &str, most: usize) -> usize {
        const STALLED: Duration = Duration::from_secs(5);
        let chunk = text.repeat(8_192 / text.len());
        self.io.sock.set_write_timeout(Some(STALLED)).unwrap();
        let mut written = 0;
        while written < most && self.io.write_all(chunk.as_bytes()).is_ok() {
            written += chunk.len();
        }
        written
    }

    /// The text of the next message; what else comes is passed over.
    pub(super) fn body(&mut self) -> String {
        loop {
            if let Event::Stanza(stanza) = self.next()
                && let Some(body) = stanza.child("body", "")
            {
                return body.text();
            }
        }
    }

    /// The connection breaks: nothing more is said, nor is the stream ended.
    pub(super) fn breaks(mut self) {
        self.io.sock.shutdown(Shutdown::Write).unwrap();
        let mut rest = [0; 4096];
        while self.io.read(&mut rest).is_ok_and(|count| count > 0) {}
    }

    /// Ends the stream in order.
    pub(super) fn closes(mut self) {
        self.say("</stream:stream>");
        while !matches!(self.next(), Event::Close) {}
    }
}

/// A server of `a.example` that looks for `b.example` at a server by hand, and Romeo there.
pub(super) struct Facing {
    pub(super) stage: Stage,
    pub(super) romeo: Client,
    pub(super) listener: TcpListener,
    pub(super) config: Arc<ServerConfig>,
    pub(super) authority: Authority,
}

impl Facing {
    /// Starts it, with so many seconds that a stanza waits.
    pub(super) fn start(wait_seconds: u32) -> Self {
        Self::start_with(&format!("[s2s]\nwait_seconds = {wait_seconds}\n"))
    }

    /// Starts it, with this laid over its settings.
    pub(super) fn start_with(extra: &str) -> Self {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let files = authority.certify(&["a.example"]);
        let (own, route) = (("a.example", Some(&files)), listener.local_addr().unwrap());
        let settings = settings(own, free(), ("b.example", route), &authority.file());
        let all = merge(settings.parse().unwrap(), extra.parse().unwrap());
        let stage = Stage::start(&toml::to_string(&all).unwrap());
        add(&stage, "romeo@a.example");
        let romeo = log_in(&stage, "romeo@a.example");
        let config = certified(&authority, &["b.example"]);
        Self { stage, romeo, listener, config, authority }
    }

    /// Romeo says something to Juliet, by an id that is the same.
    pub(super) fn says(&mut self, text: &str) {
        self.romeo.send(format!(
            "<message to='juliet@b.example' type='chat' id='{text}'><body>{text}</body></message>"
        ));
    }

    /// Takes a stream, and does not count what comes.
    pub(super) fn takes(&self) -> Called {
        take_with(&self.listener, &self.config, "")
    }

    /// Takes a stream, and counts what comes.
    pub(super) fn takes_counting(&self) -> Called {
        counting(&self.listener, &self.config)
    }

    /// What takes further streams, wherever it is.
    pub(super) fn door(&self) -> (TcpListener, Arc<ServerConfig>) {
        (self.listener.try_clone().unwrap(), Arc::clone(&self.config))
    }
}

/// Takes a stream of somebody who wants to know what has arrived.
pub(super) fn counting(listener: &TcpListener, config: &Arc<ServerConfig>) -> Called {
    let mut peer = take_with(listener, config, "<sm xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(peer.nonza().name(), "enable");
    peer.say("<enabled xmlns='urn:xmpp:sm:3'/>");
    peer
}

/// Takes a stream of somebody who asks about a key; what is asked.
pub(super) fn asked(listener: &TcpListener, config: &Arc<ServerConfig>) -> (Called, Element) {
    let mut peer = let_in(listener, config, DIALBACK);
    let verify = peer.nonza();
    assert_eq!(verify.name(), "verify");
    (peer, verify)
}

/// Takes a stream of somebody who proves who it is by a key; what is given.
pub(super) fn dialled(listener: &TcpListener, config: &Arc<ServerConfig>) -> (Called, Element) {
    let mut peer = let_in(listener, config, DIALBACK);
    let result = peer.nonza();
    assert_eq!(result.name(), "result");
    (peer, result)
}

/// TLS with a certificate for these domains.
pub(super) fn certified(authority: &Authority, names: &[&str]) -> Arc<ServerConfig> {
    certified_with(authority, names, rustls::DEFAULT_VERSIONS)
}

/// The same, in these versions alone.
pub(super) fn certified_with(
    authority: &Authority,
    names: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    server(&authority.certify(names), versions)
}

/// TLS with the certificate in these files.
pub(super) fn server(
    (certificate, key): &(PathBuf, PathBuf),
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap());
    Arc::new(config.unwrap())
}

/// Takes a stream, and lets it in by its certificate; both may send on it.
pub(super) fn take(listener: &TcpListener, config: &Arc<ServerConfig>) -> Called {
    take_both_ways(listener, config, "")
}

/// The same, with these features at its end.
pub(super) fn take_both_ways(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    features_at_end: &str,
) -> Called {
    let features = format!("{EXTERNAL}<bidi xmlns='urn:xmpp:features:bidi'/>");
    let mut peer = let_in(listener, config, &features);
    assert!(peer.nonza().is("bidi", "urn:xmpp:bidi"));
    finish(peer, features_at_end)
}

/// Takes a stream that says these features at its end.
pub(super) fn take_with(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    features: &str,
) -> Called {
    finish(let_in(listener, config, EXTERNAL), features)
}

/// Takes a stream up to its features behind TLS.
fn let_in(listener: &TcpListener, config: &Arc<ServerConfig>, features: &str) -> Called {
    let (tcp, _) = listener.accept().unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut clear = Peer::new(tcp);
    clear.open(
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><bidi xmlns='urn:xmpp:features:bidi'/>",
    );
    assert_eq!(clear.nonza().name(), "starttls");
    clear.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let tls = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut peer = Peer::new(StreamOwned::new(tls, clear.io));
    peer.open(features);
    peer
}

fn finish(mut peer: Called, features: &str) -> Called {
    assert_eq!(peer.nonza().name(), "auth");
    peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.parser.reset();
    peer.open(features);
    peer
}

/// The begin of a stream, which is not let in.
pub(super) struct Opening(Peer<TcpStream>);

impl Opening {
    pub(super) fn of(listener: &TcpListener) -> Self {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(Peer::new(tcp))
    }

    /// Says that the domain is elsewhere.
    pub(super) fn moves_to(mut self, host: &str) {
        assert_eq!(self.to(), "b.example");
        self.0.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{}' from='b.example' \
             to='a.example' id='x' version='1.0'><stream:error><see-other-host \
             xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{host}</see-other-host></stream:error></stream:stream>",
            ns::STREAM
        ));
    }

    /// Whom it is for.
    pub(super) fn to(&mut self) -> String {
        match self.0.next() {
            Event::Open(header) => header.to.unwrap_or_default(),
            other => panic!("something else: {other:?}"),
        }
    }
}

//! Owns a server by hand: the other end of streams that ours opens.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use stream::{Event, Limits, Parser};
use xmpp::{Element, Stanza, ns};

use super::land::Authority;

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
        assert!(matches!(self.next(), Event::Open(_)));
        self.say(&format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='{}' from='b.example' \
             to='a.example' id='x' version='1.0'><stream:features>{features}</stream:features>",
            ns::STREAM
        ));
    }
}

/// The other end of a stream that ours has opened.
pub(super) type Called = Peer<StreamOwned<ServerConnection, TcpStream>>;

/// TLS with a certificate for these domains.
pub(super) fn certified(authority: &Authority, names: &[&str]) -> Arc<ServerConfig> {
    let (certificate, key) = authority.certify(names);
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap());
    Arc::new(config.unwrap())
}

/// Takes a stream, and lets it in by its certificate; both may send on it.
pub(super) fn take(listener: &TcpListener, config: &Arc<ServerConfig>) -> Called {
    let mut peer = let_in(listener, config, "<bidi xmlns='urn:xmpp:features:bidi'/>");
    assert!(peer.nonza().is("bidi", "urn:xmpp:bidi"));
    finish(peer, "")
}

/// Takes a stream that says these features at its end.
pub(super) fn take_with(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    features: &str,
) -> Called {
    finish(let_in(listener, config, ""), features)
}

fn let_in(listener: &TcpListener, config: &Arc<ServerConfig>, more: &str) -> Called {
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
    peer.open(&format!(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>{more}"
    ));
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

    /// Whom it is for.
    pub(super) fn to(&mut self) -> String {
        match self.0.next() {
            Event::Open(header) => header.to.unwrap_or_default(),
            other => panic!("something else: {other:?}"),
        }
    }
}

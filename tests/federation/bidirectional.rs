//! XEP-0288 Bidirectional Server-to-Server Connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use stream::{Event, Limits, Parser};
use xmpp::{Element, Stanza, ns};

use super::land::{Authority, add, free, hears_body, log_in, settings};
use crate::stage::Stage;

/// A server by hand, at the end of a stream that ours has opened.
struct Peer<S> {
    io: S,
    parser: Parser,
    heard: Vec<Event>,
}

impl<S: Read + Write> Peer<S> {
    fn new(io: S) -> Self {
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        Self { io, parser, heard: Vec::new() }
    }

    fn say(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).unwrap();
        self.io.flush().unwrap();
    }

    fn next(&mut self) -> Event {
        while self.heard.is_empty() {
            let mut bytes = [0; 4096];
            let count = self.io.read(&mut bytes).unwrap();
            assert!(count > 0, "the stream has ended");
            self.parser.feed(&bytes[..count], &mut self.heard).unwrap();
        }
        self.heard.remove(0)
    }

    fn nonza(&mut self) -> Element {
        match self.next() {
            Event::Nonza(element) => element,
            other => panic!("something else: {other:?}"),
        }
    }

    fn stanza(&mut self) -> Stanza {
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

/// Takes a stream, and lets it in by its certificate.
fn take(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
) -> Peer<StreamOwned<ServerConnection, TcpStream>> {
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
    peer.open(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>\
         <bidi xmlns='urn:xmpp:features:bidi'/>",
    );
    assert!(peer.nonza().is("bidi", "urn:xmpp:bidi"));
    assert_eq!(peer.nonza().name(), "auth");
    peer.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.parser.reset();
    peer.open("");
    peer
}

#[test]
fn a_server_that_we_have_called_speaks_on_the_same_stream_in_its_own_name_alone() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let files = authority.certify(&["a.example"]);
    let own = ("a.example", Some(&files));
    let route = ("b.example", listener.local_addr().unwrap());
    let stage = Stage::start(&settings(own, free(), route, &authority.file()));
    add(&stage, "romeo@a.example");
    let mut romeo = log_in(&stage, "romeo@a.example");

    let (certificate, key) = authority.certify(&["b.example"]);
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap());
    let config = Arc::new(config.unwrap());

    let say = |body: &str| {
        format!("<message to='juliet@b.example' type='chat'><body>{body}</body></message>")
    };
    romeo.send(say("hi"));
    let mut peer = take(&listener, &config);
    assert!(peer.stanza().find("body", "").is_some());
    peer.say("<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>back</body></message>");
    let heard = hears_body(&mut romeo, "back");
    assert_eq!(heard.attr("from"), Some("juliet@b.example"));
    // Ours goes on in the other direction.
    romeo.send(say("again"));
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "again");
    // It speaks for nobody else.
    peer.say("<message from='x@c.example' to='romeo@a.example' type='chat'><body>forged</body></message>");
    let error = peer.nonza();
    assert!(error.child("invalid-from", ns::STREAMS).is_some(), "{error:?}");
    drop(peer);
    romeo.send(say("once more"));
    let mut peer = take(&listener, &config);
    assert_eq!(peer.stanza().child("body", "").unwrap().text(), "once more");
    peer.say("<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>true</body></message>");
    let next = super::land::hears(&mut romeo, |it| it.name() == "message");
    assert_eq!(super::land::body(&next).as_deref(), Some("true"), "nothing forged came before");
}

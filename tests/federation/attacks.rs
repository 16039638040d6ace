//! What a server may try that is not who it says: forged keys, foreign senders, streams that say nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use stream::{Event, Limits, Parser};
use xmpp::{Element, ns};

use super::land::{Land, Proof, body, hears};

/// No server at all: a socket that speaks as one.
struct Impostor {
    io: Io,
    parser: Parser,
    heard: Vec<Event>,
}

enum Io {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// Believes everybody.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Impostor {
    /// Connects, and opens a stream in a name.
    fn dial(address: SocketAddr, from: &str) -> Self {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        let mut impostor = Self { io: Io::Clear(tcp), parser, heard: Vec::new() };
        impostor.open(from);
        impostor
    }

    /// The same, up to features under TLS, with a certificate.
    fn secured(address: SocketAddr, from: &str, files: Option<&(PathBuf, PathBuf)>) -> Self {
        let mut impostor = Self::dial(address, from);
        impostor.hears("features");
        impostor.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        impostor.hears("proceed");
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Credulous));
        let config = match files {
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            }
            None => Ok(config.with_no_client_auth()),
        };
        let name = ServerName::try_from("a.example").unwrap();
        let tls = ClientConnection::new(Arc::new(config.unwrap()), name).unwrap();
        let Io::Clear(tcp) = impostor.io else { panic!("TLS twice") };
        impostor.io = Io::Tls(Box::new(StreamOwned::new(tls, tcp)));
        impostor.reopen(from);
        impostor.hears("features");
        impostor
    }

    fn open(&mut self, from: &str) {
        self.say(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='{}' from='{from}' to='a.example' version='1.0'>",
            ns::STREAM
        ));
    }

    fn reopen(&mut self, from: &str) {
        self.parser.reset();
        self.open(from);
    }

    fn say(&mut self, text: &str) {
        match &mut self.io {
            Io::Clear(tcp) => tcp.write_all(text.as_bytes()).unwrap(),
            Io::Tls(tls) => tls.write_all(text.as_bytes()).unwrap(),
        }
    }

    /// The next element; none when the stream is over.
    fn next(&mut self) -> Option<Element> {
        loop {
            while !self.heard.is_empty() {
                match self.heard.remove(0) {
                    Event::Nonza(element) => return Some(element),
                    Event::Close => return None,
                    _ => {}
                }
            }
            let mut bytes = [0; 4096];
            let count = match &mut self.io {
                Io::Clear(tcp) => tcp.read(&mut bytes),
                Io::Tls(tls) => tls.read(&mut bytes),
            };
            match count {
                Ok(count) if count > 0 => {
                    self.parser.feed(&bytes[..count], &mut self.heard).unwrap();
                }
                _ => return None,
            }
        }
    }

    fn hears(&mut self, name: &str) -> Element {
        let next = self.next().unwrap_or_else(|| panic!("no <{name}/> before the end"));
        assert_eq!(next.name(), name, "{next:?}");
        next
    }

    /// The condition with which the stream ends.
    fn ends_with(&mut self) -> String {
        let error = self.hears("error");
        assert!(self.next().is_none());
        error.children().next().unwrap().name().to_owned()
    }
}

const HELLO: &str = "<message from='juliet@b.example' to='romeo@a.example' type='chat'><body>it is me</body></message>";

/// Romeo has heard nothing of it.
fn heard_nothing(romeo: &mut super::land::Client) {
    romeo.send("<message to='romeo@a.example' type='chat'><body>mine</body></message>");
    let first = hears(romeo, |it| it.name() == "message");
    assert_eq!(body(&first).as_deref(), Some("mine"));
}

#[test]
fn a_forged_dialback_key_opens_nothing() {
    let land = Land::start(Proof::Dialback);
    let (mut romeo, _juliet) = land.lovers();
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", None);
    let forged = "0".repeat(64);
    impostor.say(&format!("<db:result from='b.example' to='a.example'>{forged}</db:result>"));
    let result = impostor.hears("result");
    assert_eq!(result.attr("type"), Some("invalid"), "{result:?}");
    assert_eq!(impostor.ends_with(), "not-authorized");
    heard_nothing(&mut romeo);
}

#[test]
fn whoever_has_proved_one_domain_speaks_for_no_other() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, _juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "evil.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    impostor.hears("success");
    impostor.reopen("evil.example");
    impostor.hears("features");
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "invalid-from");
    heard_nothing(&mut romeo);
}

#[test]
fn a_second_domain_needs_a_proof_of_its_own_and_nobody_is_passed_on() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, mut juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "evil.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    impostor.hears("success");
    impostor.reopen("evil.example");
    impostor.hears("features");
    for other in ["b.example", "a.example", "conference.a.example"] {
        impostor.say(&format!("<db:result from='{other}' to='a.example'>made up</db:result>"));
        let result = impostor.hears("result");
        assert_eq!(result.attr("type"), Some("error"), "{result:?}");
    }
    impostor.say("<message from='x@evil.example' to='juliet@b.example'><body>on</body></message>");
    impostor.say("<message from='x@evil.example' to='romeo@a.example'><body>own</body></message>");
    super::land::hears_body(&mut romeo, "own");
    juliet.send("<message to='juliet@b.example' type='chat'><body>mine</body></message>");
    let first = hears(&mut juliet, |it| it.name() == "message");
    assert_eq!(body(&first).as_deref(), Some("mine"));
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "invalid-from");
    heard_nothing(&mut romeo);
}

#[test]
fn a_certificate_proves_nothing_about_a_domain_that_is_not_in_it() {
    let land = Land::start(Proof::Certificate);
    let (mut romeo, _juliet) = land.lovers();
    let files = land.authority.certify(&["evil.example"]);
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", Some(&files));
    impostor.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    let failure = impostor.hears("failure");
    assert!(failure.child("not-authorized", ns::SASL).is_some(), "{failure:?}");
    impostor.say("<db:result from='b.example' to='a.example'>key</db:result>");
    assert_eq!(impostor.hears("result").attr("type"), Some("error"));
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "not-authorized");
    heard_nothing(&mut romeo);
}

#[test]
fn without_tls_and_without_proof_nothing_is_delivered() {
    let land = Land::start(Proof::Dialback);
    let (mut romeo, _juliet) = land.lovers();
    let mut impostor = Impostor::dial(land.s2s[0], "b.example");
    impostor.hears("features");
    impostor.say(HELLO);
    assert_eq!(impostor.ends_with(), "not-authorized");
    let mut impostor = Impostor::secured(land.s2s[0], "b.example", None);
    impostor.say("<db:verify from='b.example' to='a.example' id='x' type='valid'/>");
    assert_eq!(impostor.ends_with(), "policy-violation");
    let mut impostor = Impostor::dial(land.s2s[0], "a.example");
    assert_eq!(impostor.ends_with(), "invalid-from");
    heard_nothing(&mut romeo);
}

#[test]
fn streams_that_prove_nothing_are_closed_in_time_and_few_come_from_one_address() {
    let authority = super::land::Authority::new();
    let s2s = super::land::free();
    let other = ("b.example", super::land::free());
    let files = authority.certify(&["a.example"]);
    let own = ("a.example", Some(&files));
    let settings = super::land::settings(own, s2s, other, &authority.file());
    let settings = settings
        .replace("[s2s]\n", "[s2s]\nnegotiation_seconds = 2\nconnections_per_address = 3\n");
    let _stage = crate::stage::Stage::start(&(settings + "[limits]\nenabled = true\n"));
    let mut idle: Vec<Impostor> = (0..3).map(|_| Impostor::dial(s2s, "evil.example")).collect();
    for impostor in &mut idle {
        impostor.hears("features");
    }
    let mut fourth = TcpStream::connect(s2s).unwrap();
    assert_eq!(fourth.read(&mut [0; 1]).unwrap(), 0, "one too many");
    for impostor in &mut idle {
        assert_eq!(impostor.ends_with(), "connection-timeout");
    }
}

//! TLS between servers, both ways: which domain is named and which certificate is shown then (RFC 6066 §3), which protocol is
//! named (XEP-0368 §3), which versions are spoken (RFC 9325 §3.1), and that nothing is said without TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{Accepted, Acceptor};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, ProtocolVersion, SupportedProtocolVersion};

use super::finding::{clear, direct, visitor};
use super::land::{Authority, are_refused, free, settings};
use super::peer::certified_with;
use super::zone::Zone;
use crate::security::tls::hello;
use crate::stage::Stage;

const ALPN: &[u8] = b"xmpp-server";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
/// TLS begins a handshake, or says that it does not.
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;

/// What another server sees of ours.
struct Agreed {
    certificate: Vec<u8>,
    protocol: Option<Vec<u8>>,
    version: Option<ProtocolVersion>,
}

/// Another server that speaks one version begins TLS, and names a host and protocols.
fn shakes_hands(
    mut tcp: TcpStream,
    version: &'static SupportedProtocolVersion,
    (host, protocols): (Option<&'static str>, &[&[u8]]),
) -> Result<Agreed, std::io::Error> {
    let mut config = town::tls::client(&[version]).with_no_client_auth();
    config.enable_sni = host.is_some();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let name = ServerName::try_from(host.unwrap_or("nobody.example")).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    Ok(Agreed {
        certificate: tls.peer_certificates().unwrap()[0].to_vec(),
        protocol: tls.alpn_protocol().map(<[u8]>::to_vec),
        version: tls.protocol_version(),
    })
}

fn connect(address: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    tcp
}

/// Reads until this was said.
fn until(tcp: &mut TcpStream, end: &str) -> String {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(end.as_bytes()) {
        tcp.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    String::from_utf8(said).unwrap()
}

/// A stream to a domain, up to where TLS begins.
pub(super) fn upgraded(address: SocketAddr, to: &str) -> TcpStream {
    let mut tcp = connect(address);
    let header = format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         from='b.example' to='{to}' version='1.0'>"
    );
    tcp.write_all(header.as_bytes()).unwrap();
    until(&mut tcp, "</stream:features>");
    tcp.write_all(STARTTLS.as_bytes()).unwrap();
    until(&mut tcp, "/>");
    tcp
}

/// A server of two domains, each with a certificate of its own; where it is called, without and with TLS from the first byte.
struct Called {
    _stage: Stage,
    clear: SocketAddr,
    direct: SocketAddr,
    certificates: [Vec<u8>; 2],
    _authority: Authority,
}

impl Called {
    fn start() -> Self {
        let authority = Authority::new();
        let (clear, direct) = (free(), free());
        let files = ["a.example", "c.example"].map(|name| authority.certify(&[name]));
        let first = settings(
            ("a.example", Some(&files[0])),
            clear,
            ("b.example", free()),
            &authority.file(),
        );
        let first = first.replace("[listen]\n", &format!("[listen]\ns2s_tls = ['{direct}']\n"));
        let (certificate, key) = (files[1].0.display(), files[1].1.display());
        let second = format!(
            "[[domain]]\nname = 'c.example'\ncertificate = '{certificate}'\nkey = '{key}'\n"
        );
        let stage = Stage::start(&(first + &second));
        let certificates = files.map(|it| CertificateDer::from_pem_file(it.0).unwrap().to_vec());
        Self { _stage: stage, clear, direct, certificates, _authority: authority }
    }
}

#[test]
fn a_server_that_calls_is_shown_the_certificate_of_the_domain_that_it_names() {
    let called = Called::start();
    let [a, c] = &called.certificates;
    for (host, shown) in [("a.example", a), ("c.example", c)] {
        let host = Some(host);
        let agreed = shakes_hands(connect(called.direct), &TLS13, (host, &[ALPN])).unwrap();
        assert_eq!(agreed.certificate, *shown, "at once, {host:?}");
        assert_eq!(agreed.protocol.as_deref(), Some(ALPN));
    }
    let agreed = shakes_hands(connect(called.direct), &TLS13, (None, &[ALPN])).unwrap();
    assert!(called.certificates.contains(&agreed.certificate), "whoever names none");
    // The header has said it before; so has the handshake, which counts more.
    for (to, host, shown) in [
        ("a.example", Some("a.example"), a),
        ("c.example", Some("c.example"), c),
        ("c.example", None, c),
        ("a.example", Some("c.example"), c),
    ] {
        let tcp = upgraded(called.clear, to);
        let agreed = shakes_hands(tcp, &TLS13, (host, &[])).unwrap();
        assert_eq!(agreed.certificate, *shown, "to {to}, {host:?}");
    }
}

#[test]
fn a_server_that_calls_names_our_protocol_or_none() {
    let called = Called::start();
    let named = |protocols: &[&[u8]]| {
        shakes_hands(connect(called.direct), &TLS13, (Some("a.example"), protocols))
    };
    assert_eq!(named(&[b"h2", ALPN]).unwrap().protocol.as_deref(), Some(ALPN));
    assert_eq!(named(&[]).unwrap().protocol, None);
    assert!(named(&[b"xmpp-client"]).is_err(), "clients have a port of their own");
}

#[test]
fn a_server_that_calls_speaks_a_current_version() {
    let called = Called::start();
    let ways = || [connect(called.direct), upgraded(called.clear, "a.example")];
    for version in [&TLS12, &TLS13] {
        for tcp in ways() {
            let agreed = shakes_hands(tcp, version, (Some("a.example"), &[])).unwrap();
            assert_eq!(agreed.version, Some(version.version));
        }
    }
    // ECDHE with AES-GCM, and of old with CBC.
    const SUITES: [u16; 4] = [0xc02b, 0xc02f, 0xc009, 0xc013];
    let first_byte = |mut tcp: TcpStream, version| {
        tcp.write_all(&hello(version, &SUITES)).unwrap();
        let mut first = [0];
        tcp.read(&mut first).map(|count| first[..count].first().copied()).unwrap_or_default()
    };
    for tcp in ways() {
        assert_eq!(first_byte(tcp, 0x0303), Some(HANDSHAKE), "this hello is sound");
    }
    for version in [0x0300, 0x0301, 0x0302] {
        for tcp in ways() {
            assert_ne!(first_byte(tcp, version), Some(HANDSHAKE), "version {version:04x}");
        }
    }
}

/// A server that ours calls: where, and what DNS says of two domains there, one of which has TLS from the first byte.
fn listening() -> ([TcpListener; 2], SocketAddr) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [at_once, later] = [0, 1].map(|it| listeners[it].local_addr().unwrap().port());
    let zone = Zone::new()
        .has_address("mx.example", Ipv4Addr::LOCALHOST.into())
        .serves(&direct("direct.example"), (1, "mx.example", at_once))
        .serves(&clear("clear.example"), (1, "mx.example", later));
    (listeners, zone.serve())
}

/// Answers a header with these features.
fn answer(tcp: &mut TcpStream, features: &str) {
    tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let header = until(tcp, ">") + &until(tcp, ">");
    assert!(header.contains("version='1.0'"), "{header}");
    let answer = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' from='clear.example' to='a.example' id='x' \
         version='1.0'><stream:features>{features}</stream:features>"
    );
    tcp.write_all(answer.as_bytes()).unwrap();
}

/// Lets ours begin TLS.
fn proceed(tcp: &mut TcpStream) {
    answer(tcp, STARTTLS);
    until(tcp, "/>");
    tcp.write_all(PROCEED.as_bytes()).unwrap();
}

/// The begin of a handshake of ours; the host and the protocols that it names.
fn accept(tcp: &mut TcpStream) -> (Accepted, Option<String>, Vec<Vec<u8>>) {
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        assert!(acceptor.read_tls(tcp).unwrap() > 0, "the connection has ended");
        if let Some(accepted) = acceptor.accept().unwrap_or_else(|_| panic!("no handshake")) {
            break accepted;
        }
    };
    let hello = accepted.client_hello();
    let name = hello.server_name().map(str::to_owned);
    let protocols = hello.alpn().map(|all| all.map(<[u8]>::to_vec).collect()).unwrap_or_default();
    (accepted, name, protocols)
}

#[test]
fn a_server_that_is_called_hears_the_domain_and_the_protocol_and_may_speak_either_version() {
    let authority = Authority::new();
    let ([at_once, later], names) = listening();
    let (_stage, mut romeo) = visitor(&authority, names, "");
    for (domain, version) in [("direct.example", &TLS12), ("clear.example", &TLS13)] {
        romeo.send(format!("<message to='x@{domain}'><body>hi</body></message>"));
        let is_direct = domain == "direct.example";
        let (mut tcp, _) = if is_direct { at_once.accept() } else { later.accept() }.unwrap();
        if !is_direct {
            proceed(&mut tcp);
        }
        let (accepted, name, protocols) = accept(&mut tcp);
        assert_eq!(name.as_deref(), Some(domain), "the domain, not the host in DNS");
        let wanted = if is_direct { vec![ALPN.to_vec()] } else { Vec::new() };
        assert_eq!(protocols, wanted, "{domain}");
        let config = certified_with(&authority, &[domain], &[version]);
        let mut tls = accepted.into_connection(config).unwrap_or_else(|_| panic!("no handshake"));
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        assert_eq!(tls.protocol_version(), Some(version.version));
    }
}

/// The answer of a server that knows nothing newer than TLS 1.1: a record, and in it a message.
fn old_answer() -> Vec<u8> {
    let body = [&[3, 2][..], &[7; 32], &[0], &[0xc0, 0x13], &[0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[HANDSHAKE, 3, 2, 0, length + 4][..], &[2, 0, 0, length], &body].concat()
}

/// Reads what TLS says next: its kind, and what is in it.
fn record(tcp: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 5];
    tcp.read_exact(&mut head).unwrap();
    let mut content = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    tcp.read_exact(&mut content).unwrap();
    (head[0], content)
}

#[test]
fn a_server_without_tls_or_with_an_old_one_hears_nothing() {
    let authority = Authority::new();
    let ([at_once, later], names) = listening();
    std::thread::spawn(move || {
        for tcp in later.incoming() {
            let mut tcp = tcp.unwrap();
            answer(&mut tcp, "");
            // It may be that the offer was taken out on the way: it is asked for all the same (RFC 7590 §3.1).
            until(&mut tcp, "/>");
            tcp.write_all(FAILURE.as_bytes()).unwrap();
        }
    });
    let old = std::thread::spawn(move || {
        let (mut tcp, _) = at_once.accept().unwrap();
        assert_eq!(record(&mut tcp).0, HANDSHAKE);
        tcp.write_all(&old_answer()).unwrap();
        record(&mut tcp)
    });
    let (stage, mut romeo) = visitor(&authority, names, "wait_seconds = 5\n");
    are_refused(&stage, &mut romeo, &[("clear.example", "it offers no TLS")]);
    romeo.send("<message to='x@direct.example'><body>hi</body></message>");
    // RFC 8446 §6.2: protocol_version.
    assert_eq!(old.join().unwrap(), (ALERT, vec![2, 70]));
}

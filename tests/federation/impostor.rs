//! Owns no server at all: a socket that speaks as one.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};
use stream::{Event, Limits, Parser};
use xmpp::{Element, ns};

/// No server at all: a socket that speaks as one.
pub(super) struct Impostor {
    io: Io,
    parser: Parser,
    heard: Vec<Event>,
}

enum Io {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Impostor {
    /// Connects, and opens a stream in a name.
    pub(super) fn dial(address: SocketAddr, from: &str) -> Self {
        Self::speak(TcpStream::connect(address).unwrap(), from)
    }

    fn speak(tcp: TcpStream, from: &str) -> Self {
        let mut impostor = Self::of(tcp);
        impostor.open(from);
        impostor
    }

    fn of(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::SERVER);
        Self { io: Io::Clear(tcp), parser, heard: Vec::new() }
    }

    /// Connects, and says this instead of the begin of a stream.
    pub(super) fn begins(address: SocketAddr, text: &str) -> Self {
        let mut impostor = Self::of(TcpStream::connect(address).unwrap());
        impostor.say(text);
        impostor
    }

    /// Connects, up to features under TLS, with a certificate.
    pub(super) fn secured(
        address: SocketAddr,
        from: &str,
        files: Option<&(PathBuf, PathBuf)>,
    ) -> Self {
        Self::dial(address, from).secure(from, files)
    }

    /// The same without a certificate, from another address of this machine.
    pub(super) fn secured_from(own: Ipv4Addr, address: SocketAddr, from: &str) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((own, 0)).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::speak(socket.into(), from).secure(from, None)
    }

    fn secure(mut self, from: &str, files: Option<&(PathBuf, PathBuf)>) -> Self {
        self.hears("features");
        self.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.hears("proceed");
        let mut secured = self.shakes_hands(files).expect("TLS");
        secured.reopen(from);
        secured.hears("features");
        secured
    }

    /// Goes over to TLS with a certificate; none where that fails.
    pub(super) fn shakes_hands(self, files: Option<&(PathBuf, PathBuf)>) -> Option<Self> {
        let config = town::tls::client(rustls::DEFAULT_VERSIONS);
        let config = match files {
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            }
            None => Ok(config.with_no_client_auth()),
        };
        let name = ServerName::try_from("a.example").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config.unwrap()), name).unwrap();
        let Io::Clear(mut tcp) = self.io else { panic!("TLS twice") };
        tls.complete_io(&mut tcp).ok()?;
        Some(Self { io: Io::Tls(Box::new(StreamOwned::new(tls, tcp))), ..self })
    }

    fn open(&mut self, from: &str) {
        self.say(&format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='{}' from='{from}' to='a.example' version='1.0'>",
            ns::STREAM
        ));
    }

    pub(super) fn reopen(&mut self, from: &str) {
        self.parser.reset();
        self.open(from);
    }

    pub(super) fn say(&mut self, text: &str) {
        match &mut self.io {
            Io::Clear(tcp) => tcp.write_all(text.as_bytes()).unwrap(),
            Io::Tls(tls) => tls.write_all(text.as_bytes()).unwrap(),
        }
    }

    /// The next element; none when the stream is over.
    pub(super) fn next(&mut self) -> Option<Element> {
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

    /// All that is said until the connection ends, however it does.
    pub(super) fn rest(&mut self) -> String {
        let mut said = Vec::new();
        match &mut self.io {
            Io::Clear(tcp) => tcp.read_to_end(&mut said).ok(),
            Io::Tls(tls) => tls.read_to_end(&mut said).ok(),
        };
        String::from_utf8(said).unwrap()
    }

    pub(super) fn hears(&mut self, name: &str) -> Element {
        let next = self.next().unwrap_or_else(|| panic!("no <{name}/> before the end"));
        assert_eq!(next.name(), name, "{next:?}");
        next
    }

    /// The condition with which the stream ends.
    pub(super) fn ends_with(&mut self) -> String {
        let error = self.hears("error");
        assert!(self.next().is_none());
        error.children().next().unwrap().name().to_owned()
    }
}

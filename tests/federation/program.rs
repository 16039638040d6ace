//! Owns a component that the tests have written: one stream, by hand.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};
use stream::{Event, Limits, Parser};
use xmpp::{Element, Stanza, ns};

/// A stream of a component.
pub(crate) struct Program {
    tcp: TcpStream,
    parser: Parser,
    heard: Vec<Event>,
    id: String,
}

impl Program {
    /// Opens a stream, and proves nothing yet.
    pub(crate) fn dial(address: SocketAddr, domain: &str) -> Self {
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::COMPONENT_ACCEPT);
        let mut program = Self { tcp, parser, heard: Vec::new(), id: String::new() };
        program.say(&format!(
            "<stream:stream xmlns='{}' xmlns:stream='{}' to='{domain}'>",
            ns::COMPONENT_ACCEPT,
            ns::STREAM
        ));
        if let Some(Event::Open(header)) = program.next() {
            program.id = header.id.unwrap_or_default();
        }
        program
    }

    /// Listens instead, until a server comes that knows the secret; what it is called, and where that server wants it.
    pub(crate) fn listen(listener: &TcpListener) -> (Self, String) {
        let (tcp, _) = listener.accept().unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let parser = Parser::for_content(Limits::AFTER_LOGIN, ns::COMPONENT_CONNECT);
        let mut program = Self { tcp, parser, heard: Vec::new(), id: "17".to_owned() };
        let Some(Event::Open(header)) = program.next() else { panic!("no header") };
        program.say(&format!(
            "<stream:stream xmlns='{}' xmlns:stream='{}' id='17'>",
            ns::COMPONENT_CONNECT,
            ns::STREAM
        ));
        (program, header.from.unwrap_or_default())
    }

    /// Whether the other end shows that it knows the secret; it is let in then.
    pub(crate) fn lets_in(&mut self, secret: &str) -> bool {
        let Some(Event::Nonza(element)) = self.next() else { panic!("no handshake") };
        let is_right = element.text() == proof(&self.id, secret);
        self.say(if is_right { "<handshake/>" } else { "</stream:stream>" });
        is_right
    }

    /// Shows that it knows the secret.
    pub(crate) fn prove(&mut self, secret: &str) {
        self.say(&self.handshake(secret));
    }

    /// What shows it, on this stream.
    pub(crate) fn handshake(&self, secret: &str) -> String {
        format!("<handshake>{}</handshake>", proof(&self.id, secret))
    }

    /// The same, until it may speak.
    pub(crate) fn connect(address: SocketAddr, domain: &str) -> Self {
        let mut program = Self::dial(address, domain);
        program.prove("secret");
        let shaken = program.next();
        assert!(
            matches!(&shaken, Some(Event::Nonza(it)) if it.name() == "handshake"),
            "{shaken:?}"
        );
        program
    }

    /// Ends the connection; where it led.
    pub(crate) fn hang_up(&self) -> SocketAddr {
        let address = self.tcp.peer_addr().unwrap();
        self.tcp.shutdown(Shutdown::Both).unwrap();
        address
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.tcp.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        while self.heard.is_empty() {
            let mut bytes = [0; 4096];
            let count = self.tcp.read(&mut bytes).ok().filter(|count| *count > 0)?;
            self.parser.feed(&bytes[..count], &mut self.heard).unwrap();
        }
        Some(self.heard.remove(0))
    }

    /// What comes within a moment, if anything.
    pub(crate) fn soon(&mut self) -> Option<Event> {
        self.tcp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let next = self.next();
        self.tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        next
    }

    /// The next stanza.
    pub(crate) fn hears(&mut self) -> Stanza {
        match self.next() {
            Some(Event::Stanza(stanza)) => stanza,
            other => panic!("no stanza: {other:?}"),
        }
    }

    /// The text of the next message.
    pub(crate) fn hears_body(&mut self) -> String {
        loop {
            if let Some(body) = self.hears().child("body", "") {
                return body.text();
            }
        }
    }

    /// The error that it is told at the end.
    pub(crate) fn ends_with(&mut self) -> String {
        match self.next() {
            Some(Event::Nonza(error)) => {
                let condition = error.children().next().map(Element::name);
                let condition = condition.unwrap_or_default().to_owned();
                assert!(matches!(self.next(), Some(Event::Close)), "behind {condition}");
                assert!(self.next().is_none(), "the connection ends behind {condition}");
                condition
            }
            other => panic!("no error: {other:?}"),
        }
    }
}

fn proof(id: &str, secret: &str) -> String {
    HEXLOWER.encode(&Sha1::new().chain_update(id).chain_update(secret).finalize())
}

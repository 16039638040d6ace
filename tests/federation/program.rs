//! Owns a component that the tests have written: one stream, by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

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

    /// Shows that it knows the secret.
    pub(crate) fn prove(&mut self, secret: &str) {
        let hash = Sha1::new().chain_update(&self.id).chain_update(secret).finalize();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.say(&format!("<handshake>{hash}</handshake>"));
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

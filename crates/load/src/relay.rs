//! The floor: a server that only copies stanzas between sockets.
//!
//! It fakes stream opening, PLAIN and binding, believes every name, and copies each message to the
//! socket of the name in front of the `@` of its `to`, looking at nothing else. One thread, one read
//! and one write for each socket and wake-up: no server that does its work can be cheaper.

use crate::connection::{Connection, Shared};
use crate::scan::{Item, Scanner, attribute, name};
use crate::tls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

const LISTENER: Token = Token(usize::MAX - 1);

/// The relay and its sockets.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    poll: Poll,
    shared: Shared,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    by_name: HashMap<Vec<u8>, usize>,
    dirty: Vec<usize>,
}

#[derive(Debug)]
struct Peer {
    connection: Connection,
    scanner: Scanner,
    name: Vec<u8>,
    dirty: bool,
}

impl Relay {
    /// Listens on `address`; with `tls` every connection begins with a handshake.
    pub fn bind(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Relay> {
        let mut listener = TcpListener::bind(address)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Relay {
            listener,
            tls,
            poll,
            shared: Shared::default(),
            peers: Vec::new(),
            free: Vec::new(),
            by_name: HashMap::new(),
            dirty: Vec::new(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Relays until `goes_on` says no; it is asked at every wake-up, ten times a second at least.
    pub fn run(&mut self, goes_on: impl Fn() -> bool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while goes_on() {
            match self.poll.poll(&mut events, Some(std::time::Duration::from_millis(100))) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.read(event.token().0);
                }
            }
            self.flush();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e),
            };
            socket.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or(self.peers.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(id), interest)?;
            let mut connection = Connection::new(socket);
            if let Some(tls) = &self.tls {
                connection.start_tls(tls::accept(tls)?);
            }
            let peer = Some(Peer {
                connection,
                scanner: Scanner::default(),
                name: Vec::new(),
                dirty: false,
            });
            match self.peers.get_mut(id) {
                Some(place) => *place = peer,
                None => self.peers.push(peer),
            }
        }
    }

    fn read(&mut self, id: usize) {
        let Some(Some(peer)) = self.peers.get_mut(id) else {
            return;
        };
        let received = peer.connection.receive(&mut self.shared);
        let mut scanner = std::mem::take(&mut peer.scanner);
        let bytes = std::mem::take(&mut self.shared.bytes);
        let mut base = 0;
        let mut goes_on = matches!(received, Ok(true));
        loop {
            match scanner.next(bytes.get(base..).unwrap_or_default()) {
                Ok(Some((item, range))) => {
                    let end = base + range.end;
                    let stanza = bytes.get(base + range.start..end).unwrap_or_default();
                    goes_on &= item != Item::Closing;
                    if self.item(id, item, stanza) {
                        (scanner, base) = (Scanner::default(), end);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    goes_on = false;
                    break;
                }
            }
        }
        self.shared.bytes = bytes;
        base += scanner.take_consumed();
        if let Some(Some(peer)) = self.peers.get_mut(id) {
            peer.scanner = scanner;
            peer.connection.keep_unread(&self.shared, base);
            if peer.connection.waits_to_send() {
                mark(&mut self.dirty, peer, id);
            }
            if !goes_on {
                self.close(id);
            }
        }
    }

    /// Answers or copies an item; `true` if the peer's stream begins anew behind it.
    fn item(&mut self, id: usize, item: Item, stanza: &[u8]) -> bool {
        match (item, name(stanza)) {
            (Item::Closing, _) => self.answer(id, b"</stream:stream>"),
            (Item::Stanza, b"message") => self.copy(stanza),
            (Item::Stanza, b"iq") => self.result(id, stanza),
            (Item::Stanza, b"auth") => {
                self.authenticate(id, stanza);
                return true;
            }
            (Item::Opening, _) => self.answer(id, &self.opening(id)),
            (Item::Stanza, _) => {}
        }
        false
    }

    fn copy(&mut self, stanza: &[u8]) {
        let to = attribute(stanza, b"to").unwrap_or_default();
        let local = to.split(|b| *b == b'@').next().unwrap_or_default();
        if let Some(id) = self.by_name.get(local).copied() {
            self.answer(id, stanza);
        }
    }

    fn answer(&mut self, id: usize, bytes: &[u8]) {
        if let Some(Some(peer)) = self.peers.get_mut(id) {
            peer.connection.outbound().extend_from_slice(bytes);
            mark(&mut self.dirty, peer, id);
        }
    }

    fn opening(&self, id: usize) -> Vec<u8> {
        let named = matches!(self.peers.get(id), Some(Some(peer)) if !peer.name.is_empty());
        let features = if named {
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        } else {
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
        };
        let opening = format!(
            "<?xml version='1.0'?><stream:stream from='localhost' id='{id}' version='1.0' \
             xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>\
             <stream:features>{features}</stream:features>"
        );
        opening.into_bytes()
    }

    fn authenticate(&mut self, id: usize, auth: &[u8]) {
        let from = auth.iter().position(|b| *b == b'>').map_or(0, |at| at + 1);
        let text = auth.get(from..).unwrap_or_default();
        let text = text.split(|b| *b == b'<').next().unwrap_or_default();
        let message = BASE64.decode(text).unwrap_or_default();
        let user = message.split(|b| *b == 0).nth(1).unwrap_or_default();
        if let Some(Some(peer)) = self.peers.get_mut(id) {
            peer.name = user.to_vec();
            self.by_name.insert(user.to_vec(), id);
        }
        self.answer(id, b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    }

    fn result(&mut self, id: usize, iq: &[u8]) {
        let Some(Some(peer)) = self.peers.get_mut(id) else {
            return;
        };
        let iq_id = String::from_utf8_lossy(attribute(iq, b"id").unwrap_or_default());
        let user = String::from_utf8_lossy(&peer.name);
        let bind = format!(
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{user}@localhost/load</jid></bind>"
        );
        let inner = if iq_id == "bind1" { bind } else { String::new() };
        let out = peer.connection.outbound();
        write!(out, "<iq type='result' id='{iq_id}'>{inner}</iq>").expect("a Vec takes any bytes");
        mark(&mut self.dirty, peer, id);
    }

    fn flush(&mut self) {
        for id in std::mem::take(&mut self.dirty) {
            let Some(Some(peer)) = self.peers.get_mut(id) else {
                continue;
            };
            peer.dirty = false;
            if peer.connection.is_stuck() || peer.connection.flush().is_err() {
                self.close(id);
            }
        }
    }

    fn close(&mut self, id: usize) {
        let Some(mut peer) = self.peers.get_mut(id).and_then(Option::take) else {
            return;
        };
        // The peer may be gone already; then there is nobody to tell.
        drop(peer.connection.flush());
        if self.by_name.get(&peer.name) == Some(&id) {
            self.by_name.remove(&peer.name);
        }
        self.free.push(id);
    }
}

fn mark(dirty: &mut Vec<usize>, peer: &mut Peer, id: usize) {
    if !peer.dirty {
        peer.dirty = true;
        dirty.push(id);
    }
}

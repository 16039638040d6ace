//! One socket, plain or under TLS: bytes in to a shared buffer, bytes out in one write per wake-up.

use mio::net::TcpStream;
use std::io::{self, Read, Write};

/// Bytes read from a socket at a time.
const READ_BYTES: usize = 64 * 1024;

/// What a connection may hold unsent before it counts as stuck, in bytes.
pub const OUTBOUND_LIMIT: usize = 16 << 20;

/// A non-blocking socket with what was not yet sent and not yet understood.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    tls: Option<Box<rustls::Connection>>,
    outbound: Vec<u8>,
    unread: Vec<u8>,
}

/// Buffers that all connections of a thread share while one of them is read.
#[derive(Debug)]
pub struct Shared {
    wire: Box<[u8]>,
    /// The unread bytes of the connection being read, decrypted.
    pub bytes: Vec<u8>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared {
            wire: vec![0; READ_BYTES].into_boxed_slice(),
            bytes: Vec::with_capacity(READ_BYTES),
        }
    }
}

impl Connection {
    /// Takes a connected or connecting non-blocking socket.
    pub fn new(socket: TcpStream) -> Connection {
        Connection { socket, tls: None, outbound: Vec::new(), unread: Vec::new() }
    }

    /// The socket, for registering it.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Puts TLS between the socket and all bytes after this.
    pub fn start_tls(&mut self, mut tls: rustls::Connection) {
        tls.set_buffer_limit(None);
        self.tls = Some(Box::new(tls));
    }

    /// Where bytes to be sent are appended; [`Connection::flush`] sends them.
    pub fn outbound(&mut self) -> &mut Vec<u8> {
        &mut self.outbound
    }

    /// Whether more than [`OUTBOUND_LIMIT`] waits to be sent.
    pub fn is_stuck(&self) -> bool {
        self.outbound.len() > OUTBOUND_LIMIT
    }

    /// Whether there is something for [`Connection::flush`] to do.
    pub fn waits_to_send(&self) -> bool {
        !self.outbound.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads what has come into `shared.bytes`, behind what was left unread; `false` at the end of the stream.
    pub fn receive(&mut self, shared: &mut Shared) -> io::Result<bool> {
        shared.bytes.clear();
        shared.bytes.append(&mut self.unread);
        loop {
            let count = match self.socket.read(&mut shared.wire) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let wire = shared.wire.get(..count).unwrap_or_default();
            match &mut self.tls {
                None => shared.bytes.extend_from_slice(wire),
                Some(tls) => decrypt(tls, wire, &mut shared.bytes)?,
            }
            // A short read has emptied the socket: the next bytes raise a new event.
            if count < shared.wire.len() {
                return Ok(true);
            }
        }
    }

    /// Keeps the rest of `shared.bytes` behind the first `consumed` for the next [`Connection::receive`].
    pub fn keep_unread(&mut self, shared: &Shared, consumed: usize) {
        let rest = shared.bytes.get(consumed..).unwrap_or_default();
        self.unread.clear();
        if rest.is_empty() {
            self.unread = Vec::new();
        } else {
            self.unread.extend_from_slice(rest);
        }
    }

    /// Sends as much as the socket takes; the rest waits for its next writable event.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => {
                let sent = write_some(&mut self.socket, &self.outbound)?;
                self.outbound.drain(..sent);
            }
            Some(tls) => {
                if !tls.is_handshaking() && !self.outbound.is_empty() {
                    tls.writer().write_all(&self.outbound)?;
                    self.outbound.clear();
                }
                while tls.wants_write() {
                    match tls.write_tls(&mut self.socket) {
                        Ok(_) => {}
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                        Err(e) if e.kind() == io::ErrorKind::NotConnected => break,
                        Err(e) => return Err(e),
                    }
                }
            }
        }
        if self.outbound.is_empty() && self.outbound.capacity() > READ_BYTES {
            self.outbound = Vec::new();
        }
        Ok(())
    }
}

fn decrypt(tls: &mut rustls::Connection, mut wire: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    while !wire.is_empty() {
        tls.read_tls(&mut wire)?;
        let state =
            tls.process_new_packets().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let plain = state.plaintext_bytes_to_read();
        let at = into.len();
        into.resize(at + plain, 0);
        tls.reader().read_exact(into.get_mut(at..).unwrap_or_default())?;
    }
    Ok(())
}

fn write_some(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match socket.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => sent += count,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::NotConnected => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(sent)
}

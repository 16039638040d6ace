//! Owns a client's side of a WebSocket (RFC 6455, RFC 7395): the handshake, frames out and in. Just enough for
//! scripts: it believes what the server sends.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The path of XMPP over WebSocket.
pub const PATH: &str = "/xmpp-websocket";

/// A request that a server must agree to.
pub fn handshake() -> String {
    format!(
        "GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
    )
}

/// Shakes hands; answers what the server has said.
///
/// # Errors
/// The socket broke.
pub fn shake_hands(socket: &mut TcpStream) -> std::io::Result<String> {
    socket.write_all(handshake().as_bytes())?;
    read_head(socket)
}

/// Reads the head of an answer of HTTP, and nothing behind it.
///
/// # Errors
/// The socket broke.
pub fn read_head(socket: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        socket.read_exact(&mut octet)?;
        head.extend_from_slice(&octet);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A frame as clients send it; the first octet is the opcode with its flags.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => out.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = [7, 77, 177, 0];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    out
}

/// A stanza as a message: it says its namespace.
pub fn message(xml: &str) -> Vec<u8> {
    let Some(end) = xml.find(['>', '/', ' ']).filter(|_| xml.starts_with('<')) else {
        return frame(0x81, xml.as_bytes());
    };
    let tag = &xml[..xml.find('>').unwrap_or(xml.len())];
    if tag.contains(" xmlns=") || tag.contains(" xmlns:") {
        return frame(0x81, xml.as_bytes());
    }
    let (name, rest) = xml.split_at(end);
    frame(0x81, format!("{name} xmlns='{}'{rest}", xmpp::ns::CLIENT).as_bytes())
}

/// Frames of a server, taken apart.
#[derive(Debug, Default)]
pub struct Incoming(Vec<u8>);

impl Incoming {
    /// Takes what came.
    pub fn feed(&mut self, came: &[u8]) {
        self.0.extend_from_slice(came);
    }

    /// The next whole frame: its opcode and payload.
    #[expect(clippy::should_implement_trait, reason = "it goes on when more has come")]
    pub fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &length) = (self.0.first()?, self.0.get(1)?);
        let octets = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let number =
            self.0.get(2..2 + octets)?.iter().fold(0, |sum, it| sum << 8 | usize::from(*it));
        let (begin, length) = (2 + octets, if octets == 0 { usize::from(length) } else { number });
        let payload = self.0.get(begin..begin + length)?.to_vec();
        self.0.drain(..begin + length);
        Some((first & 0xF, payload))
    }
}

//! Owns what one gate hands to another: a client's socket that began with HTTP and goes on as a WebSocket.

use std::net::SocketAddr;

use rustls::ServerConnection;

/// A WebSocket whose handshake is done but for the last answer.
pub struct Upgraded {
    /// The socket, of no thread.
    pub tcp: std::net::TcpStream,
    /// Its TLS, with the handshake done.
    pub tls: Option<Box<ServerConnection>>,
    /// Whether the client has TLS, here or at a proxy that is trusted.
    pub is_secure: bool,
    /// Where the client is.
    pub peer: SocketAddr,
    /// The last answer of the handshake, to be sent before anything else.
    pub reply: Vec<u8>,
    /// What the client has sent behind the handshake already.
    pub unread: Vec<u8>,
}

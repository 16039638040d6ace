//! Owns what only streams between servers need of a connection: the parser, and what the other end has shown.

use rustls_pki_types::{CertificateDer, UnixTime};
use stream::{Limits, Parser};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use xmpp::ns;

pub(crate) use socket::io::{Read, ReadError, read, tune, write};

use crate::trust::{Peer, Trust};

/// A parser for the stream of a server that has not proved who it is.
pub(crate) fn parser() -> Parser {
    Parser::for_content(Limits::BEFORE_LOGIN, ns::SERVER)
}

/// What the other end has shown.
pub(crate) fn judge(io: &TlsStream<TcpStream>, trust: &Trust) -> Peer {
    let (_, connection) = io.get_ref();
    let chain: &[CertificateDer<'_>] = connection.peer_certificates().unwrap_or_default();
    trust.judge(chain, UnixTime::now())
}

//! Owns what only streams between servers need of a connection: the parser, and what the other end has shown.

use stream::{Limits, Parser};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use xmpp::ns;

pub(crate) use socket::io::{Read, ReadError, read, tune, write};

use crate::proofs::Chain;

/// A parser for the stream of a server that has not proved who it is.
pub(crate) fn parser() -> Parser {
    Parser::for_content(Limits::BEFORE_LOGIN, ns::SERVER)
}

/// The certificates that the other end has shown, its own first.
pub(crate) fn chain(io: &TlsStream<TcpStream>) -> Chain {
    let (_, connection) = io.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default();
    chain.iter().map(|it| it.clone().into_owned()).collect()
}

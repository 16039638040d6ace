//! Owns what only streams between servers need of a connection: the parser, and what the other end has shown.

use std::io;

use stream::{Limits, Parser};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use xmpp::ns;

pub(crate) use socket::io::{Read, ReadError, read, tune, write};

use crate::failure::Failure;
use crate::proofs::Chain;

/// A parser for the stream of a server that has not proved who it is.
pub(crate) fn parser() -> Parser {
    Parser::for_content(Limits::BEFORE_LOGIN, ns::SERVER)
}

/// Why a stream has ended whose connection has: the other end's system has ended it, or does not answer any more.
pub(crate) fn lost(error: &io::Error) -> Failure {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    match error.kind() {
        TimedOut | HostUnreachable | NetworkUnreachable => Failure::Silent,
        _ => Failure::Lost(error.to_string()),
    }
}

/// The certificates that the other end has shown, its own first.
pub(crate) fn chain(io: &TlsStream<TcpStream>) -> Chain {
    let (_, connection) = io.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default();
    chain.iter().map(|it| it.clone().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_reset_is_told_from_one_that_has_fallen_silent() {
        let of = |kind: io::ErrorKind| lost(&kind.into());
        assert_eq!(of(io::ErrorKind::TimedOut), Failure::Silent);
        assert_eq!(of(io::ErrorKind::HostUnreachable), Failure::Silent);
        assert!(matches!(of(io::ErrorKind::ConnectionReset), Failure::Lost(_)));
        assert!(matches!(of(io::ErrorKind::BrokenPipe), Failure::Lost(_)));
    }
}

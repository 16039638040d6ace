//! One bound resource (or one on its way there): its connection, its phase and its stanza counts.

use crate::connection::Connection;
use crate::scan::{self, Scanner};
use crate::signin::SignIn;
use mio::net::TcpStream;
use std::net::Shutdown;

/// Where a session stands.
#[derive(Debug)]
pub(crate) enum Phase {
    SigningIn(Box<SignIn>),
    Online,
    /// The client has closed its stream and waits for the server to do so.
    Closing,
    Gone,
}

/// The counts of stream management (XEP-0198 §4), modulo 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Management {
    pub(crate) sent: u32,
    handled: u32,
}

/// What a stanza-like item was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// A stanza.
    Stanza,
    /// The server asks how many we have handled: this many.
    Request(u32),
    /// The server says how many it has handled.
    Answer(u32),
}

/// A session and its socket.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) phase: Phase,
    pub(crate) scanner: Scanner,
    pub(crate) management: Option<Management>,
    /// Whether it stands on the list of those that have something to send.
    pub(crate) dirty: bool,
}

impl Session {
    pub(crate) fn new(socket: TcpStream, sign_in: SignIn) -> Session {
        Session {
            connection: Connection::new(socket),
            phase: Phase::SigningIn(Box::new(sign_in)),
            scanner: Scanner::default(),
            management: None,
            dirty: false,
        }
    }

    /// Counting begins; the roster request has just been written.
    pub(crate) fn begin_management(&mut self) {
        self.management = Some(Management { sent: 1, handled: 0 });
    }

    /// The presence has just been written.
    pub(crate) fn count_presence(&mut self) {
        if let Some(management) = &mut self.management {
            management.sent += 1;
        }
    }

    /// Counts an item of the server if it is a stanza.
    pub(crate) fn count_handled(&mut self, item: &[u8]) -> Counted {
        let Some(management) = &mut self.management else {
            return Counted::Stanza;
        };
        match scan::name(item) {
            b"r" => Counted::Request(management.handled),
            b"a" => Counted::Answer(handled_count(item)),
            _ => {
                management.handled = management.handled.wrapping_add(1);
                Counted::Stanza
            }
        }
    }

    /// Counts an item of the server during sign-in, and answers a request at once.
    pub(crate) fn note_handled(&mut self, item: &[u8]) {
        if let Counted::Request(handled) = self.count_handled(item) {
            answer_request(handled, self.connection.outbound());
        }
    }

    /// Ends the connection both ways, whatever was still to be sent.
    pub(crate) fn hang_up(&mut self) {
        // It fails only when the peer was faster.
        drop(self.connection.socket().shutdown(Shutdown::Both));
    }
}

impl Phase {
    pub(crate) fn is_online(&self) -> bool {
        matches!(self, Phase::Online)
    }

    pub(crate) fn is_signing_in(&self) -> bool {
        matches!(self, Phase::SigningIn(_))
    }
}

/// Writes how many stanzas of the server were handled (XEP-0198 §4).
pub(crate) fn answer_request(handled: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>").as_bytes());
}

fn handled_count(answer: &[u8]) -> u32 {
    let h = scan::attribute(answer, b"h").and_then(|h| std::str::from_utf8(h).ok());
    h.and_then(|h| h.parse().ok()).unwrap_or(0)
}

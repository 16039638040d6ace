//! Owns reading: from the socket by way of a load balancer's header and TLS to what the client says.

use std::task::{Context, Poll};

use proto::Envelope;
use stream::Machine;

use super::core::{Core, Turn};
use super::state::{Closing, State, names};
use crate::proxy;
use crate::socket::{READ_BYTES, Read, Scratch, Socket};
use crate::tls::TlsConnection;

impl Core {
    /// `<proceed/>` has left in the clear: what comes now is TLS.
    pub(super) fn start_tls(&mut self) -> Turn {
        if self.state.short {
            return Turn::Rest;
        }
        self.state.login.starts_tls = false;
        let domain = self.state.machine.domain().map_or("", |domain| domain.as_str());
        match TlsConnection::upgraded(self.state.gate.tls.current(), domain) {
            Ok(tls) => {
                if let Socket::Tcp(socket) = &mut self.socket {
                    socket.start_tls(tls);
                }
                Turn::Again
            }
            Err(error) => {
                tracing::error!(%error, "TLS could not be begun");
                Turn::Over
            }
        }
    }

    /// Reads once.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, envelopes: &mut Vec<Envelope>) -> Turn {
        let mut scratch = Scratch::take();
        if self.state.reader.has_rest() {
            let stanzas = self.handle_input(&mut scratch, envelopes);
            self.state.count(0, stanzas);
            scratch.give_back();
            return Turn::Again;
        }
        let Socket::Tcp(socket) = &mut self.socket else {
            scratch.give_back();
            return self.handle_bodies(envelopes);
        };
        let turn = match socket.poll_read(cx, &mut scratch) {
            Poll::Pending => Turn::Rest,
            Poll::Ready(Ok(Read::Some)) => self.receive(&mut scratch, envelopes),
            Poll::Ready(Ok(Read::End) | Err(_)) => Turn::Over,
        };
        scratch.give_back();
        turn
    }

    fn receive(&mut self, scratch: &mut Scratch, envelopes: &mut Vec<Envelope>) -> Turn {
        if self.state.closing == Closing::Lingering {
            return Turn::Again;
        }
        self.state.clock.received();
        let came = scratch.raw().len();
        match self.state.read_proxy(scratch) {
            Proxied::Through => {}
            Proxied::Partial => return Turn::Again,
            Proxied::Refused => return Turn::Over,
        }
        let was_shaking = self.socket.tls().is_some_and(|tls| tls.is_handshaking());
        let Socket::Tcp(socket) = &mut self.socket else { return Turn::Over };
        let end = match socket.decrypt(scratch) {
            Ok(read) => read == Read::End,
            Err(error) => {
                tracing::debug!(peer = %self.state.peer, %error, "TLS failed");
                // The alert says why, where the socket takes it.
                self.flush(envelopes);
                return Turn::Over;
            }
        };
        if was_shaking {
            self.shook_hands();
        }
        let stanzas = self.handle_input(scratch, envelopes);
        self.state.count(came, stanzas);
        match came {
            _ if end && self.state.closing == Closing::Open => Turn::Over,
            READ_BYTES.. => Turn::Later,
            _ => Turn::Again,
        }
    }

    /// The handshake may be done: what is offered from here on is bound to it.
    fn shook_hands(&mut self) {
        let Some(tls) = self.socket.tls() else { return };
        if tls.is_handshaking() {
            return;
        }
        let (bindings, addresses) = (tls.take_bindings(), tls.take_addresses());
        let offer = self.state.gate.authenticator.offer(Some(bindings), addresses);
        let names = names(&offer, &self.state.gate.authenticator);
        if let Some((config, seeds)) = self.state.unbegun.take() {
            self.state.machine = Machine::new(config, names, seeds);
        } else {
            self.state.machine.tls_started(names);
        }
        self.state.login.offer = Some(offer);
    }
}

/// How a load balancer's header went.
enum Proxied {
    /// There is none, or it is over; what is behind it stands in the scratch.
    Through,
    Partial,
    Refused,
}

impl State {
    fn read_proxy(&mut self, scratch: &mut Scratch) -> Proxied {
        let Some(mut head) = self.proxy.take() else { return Proxied::Through };
        head.extend_from_slice(scratch.raw());
        match proxy::read(&head) {
            proxy::Header::Partial => {
                self.proxy = Some(head);
                Proxied::Partial
            }
            proxy::Header::Wrong => {
                tracing::warn!(peer = %self.peer, "a load balancer sent no PROXY header");
                Proxied::Refused
            }
            proxy::Header::Whole { len, client } => {
                self.peer = client.unwrap_or(self.peer);
                // A balancer that speaks for itself is trusted with as many as it likes.
                if client.is_some_and(|client| !self.permit.comes_from(client.ip())) {
                    return Proxied::Refused;
                }
                scratch.set_raw(head.get(len..).unwrap_or_default());
                Proxied::Through
            }
        }
    }
}

//! Owns what is different where a stream travels in requests of HTTP (XEP-0206): what was asked comes as events, and
//! goes on being asked while nothing may be heard.

use std::task::Context;

use proto::Envelope;

use super::core::{Core, Turn};
use crate::metrics::Tally;
use crate::socket::Socket;
use crate::socket::bosh::Asked;

impl Core {
    /// Takes requests, whatever else is under way: each is owed a response. Says whether the client is gone.
    pub(super) fn see_to_requests(&mut self, cx: &mut Context<'_>) -> bool {
        let Socket::Bosh(bosh) = &mut self.socket else { return false };
        match bosh.poll_requests(cx) {
            Asked::Some => self.state.clock.received(),
            Asked::Nothing => {}
            Asked::Gone => return true,
        }
        bosh.has_said_all()
    }

    /// Hears what requests have said.
    pub(super) fn handle_bodies(&mut self, envelopes: &mut Vec<Envelope>) -> Turn {
        let mut stanzas = Tally::default();
        let mut has_heard = false;
        while self.may_hear()
            && let Socket::Bosh(bosh) = &mut self.socket
            && let Some(event) = bosh.next_event()
        {
            has_heard = true;
            self.handle_event(event, &mut stanzas, envelopes);
        }
        if let Socket::Bosh(bosh) = &mut self.socket {
            let came = bosh.take_count();
            self.state.count(came, stanzas);
        }
        if has_heard { Turn::Again } else { Turn::Rest }
    }

    /// The client has proved who it is: its requests may be larger.
    pub(super) fn widen_requests(&mut self) {
        let most = self.state.gate.config.limits.stanza_bytes;
        if let Socket::Bosh(bosh) = &mut self.socket {
            bosh.becomes_known(most + crate::bosh::WRAPPER_BYTES);
        }
    }
}

//! Owns what is different where a stream travels in messages of a WebSocket (RFC 7395): frames, pings, and how
//! it ends.

use proto::Envelope;
use proto::session::Gone;
use stream::Framing;
use stream::websocket::{self, Incoming};

use super::core::Core;
use super::reader::Reader;
use super::state::Closing;
use crate::metrics::Tally;

impl Core {
    /// Takes what was read; answers how many stanzas were in it. While the client is owed an answer, what is
    /// behind waits: a stream that restarts does not make frames void.
    pub(super) fn handle_messages(&mut self, came: &[u8], envelopes: &mut Vec<Envelope>) -> Tally {
        let Reader::Messages(reader) = &mut self.state.reader else { return Tally::default() };
        let mut kept = std::mem::take(&mut reader.rest);
        if !kept.is_empty() {
            kept.extend_from_slice(came);
        }
        let mut input = if kept.is_empty() { came } else { &kept };
        let (mut stanzas, mut ping) = (Tally::default(), None);
        while self.may_hear() {
            let Reader::Messages(reader) = &mut self.state.reader else { break };
            match reader.frames.feed(&mut input) {
                Ok(None) => break,
                Ok(Some(Incoming::Message(message))) => match reader.documents.read(&message) {
                    Ok(event) => {
                        self.handle_event(event, &mut stanzas, envelopes);
                    }
                    Err(error) => self.close(Some(error), envelopes),
                },
                // Only the newest ping must be answered (RFC 6455 §5.5.3), so that a flood costs little.
                Ok(Some(Incoming::Ping(payload))) => ping = Some(payload),
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close)) => self.end_websocket(websocket::NORMAL, envelopes),
                Err(fault) => self.end_websocket(fault.code(), envelopes),
            }
        }
        if !self.speaks() {
            return stanzas;
        }
        if let Some(payload) = ping {
            websocket::pong(self.state.out.end(), &payload);
        }
        if let Reader::Messages(reader) = &mut self.state.reader {
            reader.rest = input.to_vec();
        }
        stanzas
    }

    /// Shows whether anybody is there (RFC 6120 §4.6.1, RFC 7395 §3.8).
    pub(super) fn probe(&mut self) {
        match self.state.out.framing() {
            Framing::Tcp => self.state.out.end().push(b' '),
            Framing::WebSocket => websocket::ping(self.state.out.end()),
            // Requests that are held show that (XEP-0124 §10).
            Framing::Bosh => {}
        }
    }

    /// Says that the transport ends with the stream, where it has a way to say so.
    pub(super) fn say_farewell(&mut self) {
        match self.state.out.framing() {
            Framing::Tcp | Framing::Bosh => {}
            Framing::WebSocket => websocket::close(self.state.out.end(), websocket::NORMAL),
        }
    }

    /// The WebSocket ends and the stream with it: it was not closed, so that its session may be resumed (RFC
    /// 7395 §3.6).
    fn end_websocket(&mut self, code: u16, envelopes: &mut Vec<Envelope>) {
        websocket::close(self.state.out.end(), code);
        self.state.part(Gone::Lost, envelopes);
        self.begin_to_flush();
    }

    pub(super) fn may_hear(&self) -> bool {
        let login = &self.state.login;
        let waits = self.state.machine.is_waiting() || login.work.is_some();
        self.speaks() && !waits && login.moves_to.is_none()
    }

    /// Whether the client still speaks, and is heard.
    fn speaks(&self) -> bool {
        matches!(self.state.closing, Closing::Open | Closing::Asked)
    }
}

//! Owns what a client's bytes go through before they are events: one parser for one long document, or frames
//! and documents for messages of a WebSocket. What comes by BOSH is events already.

use stream::websocket::Frames;
use stream::{Documents, Framing, Limits, Parser};

/// Reads what a client sends.
pub(super) enum Reader {
    /// RFC 6120 §4
    Stream(Box<Parser>),
    /// RFC 7395 §3
    Messages(Box<Messages>),
    /// Requests of BOSH come as events already.
    Bodies,
}

/// Reads messages of a WebSocket.
pub(super) struct Messages {
    pub(super) frames: Frames,
    pub(super) documents: Documents,
    /// What came and waits until the client has been answered: at most what one read brought.
    pub(super) rest: Vec<u8>,
}

impl Reader {
    /// For a new connection.
    pub(super) fn new(framing: Framing, limits: Limits) -> Self {
        match framing {
            Framing::Tcp => Self::Stream(Box::new(Parser::new(limits))),
            Framing::WebSocket => Self::Messages(Box::new(Messages {
                frames: Frames::new(limits.stanza_bytes),
                documents: Documents::new(limits),
                rest: Vec::new(),
            })),
            Framing::Bosh => Self::Bodies,
        }
    }

    /// The stream starts anew.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Stream(parser) => parser.reset(),
            Self::Messages(messages) => messages.documents.reset(),
            Self::Bodies => {}
        }
    }

    /// Sets other limits.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        match self {
            Self::Stream(parser) => parser.set_limits(limits),
            Self::Messages(messages) => {
                messages.frames.set_limit(limits.stanza_bytes);
                messages.documents.set_limits(limits);
            }
            Self::Bodies => {}
        }
    }

    /// Whether something waits that came already.
    pub(super) fn has_rest(&self) -> bool {
        matches!(self, Self::Messages(messages) if !messages.rest.is_empty())
    }
}

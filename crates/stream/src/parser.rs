//! Owns the parser: bytes in; stream header, stanzas with their canonical bytes, other elements and the end
//! of the stream out. Knows nothing of what the events mean.
//!
//! The lexer is `rxml`'s; namespaces and what is written are our own. Between two first-level elements the
//! lexer holds nothing, so that there another way to read a stanza stands beside it: [`plain`] takes those
//! that are complete and plain, and leaves everything else to the lexer.

mod builder;
mod fault;
mod head;
mod header;
mod name;
mod plain;
mod scope;
mod tag;
#[cfg(test)]
mod tests;

use rxml::error::EndOrError;
use rxml::{Options, Parse, RawEvent, RawParser, WithOptions};
use xmpp::{Element, Stanza, StanzaCondition, StreamError, ns};

use crate::Limits;
use builder::Builder;
use fault::{fault, too_much};

pub use header::StreamHeader;

/// What a peer sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The stream header (RFC 6120 §4.2).
    Open(StreamHeader),
    /// A message, presence or IQ whose head is in order. `from` is what the peer wrote, for the gate to judge;
    /// `xml:lang` is the stream's where the stanza has none (RFC 6120 §8.1.5).
    Stanza(Stanza),
    /// A stanza that must be answered with a stanza error, and not be processed: `jid-malformed`,
    /// `bad-request` (RFC 6120 §8.1.1.1, §8.2.3). What was at fault is missing from its head, so that
    /// [`Stanza::error`] makes the answer; where that makes none, none is owed.
    BadStanza {
        /// What could be read.
        stanza: Stanza,
        /// What was wrong.
        condition: StanzaCondition,
    },
    /// Another first-level element, with its real namespace ([`ns::NONE`] for none).
    Nonza(Element),
    /// The closing tag of the stream (RFC 6120 §4.4). Nothing behind it is read.
    Close,
}

/// Reads one XML stream.
pub struct Parser {
    lexer: RawParser,
    builder: Builder,
    limits: Limits,
    content: &'static str,
    phase: Phase,
    /// Bytes of the first-level element, or the stream header, that is being read; 0 between two.
    used: usize,
    /// Bytes of all, over restarts.
    total: u64,
    failed: Option<Box<StreamError>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No stream header yet.
    Start,
    Open,
    Closed,
}

impl Parser {
    /// A parser for a client's stream.
    pub fn new(limits: Limits) -> Self {
        Self::for_content(limits, ns::CLIENT)
    }

    /// A parser for one document whose root is not a stream: its opening tag comes as [`Event::Nonza`], without
    /// content, and what is within it as on a client's stream.
    pub fn for_bodies(limits: Limits) -> Self {
        let mut parser = Self::new(limits);
        parser.builder.expect_any_root();
        parser
    }

    /// A parser for a stream of another content namespace (RFC 6120 §4.8.3).
    pub fn for_content(limits: Limits, content: &'static str) -> Self {
        Self {
            lexer: lexer(),
            builder: Builder::new(content),
            limits,
            content,
            phase: Phase::Start,
            used: 0,
            total: 0,
            failed: None,
        }
    }

    /// Reads what came from the peer, cut anywhere, and appends what is complete to `out`. All stanzas of one
    /// feed share one buffer; whoever keeps one calls [`Stanza::detached`].
    ///
    /// # Errors
    /// What the stream must be closed with, now and ever after; events before the fault are in `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<Event>) -> Result<(), StreamError> {
        if let Some(error) = &self.failed {
            return Err((**error).clone());
        }
        let result = self.run(input);
        let progress = self.builder.has_drafts();
        if progress {
            self.builder.deliver(out);
        }
        // An element that drips in keeps its room, or every drop would copy it.
        if progress || self.is_between() {
            self.lexer.release_temporaries();
            self.builder.release();
        }
        result.inspect_err(|error| self.failed = Some(Box::new(error.clone())))
    }

    /// The stream starts anew, after STARTTLS and SASL (RFC 6120 §4.3.3): nothing is remembered but the limits
    /// and how much came in.
    pub fn reset(&mut self) {
        let total = self.total;
        *self = Self::for_content(self.limits, self.content);
        self.total = total;
    }

    /// Sets other limits, from the next byte on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether no element is half read. A WebSocket message must end so (RFC 7395 §3.2).
    pub fn is_between(&self) -> bool {
        self.used == 0
    }

    fn run(&mut self, mut input: &[u8]) -> Result<(), StreamError> {
        while self.phase != Phase::Closed {
            if self.is_between() {
                input = self.skip_whitespace(input)?;
                input = self.skip_plain(input)?;
                if input.is_empty() {
                    return Ok(());
                }
            }
            let mut window = &input[..input.len().min(self.room())];
            let before = window.len();
            let step = self.lexer.parse(&mut window, false);
            let eaten = before - window.len();
            input = &input[eaten..];
            self.count(eaten)?;
            match step {
                Ok(Some(event)) => self.take(event)?,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(()),
                Err(EndOrError::Error(error)) if self.phase == Phase::Start => {
                    return Err(fault::of_prolog(error));
                }
                Err(EndOrError::Error(error)) => return Err(fault::of_lexer(error)),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: RawEvent) -> Result<(), StreamError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(()),
            RawEvent::ElementHeadOpen(_, name) => self.builder.open(name, &self.limits),
            RawEvent::Attribute(_, name, value) => {
                self.builder.attribute(name, value, &self.limits)
            }
            RawEvent::ElementHeadClose(_) => self.opened(),
            RawEvent::Text(_, text) => self.builder.text(&text, &self.limits),
            RawEvent::ElementFoot(_) => self.close(),
        }
    }

    fn opened(&mut self) -> Result<(), StreamError> {
        self.builder.opened(&self.limits)?;
        if self.phase == Phase::Start {
            self.phase = Phase::Open;
            self.used = 0;
            // A header that ends itself has its end ready, and nothing may be read behind it.
            if let Ok(Some(RawEvent::ElementFoot(_))) = self.lexer.parse(&mut &[][..], false) {
                return self.close();
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), StreamError> {
        if self.builder.close(&self.limits)? {
            self.used = 0;
        }
        if self.builder.is_closed() {
            self.phase = Phase::Closed;
        }
        Ok(())
    }

    /// Whitespace between elements keeps the connection alive and means nothing (RFC 6120 §4.6.1, §11.7); the
    /// lexer would gather it. Before the stream header it is let pass too.
    fn skip_whitespace<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], StreamError> {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let spaces = input.iter().take_while(|byte| is_space(byte)).count();
        self.count_total(spaces)?;
        let rest = &input[spaces..];
        match (rest.first(), self.phase) {
            (None | Some(b'<'), _) => Ok(rest),
            (Some(&byte), Phase::Start) => Err(fault::of_first_byte(byte)),
            (Some(_), _) => Err(fault(xmpp::StreamCondition::BadFormat, "text between stanzas")),
        }
    }

    /// Takes the plain stanzas that the input begins with.
    fn skip_plain<'a>(&mut self, mut input: &'a [u8]) -> Result<&'a [u8], StreamError> {
        while self.phase == Phase::Open {
            // What goes over a limit must be seen by who knows of limits.
            let most = input.len().min(self.room() - 1);
            let Some(eaten) = self.builder.plain(&input[..most], &self.limits) else { break };
            self.count_total(eaten)?;
            input = self.skip_whitespace(&input[eaten..])?;
        }
        Ok(input)
    }

    /// How much may be read at once: one byte more than fits, which shows that a limit is passed at the same
    /// place however the input was cut.
    fn room(&self) -> usize {
        let stanza = self.limits.stanza_bytes.saturating_sub(self.used);
        let total =
            self.limits.total_bytes.map_or(u64::MAX, |most| most.saturating_sub(self.total));
        stanza.min(usize::try_from(total).unwrap_or(usize::MAX)).saturating_add(1)
    }

    fn count(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.used += bytes;
        if self.used > self.limits.stanza_bytes {
            return Err(too_much("stanza too large"));
        }
        self.count_total(bytes)
    }

    fn count_total(&mut self, bytes: usize) -> Result<(), StreamError> {
        self.total = self.total.saturating_add(bytes as u64);
        if self.limits.total_bytes.is_some_and(|most| self.total > most) {
            return Err(too_much("too much before login"));
        }
        Ok(())
    }
}

/// Text longer than the limit comes in parts; longer attributes and names are refused.
fn lexer() -> RawParser {
    RawParser::with_options(Options {
        max_token_length: xmpp::element::MAX_ATTRIBUTE_BYTES,
        ..Options::default()
    })
}

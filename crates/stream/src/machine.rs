//! Owns the server's side of a client's stream until a resource is bound (RFC 6120 §4 to §7): a plain
//! state machine. Events of the parser and answers of the shell go in, effects come out; what the effects
//! need (TLS, accounts, sessions) is not known here.
//!
//! While the shell owes an answer ([`Machine::is_waiting`]) events are held back, in order, so that no
//! answer can meet a question it was not given for.

mod binding;
mod opening;
pub(crate) mod sasl2;
mod signin;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use xmpp::{BareJid, Element, Stanza, StanzaCondition, StreamCondition, StreamError, ns};

use crate::Event;
use crate::features::{Features, SaslOffer, StartTls};
use crate::framing::{Framing, Response};
use crate::sm;

pub use sasl2::Tokens;
pub use signin::SaslOutcome;

/// What all streams of one listener have in common.
#[derive(Clone, Debug)]
pub struct Config {
    /// The domains served here. At least one; the first stands in for one that is unknown.
    pub domains: Vec<BareJid>,
    /// Those whose clients are sent to another host, and to which: a domain, with a port or without (RFC 6120
    /// §4.9.3.19).
    pub moved: Vec<(BareJid, String)>,
    /// How TLS is had.
    pub tls: Tls,
    /// How elements are put on the wire.
    pub framing: Framing,
    /// What is offered.
    pub features: Features,
    /// Failed SASL negotiations after which the stream is closed (RFC 6120 §6.4.5). 5.
    pub sasl_failures_max: u32,
    /// Failed attempts to bind after which the stream is closed (RFC 6120 §7.7.3). 10.
    pub bind_failures_max: u32,
}

/// How a listener's streams have TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// By STARTTLS, before anything else (RFC 6120 §5).
    Required,
    /// By STARTTLS, if the client likes.
    Optional,
    /// Not at all.
    Absent,
    /// From the first byte (XEP-0368, secure WebSocket).
    Direct,
}

/// Random octets for the id of one stream, which must be unguessable (RFC 6120 §4.7.3).
pub type StreamSeed = [u8; 16];

/// As many streams as there can be on one connection: in the clear, under TLS, after SASL.
pub const STREAMS_MAX: usize = 3;

/// The most events that are held while the shell owes an answer; one more closes the stream. The shell
/// should not read on meanwhile, so that these are what one read brought.
pub const HELD_MAX: usize = 256;

/// What the shell must do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send these bytes: whole elements.
    Write(Vec<u8>),
    /// What was written must leave in the clear; then drop every byte that was received and not read, reset
    /// the parser, take the TLS handshake, and call [`Machine::tls_started`]. Where the handshake fails, close
    /// the socket (RFC 6120 §5.4.3.2).
    StartTls,
    /// Begin a SASL negotiation and answer by [`Machine::sasl_outcome`].
    Sasl {
        /// As the client wrote it; it need not be one that was offered.
        mechanism: String,
        /// The text as it came: base64, `=` or nothing (RFC 6120 §6.4.2).
        initial: String,
    },
    /// Go on with the negotiation and answer by [`Machine::sasl_outcome`]. The text as it came.
    SaslResponse(String),
    /// The client begins the task that it was asked to do, or, with a text, does it (XEP-0480 §3); answer by
    /// [`Machine::sasl_outcome`].
    SaslTask(Option<String>),
    /// Forget the negotiation; no answer is wanted.
    SaslAbort,
    /// The client has proved who it is: reset the parser, and set the limits that hold after login.
    Restart,
    /// The client has proved who it is, and goes on in the same stream: set the limits that hold after login, and
    /// call [`Machine::continue_after_login`].
    Authenticated,
    /// A request for registration before login (XEP-0077, XEP-0445); answer by [`Machine::registered`].
    Register(Stanza),
    /// Bind a resource and answer by [`Machine::bound`] or [`Machine::bind_refused`].
    Bind {
        /// What the client wants, prepared; none where the server shall choose (RFC 6120 §7.6).
        resource: Option<String>,
        /// The id of the request.
        iq_id: Arc<str>,
    },
    /// Resume a session and answer by [`Machine::resumed`] or [`Machine::resume_refused`] (XEP-0198 §5).
    Resume {
        /// The id of the former stream.
        previd: String,
        /// How many stanzas the client has handled there.
        h: u32,
    },
    /// The session is bound, and the client sends a stanza. Its `from` is not checked.
    Stanza(Stanza),
    /// The session is bound, and the client sends a stanza that must be answered with an error.
    BadStanza {
        /// What could be read.
        stanza: Stanza,
        /// What was wrong.
        condition: StanzaCondition,
    },
    /// The session is bound, and the client sends another element, such as those of [`sm`] and XEP-0352.
    Nonza(Element),
    /// Send this to the client as a stanza of its session, counted like any other.
    Answer(Stanza),
    /// Nothing more is written or read: send what is left, and close. With the error that was sent, or none
    /// where the stream was closed in order (RFC 6120 §4.4).
    Close(Option<StreamError>),
}

/// The server's side of one client's streams over one connection.
pub struct Machine {
    config: Arc<Config>,
    seeds: VecDeque<StreamSeed>,
    offer: SaslOffer,
    starttls: StartTls,
    phase: Phase,
    /// Whether our header of the present stream is sent.
    answered: bool,
    domain: Option<BareJid>,
    account: Option<BareJid>,
    sasl_failures: u32,
    bind_failures: u32,
    /// What the client wants behind a log-in that is under way (XEP-0388).
    inline: Option<Box<sasl2::InlineRequests>>,
    held: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client's stream header is awaited.
    Opening,
    /// The shell is at the TLS handshake; whatever comes was sent in the clear.
    Handshake,
    /// STARTTLS or SASL is awaited.
    SignIn,
    /// The shell looks at a request for registration.
    Registering,
    /// The client has been challenged.
    Challenged,
    /// The shell looks at what the client sent for SASL.
    Checking,
    /// The client is known; binding is awaited.
    Binding,
    /// The shell binds or resumes.
    Attaching,
    /// All is negotiated.
    Open,
    /// We have closed in order; the client's closing tag is awaited (RFC 6120 §4.4).
    Closing,
    /// Over.
    Closed,
}

impl Machine {
    /// A machine for a new connection. `offer` is for the stream as it begins.
    pub fn new(config: Arc<Config>, offer: SaslOffer, seeds: [StreamSeed; STREAMS_MAX]) -> Self {
        let starttls = match config.tls {
            Tls::Required => StartTls::Required,
            Tls::Optional => StartTls::Optional,
            Tls::Absent | Tls::Direct => StartTls::Absent,
        };
        Self {
            config,
            seeds: seeds.into(),
            offer,
            starttls,
            phase: Phase::Opening,
            answered: false,
            domain: None,
            account: None,
            sasl_failures: 0,
            bind_failures: 0,
            inline: None,
            held: VecDeque::new(),
        }
    }

    /// Takes what the client sent.
    pub fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        if !self.is_waiting() {
            return self.step(event, effects);
        }
        if self.held.len() >= HELD_MAX {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            return self.close(Some(error.with_text("too much sent ahead")), effects);
        }
        self.held.push_back(event);
    }

    /// TLS is up (RFC 6120 §5.4.3.3): the client opens a new stream, on which `offer` holds.
    pub fn tls_started(&mut self, offer: SaslOffer) {
        if self.phase == Phase::Handshake {
            self.starttls = StartTls::Absent;
            self.offer = offer;
            self.domain = None;
            self.reopen();
        }
    }

    /// Takes the shell's answer to [`Effect::Register`].
    pub fn registered(&mut self, stanza: &Stanza, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Registering {
            self.answer(stanza, effects);
            self.phase = Phase::SignIn;
            self.release_held(effects);
        }
    }

    /// Ends the stream: at once with an error (RFC 6120 §4.9), in order without one (§4.4); the shell gives the
    /// client some time then, and closes the socket. An error of the parser comes here too.
    pub fn close(&mut self, error: Option<StreamError>, effects: &mut Vec<Effect>) {
        match (self.phase, &error) {
            (Phase::Closed, _) | (Phase::Closing, None) => return,
            // Nothing may be written in the middle of a handshake, or behind the closing tag.
            (Phase::Handshake | Phase::Closing, _) | (Phase::Opening, None) => {}
            (_, Some(error)) => {
                self.open_for_error(effects);
                self.write(self.config.framing.error(error), effects);
                self.write(self.config.framing.close(), effects);
            }
            (_, None) => {
                self.write(self.config.framing.close(), effects);
                self.phase = Phase::Closing;
                return;
            }
        }
        self.end(error, effects);
    }

    /// Whether the shell owes an answer. It should read no further until then.
    pub fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Registering | Phase::Checking | Phase::Attaching)
    }

    /// Whether a session is bound.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The domain that the stream is for, once its header is accepted.
    pub fn domain(&self) -> Option<&BareJid> {
        self.domain.as_ref()
    }

    /// Who the client is, once it has proved it.
    pub fn account(&self) -> Option<&BareJid> {
        self.account.as_ref()
    }

    fn step(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match (self.phase, event) {
            (Phase::Handshake | Phase::Closed, _) => {}
            (_, Event::Close) => self.closed_by_peer(effects),
            (Phase::Opening, Event::Open(header)) => self.open(&header, effects),
            (_, Event::Nonza(element)) if element.is("error", ns::STREAM) => {
                self.closed_by_peer(effects);
            }
            (Phase::SignIn | Phase::Challenged, Event::Nonza(element)) => {
                self.sign_in(&element, effects);
            }
            (Phase::SignIn, Event::Stanza(stanza)) if self.registers(&stanza) => {
                self.phase = Phase::Registering;
                effects.push(Effect::Register(stanza));
            }
            (Phase::Binding, Event::Stanza(stanza)) => self.bind(&stanza, effects),
            (Phase::Binding, Event::BadStanza { stanza, condition }) => {
                self.bad_bind(&stanza, condition, effects);
            }
            (Phase::Binding, Event::Nonza(element)) => self.before_binding(&element, effects),
            (Phase::Open, event) => self.pass(event, effects),
            // What was under way when we closed may still be handled, but not answered (RFC 6120 §4.4).
            (Phase::Closing, Event::Stanza(stanza)) if self.account.is_some() => {
                effects.push(Effect::Stanza(stanza));
            }
            (Phase::Closing, _) => {}
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    /// After binding, what is not for this machine passes through.
    fn pass(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Stanza(stanza) => effects.push(self.leftover_binding(stanza)),
            Event::BadStanza { stanza, condition } => {
                effects.push(Effect::BadStanza { stanza, condition });
            }
            Event::Nonza(element) if element.ns() == ns::TLS => self.refuse_tls(effects),
            Event::Nonza(element) if element.ns() == ns::SASL => {
                self.refuse(StreamCondition::NotAuthorized, effects);
            }
            Event::Nonza(element) => effects.push(Effect::Nonza(element)),
            Event::Open(_) => self.refuse(StreamCondition::BadFormat, effects),
            Event::Close => {}
        }
    }

    /// The client closed, or told of an error of ours.
    fn closed_by_peer(&mut self, effects: &mut Vec<Effect>) {
        if self.answered && self.phase != Phase::Closing {
            self.write(self.config.framing.close(), effects);
        }
        self.end(None, effects);
    }

    fn refuse(&mut self, condition: StreamCondition, effects: &mut Vec<Effect>) {
        self.close(Some(condition.into()), effects);
    }

    fn end(&mut self, error: Option<StreamError>, effects: &mut Vec<Effect>) {
        self.phase = Phase::Closed;
        self.held = VecDeque::new();
        effects.push(Effect::Close(error));
    }

    /// A new stream begins on the same connection.
    fn reopen(&mut self) {
        self.phase = Phase::Opening;
        self.answered = false;
        self.held = VecDeque::new();
    }

    /// The shell has answered: what was held meanwhile is handled now, up to the next question.
    fn release_held(&mut self, effects: &mut Vec<Effect>) {
        while !self.is_waiting()
            && let Some(event) = self.held.pop_front()
        {
            self.step(event, effects);
        }
    }

    fn answer(&self, stanza: &Stanza, effects: &mut Vec<Effect>) {
        let mut out = Vec::new();
        self.config.framing.stanza(stanza, &mut out);
        self.write(out, effects);
    }

    fn write(&self, bytes: Vec<u8>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Write(bytes));
    }

    fn write_element(&self, element: &Element, effects: &mut Vec<Effect>) {
        self.write(self.config.framing.element(element), effects);
    }

    fn write_header(&mut self, response: &Response<'_>, effects: &mut Vec<Effect>) {
        self.answered = true;
        self.write(self.config.framing.header(response), effects);
    }
}

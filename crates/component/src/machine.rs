//! XEP-0114 Jabber Component Protocol, version 1.6: our side of a component's stream, a plain state machine. A component
//! knows a secret, and speaks for its own domain and no other.
//!
//! That a component has too many streams is said when it has shown that it knows the secret: nobody else keeps it away.

use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};
use stream::Event;
use subtle::ConstantTimeEq as _;
use xmpp::{BareJid, Element, Stanza, StanzaCondition, StreamCondition, StreamError, ns, writer};

use crate::config::Secret;

const CLOSE: &[u8] = b"</stream:stream>";

/// What the shell must do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send these bytes.
    Write(Vec<u8>),
    /// It has proved that it is this domain's component: say yes by [`Machine::welcome`], or close.
    Proved(BareJid),
    /// A stanza of the component.
    Stanza(Stanza),
    /// A stanza that must be answered with an error.
    Refuse(Stanza, StanzaCondition),
    /// Nothing more is written or read.
    Close(Option<StreamError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Handshake,
    Proved,
    Open,
    Closed,
}

/// Our side of one stream of a component.
pub(crate) struct Machine {
    id: String,
    phase: Phase,
    /// Which it says that it is, and what it must know.
    domain: Option<(BareJid, Secret)>,
    answered: bool,
}

impl Machine {
    /// For a new connection; the id is one that nobody can guess.
    pub(crate) fn new(id: String) -> Self {
        Self { id, phase: Phase::Opening, domain: None, answered: false }
    }

    /// For a stream that we have opened, and on which we have shown that we know the secret.
    pub(crate) fn opened_by_us(domain: BareJid) -> Self {
        let domain = Some((domain, Secret(String::new())));
        Self { id: String::new(), phase: Phase::Open, domain, answered: true }
    }

    /// Takes what the component sent. `secret` knows the secret of each domain that may be a component's.
    pub(crate) fn handle(
        &mut self,
        event: Event,
        secret: impl Fn(&BareJid) -> Option<Secret>,
        effects: &mut Vec<Effect>,
    ) {
        match (self.phase, event) {
            (Phase::Closed, _) => {}
            (_, Event::Close) => self.close(None, effects),
            (Phase::Opening, Event::Open(header)) => {
                let to = header.to.as_deref().and_then(|to| BareJid::parse(to).ok());
                let known = to.and_then(|to| secret(&to).map(|secret| (to, secret)));
                self.opened(header.fault, known, effects);
            }
            (_, Event::Nonza(element)) if element.is("error", ns::STREAM) => {
                self.close(None, effects);
            }
            (Phase::Handshake, Event::Nonza(element)) if is_handshake(&element) => {
                self.shake(&element.text(), effects);
            }
            (Phase::Open, Event::Stanza(stanza)) => {
                if self.is_own(&stanza, effects) && self.is_addressed(&stanza, effects) {
                    effects.push(Effect::Stanza(stanza));
                }
            }
            (Phase::Open, Event::BadStanza { stanza, condition }) => {
                if self.is_own(&stanza, effects) {
                    effects.push(Effect::Refuse(stanza, condition));
                }
            }
            (Phase::Open, _) => self.refuse(StreamCondition::UnsupportedStanzaType, effects),
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    /// The component may begin.
    pub(crate) fn welcome(&mut self) -> Vec<u8> {
        self.phase = Phase::Open;
        b"<handshake/>".to_vec()
    }

    /// Ends the stream. An error is told within a stream (§3), so that there is a header before.
    pub(crate) fn close(&mut self, error: Option<StreamError>, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Closed {
            return;
        }
        if !self.answered {
            self.write_header(effects);
        }
        if let Some(error) = &error {
            let mut out = Vec::new();
            error.write(&mut out);
            effects.push(Effect::Write(out));
        }
        effects.push(Effect::Write(CLOSE.to_vec()));
        self.phase = Phase::Closed;
        effects.push(Effect::Close(error));
    }

    /// Whether what comes next is a try of a secret.
    pub(crate) fn awaits_proof(&self) -> bool {
        self.phase == Phase::Handshake
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn opened(
        &mut self,
        fault: Option<StreamCondition>,
        known: Option<(BareJid, Secret)>,
        effects: &mut Vec<Effect>,
    ) {
        match (fault, known) {
            (Some(fault), _) => self.refuse(fault, effects),
            (None, None) => self.refuse(StreamCondition::HostUnknown, effects),
            (None, known) => {
                self.domain = known;
                self.write_header(effects);
                self.phase = Phase::Handshake;
            }
        }
    }

    fn shake(&mut self, proof: &str, effects: &mut Vec<Effect>) {
        let Some((domain, secret)) = &self.domain else { return };
        let right = handshake(&self.id, &secret.0);
        if !bool::from(right.as_bytes().ct_eq(proof.trim().as_bytes())) {
            return self.refuse(StreamCondition::NotAuthorized, effects);
        }
        self.phase = Phase::Proved;
        effects.push(Effect::Proved(domain.clone()));
    }

    /// Whether a stanza is of the component's own domain (§3); else the stream ends.
    fn is_own(&mut self, stanza: &Stanza, effects: &mut Vec<Effect>) -> bool {
        let own = self.domain.as_ref().map(|(domain, _)| domain.as_str());
        let head = stanza.head();
        match &head.from {
            None => self.refuse(StreamCondition::ImproperAddressing, effects),
            Some(from) if Some(from.domainpart()) != own => {
                self.refuse(StreamCondition::InvalidFrom, effects);
            }
            Some(_) => return true,
        }
        false
    }

    /// Whether a stanza is for somebody (§3); else the stream ends.
    fn is_addressed(&mut self, stanza: &Stanza, effects: &mut Vec<Effect>) -> bool {
        if stanza.head().to.is_none() {
            self.refuse(StreamCondition::ImproperAddressing, effects);
        }
        stanza.head().to.is_some()
    }

    fn write_header(&mut self, effects: &mut Vec<Effect>) {
        self.answered = true;
        let mut out = b"<?xml version='1.0'?>".to_vec();
        writer::open_start(&mut out, "stream:stream", ns::COMPONENT_ACCEPT, "");
        writer::attribute(&mut out, "xmlns:stream", ns::STREAM);
        if let Some((domain, _)) = &self.domain {
            writer::attribute(&mut out, "from", domain.as_str());
        }
        writer::attribute(&mut out, "id", &self.id);
        writer::open_end(&mut out);
        effects.push(Effect::Write(out));
    }

    fn refuse(&mut self, condition: StreamCondition, effects: &mut Vec<Effect>) {
        self.close(Some(condition.into()), effects);
    }
}

fn is_handshake(element: &Element) -> bool {
    element.is("handshake", ns::COMPONENT_ACCEPT)
}

/// What proves the knowledge of a secret on a stream (§3).
pub(crate) fn handshake(id: &str, secret: &str) -> String {
    HEXLOWER.encode(&Sha1::new().chain_update(id).chain_update(secret).finalize())
}

#[cfg(test)]
mod tests;

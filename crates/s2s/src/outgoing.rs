//! Owns our side of a stream that we open to another server (RFC 6120 §4 to §6, XEP-0178 §3, XEP-0220 §2.1): a plain
//! state machine. Events of the parser and answers of the shell go in, effects come out.
//!
//! The other end's certificate is judged before anything is said that matters; then we prove who we are, by our
//! certificate where that is offered, else by dialback.
//!
//! | module | owns |
//! |---|---|
//! | `pairs` | which pairs of domains send on it |

mod pairs;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use stream::sm::Request;
use stream::{Event, StreamHeader};
use xmpp::{BareJid, Element, Stanza, StanzaCondition, StreamCondition, StreamError, ns};

use crate::config::Policy;
use crate::dialback::Claim;
use crate::failure::Failure;
use crate::incoming::{Common, Question, Verdict};
use crate::pairs::PairId;
use crate::trust::Peer;
use crate::words::{
    self, BIDI, BIDI_FEATURE, DIALBACK, DIALBACK_FEATURE, DialbackElement, EXTERNAL, Header, Step,
};

/// Stanzas that the other end may send before it has said whether it counts, and bytes of them.
const EARLY_MAX: (usize, usize) = (1_024, 1 << 20);

/// What a stream is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Stanzas.
    Deliver,
    /// To ask about a key (XEP-0220 §2.1.2); we need not prove who we are for that.
    Ask(Question),
}

/// What a stream is to be like.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) pair: PairId,
    pub(crate) purpose: Purpose,
    pub(crate) common: Arc<Common>,
}

impl Plan {
    /// How the other end must prove who it is.
    pub(crate) fn policy(&self) -> Policy {
        self.common.rules.policy_for(self.pair.remote.as_str())
    }
}

/// What the shell must do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send these bytes.
    Write(Vec<u8>),
    /// What was written must leave in the clear; drop what was received and not read, reset the parser, take the TLS
    /// handshake, and call [`Outgoing::tls_started`].
    StartTls,
    /// A new stream follows: reset the parser.
    Restart,
    /// The other end has let us in: the limits of strangers hold no longer.
    LetIn,
    /// Stanzas may be sent; with stream management, where the other end offers it.
    Open {
        /// Whether every stanza is acknowledged (XEP-0198).
        managed: bool,
    },
    /// The answer to what the stream was opened for.
    Verdict(Verdict),
    /// The peer has handled so many of ours (XEP-0198 §4).
    Handled(u32),
    /// A stanza of the other end (XEP-0288).
    Stanza(Stanza),
    /// One that must be answered with an error.
    Refuse(Stanza, StanzaCondition),
    /// The peer asks how many of its stanzas are handled.
    Acknowledge,
    /// Whether another pair, which we have asked for (XEP-0220 §2.6) or the other end has (XEP-0288 §2.2), may send on
    /// this stream too.
    Another(PairId, bool),
    /// The peer ends the stream, in order.
    Ended,
    /// It is over.
    Failed(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The header of the peer is awaited.
    Opening,
    /// Its features are.
    Features,
    /// `<proceed/>` is.
    Proceed,
    Handshake,
    /// What it says to our certificate.
    External,
    /// What it says to our key.
    Dialback,
    /// What it says about somebody else's key.
    Question,
    /// Whether it counts.
    Enabling,
    Open,
    Over,
}

/// Our side of one connection that we have opened.
pub(crate) struct Outgoing {
    plan: Plan,
    phase: Phase,
    secure: bool,
    authenticated: bool,
    offers_management: bool,
    /// Before TLS, it has said that it has some.
    offers_tls: bool,
    /// The most bytes of a stanza that the other end takes, as far as it says (XEP-0478).
    max_bytes: Option<usize>,
    /// Whether its header is of somebody else: then nothing of it counts but an error.
    is_stranger: bool,
    /// What the other end's certificate says; none before TLS.
    peer: Option<Peer>,
    /// The other end may send.
    both_ways: bool,
    /// The other end tells of errors of dialback without ending the stream (XEP-0220 §2.4.2).
    tells_errors: bool,
    /// Stanzas that came before it has said whether it counts, and bytes of them.
    early: (usize, usize),
    /// Pairs that may send beside the plan's, and those that were asked for.
    others: HashSet<PairId>,
    asked: HashSet<PairId>,
    id: String,
}

impl Phase {
    /// Whether nothing is agreed on yet.
    fn is_early(self) -> bool {
        !matches!(self, Self::Enabling | Self::Open | Self::Over)
    }
}

impl Outgoing {
    /// Begins: `direct` where TLS is there already, with what the certificate says.
    pub(crate) fn begin(plan: Plan, direct: Option<&Peer>, effects: &mut Vec<Effect>) -> Self {
        let mut machine = Self {
            plan,
            phase: Phase::Opening,
            secure: false,
            authenticated: false,
            offers_management: false,
            offers_tls: false,
            max_bytes: None,
            is_stranger: false,
            peer: None,
            both_ways: false,
            tells_errors: false,
            early: (0, 0),
            others: HashSet::new(),
            asked: HashSet::new(),
            id: String::new(),
        };
        match direct {
            Some(peer) => machine.secured(peer, effects),
            None => machine.open(effects),
        }
        machine
    }

    /// Takes what the peer sent.
    pub(crate) fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match (self.phase, event) {
            (Phase::Over | Phase::Handshake, _) => {}
            // Whoever has said nothing of TLS, and ends the stream when asked for it, has none.
            (Phase::Proceed, Event::Close) if !self.offers_tls => {
                self.failed(Failure::NoTls, effects);
            }
            (phase, Event::Nonza(element))
                if phase.is_early() && words::other_host(&element).is_some() =>
            {
                self.failed(
                    Failure::Moved(words::other_host(&element).unwrap_or_default()),
                    effects,
                );
            }
            (_, Event::Nonza(element)) if element.is("error", ns::STREAM) => {
                self.ended_with(&element, effects);
            }
            (Phase::Open, Event::Close) => {
                self.phase = Phase::Over;
                effects.push(Effect::Write(words::CLOSE.to_vec()));
                effects.push(Effect::Ended);
            }
            (_, Event::Close) => self.failed(Failure::Closed, effects),
            (Phase::Opening, Event::Open(header)) => self.opened(header, effects),
            (_, Event::Nonza(element)) => self.nonza(&element, effects),
            (_, Event::Stanza(stanza)) => self.stanza(stanza, None, effects),
            (_, Event::BadStanza { stanza, condition }) => {
                self.stanza(stanza, Some(condition), effects);
            }
            _ => self.break_off(StreamCondition::BadFormat, effects),
        }
    }

    /// By what we have proved who we are.
    pub(crate) fn proof(&self) -> &'static str {
        if self.authenticated { "certificate" } else { "dialback" }
    }

    /// TLS is up, and the other end's certificate says this.
    pub(crate) fn tls_started(&mut self, peer: &Peer, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Handshake {
            self.secured(peer, effects);
        }
    }

    /// Ends the stream in order, or with an error.
    pub(crate) fn close(&mut self, error: Option<&StreamError>) -> Vec<u8> {
        if matches!(self.phase, Phase::Over | Phase::Handshake) {
            return Vec::new();
        }
        self.phase = Phase::Over;
        [error.map(words::error).unwrap_or_default(), words::CLOSE.to_vec()].concat()
    }

    /// The most bytes of a stanza that the other end takes, as far as it says.
    pub(crate) fn max_bytes(&self) -> Option<usize> {
        self.max_bytes
    }

    /// Whether the other end sends on this stream too.
    pub(crate) fn is_both_ways(&self) -> bool {
        self.both_ways
    }

    /// The key by which we prove that we are who sends.
    fn key_for(&self, pair: &PairId) -> Vec<u8> {
        let (receiving, originating) = (pair.remote.as_str(), pair.local.as_str());
        let key = self.plan.common.keys.key(Claim { receiving, originating, id: &self.id });
        words::dialback(Step::Result, pair, &DialbackElement::Key(&key))
    }

    fn secured(&mut self, peer: &Peer, effects: &mut Vec<Effect>) {
        self.secure = true;
        let remote = self.plan.pair.remote.as_str();
        let (vouched, is_denied) = (peer.vouches_for(remote), peer.is_denied(remote));
        self.peer = Some(peer.clone());
        match (self.plan.policy(), vouched) {
            (Policy::Off, _) => self.failed(Failure::Policy, effects),
            (policy, Err(why)) if is_denied || policy == Policy::Secure => {
                self.failed(Failure::Certificate(why), effects);
            }
            _ => self.open(effects),
        }
    }

    fn open(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Opening;
        let header = Header {
            from: self.plan.pair.local.as_str(),
            to: Some(self.plan.pair.remote.as_str()),
            id: None,
        };
        effects.push(Effect::Write(words::header(&header)));
    }

    fn opened(&mut self, header: StreamHeader, effects: &mut Vec<Effect>) {
        if let Some(fault) = header.fault {
            return self.break_off(fault, effects);
        }
        // Whoever does not know the domain says so under no name, or under its own (RFC 6120 §4.9.1.3).
        let from = header.from.as_deref().map(BareJid::parse);
        self.is_stranger = from.is_some_and(|from| from.as_ref() != Ok(&self.plan.pair.remote));
        // Whoever is older than features has no TLS either (RFC 6120 §4.7.5).
        if !words::is_current(header.version.as_deref()) && !self.is_stranger {
            return self.failed(Failure::NoTls, effects);
        }
        self.id = header.id.unwrap_or_default();
        self.phase = Phase::Features;
    }

    fn nonza(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        match (self.phase, element.ns(), element.name()) {
            (Phase::Features, ns::STREAM, "features") => self.choose(element, effects),
            (Phase::Proceed, ns::TLS, "proceed") => {
                self.phase = Phase::Handshake;
                effects.push(Effect::StartTls);
            }
            (Phase::Proceed, ns::TLS, "failure") => self.failed(Failure::NoTls, effects),
            (Phase::External, ns::SASL, "success") => {
                self.authenticated = true;
                effects.push(Effect::Restart);
                self.open(effects);
            }
            // An empty challenge to an initial response asks for nothing.
            (Phase::External, ns::SASL, "challenge") => {
                let response = Element::new("response", ns::SASL).with_text("=");
                effects.push(Effect::Write(response.to_bytes()));
            }
            // Where the certificate is not enough, dialback may be (XEP-0178 §3, step 11).
            (Phase::External, ns::SASL, "failure") => self.dial_back(effects),
            (Phase::Dialback, DIALBACK, "result") => self.result(element, effects),
            (Phase::Question, DIALBACK, "verify") => self.verdict(element, effects),
            (Phase::Enabling, ns::SM, "enabled") => self.ready(true, effects),
            (Phase::Enabling, ns::SM, "failed") => self.ready(false, effects),
            (Phase::Open, ns::SM, _) => match Request::parse(element) {
                Ok(Request::Handled(h)) => effects.push(Effect::Handled(h)),
                Ok(Request::Ask) => effects.push(Effect::Acknowledge),
                _ => self.break_off(StreamCondition::UnsupportedStanzaType, effects),
            },
            (Phase::Open, DIALBACK, "result") if element.attr("type").is_some() => {
                self.answer(element, effects);
            }
            (Phase::Open, DIALBACK, "result")
            | (Phase::Enabling | Phase::Open, DIALBACK, "verify")
                if self.both_ways =>
            {
                self.asks(element, effects);
            }
            // More features may come, as after dialback.
            (_, ns::STREAM, "features") => {}
            _ => self.break_off(StreamCondition::UnsupportedStanzaType, effects),
        }
    }

    /// The other end has ended the stream with an error. Before it is open, some say that there shall be none.
    fn ended_with(&mut self, error: &Element, effects: &mut Vec<Effect>) {
        let said = words::stream_error(error);
        let failure = match (self.phase, words::stream_condition(error)) {
            (Phase::Proceed, _) if !self.offers_tls => Failure::NoTls,
            (Phase::Enabling | Phase::Open, _) => Failure::Stream(said),
            (_, "host-unknown" | "host-gone") => {
                Failure::NotFound(format!("its server does not know it: {said}"))
            }
            (_, "not-authorized" | "policy-violation" | "invalid-from") => Failure::Refused(said),
            _ => Failure::Stream(said),
        };
        self.failed(failure, effects);
    }

    fn choose(&mut self, features: &Element, effects: &mut Vec<Effect>) {
        if self.is_stranger {
            return self.break_off(StreamCondition::InvalidFrom, effects);
        }
        if !self.secure {
            // It is asked for also where nobody has said that it is there: whoever is on the way may have taken the word
            // out (RFC 7590 §3.1).
            self.offers_tls = features.child("starttls", ns::TLS).is_some();
            self.phase = Phase::Proceed;
            let starttls = Element::new("starttls", ns::TLS);
            return effects.push(Effect::Write(starttls.to_bytes()));
        }
        let dialback = features.child("dialback", DIALBACK_FEATURE);
        self.tells_errors =
            dialback.is_some_and(|it| it.child("errors", DIALBACK_FEATURE).is_some());
        self.offers_management = features.child("sm", ns::SM).is_some();
        self.max_bytes = words::max_bytes(features);
        if let Purpose::Ask(question) = &self.plan.purpose {
            self.phase = Phase::Question;
            let Question { pair, id, key } = question;
            let asked = words::dialback(Step::Verify(id), pair, &DialbackElement::Key(key));
            return effects.push(Effect::Write(asked));
        }
        if self.authenticated {
            return self.enable(effects);
        }
        // Before either proof, and once (XEP-0288 §2.2).
        let offered = features.child("bidi", BIDI_FEATURE).is_some();
        // Where the certificate does not prove who it is, the other end sends on a stream of its own.
        let is_proved = self.is_vouched(&self.plan.pair.remote);
        if offered && self.plan.common.rules.bidirectional && is_proved {
            self.both_ways = true;
            effects.push(Effect::Write(Element::new("bidi", BIDI).to_bytes()));
        }
        let offers = |mechanisms: &Element| {
            mechanisms.children().any(|it| it.name() == "mechanism" && it.text().trim() == EXTERNAL)
        };
        if !features.child("mechanisms", ns::SASL).is_some_and(offers) {
            return self.dial_back(effects);
        }
        self.phase = Phase::External;
        let identity = auth::encoding::encode(self.plan.pair.local.as_str().as_bytes());
        let auth =
            Element::new("auth", ns::SASL).with_attr("mechanism", EXTERNAL).with_text(identity);
        effects.push(Effect::Write(auth.to_bytes()));
    }

    /// XEP-0220 §2.1.1.
    fn dial_back(&mut self, effects: &mut Vec<Effect>) {
        self.phase = Phase::Dialback;
        effects.push(Effect::Write(self.key_for(&self.plan.pair)));
    }

    /// Only of the pair that we have asked for (XEP-0220 §3.1).
    fn result(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        if !is_answer(element, &self.plan.pair) {
            return self.break_off(StreamCondition::PolicyViolation, effects);
        }
        match element.attr("type") {
            Some("valid") => self.enable(effects),
            Some("invalid") => self.failed(Failure::KeyInvalid, effects),
            Some("error") => {
                let condition = words::condition(element);
                self.failed(Failure::Dialback(condition.map(StanzaCondition::name)), effects);
            }
            _ => self.break_off(StreamCondition::BadFormat, effects),
        }
    }

    /// Whether the certificate proves that the other end is this domain's server.
    fn is_vouched(&self, remote: &BareJid) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.vouches_for(remote.as_str()).is_ok())
    }

    fn verdict(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let Purpose::Ask(question) = &self.plan.purpose else { return };
        let is_ours =
            is_answer(element, &question.pair) && element.attr("id") == Some(&question.id);
        if !is_ours {
            return self.break_off(StreamCondition::PolicyViolation, effects);
        }
        let verdict = match element.attr("type") {
            Some("valid") => Verdict::Valid,
            Some("invalid") => Verdict::Invalid,
            // Whatever it says is wrong (XEP-0220 §2.5); that it says nothing is another error.
            Some("error") => Verdict::Error(StanzaCondition::RemoteServerNotFound),
            _ => return self.break_off(StreamCondition::BadFormat, effects),
        };
        self.phase = Phase::Over;
        effects.push(Effect::Write(words::CLOSE.to_vec()));
        effects.push(Effect::Verdict(verdict));
    }

    fn enable(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::LetIn);
        if !self.offers_management {
            return self.ready(false, effects);
        }
        self.phase = Phase::Enabling;
        effects.push(Effect::Write(Element::new("enable", ns::SM).to_bytes()));
    }

    fn ready(&mut self, managed: bool, effects: &mut Vec<Effect>) {
        self.phase = Phase::Open;
        effects.push(Effect::Open { managed });
    }

    /// On our own stream the other end may send nothing but answers (RFC 6120 §4.5), unless it is one for both ways: then
    /// what is from its domain to ours. It may do so when it has let us in, whether or not it counts yet.
    fn stanza(
        &mut self,
        stanza: Stanza,
        wrong: Option<StanzaCondition>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.both_ways || !matches!(self.phase, Phase::Enabling | Phase::Open) {
            tracing::debug!(
                peer = self.plan.pair.remote.as_str(),
                stanza = stanza.kind().name(),
                "a stanza came where none may"
            );
            return self.break_off(StreamCondition::NotAuthorized, effects);
        }
        if self.is_too_early(&stanza) {
            return self.break_off(StreamCondition::PolicyViolation, effects);
        }
        let head = stanza.head();
        match (&head.from, &head.to, wrong) {
            // An address that cannot be read is not there (RFC 6120 §8.1.1.2).
            (None, ..) | (_, None, _) => {
                self.break_off(StreamCondition::ImproperAddressing, effects)
            }
            (Some(from), ..) if !self.has_pair(from, None) => {
                self.break_off(StreamCondition::InvalidFrom, effects);
            }
            (_, _, Some(condition)) => effects.push(Effect::Refuse(stanza, condition)),
            (Some(from), ..) if self.plan.common.rules.shuts_out(from) => {
                effects.push(Effect::Refuse(stanza, StanzaCondition::NotAllowed));
            }
            (Some(from), Some(to), None) if self.has_pair(from, Some(to)) => {
                effects.push(Effect::Stanza(stanza));
            }
            _ => self.break_off(StreamCondition::ImproperAddressing, effects),
        }
    }

    /// Whether with this stanza there is too much that came before it was said whether it counts: until then, all of that waits.
    fn is_too_early(&mut self, stanza: &Stanza) -> bool {
        if self.phase == Phase::Enabling {
            let (count, bytes) = self.early;
            self.early = (count + 1, bytes.saturating_add(stanza.len()));
        }
        self.early.0 > EARLY_MAX.0 || self.early.1 > EARLY_MAX.1
    }

    /// The other end does what it may not.
    pub(crate) fn break_off(&mut self, condition: StreamCondition, effects: &mut Vec<Effect>) {
        let bytes = self.close(Some(&condition.into()));
        effects.push(Effect::Write(bytes));
        effects.push(Effect::Failed(Failure::Protocol(condition.name())));
    }

    fn failed(&mut self, failure: Failure, effects: &mut Vec<Effect>) {
        let bytes = self.close(None);
        if !bytes.is_empty() {
            effects.push(Effect::Write(bytes));
        }
        self.phase = Phase::Over;
        effects.push(Effect::Failed(failure));
    }
}

/// Whether an element is from the other domain of a pair to ours.
fn is_answer(element: &Element, pair: &PairId) -> bool {
    let is = |name, jid: &BareJid| {
        element.attr(name).is_some_and(|text| BareJid::parse(text).as_ref() == Ok(jid))
    };
    is("from", &pair.remote) && is("to", &pair.local)
}

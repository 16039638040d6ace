//! Owns our side of a stream that another server opens (RFC 6120 §4 to §6, XEP-0178 §3, XEP-0220 §2.2): a plain
//! state machine. Events of the parser and answers of the shell go in, effects come out.
//!
//! A stream speaks for the domains that have been proved on it, by the certificate or by dialback, and for no others:
//! every stanza's sender is looked at. Nothing but TLS is spoken of in the clear.
//!
//! | module | owns |
//! |---|---|
//! | `dialback` | requests of dialback, and what becomes of them |
//! | `proofs` | what must be looked for before something is believed |

mod dialback;
mod proofs;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use stream::StreamHeader;
use stream::sm::{Enabled, Handled, Request};
use stream::{Event, Limits, sm};
use xmpp::{BareJid, Element, Jid, Stanza, StanzaCondition, StreamCondition, StreamError, ns};

use crate::config::{Policy, Rules};
use crate::dialback::{Claim, Keys};
use crate::pairs::PairId;
use crate::trust::Peer;
use crate::words::{
    self, BIDI, BIDI_FEATURE, DIALBACK, DIALBACK_FEATURE, DialbackElement, EXTERNAL, Header,
};

/// What all streams of other servers have in common.
pub(crate) struct Common {
    /// Whether a domain is served here.
    pub(crate) is_ours: Box<dyn Fn(&BareJid) -> bool + Send + Sync>,
    pub(crate) rules: Rules,
    pub(crate) keys: Keys,
}

impl Common {
    /// Whether a certificate is proof enough that its owner sends in the name of the other domain to ours, on a stream
    /// with so many domains already; an error where nothing would be.
    pub(crate) fn judge(
        &self,
        peer: &Peer,
        PairId { local, remote }: &PairId,
        known: usize,
    ) -> Result<bool, StanzaCondition> {
        if !(self.is_ours)(local) {
            return Err(StanzaCondition::ItemNotFound);
        }
        // Nobody but us is us.
        if (self.is_ours)(remote) {
            return Err(StanzaCondition::NotAcceptable);
        }
        match self.rules.policy_for(remote.as_str()) {
            Policy::Off => Err(StanzaCondition::PolicyViolation),
            _ if known >= DOMAINS_MAX => Err(StanzaCondition::ResourceConstraint),
            _ if peer.vouches_for(remote.as_str()).is_ok() => Ok(true),
            Policy::Secure => Err(StanzaCondition::NotAuthorized),
            Policy::Dialback => Ok(false),
        }
    }

    /// What the other domain of a pair is told that asks, under TLS, whether a key of the stream with this id is ours
    /// (XEP-0220 §2.2.2).
    pub(crate) fn look_at_key(
        &self,
        PairId { local, remote }: &PairId,
        id: &str,
        key: &str,
    ) -> DialbackElement<'static> {
        let claim = Claim { receiving: remote.as_str(), originating: local.as_str(), id };
        if !(self.is_ours)(local) {
            DialbackElement::Error(StanzaCondition::ItemNotFound)
        } else if self.keys.is_valid(claim, key) {
            DialbackElement::Valid
        } else {
            DialbackElement::Invalid
        }
    }
}

/// Domains of one stream, whether proved or being looked at.
const DOMAINS_MAX: usize = 128;
/// Keys that are looked at at a time, before anything is proved.
const KEYS_OF_STRANGER: usize = 4;
/// Failed attempts to prove something before the stream is closed.
const FAILURES_MAX: u32 = 5;

/// What the shell must do, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Send these bytes.
    Write(Vec<u8>),
    /// What was written must leave in the clear; then drop every byte that was received and not read, reset the parser,
    /// take the TLS handshake as this domain, and call [`Incoming::tls_started`].
    StartTls(BareJid),
    /// A new stream follows: reset the parser.
    Restart,
    /// A domain is proved: the limits of strangers hold no longer.
    Proved(BareJid),
    /// The certificate is not accepted as that of a domain that the other end says it is from: why, in words for people.
    Doubt(BareJid, String),
    /// Ask the server of the other domain for this key, and answer by [`Incoming::verified`].
    Verify(Question),
    /// A stanza whose sender is proved and whose recipient is ours.
    Stanza(Stanza),
    /// A stanza that must be answered with an error.
    Refuse(Stanza, StanzaCondition),
    /// Stanzas of this pair may be sent on this stream too (XEP-0288).
    Way(PairId),
    /// The peer has handled so many of ours (XEP-0198 §4).
    Handled(u32),
    /// The peer wants to hear what is handled (XEP-0198 §4).
    Acknowledge,
    /// From now on count what is handled (XEP-0198 §3).
    Count,
    /// The peer has ended its stream in order, and wants to hear what was handled of it: when all of that is safe, say so
    /// and call [`Incoming::close`].
    Ended,
    /// Nothing more is written or read: send what is left, and close.
    Close(Option<StreamError>),
}

/// A key to be asked about (XEP-0220 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// The domain of ours that shall receive, and the one that wants to send and must know the key.
    pub(crate) pair: PairId,
    /// The id of the stream that the key was given on.
    pub(crate) id: String,
    pub(crate) key: String,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    Invalid,
    /// Nobody can say.
    Error(StanzaCondition),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opening,
    Handshake,
    Open,
    /// EXTERNAL was begun without an initial response, which is awaited.
    Challenged,
    /// The peer has ended its stream; ours is to end when it has heard all.
    Ending,
    Closed,
}

/// Our side of one connection that another server has opened.
pub(crate) struct Incoming {
    common: Arc<Common>,
    /// For the streams to come; the last one first.
    ids: Vec<String>,
    id: String,
    phase: Phase,
    answered: bool,
    /// What the other end's certificate says; none before TLS.
    peer: Option<Peer>,
    /// From the header of the present stream.
    local: Option<BareJid>,
    remote: Option<BareJid>,
    /// Proved by SASL: what the next header must say.
    authenticated: Option<BareJid>,
    proved: HashSet<BareJid>,
    asked: HashMap<PairId, String>,
    failures: u32,
    /// Domains that more was looked for of.
    looked: usize,
    counts: bool,
    /// The other end takes stanzas on this stream (XEP-0288).
    both_ways: bool,
}

impl Incoming {
    /// For a new connection. `ids` are three unguessable ones; `direct` where TLS is there already, with what the
    /// certificate says.
    pub(crate) fn new(common: Arc<Common>, ids: [String; 3], direct: Option<Peer>) -> Self {
        Self {
            common,
            ids: ids.into(),
            id: String::new(),
            phase: Phase::Opening,
            answered: false,
            peer: direct,
            local: None,
            remote: None,
            authenticated: None,
            proved: HashSet::new(),
            asked: HashMap::new(),
            failures: 0,
            looked: 0,
            counts: false,
            both_ways: false,
        }
    }

    /// Takes what the peer sent.
    pub(crate) fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match (self.phase, event) {
            (Phase::Handshake | Phase::Ending | Phase::Closed, _) => {}
            (_, Event::Close) => self.closed_by_peer(effects),
            (Phase::Opening, Event::Open(header)) => self.open(&header, effects),
            (Phase::Opening, _) | (_, Event::Open(_)) => {
                self.refuse(StreamCondition::BadFormat, effects);
            }
            (_, Event::Nonza(element)) if element.is("error", ns::STREAM) => {
                self.closed_by_peer(effects);
            }
            (_, Event::Nonza(element)) => self.nonza(&element, effects),
            (_, Event::Stanza(stanza)) => self.stanza(stanza, None, effects),
            (_, Event::BadStanza { stanza, condition }) => {
                self.stanza(stanza, Some(condition), effects);
            }
        }
    }

    /// TLS is up, and the other end's certificate says this.
    pub(crate) fn tls_started(&mut self, peer: Peer) {
        if self.phase == Phase::Handshake {
            self.peer = Some(peer);
            self.reopen();
        }
    }

    /// Ends the stream: with an error, or in order (RFC 6120 §4.4, §4.9).
    pub(crate) fn close(&mut self, error: Option<StreamError>, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        if self.phase != Phase::Handshake {
            if !self.answered {
                // An error needs a stream to stand in (RFC 6120 §4.9.1.1).
                self.write_header(effects);
            }
            effects.extend(error.as_ref().map(|error| Effect::Write(words::error(error))));
            effects.push(Effect::Write(words::CLOSE.to_vec()));
        }
        self.phase = Phase::Closed;
        effects.push(Effect::Close(error));
    }

    /// Whether a domain is proved.
    pub(crate) fn is_proved(&self) -> bool {
        !self.proved.is_empty()
    }

    /// Whether this domain is.
    pub(crate) fn is_proved_for(&self, remote: &BareJid) -> bool {
        self.proved.contains(remote)
    }

    /// By what a domain has been proved.
    pub(crate) fn proof_of(&self, remote: &BareJid) -> &'static str {
        if self.is_vouched(remote) { "certificate" } else { "dialback" }
    }

    /// The other end, as it calls itself; not proved.
    pub(crate) fn claimed(&self) -> Option<&BareJid> {
        self.remote.as_ref()
    }

    fn open(&mut self, header: &StreamHeader, effects: &mut Vec<Effect>) {
        if let Some(fault) = header.fault {
            return self.refuse(fault, effects);
        }
        let domain =
            |text: &String| BareJid::parse(text).ok().filter(|jid| jid.localpart().is_none());
        let Some(to) = &header.to else {
            return self.refuse(StreamCondition::ImproperAddressing, effects);
        };
        let Some(local) = domain(to).filter(|jid| (self.common.is_ours)(jid)) else {
            return self.refuse(StreamCondition::HostUnknown, effects);
        };
        let remote = header.from.as_ref().map(domain);
        self.local = Some(local);
        if remote == Some(None) {
            return self.refuse(StreamCondition::InvalidFrom, effects);
        }
        self.remote = remote.flatten();
        if !words::is_current(header.version.as_deref()) {
            return self.refuse(StreamCondition::UnsupportedVersion, effects);
        }
        if let Some(remote) = &self.remote {
            // Nobody but us is us.
            if (self.common.is_ours)(remote)
                || self.authenticated.as_ref().is_some_and(|it| it != remote)
            {
                return self.refuse(StreamCondition::InvalidFrom, effects);
            }
            if self.common.rules.policy_for(remote.as_str()) == Policy::Off {
                let error = StreamError::from(StreamCondition::PolicyViolation);
                return self.close(Some(error.with_text("not spoken with here")), effects);
            }
        }
        if let Some(remote) = &self.remote {
            self.doubt(remote, effects);
        }
        self.write_header(effects);
        self.phase = Phase::Open;
        effects.push(Effect::Write(words::features(&self.features())));
        if let Some((local, remote)) = self.local.clone().zip(self.authenticated.clone()) {
            self.offer(PairId { local, remote }, effects);
        }
    }

    /// The other end may be sent what goes the other way of a pair that it has proved (XEP-0288 §2.2).
    fn offer(&self, pair: PairId, effects: &mut Vec<Effect>) {
        if self.both_ways {
            effects.push(Effect::Way(pair));
        }
    }

    fn write_header(&mut self, effects: &mut Vec<Effect>) {
        self.answered = true;
        self.id = self.ids.pop().unwrap_or_default();
        let header = Header {
            from: self.local.as_ref().map_or("", |local| local.as_str()),
            to: self.remote.as_ref().map(|remote| remote.as_str()),
            id: Some(&self.id),
        };
        effects.push(Effect::Write(words::header(&header)));
    }

    fn features(&self) -> Vec<Element> {
        let bidi = self.common.rules.bidirectional.then(|| Element::new("bidi", BIDI_FEATURE));
        if self.peer.is_none() {
            let required = Element::new("required", ns::TLS);
            let starttls = Element::new("starttls", ns::TLS).with_child(required);
            return [starttls].into_iter().chain(bidi).collect();
        }
        let mut features = Vec::new();
        let vouched = self.remote.as_ref().is_some_and(|remote| self.is_vouched(remote));
        let may_authenticate = self.authenticated.is_none() && vouched;
        if may_authenticate {
            let mechanism = Element::new("mechanism", ns::SASL).with_text(EXTERNAL);
            features.push(Element::new("mechanisms", ns::SASL).with_child(mechanism));
        }
        features.extend(bidi.filter(|_| !self.is_proved()));
        let errors = Element::new("errors", DIALBACK_FEATURE);
        features.push(Element::new("dialback", DIALBACK_FEATURE).with_child(errors));
        // Behind EXTERNAL there are features once more, and it is offered there; behind dialback there are none.
        features.extend((!may_authenticate).then(|| Element::new("sm", ns::SM)));
        // What holds for stanzas, of which none are taken before something is proved.
        features.push(words::limits(Limits::AFTER_LOGIN.stanza_bytes));
        features
    }

    /// Whether the certificate proves that the other end is this domain's server.
    fn is_vouched(&self, remote: &BareJid) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.vouches_for(remote.as_str()).is_ok())
    }

    /// Says why the certificate does not prove it, where it does not.
    fn doubt(&self, remote: &BareJid, effects: &mut Vec<Effect>) {
        let judged = self.peer.as_ref().map(|peer| peer.vouches_for(remote.as_str()));
        if let Some(Err(why)) = judged {
            effects.push(Effect::Doubt(remote.clone(), why));
        }
    }

    fn nonza(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        match (element.ns(), element.name()) {
            (ns::TLS, "starttls") if self.peer.is_none() => self.start_tls(effects),
            (ns::SASL, _) if self.peer.is_some() => self.sasl(element, effects),
            (DIALBACK, name @ ("result" | "verify")) => self.dialback(name, element, effects),
            (BIDI, "bidi") if self.may_turn() => self.both_ways = true,
            (ns::SM, _) => self.manage(element, effects),
            (ns::SASL | ns::TLS, _) => self.refuse(StreamCondition::PolicyViolation, effects),
            _ => self.refuse(StreamCondition::UnsupportedStanzaType, effects),
        }
    }

    /// Behind TLS, and before either proof (XEP-0288 §2.2).
    fn may_turn(&self) -> bool {
        self.common.rules.bidirectional && self.peer.is_some() && !self.is_proved()
    }

    fn start_tls(&mut self, effects: &mut Vec<Effect>) {
        let Some(local) = self.local.clone() else { return };
        effects.push(Effect::Write(Element::new("proceed", ns::TLS).to_bytes()));
        self.phase = Phase::Handshake;
        effects.push(Effect::StartTls(local));
    }

    /// XEP-0178 §3, steps 10 and 11.
    fn sasl(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let initial = match (self.phase, element.name()) {
            (Phase::Challenged, "response") => element.text(),
            (Phase::Open, "auth") if self.authenticated.is_none() => {
                if element.attr("mechanism") != Some(EXTERNAL) {
                    return self.fail("invalid-mechanism", effects);
                }
                let initial = element.text();
                if initial.is_empty() {
                    self.phase = Phase::Challenged;
                    let challenge = Element::new("challenge", ns::SASL);
                    return effects.push(Effect::Write(challenge.to_bytes()));
                }
                initial
            }
            (Phase::Challenged, "abort") => return self.fail("aborted", effects),
            _ => return self.refuse(StreamCondition::NotAuthorized, effects),
        };
        self.phase = Phase::Open;
        let identity = match initial.trim() {
            "" | "=" => Some(Vec::new()),
            text => auth::encoding::decode(text).ok(),
        };
        let Some(identity) = identity else { return self.fail("incorrect-encoding", effects) };
        let Some(remote) = self.remote.clone().filter(|remote| self.is_vouched(remote)) else {
            return self.fail("not-authorized", effects);
        };
        let named = str::from_utf8(&identity).ok().map(Jid::parse);
        let is_same = identity.is_empty()
            || matches!(named, Some(Ok(named)) if named.is_domain() && named.domain() == remote);
        if !is_same {
            return self.fail("invalid-authzid", effects);
        }
        effects.push(Effect::Write(Element::new("success", ns::SASL).to_bytes()));
        self.authenticated = Some(remote.clone());
        self.reopen();
        effects.push(Effect::Restart);
        self.prove(remote, effects);
    }

    fn fail(&mut self, condition: &'static str, effects: &mut Vec<Effect>) {
        self.phase = Phase::Open;
        let failure =
            Element::new("failure", ns::SASL).with_child(Element::new(condition, ns::SASL));
        effects.push(Effect::Write(failure.to_bytes()));
        self.count_failure(effects);
    }

    /// A stream that is of use to some domain does not end for what is wrong of another (XEP-0220 §2.2.1, §2.2.2).
    fn count_failure(&mut self, effects: &mut Vec<Effect>) {
        if self.is_proved() {
            return;
        }
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.refuse(StreamCondition::PolicyViolation, effects);
        }
    }

    fn prove(&mut self, remote: BareJid, effects: &mut Vec<Effect>) {
        if self.proved.insert(remote.clone()) {
            effects.push(Effect::Proved(remote));
        }
    }

    /// RFC 6120 §8.1.1.2, §8.1.2.2: both addresses are there and are some, the sender is of a domain that is proved, and
    /// the recipient of one that is served here. Else the stream ends, so that none vanishes, counted or not.
    fn stanza(
        &mut self,
        stanza: Stanza,
        fault: Option<StanzaCondition>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.is_proved() {
            return self.refuse(StreamCondition::NotAuthorized, effects);
        }
        // An address that cannot be read is not there.
        let (Some(from), Some(to)) = (&stanza.head().from, &stanza.head().to) else {
            return self.refuse(StreamCondition::ImproperAddressing, effects);
        };
        if !self.proved.contains(&from.domain()) {
            return self.refuse(StreamCondition::InvalidFrom, effects);
        }
        if self.common.rules.shuts_out(from) {
            return effects.push(Effect::Refuse(stanza, StanzaCondition::NotAllowed));
        }
        if !(self.common.is_ours)(&to.domain()) {
            // Nobody else's stanzas are passed on.
            return self.refuse(StreamCondition::HostUnknown, effects);
        }
        effects.push(match fault {
            Some(condition) => Effect::Refuse(stanza, condition),
            None => Effect::Stanza(stanza),
        });
    }

    /// XEP-0198 between servers: acknowledgements, without resumption.
    fn manage(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        match Request::parse(element) {
            Ok(Request::Enable { .. }) if !self.counts && self.is_proved() => {
                self.counts = true;
                effects.push(Effect::Write(Enabled::default().to_element().to_bytes()));
                effects.push(Effect::Count);
            }
            Ok(Request::Ask) if self.counts => effects.push(Effect::Acknowledge),
            Ok(Request::Handled(h)) if self.counts => effects.push(Effect::Handled(h)),
            request => {
                let condition = match request {
                    // §5
                    Ok(Request::Resume { .. }) => StanzaCondition::FeatureNotImplemented,
                    _ => StanzaCondition::UnexpectedRequest,
                };
                effects.push(Effect::Write(sm::failed(condition, None).to_bytes()));
            }
        }
    }

    fn closed_by_peer(&mut self, effects: &mut Vec<Effect>) {
        if self.counts {
            self.phase = Phase::Ending;
            return effects.push(Effect::Ended);
        }
        if self.answered {
            effects.push(Effect::Write(words::CLOSE.to_vec()));
        }
        self.phase = Phase::Closed;
        effects.push(Effect::Close(None));
    }

    fn refuse(&mut self, condition: StreamCondition, effects: &mut Vec<Effect>) {
        self.close(Some(condition.into()), effects);
    }

    fn reopen(&mut self) {
        self.phase = Phase::Opening;
        self.answered = false;
    }
}

/// An answer to `<r/>`.
pub(crate) fn handled(count: u64) -> Vec<u8> {
    let mut handled = Handled::default();
    handled.raise(u32::try_from(count % (1 << 32)).unwrap_or(0));
    sm::handled(handled.h()).to_bytes()
}

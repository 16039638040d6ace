//! STARTTLS and SASL (RFC 6120 §5, §6), seen from the stream: what may come when, and what is answered.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use xmpp::{BareJid, Element, IqType, Kind, Stanza, StreamCondition, StreamError, ns};

use super::sasl2::SASL2;
use super::{Effect, Machine, Phase};
use crate::features::{SaslOffer, StartTls};

/// What a step of a SASL negotiation led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslOutcome {
    /// The client must answer this; sent as base64.
    Challenge(Vec<u8>),
    /// The client is who it says, and is to do this first (XEP-0388 §2.6.3).
    Continue {
        /// Additional data, sent as base64.
        data: Option<Vec<u8>>,
        /// The name of the task.
        task: String,
    },
    /// What the client must know for the task.
    TaskData(Element),
    /// The client is who it says.
    Success {
        /// Additional data, sent as base64 (RFC 6120 §6.4.6).
        data: Option<Vec<u8>>,
        /// The account, at the domain of the stream.
        account: BareJid,
    },
    /// The negotiation failed.
    Failure {
        /// The name of the condition (RFC 6120 §6.5).
        condition: Cow<'static, str>,
        /// Words for people.
        text: Option<String>,
    },
}

impl Machine {
    /// Takes the shell's answer to [`Effect::Sasl`] or [`Effect::SaslResponse`].
    pub fn sasl_outcome(&mut self, outcome: SaslOutcome, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Checking {
            return;
        }
        match outcome {
            SaslOutcome::Challenge(data) => {
                self.phase = Phase::Challenged;
                let challenge = Element::new("challenge", self.sasl_ns());
                self.write_element(&with_data(challenge, &STANDARD.encode(data)), effects);
            }
            SaslOutcome::Continue { data, task } => self.ask_task(data, task, effects),
            SaslOutcome::TaskData(data) => self.tell_task(data, effects),
            SaslOutcome::Success { data, account } if self.is_sasl2() => {
                return self.authenticated(data, account, effects);
            }
            SaslOutcome::Success { data, account } => return self.succeed(data, account, effects),
            SaslOutcome::Failure { condition, text } => self.fail(condition, text, effects),
        }
        self.release_held(effects);
    }

    /// An element before login.
    pub(super) fn sign_in(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        match element.ns() {
            ns::TLS => self.start_tls(element, effects),
            ns::SASL if !self.is_sasl2() => self.sasl(element, effects),
            SASL2 => self.extensible(element, effects),
            // Whatever else there is, nobody may use it yet (RFC 6120 §4.9.3.12).
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    /// Whether a stanza before login is a request for registration (XEP-0077 §3.1, XEP-0445 §4), where that is
    /// offered.
    pub(super) fn registers(&self, stanza: &Stanza) -> bool {
        let here = stanza.head().to.as_ref().map(|to| to.as_str());
        self.config.features.registers_at(self.domain.as_ref())
            && self.starttls != StartTls::Required
            && matches!(stanza.kind(), Kind::Iq(IqType::Get | IqType::Set))
            && (here.is_none() || here == self.domain.as_ref().map(|domain| domain.as_str()))
            && stanza
                .payload()
                .is_some_and(|payload| [ns::REGISTER, ns::PARS].contains(&payload.ns))
    }

    fn start_tls(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let offered = self.starttls != StartTls::Absent && self.phase == Phase::SignIn;
        if !offered || element.name() != "starttls" {
            return self.refuse_tls(effects);
        }
        self.write_element(&Element::new("proceed", ns::TLS), effects);
        self.phase = Phase::Handshake;
        effects.push(Effect::StartTls);
    }

    /// STARTTLS that was not offered, or no STARTTLS at all (RFC 6120 §5.4.2.2).
    pub(super) fn refuse_tls(&mut self, effects: &mut Vec<Effect>) {
        self.write_element(&Element::new("failure", ns::TLS), effects);
        self.write(self.config.framing.close(), effects);
        self.end(None, effects);
    }

    fn sasl(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        let running = self.phase == Phase::Challenged;
        if running && element.name() != "response" {
            // Another `<auth/>` too ends the one under way, and counts (RFC 6120 §6.4.2).
            effects.push(Effect::SaslAbort);
        }
        let plain = element.children().next().is_none();
        match element.name() {
            "auth" if plain => self.auth(element, running, effects),
            "response" if plain && running => {
                self.phase = Phase::Checking;
                effects.push(Effect::SaslResponse(element.text()));
            }
            "abort" => self.fail("aborted".into(), None, effects),
            "response" if running => {
                effects.push(Effect::SaslAbort);
                self.fail("malformed-request".into(), None, effects);
            }
            _ => self.fail("malformed-request".into(), None, effects),
        }
    }

    fn auth(&mut self, element: &Element, running: bool, effects: &mut Vec<Effect>) {
        if running && self.count_failure(effects) {
            return;
        }
        if self.starttls == StartTls::Required {
            return self.fail("encryption-required".into(), None, effects);
        }
        let Some(mechanism) = element.attr("mechanism") else {
            return self.fail("invalid-mechanism".into(), None, effects);
        };
        self.phase = Phase::Checking;
        effects.push(Effect::Sasl { mechanism: mechanism.to_owned(), initial: element.text() });
    }

    fn succeed(&mut self, data: Option<Vec<u8>>, account: BareJid, effects: &mut Vec<Effect>) {
        // Data that is there but empty is a single equals sign (RFC 6120 §6.4.6).
        let data = data.map(|data| match &data[..] {
            [] => "=".to_owned(),
            data => STANDARD.encode(data),
        });
        let success = Element::new("success", ns::SASL);
        self.write_element(&with_data(success, &data.unwrap_or_default()), effects);
        self.account = Some(account);
        // Nothing is offered twice: a connection lives long, and should hold little.
        self.offer = SaslOffer::default();
        // What was sent ahead belonged to the stream that is over now.
        self.reopen();
        effects.push(Effect::Restart);
    }

    fn sasl_ns(&self) -> &'static str {
        if self.is_sasl2() { SASL2 } else { ns::SASL }
    }

    pub(super) fn fail(
        &mut self,
        condition: Cow<'static, str>,
        text: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let text = text.map(|text| {
            Element::new("text", self.sasl_ns()).with_attr_ns("lang", ns::XML, "en").with_text(text)
        });
        let failure = Element::new("failure", self.sasl_ns())
            .with_child(Element::new(condition, ns::SASL))
            .with_children(text);
        self.write_element(&failure, effects);
        self.inline = None;
        self.phase = Phase::SignIn;
        self.count_failure(effects);
    }

    /// Says whether the stream was closed because there were too many (RFC 6120 §6.4.5).
    fn count_failure(&mut self, effects: &mut Vec<Effect>) -> bool {
        self.sasl_failures = self.sasl_failures.saturating_add(1);
        if self.sasl_failures < self.config.sasl_failures_max {
            return false;
        }
        let error = StreamError::from(StreamCondition::PolicyViolation);
        self.close(Some(error.with_text("too many failed attempts")), effects);
        true
    }
}

fn with_data(element: Element, data: &str) -> Element {
    match data {
        "" => element,
        data => element.with_text(data),
    }
}

//! Resource binding (RFC 6120 §7), the resumption that may stand in its place (XEP-0198 §5), and the
//! session of old clients (RFC 3921 §3).

use std::sync::Arc;

use xmpp::{
    Element, FullJid, Head, IqType, Kind, Stanza, StanzaCondition, StanzaError, StreamCondition,
    StreamError, ns,
};

use super::{Effect, Machine, Phase, sm};

impl Machine {
    /// Takes the shell's answer to [`Effect::Bind`]: the resource is bound (RFC 6120 §7.6.1, §7.7.1).
    pub fn bound(&mut self, jid: &FullJid, iq_id: Arc<str>, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Attaching {
            return;
        }
        if self.is_sasl2() {
            return self.bound_inline(jid, effects);
        }
        let jid = Element::new("jid", ns::BIND).with_text(jid.as_str());
        let bind = Element::new("bind", ns::BIND).with_child(jid);
        let result = Stanza::build(answer_head(IqType::Result, iq_id), &[bind]);
        self.answer(&result, effects);
        self.phase = Phase::Open;
        self.release_held(effects);
    }

    /// Takes the shell's answer to [`Effect::Bind`]: the client may try again (RFC 6120 §7.6.2, §7.7.2).
    pub fn bind_refused(
        &mut self,
        error: &StanzaError,
        iq_id: Arc<str>,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Attaching {
            return;
        }
        if self.is_sasl2() {
            return self.inline_bind_refused(error, effects);
        }
        self.phase = Phase::Binding;
        let head = answer_head(IqType::Error, iq_id);
        self.refuse_bind(Stanza::build(head, &[error.to_element()]), effects);
        self.release_held(effects);
    }

    /// Takes the shell's answer to [`Effect::Resume`]: the session with this address goes on here, and `answer` says
    /// so (XEP-0198 §5). What must be sent again comes behind it.
    pub fn resumed(&mut self, jid: &FullJid, answer: Element, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Attaching {
            return;
        }
        if self.is_sasl2() {
            return self.resumed_inline(jid, answer, effects);
        }
        self.write_element(&answer, effects);
        self.phase = Phase::Open;
        self.release_held(effects);
    }

    /// Takes the shell's answer to [`Effect::Resume`]: the client may bind instead (XEP-0198 §5). `h` where the
    /// former stream is gone but its count is known.
    pub fn resume_refused(
        &mut self,
        condition: StanzaCondition,
        h: Option<u32>,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Attaching {
            return;
        }
        let failed = sm::failed(condition, h);
        if let Some(inline) = &mut self.inline {
            inline.note(failed);
            return self.bind_inline(effects);
        }
        self.phase = Phase::Binding;
        self.write_element(&failed, effects);
        self.release_held(effects);
    }

    /// A stanza after login: it can only be the request to bind (RFC 6120 §7.1).
    pub(super) fn bind(&mut self, stanza: &Stanza, effects: &mut Vec<Effect>) {
        let request = stanza.child("bind", ns::BIND);
        let (Kind::Iq(IqType::Set), Some(request), Some(id)) =
            (stanza.kind(), request, stanza.head().id.clone())
        else {
            return self.refuse(StreamCondition::NotAuthorized, effects);
        };
        match self.wanted_resource(&request) {
            Ok(resource) => {
                self.phase = Phase::Attaching;
                effects.push(Effect::Bind { resource, iq_id: id });
            }
            Err(condition) => {
                let error = StanzaError::from(condition).to_element();
                self.refuse_bind(Stanza::build(answer_head(IqType::Error, id), &[error]), effects);
            }
        }
    }

    /// A stanza with a faulty head after login.
    pub(super) fn bad_bind(
        &mut self,
        stanza: &Stanza,
        condition: StanzaCondition,
        effects: &mut Vec<Effect>,
    ) {
        match stanza.error(&condition.into()) {
            Some(error) if stanza.find("bind", ns::BIND).is_some() => {
                self.refuse_bind(error, effects);
            }
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    /// Another element between login and binding.
    pub(super) fn before_binding(&mut self, element: &Element, effects: &mut Vec<Effect>) {
        match (element.ns(), sm::Request::parse(element)) {
            (_, Ok(sm::Request::Resume { previd, h })) if self.config.features.sm => {
                self.phase = Phase::Attaching;
                effects.push(Effect::Resume { previd, h });
            }
            (ns::SM, request) => {
                // Only a resumption may come before binding (XEP-0198 §3).
                let condition = match (element.name(), request) {
                    ("resume", Ok(_)) => StanzaCondition::FeatureNotImplemented,
                    ("resume", Err(_)) => StanzaCondition::BadRequest,
                    _ => StanzaCondition::UnexpectedRequest,
                };
                self.write_element(&sm::failed(condition, None), effects);
            }
            // A client that is early with its state loses nothing: a new session is active (XEP-0352 §5).
            (ns::CSI, _) => {}
            (ns::TLS, _) => self.refuse_tls(effects),
            _ => self.refuse(StreamCondition::NotAuthorized, effects),
        }
    }

    /// What is left of binding once a session is bound: old clients ask for a session, which they have, and a
    /// second resource there is not (RFC 6120 §7.3.2).
    pub(super) fn leftover_binding(&self, stanza: Stanza) -> Effect {
        if stanza.kind() != Kind::Iq(IqType::Set) || !self.is_for_us(&stanza) {
            return Effect::Stanza(stanza);
        }
        let answer = match stanza.payload().map(|payload| payload.ns) {
            Some(ns::SESSION) => Some(stanza.result(None)),
            Some(ns::BIND) => stanza.error(&StanzaCondition::NotAllowed.into()),
            _ => None,
        };
        answer.map_or(Effect::Stanza(stanza), Effect::Answer)
    }

    /// Whether a stanza is for the server itself or the client's account.
    fn is_for_us(&self, stanza: &Stanza) -> bool {
        let to = stanza.head().to.as_ref().map(|to| to.as_str());
        let ours = |jid: &Option<xmpp::BareJid>| to == jid.as_ref().map(|jid| jid.as_str());
        to.is_none() || ours(&self.domain) || ours(&self.account)
    }

    /// The resource that is asked for, prepared; none for the server's choice (RFC 6120 §7.6).
    fn wanted_resource(&self, request: &Element) -> Result<Option<String>, StanzaCondition> {
        let wanted = request.child("resource", ns::BIND).map(Element::text).unwrap_or_default();
        let (Some(account), false) = (&self.account, wanted.is_empty()) else {
            return Ok(None);
        };
        // One that breaks the rules cannot be mended (RFC 6120 §7.7.2.1).
        let jid = account.with_resource(&wanted).map_err(|_| StanzaCondition::BadRequest)?;
        Ok(jid.resourcepart().map(str::to_owned))
    }

    /// Answers with an error; after too many the stream is closed (RFC 6120 §7.7.3).
    fn refuse_bind(&mut self, error: Stanza, effects: &mut Vec<Effect>) {
        self.answer(&error, effects);
        self.bind_failures = self.bind_failures.saturating_add(1);
        if self.bind_failures >= self.config.bind_failures_max {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            self.close(Some(error.with_text("too many failed attempts to bind")), effects);
        }
    }
}

fn answer_head(ty: IqType, id: Arc<str>) -> Head {
    Head { kind: Kind::Iq(ty), id: Some(id), from: None, to: None, lang: None }
}

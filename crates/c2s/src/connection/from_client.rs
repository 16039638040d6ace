//! Owns what a client says: bytes through parser and machine, and what becomes of each effect.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use accounts::registrar::Stranger;
use proto::session::{ClientState, ConnectionEvent, Gone};
use proto::{Envelope, ResumptionId, Route, SessionId};
use router::trace;
use stream::sm::{self, Request};
use stream::{Effect, Event, SaslOutcome};
use tokio::time::Instant;
use xmpp::{Element, Stanza, StanzaCondition, StreamCondition, StreamError, ns};

use super::core::Core;
use super::reader::Reader;
use super::state::{Closing, Login, Sm};
use crate::metrics::Tally;
use crate::signin::{Answer, ClientInfo, PendingNegotiation};
use crate::socket::{Scratch, Socket};
use crate::tokens::Given;

impl Core {
    /// Takes what was read; answers how many stanzas were in it.
    pub(super) fn handle_input(
        &mut self,
        scratch: &mut Scratch,
        envelopes: &mut Vec<Envelope>,
    ) -> Tally {
        let Reader::Stream(parser) = &mut self.state.reader else {
            return self.handle_messages(scratch.plain(), envelopes);
        };
        let (mut events, mut effects) = scratch.take_lists();
        let fed = parser.feed(scratch.plain(), &mut events);
        let mut stanzas = Tally::default();
        let mut flow = ControlFlow::Continue(());
        for event in events.drain(..) {
            if let Event::Stanza(stanza) | Event::BadStanza { stanza, .. } = &event {
                stanzas.count(stanza.kind());
            }
            self.state.machine.handle(event, &mut effects);
            flow = self.perform(&mut effects, envelopes);
            if flow.is_break() {
                break;
            }
        }
        scratch.give_lists_back(events, effects);
        if let (Err(error), ControlFlow::Continue(())) = (fed, flow) {
            self.close(Some(error), envelopes);
        }
        stanzas
    }

    /// Takes one event.
    pub(super) fn handle_event(
        &mut self,
        event: Event,
        stanzas: &mut Tally,
        envelopes: &mut Vec<Envelope>,
    ) {
        if let Event::Stanza(stanza) | Event::BadStanza { stanza, .. } = &event {
            stanzas.count(stanza.kind());
        }
        let mut effects = Vec::new();
        self.state.machine.handle(event, &mut effects);
        // Whether what is behind may be heard, the state says.
        let _continues = self.perform(&mut effects, envelopes);
    }

    /// The account check has come to an answer.
    pub(super) fn answered(&mut self, answer: Answer, envelopes: &mut Vec<Envelope>) {
        let outcome = match answer {
            Answer::Challenge(pending, data) => {
                self.state.login.pending = Some(pending);
                SaslOutcome::Challenge(data)
            }
            Answer::Continue(pending, data, task) => {
                self.state.login.pending = Some(pending);
                SaslOutcome::Continue { data, task }
            }
            Answer::TaskData(pending, data) => {
                self.state.login.pending = Some(pending);
                SaslOutcome::TaskData(data)
            }
            Answer::Success { account, additional, token } => {
                tracing::debug!(jid = %account, peer = %self.state.peer, "logged in");
                if let Some(Given { token, end }) = token {
                    self.state.machine.give_token(&token, end);
                }
                SaslOutcome::Success { data: additional, account }
            }
            Answer::Failure(failure) => {
                tracing::info!(peer = %self.state.peer, error = failure.name(), "log-in failed");
                SaslOutcome::Failure { condition: failure.name().into(), text: None }
            }
        };
        let mut effects = Vec::new();
        self.state.machine.sasl_outcome(outcome, &mut effects);
        // Breaks where the stream restarts, and there is nothing behind it.
        let _restarts = self.perform(&mut effects, envelopes);
    }

    /// Does what the machine wants. Breaks where the rest of what was read is void.
    pub(super) fn perform(
        &mut self,
        effects: &mut Vec<Effect>,
        envelopes: &mut Vec<Envelope>,
    ) -> ControlFlow<()> {
        for effect in effects.drain(..) {
            let mut more = Vec::new();
            match effect {
                Effect::Stanza(stanza) => self.stamp(stanza, envelopes),
                Effect::Write(bytes) => {
                    self.state.out.element(|_, out| out.extend_from_slice(&bytes))
                }
                Effect::StartTls => {
                    self.state.reader.reset();
                    self.state.login.starts_tls = true;
                    return ControlFlow::Break(());
                }
                Effect::Restart => {
                    self.restart();
                    return ControlFlow::Break(());
                }
                Effect::Authenticated => self.authenticated(),
                Effect::Sasl { mechanism, initial } => self.begin(mechanism, initial, &mut more),
                Effect::SaslResponse(response) => self.respond(response, &mut more),
                Effect::SaslTask(step) => self.do_task(step, &mut more),
                Effect::SaslAbort => self.state.login.pending = None,
                Effect::Bind { resource, iq_id } => self.bind(resource, iq_id, envelopes),
                Effect::Resume { previd, h } => self.resume(&previd, h, envelopes, &mut more),
                Effect::BadStanza { stanza, condition } => {
                    self.answer(stanza.error(&condition.into()), envelopes);
                }
                Effect::Register(stanza) => self.register(stanza, &mut more),
                Effect::Answer(stanza) => self.answer(Some(stanza), envelopes),
                Effect::Nonza(element) => self.nonza(&element, envelopes),
                Effect::Close(error) => self.closed(error, envelopes),
            }
            if !more.is_empty() {
                self.perform(&mut more, envelopes)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// The client has proved who it is; a new stream begins, with the limits of one who is known.
    fn restart(&mut self) {
        self.state.reader.reset();
        self.authenticated();
        self.state.login.continues = false;
    }

    /// The client has proved who it is: the limits of one who is known hold, and it goes where its account lives.
    fn authenticated(&mut self) {
        self.widen_requests();
        let state = &mut self.state;
        let limits = &state.gate.config.limits;
        state.reader.set_limits(limits.of_known());
        // A guest is a stranger still, of whom no address has more than its share.
        if !state.machine.account().is_some_and(|jid| state.gate.authenticator.is_guest(jid)) {
            state.permit.becomes_known();
        }
        state.clock.allow(Instant::now(), limits.login());
        let moves_to = state.machine.account().cloned();
        state.login = Login { moves_to, continues: true, ..Login::default() };
    }

    fn refuse_for_now(&mut self, more: &mut Vec<Effect>) {
        let condition = auth::Failure::TemporaryAuthFailure.name().into();
        self.state.machine.sasl_outcome(SaslOutcome::Failure { condition, text: None }, more);
    }

    fn begin(&mut self, mechanism: String, initial: String, more: &mut Vec<Effect>) {
        let state = &mut self.state;
        let domain = state.machine.domain().cloned();
        let (Some(domain), Some(offer)) = (domain, state.login.offer.clone()) else { return };
        if !state.gate.router.lease().holds() {
            // Whoever cannot act cannot look after a client; another member may.
            return self.refuse_for_now(more);
        }
        let tokens = state.machine.tokens().cloned().unwrap_or_default();
        let upgrades = state.machine.upgrades();
        let client = ClientInfo { address: state.address(), domain, offer, tokens, upgrades };
        let authenticator = Arc::clone(&state.gate.authenticator);
        state.login.work = Some(Box::pin(authenticator.begin(client, mechanism, initial)));
    }

    fn respond(&mut self, response: String, more: &mut Vec<Effect>) {
        let authenticator = Arc::clone(&self.state.gate.authenticator);
        if let Some(pending) = self.take_pending(more) {
            self.state.login.work = Some(Box::pin(authenticator.go_on(pending, response)));
        }
    }

    fn do_task(&mut self, step: Option<String>, more: &mut Vec<Effect>) {
        let authenticator = Arc::clone(&self.state.gate.authenticator);
        if let Some(pending) = self.take_pending(more) {
            self.state.login.work = Some(Box::pin(authenticator.task(pending, step)));
        }
    }

    fn take_pending(&mut self, more: &mut Vec<Effect>) -> Option<Box<PendingNegotiation>> {
        let pending = self.state.login.pending.take();
        if pending.is_none() {
            let condition = auth::Failure::MalformedRequest.name().into();
            let outcome = SaslOutcome::Failure { condition, text: None };
            self.state.machine.sasl_outcome(outcome, more);
        }
        pending
    }

    fn bind(&mut self, resource: Option<String>, iq_id: Arc<str>, envelopes: &mut Vec<Envelope>) {
        let Some(account) = self.state.machine.account().cloned() else { return };
        let carbons = self.state.machine.wants_carbons();
        let event = ConnectionEvent::Bind { resource: resource.map(Arc::from), iq_id, carbons };
        self.state.ask_for_session(Route::User(account), event, envelopes);
    }

    /// XEP-0198 §5: an id that we never made names no session.
    fn resume(
        &mut self,
        previd: &str,
        h: u32,
        envelopes: &mut Vec<Envelope>,
        more: &mut Vec<Effect>,
    ) {
        let state = &mut self.state;
        let (Some(id), Some(account)) =
            (ResumptionId::parse(previd), state.machine.account().cloned())
        else {
            state.gate.metrics.resumes_malformed.add_one();
            return state.machine.resume_refused(StanzaCondition::ItemNotFound, None, more);
        };
        let to = Route::Session(SessionId { account, uid: id.uid });
        state.ask_for_session(to, ConnectionEvent::Resume { secret: id.secret, h }, envelopes);
    }

    /// RFC 6120 §8.1.2.1: a client may name itself by its full or its bare address, and nobody else.
    fn stamp(&mut self, stanza: Stanza, envelopes: &mut Vec<Envelope>) {
        let Some(bound) = &mut self.state.bound else { return };
        let own = |from: &xmpp::Jid| {
            from.as_str() == bound.jid.as_str() || from.as_str() == bound.jid.bare_str()
        };
        if !stanza.head().from.as_ref().is_none_or(own) {
            return self.close(Some(StreamCondition::InvalidFrom.into()), envelopes);
        }
        let bytes = stanza.len();
        let stanza = stanza.with_from(bound.from.clone());
        let span = trace::begin(&stanza);
        let event = ConnectionEvent::Stanza(stanza);
        bound.count(bytes, &event);
        self.state.say(event, envelopes);
        if let (Some(span), Some(envelope)) = (span, envelopes.last_mut()) {
            span.note("jid", self.state.machine.account().map_or("", |jid| jid.as_str()));
            span.adopt(envelope);
        }
    }

    /// A stanza that is answered here goes by the session all the same, which counts it and what the client
    /// gets for it (XEP-0198 §4).
    fn answer(&mut self, answer: Option<Stanza>, envelopes: &mut Vec<Envelope>) {
        let Some(bound) = &mut self.state.bound else { return };
        let event =
            ConnectionEvent::Answered(answer.map(|answer| answer.with_to(bound.from.clone())));
        bound.count(0, &event);
        self.state.say(event, envelopes);
    }

    /// XEP-0077 §3.1: the request goes to who registers, and is answered later.
    fn register(&mut self, request: Stanza, more: &mut Vec<Effect>) {
        let state = &mut self.state;
        let (registrar, domain) = (state.gate.registrar.clone(), state.machine.domain().cloned());
        let (Some(registrar), Some(domain)) = (registrar, domain) else { return };
        if !state.gate.router.lease().holds() {
            let answer = request.error(&StanzaCondition::ResourceConstraint.into());
            return answer.iter().for_each(|answer| state.machine.registered(answer, more));
        }
        let stranger = Stranger { address: state.address(), domain };
        let visit = state.login.visit.clone();
        state.login.registers = Some(Box::pin(registrar.answer(visit, stranger, request)));
    }

    /// The request for registration has come to an answer.
    pub(super) fn registered(&mut self, answer: &Stanza, envelopes: &mut Vec<Envelope>) {
        let mut effects = Vec::new();
        self.state.machine.registered(answer, &mut effects);
        // What was held behind it may begin something else.
        let _continues = self.perform(&mut effects, envelopes);
    }

    fn nonza(&mut self, element: &Element, envelopes: &mut Vec<Envelope>) {
        match element.ns() {
            ns::SM => self.manage(element, envelopes),
            ns::CSI => match element.name() {
                "active" => self.turn_to(ClientState::Active, envelopes),
                "inactive" => self.turn_to(ClientState::Inactive, envelopes),
                _ => self.close(Some(StreamCondition::UnsupportedStanzaType.into()), envelopes),
            },
            // RFC 6120 §4.9.3.24
            _ => self.close(Some(StreamCondition::UnsupportedStanzaType.into()), envelopes),
        }
    }

    /// XEP-0352
    fn turn_to(&mut self, state: ClientState, envelopes: &mut Vec<Envelope>) {
        let Some(bound) = &mut self.state.bound else { return };
        bound.entered.set_idle(state == ClientState::Inactive);
        let event = ConnectionEvent::ClientState(state);
        bound.follow_client(&event);
        self.state.say(event, envelopes);
    }

    /// XEP-0198, once a session is bound.
    fn manage(&mut self, element: &Element, envelopes: &mut Vec<Envelope>) {
        let request = Request::parse(element);
        let Some(bound) = &mut self.state.bound else { return };
        let out = &mut self.state.out;
        match (request, &mut bound.sm) {
            // The session ends the stream for a second one (§3).
            (Ok(Request::Enable { resume, max }), sm) => {
                let max = max.map(|seconds| Duration::from_secs(seconds.into()));
                let wish = ConnectionEvent::Enable { resume, max };
                sm.get_or_insert_with(|| Sm { wish: Some(wish.clone()), ..Sm::default() });
                self.state.say(wish, envelopes);
            }
            (Ok(Request::Ask), Some(sm)) if sm.enabled => {
                let h = sm.unconfirmed.asked();
                out.element(|_, out| sm::handled(h).write(out, ""));
            }
            (Ok(Request::Ask), Some(sm)) => sm.asked_early = true,
            (Ok(Request::Handled(h)), Some(_)) => {
                let event = ConnectionEvent::Ack { h };
                bound.follow_client(&event);
                self.state.say(event, envelopes);
            }
            // Resumed when bound, counted where nobody counts (§3, §4).
            (Ok(_), _) => {
                let failed = sm::failed(StanzaCondition::UnexpectedRequest, None);
                out.element(|_, out| failed.write(out, ""));
            }
            (Err(_), _) if self.state.machine.awaits_enabled() => {
                let failed = sm::failed(StanzaCondition::BadRequest, None);
                self.go_on(|core, more| core.state.machine.enabled(failed, more));
            }
            (Err(_), _) if matches!(element.name(), "enable" | "resume") => {
                let failed = sm::failed(StanzaCondition::BadRequest, None);
                out.element(|_, out| failed.write(out, ""));
            }
            (Err(_), _) => self.close(Some(StreamCondition::InvalidXml.into()), envelopes),
        }
    }

    /// The stream is over: what is left goes out, and the socket is closed.
    fn closed(&mut self, error: Option<StreamError>, envelopes: &mut Vec<Envelope>) {
        let gone = match error {
            None => Gone::Closed,
            Some(error) => {
                let condition = error.condition;
                self.state.gate.metrics.count_stream_error(condition);
                tracing::debug!(peer = %self.state.peer, error = condition.name(), "stream error");
                Gone::Lost
            }
        };
        self.state.failed = gone == Gone::Lost;
        self.state.part(gone, envelopes);
        self.say_farewell();
        self.begin_to_flush();
    }

    /// Nothing more is said but what stands in the out-buffer.
    pub(super) fn begin_to_flush(&mut self) {
        self.state.closing = Closing::Flushing;
        if let Socket::Bosh(_) = self.socket {
            // What is left goes with the end, whenever that goes.
            self.state.short = false;
        }
        (self.state.login.work, self.state.login.registers) = (None, None);
        self.state.limit_closing();
    }
}

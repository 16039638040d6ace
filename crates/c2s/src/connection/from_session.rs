//! Owns what a session says to its connection, and what becomes of it. Called from within other actors'
//! turns: nothing is routed here, what comes about waits for the connection's own turn.

use std::sync::Arc;
use std::time::Duration;

use proto::session::ConnectionCommand;
use proto::{Envelope, Route, SessionId};
use router::Place;
use stream::Framing;
use stream::sm::{self, Enabled};
use tokio::time::Instant;
use xmpp::{FullJid, Kind, Origin, StanzaCondition};

use super::confirm::Unconfirmed;
use super::copy;
use super::core::Core;
use super::state::{Bound, Closing, Sm};
use crate::outbox;

impl Core {
    /// Carries out a command, with what has caused it.
    pub(super) fn execute(&mut self, command: ConnectionCommand, cause: Origin) {
        match &mut self.state.bound {
            Some(bound) => bound.follow(&command, cause),
            None => copy::follow_orphan(&mut self.state.orphan, &command, cause),
        }
        match command {
            ConnectionCommand::Stanza(stanza) => {
                self.give(|framing, out| framing.stanza(&stanza, out), Some(stanza.kind()));
            }
            ConnectionCommand::Nonza(bytes) => {
                self.give(|_, out| out.extend_from_slice(&bytes), None)
            }
            ConnectionCommand::Handled { h, .. } => {
                if let Some(sm) = self.sm() {
                    sm.unconfirmed.confirm(h);
                }
            }
            ConnectionCommand::Bound { session, jid, iq_id } => self.bound(session, jid, iq_id),
            ConnectionCommand::BindRefused { error, iq_id } => {
                self.state.asks = None;
                self.go_on(|core, more| core.state.machine.bind_refused(&error, iq_id, more));
            }
            ConnectionCommand::Resumed { session, jid, h, previd } => {
                self.hold(session, jid.clone(), Some(h));
                let unconfirmed = Unconfirmed::from(h);
                let sm = Sm { unconfirmed, enabled: true, ..Sm::default() };
                if let Some(bound) = &mut self.state.bound {
                    bound.sm = Some(sm);
                }
                let answer = sm::resumed(&previd, h);
                self.go_on(|core, more| core.state.machine.resumed(&jid, answer, more));
            }
            ConnectionCommand::ResumeFailed { h } => {
                self.state.asks = None;
                let condition = StanzaCondition::ItemNotFound;
                self.go_on(|core, more| core.state.machine.resume_refused(condition, h, more));
            }
            ConnectionCommand::Enabled { id, max } => self.enabled(id.as_deref(), max),
            ConnectionCommand::Keep(session) => {
                if let Some(bound) = &mut self.state.bound {
                    // The session counts in it what it has not said yet: a new owner must not hear of that again.
                    let counts = session.stream.as_ref().and_then(|stream| stream.counts);
                    if let (Some(counts), Some(sm)) = (counts, &mut bound.sm) {
                        sm.unconfirmed.confirm(h(counts.handled));
                    }
                    let begin = || copy::begin(&bound.session, bound.jid.clone(), None);
                    bound.copy.get_or_insert_with(begin).absorb(*session);
                }
            }
            ConnectionCommand::Close(error) => {
                // The session knows: it said so itself.
                self.state.asks = None;
                if self.state.bound.take().is_some() {
                    let transport = self.state.permit.transport();
                    self.state.gate.metrics.sessions.of(transport).take_one();
                }
                let mut late = std::mem::take(&mut self.state.late);
                self.close(error, &mut late);
                self.state.late = late;
            }
        }
    }

    /// Puts something for the client into the out-buffer.
    fn give(&mut self, write: impl FnOnce(Framing, &mut Vec<u8>), stanza: Option<Kind>) {
        if self.state.closing != Closing::Open {
            if stanza.is_some() {
                self.state.gate.metrics.closing.add_one();
            }
            return;
        }
        self.state.out.element(write);
        if let Some(kind) = stanza {
            self.state.given.count(kind);
        }
        if self.state.out.len() <= outbox::HIGH {
            return;
        }
        // Before it is judged, the socket may take some.
        let mut late = std::mem::take(&mut self.state.late);
        self.flush(&mut late);
        self.state.late = late;
        if self.state.out.len() > outbox::MOST {
            tracing::debug!(peer = %self.state.peer, "a client does not read");
            self.state.gate.metrics.out_full.add_one();
            let mut late = Vec::new();
            self.lose(&mut late);
            self.state.late = late;
        }
    }

    fn bound(&mut self, session: SessionId, jid: FullJid, iq_id: Arc<str>) {
        self.hold(session, jid.clone(), None);
        self.go_on(|core, more| core.state.machine.bound(&jid, iq_id, more));
    }

    fn hold(&mut self, session: SessionId, jid: FullJid, h: Option<u32>) {
        let state = &mut self.state;
        state.asks = None;
        if state.bound.is_none() {
            state.gate.metrics.sessions.of(state.permit.transport()).add_one();
        }
        tracing::debug!(peer = %state.peer, %jid, session = session.uid, "holds a session");
        let from = jid.clone().into();
        let directory = state.gate.router.directory();
        let entered = directory.enter(session.clone(), jid.clone(), state.peer.to_string());
        let place = state.gate.router.place(&Route::Session(session.clone()));
        let copy = matches!(place, Place::Member(_)).then(|| copy::begin(&session, jid.clone(), h));
        let (sm, said, clogged) = (None, h.unwrap_or_default().into(), false);
        let budget = state.gate.budgets.join(&session.account);
        state.bound = Some(Bound { session, jid, from, sm, said, copy, clogged, entered });
        state.clock.bound(Instant::now(), &state.gate.config.c2s, budget);
    }

    fn enabled(&mut self, id: Option<&str>, max: Duration) {
        let Some(bound) = &mut self.state.bound else { return };
        bound.begin_to_count(id, max);
        let sm = bound.sm.get_or_insert_default();
        (sm.enabled, sm.wish) = (true, None);
        let max = id.map(|_| u32::try_from(max.as_secs()).unwrap_or(u32::MAX));
        let enabled = Enabled { id, max, location: None }.to_element();
        if self.state.machine.awaits_enabled() {
            self.go_on(|core, more| core.state.machine.enabled(enabled, more));
            return;
        }
        self.state.out.element(|_, out| enabled.write(out, ""));
        if std::mem::take(&mut sm.asked_early) {
            let h = sm.unconfirmed.asked();
            self.state.out.element(|_, out| sm::handled(h).write(out, ""));
        }
    }

    /// Tells the machine, and keeps what comes of it for the connection's own turn.
    pub(super) fn go_on(&mut self, tell: impl FnOnce(&mut Self, &mut Vec<stream::Effect>)) {
        let mut more = Vec::new();
        tell(self, &mut more);
        let mut late: Vec<Envelope> = std::mem::take(&mut self.state.late);
        // Nothing is void here: no stream restarts once the client is known.
        let _continues = self.perform(&mut more, &mut late);
        self.state.late = late;
    }

    fn sm(&mut self) -> Option<&mut Sm> {
        self.state.bound.as_mut()?.sm.as_mut()
    }
}

/// A count as it stands on the wire, modulo 2^32 (XEP-0198 §4).
fn h(handled: u64) -> u32 {
    u32::try_from(handled & u64::from(u32::MAX)).expect("32 bits fit")
}

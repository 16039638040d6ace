//! Owns the second copy of the session that a connection holds, where the session is on another member: what the
//! session says of it, what the connection sees itself, and what a new owner of the account is told when the one
//! before is gone ([`SessionSnapshot::absorb`]). With the session on this member nothing is kept.

use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent};
use proto::snapshot::{Counts, Resumption, SessionSnapshot, SessionState, StreamSnapshot};
use proto::{
    Body, ConnectionId, CopyId, CopyUpdate, Envelope, MemberId, ResumptionId, Route, SessionId,
};
use xmpp::{Epoch, FullJid, Origin, StreamCondition};

use super::core::Core;
use super::state::Bound;

/// A copy of a session that a connection has just got; one that is resumed counts from `h`.
pub(super) fn begin(session: &SessionId, jid: FullJid, h: Option<u32>) -> Box<SessionSnapshot> {
    let counts = h.map(|h| Counts { handled: h.into(), ..Counts::default() });
    let seq = h.unwrap_or_default().into();
    let stream = StreamSnapshot { counts, seq, ..StreamSnapshot::default() };
    Box::new(SessionSnapshot {
        uid: session.uid,
        jid,
        connection: None,
        resumption: None,
        stream: Some(stream),
        entry: None,
        term: None,
    })
}

impl Bound {
    /// The client counts from here on. What it sent behind its wish to do so is not counted yet.
    pub(super) fn begin_to_count(&mut self, id: Option<&str>, max: Duration) {
        let behind = self.sm.as_ref().map_or(0, |sm| sm.unconfirmed.len());
        let Some(copy) = &mut self.copy else { return };
        let id = id.and_then(ResumptionId::parse);
        copy.resumption = id.map(|id| Resumption { secret: id.secret, max, deadline: None });
        if let Some(stream) = &mut copy.stream {
            stream.counts = Some(Counts::default());
            stream.seq = self.said.saturating_sub(behind as u64);
        }
    }

    /// Follows what the session says.
    pub(super) fn follow(&mut self, command: &ConnectionCommand, cause: Origin) {
        if let Some(copy) = &mut self.copy {
            follow(copy, command, cause);
        }
    }

    /// Follows what the client says.
    pub(super) fn follow_client(&mut self, event: &ConnectionEvent) {
        let Some(copy) = &mut self.copy else { return };
        match (event, &mut copy.stream) {
            (ConnectionEvent::Ack { h }, _) => copy.acknowledged(*h),
            (ConnectionEvent::ClientState(state), Some(stream)) => stream.state = *state,
            _ => {}
        }
    }

    /// The copy for somebody else; `connection` is the name of the connection from now on, if it lives.
    fn as_data(&self, connection: Option<ConnectionId>) -> Option<SessionSnapshot> {
        let mut session = (**self.copy.as_ref()?).clone();
        session.connection = connection;
        let behind = self.sm.as_ref().map_or(0, |sm| sm.unconfirmed.len());
        if let Some(stream) = &mut session.stream {
            (stream.clogged, stream.resuming) = (self.clogged && connection.is_some(), None);
            if stream.counts.is_none() {
                stream.seq = self.said.saturating_sub(behind as u64);
            }
        }
        Some(session)
    }

    /// The copy when the connection is lost: until somebody else has it, it is all that is left of what the client
    /// was given. None where the session cannot be resumed.
    pub(super) fn orphan(&self) -> Option<Box<SessionSnapshot>> {
        self.as_data(None).filter(|session| session.resumption.is_some()).map(Box::new)
    }
}

fn follow(copy: &mut SessionSnapshot, command: &ConnectionCommand, cause: Origin) {
    match command {
        // When it came is known where it comes from.
        ConnectionCommand::Stanza(stanza) => copy.given((stanza, cause), 0),
        ConnectionCommand::Handled { h, .. } => copy.handled(*h),
        _ => {}
    }
}

/// The copy of a session whose connection is lost goes on following the session, which may not have heard of the loss:
/// what it says meanwhile counts as kept here. So a copy begins even now, where the session was on this member and has
/// moved to another one.
pub(super) fn follow_orphan(
    orphan: &mut Option<Box<SessionSnapshot>>,
    command: &ConnectionCommand,
    cause: Origin,
) {
    let copy = match (orphan.as_mut(), command) {
        (Some(copy), _) => copy,
        (None, ConnectionCommand::Keep(change)) if change.resumption.is_some() => {
            let session = SessionId { account: change.jid.bare(), uid: change.uid };
            orphan.insert(begin(&session, change.jid.clone(), None))
        }
        (None, _) => return,
    };
    match command {
        ConnectionCommand::Keep(change) => {
            copy.absorb((**change).clone());
            copy.connection = None;
            if let Some(stream) = &mut copy.stream {
                stream.clogged = false;
            }
        }
        // The session knows.
        ConnectionCommand::Close(_) => *orphan = None,
        command => follow(copy, command, cause),
    }
}

/// A copy on its way to a new owner.
pub(super) fn kept(owner: MemberId, account: xmpp::BareJid, session: SessionSnapshot) -> Envelope {
    let of = Box::new(Route::Session(SessionId { account, uid: session.uid }));
    let origin = Origin::Client { session: session.uid, seq: 0, part: 0 };
    let epoch = session.term.map(|term| term.epoch).unwrap_or_default();
    let whole = SessionState::Live(Box::new(session)).encode();
    let update = CopyUpdate::Kept { epoch, whole, changes: Vec::new(), by: None };
    let to = Route::Copy(CopyId { member: owner, of });
    Envelope::new(to, Body::Copy(update), origin, Epoch::default())
}

impl Core {
    /// Whether the connection says to a new owner what it has said before: nobody knows how much of that has arrived.
    /// What a client says that does not count is not kept, and what has not arrived comes in order by itself.
    pub(super) fn says_again(&self) -> bool {
        let counts = self.state.bound.as_ref().is_some_and(|bound| bound.sm.is_some());
        counts || self.state.asks.is_some()
    }

    /// The account has a new owner: it is told what is known of the session, and what the session has not confirmed
    /// is said once more, in order.
    pub(super) fn announce(&mut self, owner: MemberId, envelopes: &mut Vec<Envelope>) {
        let state = &mut self.state;
        if let Some((to, event)) = state.asks.clone() {
            state.ask(to, event, envelopes);
        }
        let Some(bound) = &state.bound else { return };
        let sm = bound.sm.as_ref();
        let wish = sm.and_then(|sm| sm.wish.clone().filter(|_| !sm.enabled));
        let unconfirmed = sm.map_or_else(|| Some(Vec::new()), |sm| sm.unconfirmed.events());
        let (Some(session), Some(unconfirmed)) = (bound.as_data(state.id), unconfirmed) else {
            // The session was on this member, which has lost it, or is not all here yet.
            self.close(Some(StreamCondition::ResourceConstraint.into()), envelopes);
            let orphan = self.state.orphan.as_deref();
            return envelopes.extend(orphan.map(|it| kept(owner, it.jid.bare(), it.clone())));
        };
        envelopes.push(kept(owner, bound.session.account.clone(), session));
        for event in wish.into_iter().chain(unconfirmed) {
            state.say(event, envelopes);
            if let Some(envelope) = envelopes.last_mut() {
                envelope.again = true;
            }
        }
    }
}

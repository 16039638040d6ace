//! Owns what happens in which order on a connection: time, sign-in, reading, writing, closing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use proto::session::Gone;
use proto::snapshot::SessionSnapshot;
use proto::{ConnectionId, Envelope};
use socket::Upgraded;
use tokio::net::TcpStream;
use tokio::time::Instant;
use xmpp::{BareJid, StreamCondition, StreamError};

use super::Accepted;
use super::clock::Due;
use super::reader::Reader;
use super::state::{Closing, NewConnection, State};
use crate::admission::Permit;
use crate::bosh::NewSession;
use crate::gate::Shared;
use crate::listener::Kind;
use crate::outbox;
use crate::socket::{DetachedSocket, Socket, Tcp, Written};
use crate::tls::TlsConnection;

/// A connection's state: its socket, and all else.
pub(super) struct Core {
    pub(super) socket: Socket,
    pub(super) state: State,
}

/// A connection on its way to another thread.
pub(super) struct DetachedConnection {
    socket: DetachedSocket,
    state: State,
}

/// What a turn led to.
pub(super) enum Turn {
    /// There may be more to do at once.
    Again,
    /// There is more to do, and others have their turn first.
    Later,
    /// There is nothing to do until something wakes the task.
    Rest,
    /// The client is this account: the connection moves to where the account lives.
    MoveTo(BareJid),
    /// The connection is over.
    Over,
}

impl Core {
    pub(super) fn new(accepted: Accepted, gate: Arc<Shared>) -> io::Result<Self> {
        let Accepted { tcp, peer, kind, permit } = accepted;
        let mut socket = Tcp::new(TcpStream::from_std(tcp)?, Arc::clone(&gate.metrics));
        if kind == Kind::Direct {
            socket.start_tls(TlsConnection::direct(gate.tls.current()).map_err(io::Error::other)?);
        }
        let state = State::new(NewConnection { peer, kind, permit, secured: None }, gate)?;
        Ok(Self { socket: Socket::Tcp(socket), state })
    }

    /// A WebSocket that whoever speaks HTTP has handed over.
    pub(super) fn upgraded(
        upgraded: Upgraded,
        permit: Permit,
        gate: Arc<Shared>,
    ) -> io::Result<Self> {
        let Upgraded { tcp, tls, is_secure, peer, reply, mut unread } = upgraded;
        let mut socket = Tcp::new(TcpStream::from_std(tcp)?, Arc::clone(&gate.metrics));
        let mut secured = is_secure.then(Vec::new);
        if let Some(tls) = tls {
            let (mut tls, plain) = TlsConnection::taken_over(*tls, &gate.tls.current());
            unread.extend_from_slice(&plain);
            secured = Some(tls.take_bindings());
            socket.start_tls(tls);
        }
        let new = NewConnection { peer, kind: Kind::WebSocket, permit, secured };
        let mut state = State::new(new, gate)?;
        state.out.end().extend_from_slice(&reply);
        if let Reader::Messages(messages) = &mut state.reader {
            messages.rest = unread;
        }
        Ok(Self { socket: Socket::Tcp(socket), state })
    }

    /// A client that comes by BOSH.
    pub(super) fn of_bosh(
        beginning: NewSession,
        permit: Permit,
        gate: Arc<Shared>,
    ) -> io::Result<Self> {
        let NewSession { bosh, peer, is_secure } = beginning;
        let new =
            NewConnection { peer, kind: Kind::Bosh, permit, secured: is_secure.then(Vec::new) };
        Ok(Self { socket: Socket::Bosh(bosh), state: State::new(new, gate)? })
    }

    pub(super) fn pack(self) -> io::Result<DetachedConnection> {
        Ok(DetachedConnection { socket: self.socket.detach()?, state: self.state })
    }

    pub(super) fn unpack(detached: DetachedConnection) -> io::Result<Self> {
        Ok(Self { socket: detached.socket.attach()?, state: detached.state })
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.state.peer
    }

    pub(super) fn gate(&self) -> &Arc<Shared> {
        &self.state.gate
    }

    pub(super) fn is_ending(&self) -> bool {
        self.state.closing != Closing::Open
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        [self.state.clock.next_wake(), self.socket.deadline()].into_iter().flatten().min()
    }

    /// Whether a session may still have something to say: one that was asked for, or one that was lost.
    pub(super) fn is_awaited(&self) -> bool {
        self.state.asks.is_some() || self.state.may_keep
    }

    /// The account of the client, once that is known.
    pub(super) fn account(&self) -> Option<&BareJid> {
        self.state.machine.account()
    }

    /// The copy of the session that was lost with the connection.
    pub(super) fn take_orphan(&mut self) -> Option<Box<SessionSnapshot>> {
        self.state.orphan.take()
    }

    /// The same, while the connection closes.
    pub(super) fn orphan(&self) -> Option<&SessionSnapshot> {
        self.state.orphan.as_deref()
    }

    /// The connection has its name; none where this thread is no arbiter.
    pub(super) fn attached(&mut self, id: Option<ConnectionId>) {
        self.state.id = id;
        if id.is_none() {
            tracing::error!("a connection was moved to a thread that is no arbiter");
            self.state.closing = Closing::Over;
        }
    }

    /// Whether there is something for the socket that has not been tried yet.
    pub(super) fn wants_flush(&self) -> bool {
        !self.state.short
            && (!self.state.out.is_empty() || self.socket.has_unsent() || self.state.has_news())
    }

    /// Whether the task must run, after something came from elsewhere.
    pub(super) fn wants_turn(&self) -> bool {
        let state = &self.state;
        (state.short && !state.awaits_room)
            || !state.late.is_empty()
            || state.closing != Closing::Open
            || (state.held && self.may_read())
    }

    /// One turn: what time brings, then what signing in brings, then one read.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, envelopes: &mut Vec<Envelope>) -> Turn {
        self.state.epoch = None;
        envelopes.append(&mut self.state.late);
        self.see_to_time(envelopes);
        if self.see_to_requests(cx) {
            return Turn::Over;
        }
        if let Some(work) = &mut self.state.login.work
            && let Poll::Ready(answer) = work.as_mut().poll(cx)
        {
            self.state.login.work = None;
            self.answered(answer, envelopes);
        }
        if let Some(work) = &mut self.state.login.registers
            && let Poll::Ready((visit, answer)) = work.as_mut().poll(cx)
        {
            (self.state.login.registers, self.state.login.visit) = (None, visit);
            self.registered(&answer, envelopes);
        }
        self.look_for_room(cx);
        // Once attached, the arbiter's flush does it for all.
        if self.state.id.is_none() || self.state.closing != Closing::Open {
            self.flush(envelopes);
        }
        if self.state.short && !self.state.awaits_room {
            // A socket that is new here may not know yet that it takes something.
            self.look_for_room(cx);
            if !self.state.short {
                return Turn::Again;
            }
        }
        if self.state.closing == Closing::Over {
            return Turn::Over;
        }
        if self.state.login.starts_tls {
            return self.start_tls();
        }
        if let Some(account) = self.state.login.moves_to.take() {
            return Turn::MoveTo(account);
        }
        if self.state.id.is_some() && std::mem::take(&mut self.state.login.continues) {
            let mut effects = Vec::new();
            self.state.machine.continue_after_login(&mut effects);
            let _continues = self.perform(&mut effects, envelopes);
        }
        self.state.held = !self.may_read();
        if self.state.held {
            return Turn::Rest;
        }
        self.read(cx, envelopes)
    }

    /// Where the socket took less than it was given: whether it takes more now. If not, it will wake the task.
    fn look_for_room(&mut self, cx: &mut Context<'_>) {
        if self.state.short {
            match self.socket.poll_writable(cx) {
                Poll::Ready(Ok(())) => self.state.short = false,
                Poll::Ready(Err(_)) => self.state.closing = Closing::Over,
                Poll::Pending => {}
            }
        }
        self.state.awaits_room = self.state.short;
    }

    /// Writes what there is, as far as it goes.
    pub(super) fn flush(&mut self, envelopes: &mut Vec<Envelope>) {
        if self.state.closing == Closing::Over {
            return;
        }
        if self.wants_flush() {
            self.state.tell_news();
            self.state.clock.speak();
            self.state.publish();
            let is_last = self.state.closing == Closing::Flushing;
            match self.socket.write_or_keep(&mut self.state.out, is_last) {
                Ok(written) => self.state.short = written == Written::Short,
                Err(_) => self.state.closing = Closing::Over,
            }
        }
        self.state.tell_load(envelopes);
        if self.state.closing == Closing::Flushing && !self.state.short {
            let condition = self.state.failed.then_some("remote-stream-error");
            self.socket.end(&mut self.state.out, condition);
            self.state.closing = Closing::Lingering;
        }
    }

    /// Closes the stream: with an error at once, without one in order (RFC 6120 §4.4, §4.9).
    pub(super) fn close(&mut self, error: Option<StreamError>, envelopes: &mut Vec<Envelope>) {
        if self.state.closing != Closing::Open && error.is_none() {
            return;
        }
        let mut effects = Vec::new();
        let in_order = error.is_none();
        self.state.machine.close(error, &mut effects);
        if in_order && self.state.closing == Closing::Open {
            self.state.closing = Closing::Asked;
            self.state.limit_closing();
        }
        // Closing makes nothing void that is not void anyway.
        let _continues = self.perform(&mut effects, envelopes);
    }

    /// This member may not act for so long that its clients are better off elsewhere: they are told so, unless
    /// something is on its way to them that must not leave; then the socket alone ends.
    pub(super) fn isolate(&mut self, envelopes: &mut Vec<Envelope>) {
        if !self.state.out.is_empty() || self.socket.has_unsent() {
            return self.lose(envelopes);
        }
        self.close(Some(StreamCondition::SystemShutdown.into()), envelopes);
    }

    /// Sessions elsewhere count this socket as gone: the client comes again, and what was kept of its session is not
    /// the latest.
    pub(super) fn expelled(&mut self, envelopes: &mut Vec<Envelope>) {
        if self.state.bound.is_some() || self.state.asks.is_some() {
            self.close(Some(StreamCondition::ResourceConstraint.into()), envelopes);
        }
        (self.state.orphan, self.state.may_keep) = (None, false);
    }

    /// The socket is gone, or given up: the session is told that it is lost.
    pub(super) fn lose(&mut self, envelopes: &mut Vec<Envelope>) {
        self.state.closing = Closing::Over;
        envelopes.append(&mut self.state.late);
        self.state.part(Gone::Lost, envelopes);
    }

    fn may_read(&self) -> bool {
        let state = &self.state;
        match state.closing {
            Closing::Lingering => return true,
            Closing::Flushing | Closing::Over => return false,
            Closing::Open | Closing::Asked => {}
        }
        let waits = state.machine.is_waiting()
            || state.login.work.is_some()
            || state.login.starts_tls
            || state.login.moves_to.is_some();
        let sm = state.bound.as_ref().and_then(|bound| bound.sm.as_ref());
        let frozen = state.id.is_some() && router::local::is_frozen();
        !waits
            && !frozen
            && state.clock.may_read()
            && state.out.len() <= outbox::HIGH
            && sm.is_none_or(|sm| sm.unconfirmed.has_room())
    }

    fn see_to_time(&mut self, envelopes: &mut Vec<Envelope>) {
        let now = Instant::now();
        let gate = Arc::clone(&self.state.gate);
        while let Some(due) = self.state.clock.due(now, &gate.config.c2s) {
            match (due, self.state.closing) {
                (Due::Silence, Closing::Open) => self.probe(),
                (Due::Silence, _) => {}
                (_, Closing::Open) => self.time_out(envelopes),
                // The client had its time to close.
                (_, _) => self.state.closing = Closing::Over,
            }
        }
    }

    fn time_out(&mut self, envelopes: &mut Vec<Envelope>) {
        let shaking = self.socket.tls().is_some_and(|tls| tls.is_handshaking());
        if self.state.bound.is_none() {
            self.state.gate.metrics.logins_late.add_one();
        }
        if shaking || self.state.proxy.is_some() {
            self.state.closing = Closing::Over;
            return;
        }
        let error = StreamError::from(StreamCondition::ConnectionTimeout);
        self.close(Some(error), envelopes);
    }
}

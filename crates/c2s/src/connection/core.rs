//! Owns the state of a connection, and what happens in which order: time, sign-in, reading, writing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use auth::Offer;
use proto::session::{EdgeWord, Gone};
use proto::{Body, ConnectionId, Envelope, Route, SessionId};
use stream::{Limits, Machine, Parser, SaslOffer, machine};
use tokio::net::TcpStream;
use tokio::time::Instant;
use xmpp::{BareJid, Epoch, FullJid, Jid, Origin, StreamCondition, StreamError};

use super::Newcomer;
use super::clock::{Clock, Due};
use super::confirm::Unconfirmed;
use crate::admission::Permit;
use crate::gate::Shared;
use crate::listener::Kind;
use crate::outbox::{self, Outbox};
use crate::proxy;
use crate::signin::{Answer, Talk};
use crate::socket::{LooseSocket, Read, Scratch, Socket, Written};
use crate::tls::Pump;

/// A connection's state: its socket, and all else.
pub(super) struct Core {
    pub(super) socket: Socket,
    pub(super) state: State,
}

/// A connection on its way to another thread.
pub(super) struct Luggage {
    socket: LooseSocket,
    state: State,
}

/// All that a connection knows.
pub(super) struct State {
    pub(super) gate: Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) permit: Permit,
    /// The beginning of the header of a load balancer, as far as it has come.
    proxy: Option<Vec<u8>>,
    pub(super) parser: Parser,
    pub(super) machine: Machine,
    /// What the machine is made anew from when a handshake comes first, as it shows what that led to.
    unbegun: Option<(Arc<machine::Config>, Seeds)>,
    pub(super) out: Outbox,
    pub(super) clock: Clock,
    pub(super) login: Login,
    pub(super) id: Option<ConnectionId>,
    /// The connection's own number in [`Origin`]s; no session has it.
    origin: u64,
    spoken: u64,
    pub(super) bound: Option<Bound>,
    /// A session has been asked for and has not answered.
    pub(super) asks: Option<Asks>,
    pub(super) closing: Closing,
    /// The socket took less than it was given.
    short: bool,
    /// Nothing may be read for now but what wakes the task otherwise.
    held: bool,
    /// What came about while the state was borrowed by a word of the session.
    pub(super) late: Vec<Envelope>,
}

/// Signing in.
#[derive(Default)]
pub(super) struct Login {
    /// What the present stream was offered.
    pub(super) offer: Option<Offer>,
    /// The negotiation that waits for the client.
    pub(super) talk: Option<Box<Talk>>,
    /// What is looked up or computed now.
    pub(super) work: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    /// The TLS handshake begins once everything is out.
    pub(super) starts_tls: bool,
    /// The account, until the connection has moved to it.
    pub(super) settles: Option<BareJid>,
}

/// The session that the connection holds.
pub(super) struct Bound {
    pub(super) session: SessionId,
    pub(super) jid: FullJid,
    /// The address as stanzas carry it.
    pub(super) from: Jid,
    pub(super) sm: Option<Sm>,
    /// The session was told to give no more for now.
    pub(super) clogged: bool,
}

impl Bound {
    /// The client sent a stanza.
    pub(super) fn count(&mut self, bytes: usize) {
        if let Some(sm) = &mut self.sm {
            sm.unconfirmed.push(bytes);
        }
    }
}

/// Stream management.
#[derive(Default)]
pub(super) struct Sm {
    pub(super) unconfirmed: Unconfirmed,
    /// `<enabled/>` has been sent; an `<r/>` before is answered behind it.
    pub(super) enabled: bool,
    pub(super) asked_early: bool,
}

/// What a session was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Bind,
    Resume,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Not at all.
    Open,
    /// Our closing tag is sent; the client's is awaited.
    Asked,
    /// Nothing more is said; what is left goes out.
    Flushing,
    /// All is out, and the client knows; it may close first, so that it gets everything.
    Lingering,
    /// Over.
    Over,
}

/// What a turn led to.
pub(super) enum Turn {
    /// There may be more to do at once.
    Again,
    /// There is nothing to do until something wakes the task.
    Rest,
    /// The client is this account: the connection moves to where the account lives.
    Settle(BareJid),
    /// The connection is over.
    Over,
}

impl Core {
    pub(super) fn new(newcomer: Newcomer, gate: Arc<Shared>) -> io::Result<Self> {
        let Newcomer { tcp, peer, kind, mut permit } = newcomer;
        let address = peer.ip().to_canonical();
        let proxied = gate.config.c2s.proxy_protocol_from.contains(&address);
        if !proxied && !permit.comes_from(address) {
            return Err(io::Error::other("too many connections from this address"));
        }
        let (seeds, origin) = random()?;
        let offer = gate.desk.offer(None);
        let stream = gate.stream(kind);
        let unbegun = (kind == Kind::Direct).then(|| (Arc::clone(&stream), seeds));
        let machine = Machine::new(stream, names(&offer), seeds);
        let metrics = Arc::clone(&gate.metrics);
        let mut socket = Socket::new(TcpStream::from_std(tcp)?, metrics);
        if kind == Kind::Direct {
            socket.start_tls(Pump::direct(gate.tls.current()).map_err(io::Error::other)?);
        }
        let limits = &gate.config.limits;
        let before_login =
            Limits { stanza_bytes: limits.stanza_bytes_before_login, ..Limits::BEFORE_LOGIN };
        let state = State {
            peer,
            permit,
            proxy: proxied.then(Vec::new),
            parser: Parser::new(before_login),
            machine,
            unbegun,
            out: Outbox::default(),
            clock: Clock::new(Instant::now(), limits),
            login: Login { offer: Some(offer), ..Login::default() },
            id: None,
            origin,
            spoken: 0,
            bound: None,
            asks: None,
            closing: Closing::Open,
            short: false,
            held: false,
            late: Vec::new(),
            gate,
        };
        Ok(Self { socket, state })
    }

    pub(super) fn pack(self) -> io::Result<Luggage> {
        Ok(Luggage { socket: self.socket.loosen()?, state: self.state })
    }

    pub(super) fn unpack(luggage: Luggage) -> io::Result<Self> {
        Ok(Self { socket: luggage.socket.fasten()?, state: luggage.state })
    }

    pub(super) fn gate(&self) -> &Arc<Shared> {
        &self.state.gate
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.state.clock.next_wake()
    }

    /// A session was asked for and will answer.
    pub(super) fn asks(&self) -> bool {
        self.state.asks.is_some()
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
        state.short
            || !state.late.is_empty()
            || state.closing != Closing::Open
            || (state.held && self.may_read())
    }

    /// One turn: what time brings, then what signing in brings, then one read.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, words: &mut Vec<Envelope>) -> Turn {
        words.append(&mut self.state.late);
        self.see_to_time(words);
        if let Some(work) = &mut self.state.login.work
            && let Poll::Ready(answer) = work.as_mut().poll(cx)
        {
            self.state.login.work = None;
            self.answered(answer, words);
        }
        if self.state.short {
            match self.socket.poll_writable(cx) {
                Poll::Ready(Ok(())) => self.state.short = false,
                Poll::Ready(Err(_)) => self.state.closing = Closing::Over,
                Poll::Pending => {}
            }
        }
        // Once attached, the arbiter's flush does it for all.
        if self.state.id.is_none() || self.state.closing != Closing::Open {
            self.flush(words);
        }
        if self.state.closing == Closing::Over {
            return Turn::Over;
        }
        if self.state.login.starts_tls {
            return self.start_tls();
        }
        if let Some(account) = self.state.login.settles.take() {
            return Turn::Settle(account);
        }
        self.state.held = !self.may_read();
        if self.state.held {
            return Turn::Rest;
        }
        self.read(cx, words)
    }

    /// Writes what there is, as far as it goes.
    pub(super) fn flush(&mut self, words: &mut Vec<Envelope>) {
        if self.state.closing == Closing::Over {
            return;
        }
        if self.wants_flush() {
            self.state.tell_news();
            self.state.clock.speak();
            match self.socket.write(&mut self.state.out) {
                Ok(written) => self.state.short = written == Written::Short,
                Err(_) => self.state.closing = Closing::Over,
            }
        }
        self.state.tell_load(words);
        if self.state.closing == Closing::Flushing && !self.state.short {
            self.socket.end();
            self.state.closing = Closing::Lingering;
        }
    }

    /// Closes the stream: with an error at once, without one in order (RFC 6120 §4.4, §4.9).
    pub(super) fn close(&mut self, error: Option<StreamError>, words: &mut Vec<Envelope>) {
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
        let _continues = self.perform(effects, words);
    }

    /// The socket is gone, or given up: the session is told that it is lost.
    pub(super) fn lose(&mut self, words: &mut Vec<Envelope>) {
        self.state.closing = Closing::Over;
        words.append(&mut self.state.late);
        self.state.part(Gone::Lost, words);
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
            || state.login.settles.is_some();
        let sm = state.bound.as_ref().and_then(|bound| bound.sm.as_ref());
        !waits
            && state.clock.may_read()
            && state.out.len() <= outbox::HIGH
            && sm.is_none_or(|sm| sm.unconfirmed.has_room())
    }

    fn see_to_time(&mut self, words: &mut Vec<Envelope>) {
        let now = Instant::now();
        let gate = Arc::clone(&self.state.gate);
        while let Some(due) = self.state.clock.due(now, &gate.config.c2s) {
            match (due, self.state.closing) {
                (Due::Silence, Closing::Open) => self.state.out.end().push(b' '),
                (Due::Silence, _) => {}
                (_, Closing::Open) => self.time_out(words),
                // The client had its time to close.
                (_, _) => self.state.closing = Closing::Over,
            }
        }
    }

    fn time_out(&mut self, words: &mut Vec<Envelope>) {
        let shaking = self.socket.tls().is_some_and(|tls| tls.is_handshaking());
        if self.state.bound.is_none() {
            self.state.gate.metrics.logins_late.add_one();
        }
        if shaking || self.state.proxy.is_some() {
            self.state.closing = Closing::Over;
            return;
        }
        let error = StreamError::from(StreamCondition::ConnectionTimeout);
        self.close(Some(error), words);
    }

    fn start_tls(&mut self) -> Turn {
        if self.state.short {
            return Turn::Rest;
        }
        self.state.login.starts_tls = false;
        let domain = self.state.machine.domain().map_or("", |domain| domain.as_str());
        match Pump::upgraded(self.state.gate.tls.current(), domain) {
            Ok(pump) => {
                self.socket.start_tls(pump);
                Turn::Again
            }
            Err(error) => {
                tracing::error!(%error, "TLS could not be begun");
                Turn::Over
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, words: &mut Vec<Envelope>) -> Turn {
        let mut scratch = Scratch::take();
        let turn = match self.socket.poll_read(cx, &mut scratch) {
            Poll::Pending => Turn::Rest,
            Poll::Ready(Ok(Read::Some)) => self.receive(&mut scratch, words),
            Poll::Ready(Ok(Read::End) | Err(_)) => Turn::Over,
        };
        scratch.give_back();
        turn
    }

    fn receive(&mut self, scratch: &mut Scratch, words: &mut Vec<Envelope>) -> Turn {
        if self.state.closing == Closing::Lingering {
            return Turn::Again;
        }
        self.state.clock.hear();
        let came = scratch.raw().len();
        match self.state.read_proxy(scratch) {
            Proxied::Through => {}
            Proxied::Partial => return Turn::Again,
            Proxied::Refused => return Turn::Over,
        }
        let was_shaking = self.socket.tls().is_some_and(|tls| tls.is_handshaking());
        let end = match self.socket.decrypt(scratch) {
            Ok(read) => read == Read::End,
            Err(error) => {
                tracing::debug!(peer = %self.state.peer, %error, "TLS failed");
                // The alert says why, where the socket takes it.
                self.flush(words);
                return Turn::Over;
            }
        };
        if was_shaking {
            self.shook_hands();
        }
        let stanzas = self.hear(scratch.plain(), words);
        self.state.count((came, stanzas));
        if end && self.state.closing == Closing::Open { Turn::Over } else { Turn::Again }
    }

    /// The handshake may be done: what is offered from here on is bound to it.
    fn shook_hands(&mut self) {
        let Some(tls) = self.socket.tls() else { return };
        if tls.is_handshaking() {
            return;
        }
        let offer = self.state.gate.desk.offer(Some(tls.take_bindings()));
        if let Some((config, seeds)) = self.state.unbegun.take() {
            self.state.machine = Machine::new(config, names(&offer), seeds);
        } else {
            self.state.machine.tls_started(names(&offer));
        }
        self.state.login.offer = Some(offer);
    }
}

/// How a load balancer's header went.
enum Proxied {
    /// There is none, or it is over; what is behind it stands in the scratch.
    Through,
    Partial,
    Refused,
}

impl State {
    fn read_proxy(&mut self, scratch: &mut Scratch) -> Proxied {
        let Some(mut head) = self.proxy.take() else { return Proxied::Through };
        head.extend_from_slice(scratch.raw());
        match proxy::read(&head) {
            proxy::Header::Partial => {
                self.proxy = Some(head);
                Proxied::Partial
            }
            proxy::Header::Wrong => {
                tracing::warn!(peer = %self.peer, "a load balancer sent no PROXY header");
                Proxied::Refused
            }
            proxy::Header::Whole { len, client } => {
                self.peer = client.unwrap_or(self.peer);
                // A balancer that speaks for itself is trusted with as many as it likes.
                if client.is_some_and(|client| !self.permit.comes_from(client.ip())) {
                    return Proxied::Refused;
                }
                scratch.set_raw(head.get(len..).unwrap_or_default());
                Proxied::Through
            }
        }
    }

    /// The client's address.
    pub(super) fn address(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// Counts what came against the limits of a signed-in client.
    fn count(&mut self, came: (usize, usize)) {
        self.gate.metrics.stanzas_in.add(came.1 as u64);
        if self.bound.is_some()
            && self.gate.config.limits.enabled
            && self.clock.count(Instant::now(), came, &self.gate.config.limits)
        {
            self.gate.metrics.reads_delayed.add_one();
        }
    }

    /// A word for whoever keeps the account or its session.
    pub(super) fn ask(&mut self, to: Route, word: EdgeWord, words: &mut Vec<Envelope>) {
        let Some(id) = self.id else { return };
        self.spoken += 1;
        let epoch = to.key().map_or_else(Epoch::default, |jid| self.gate.router.epoch(jid));
        let origin = Origin::Client { session: self.origin, seq: self.spoken, part: 0 };
        words.push(Envelope::new(to, Body::Edge(id, word), origin, epoch));
    }

    /// Says something to the session, if there is one.
    pub(super) fn say(&mut self, word: EdgeWord, words: &mut Vec<Envelope>) {
        if let Some(bound) = &self.bound {
            let to = Route::Session(bound.session.clone());
            self.ask(to, word, words);
        }
    }

    /// Takes leave of the session.
    pub(super) fn part(&mut self, gone: Gone, words: &mut Vec<Envelope>) {
        self.say(EdgeWord::Gone(gone), words);
        if self.bound.take().is_some() {
            self.gate.metrics.sessions.take_one();
        }
    }

    /// The time to close begins.
    pub(super) fn limit_closing(&mut self) {
        let patience = Duration::from_secs(self.gate.config.c2s.close_seconds);
        self.clock.allow(Instant::now(), patience);
    }

    fn has_news(&self) -> bool {
        let sm = self.bound.as_ref().and_then(|bound| bound.sm.as_ref());
        sm.is_some_and(|sm| sm.enabled && sm.unconfirmed.has_news())
    }

    fn tell_news(&mut self) {
        let sm = self.bound.as_mut().and_then(|bound| bound.sm.as_mut());
        if let Some(sm) = sm.filter(|sm| sm.enabled)
            && let Some(h) = sm.unconfirmed.news()
        {
            stream::sm::handled(h).write(self.out.end(), "");
        }
    }

    /// Tells the session when to stop giving, and when to go on.
    fn tell_load(&mut self, words: &mut Vec<Envelope>) {
        let Some(bound) = &mut self.bound else { return };
        let load = self.out.len();
        let word = match bound.clogged {
            false if load > outbox::HIGH => EdgeWord::Clogged,
            true if load < outbox::LOW => EdgeWord::Drained,
            _ => return,
        };
        bound.clogged = !bound.clogged;
        self.say(word, words);
    }
}

/// What the stream features say of an offer.
fn names(offer: &Offer) -> SaslOffer {
    SaslOffer {
        mechanisms: offer.mechanisms().iter().map(|known| known.name().to_owned()).collect(),
        bindings: offer.bindings().iter().map(|known| known.name().to_owned()).collect(),
    }
}

type Seeds = [machine::StreamSeed; machine::STREAMS_MAX];

fn random() -> io::Result<(Seeds, u64)> {
    let (mut seeds, mut origin) = (Seeds::default(), [0; 8]);
    getrandom::fill(seeds.as_flattened_mut())?;
    getrandom::fill(&mut origin)?;
    Ok((seeds, u64::from_ne_bytes(origin)))
}

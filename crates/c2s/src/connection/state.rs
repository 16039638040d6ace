//! Owns what a connection knows, and how it speaks to its session.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use accounts::registrar::Visit;
use auth::{ChannelBinding, Offer};
use proto::session::{ConnectionEvent, Gone, PLACED};
use proto::snapshot::SessionSnapshot;
use proto::{Body, ConnectionId, Envelope, Route, SessionId};
use socket::rate::Traffic;
use stream::{Framing, Machine, SaslOffer, machine};
use tokio::time::Instant;
use xmpp::{BareJid, Epoch, FullJid, Jid, Origin, Stanza};

use super::clock::Clock;
use super::confirm::Unconfirmed;
use super::reader::Reader;
use crate::admission::Permit;
use crate::gate::Shared;
use crate::listener::Kind;
use crate::metrics::Tally;
use crate::outbox::{self, Outbox};
use crate::signin::{Answer, Authenticator, PendingNegotiation};

/// All that a connection knows.
pub(super) struct State {
    pub(super) gate: Arc<Shared>,
    pub(super) peer: SocketAddr,
    pub(super) permit: Permit,
    /// The beginning of the header of a load balancer, as far as it has come.
    pub(super) proxy: Option<Vec<u8>>,
    pub(super) reader: Reader,
    pub(super) machine: Machine,
    /// What the machine is made anew from when a handshake comes first, as it shows what that led to.
    pub(super) unbegun: Option<(Arc<machine::Config>, Seeds)>,
    pub(super) out: Outbox,
    pub(super) clock: Clock,
    pub(super) login: Login,
    pub(super) id: Option<ConnectionId>,
    /// The connection's own number in [`Origin`]s; no session has it.
    origin: u64,
    spoken: u64,
    pub(super) bound: Option<Bound>,
    /// A session has been asked for and has not answered.
    pub(super) asks: Option<(Route, ConnectionEvent)>,
    /// The copy of the session that was lost with the connection.
    pub(super) orphan: Option<Box<SessionSnapshot>>,
    /// The session that was lost may move to another member before it hears of that, and give its copy here.
    pub(super) may_keep: bool,
    pub(super) closing: Closing,
    /// The stream ended with an error.
    pub(super) failed: bool,
    /// The socket took less than it was given.
    pub(super) short: bool,
    /// And whoever waits until it takes more is known.
    pub(super) awaits_room: bool,
    /// Nothing may be read for now but what wakes the task otherwise.
    pub(super) held: bool,
    /// What came about while the state was borrowed by a command of the session.
    pub(super) late: Vec<Envelope>,
    /// Stanzas given to the client that the metrics do not know of yet.
    pub(super) given: Tally,
    /// The epoch of the account's shard, as looked up in this turn.
    pub(super) epoch: Option<Epoch>,
}

/// What is known of a connection before anything is read.
pub(super) struct NewConnection {
    pub(super) peer: SocketAddr,
    pub(super) kind: Kind,
    pub(super) permit: Permit,
    /// The channel bindings of TLS that is up already; none without TLS.
    pub(super) secured: Option<Vec<ChannelBinding>>,
}

/// Signing in.
#[derive(Default)]
pub(super) struct Login {
    /// What the present stream was offered.
    pub(super) offer: Option<Offer>,
    /// The negotiation that waits for the client.
    pub(super) pending: Option<Box<PendingNegotiation>>,
    /// What is looked up or computed now.
    pub(super) work: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    /// What the client has come to by registration (XEP-0077).
    pub(super) visit: Visit,
    /// A request for registration that is looked at now.
    pub(super) registers: Option<Registering>,
    /// The TLS handshake begins once everything is out.
    pub(super) starts_tls: bool,
    /// The account, until the connection has moved to it.
    pub(super) moves_to: Option<BareJid>,
    /// The machine is told when it has (XEP-0388).
    pub(super) continues: bool,
}

/// A request for registration, and what the client has come to by it.
type Registering = Pin<Box<dyn Future<Output = (Visit, Stanza)> + Send>>;

/// The session that the connection holds.
pub(super) struct Bound {
    pub(super) session: SessionId,
    pub(super) jid: FullJid,
    /// The address as stanzas carry it.
    pub(super) from: Jid,
    pub(super) sm: Option<Sm>,
    /// Stanzas of the client, from the first one on.
    pub(super) said: u64,
    /// The second copy of a session that is on another member.
    pub(super) copy: Option<Box<SessionSnapshot>>,
    /// The session was told to give no more for now.
    pub(super) clogged: bool,
    /// Its line in the directory.
    pub(super) entered: router::directory::Entered,
}

impl Bound {
    /// The client sent a stanza.
    pub(super) fn count(&mut self, bytes: usize, event: &ConnectionEvent) {
        self.said += 1;
        if let Some(sm) = &mut self.sm {
            sm.unconfirmed.push(bytes, self.copy.as_ref().map(|_| event.clone()));
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
    /// With what it was asked for.
    pub(super) wish: Option<ConnectionEvent>,
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

impl State {
    /// What a connection begins with. Its socket waits for a load balancer's header where it is `proxied`.
    pub(super) fn new(new: NewConnection, gate: Arc<Shared>) -> io::Result<Self> {
        let NewConnection { peer, kind, mut permit, secured } = new;
        let address = peer.ip().to_canonical();
        let framing = kind.framing();
        // HTTP has its own way to say where a client is.
        let proxied =
            framing == Framing::Tcp && gate.config.c2s.proxy_protocol_from.contains(&address);
        if !proxied && !permit.comes_from(address) {
            return Err(io::Error::other("too many connections from this address"));
        }
        let (seeds, origin) = random()?;
        let offer = gate.authenticator.offer(secured, Vec::new());
        let stream = gate.stream(kind);
        let unbegun = (kind == Kind::Direct).then(|| (Arc::clone(&stream), seeds));
        let machine = Machine::new(stream, names(&offer, &gate.authenticator), seeds);
        let limits = &gate.config.limits;
        Ok(Self {
            peer,
            permit,
            proxy: proxied.then(Vec::new),
            reader: Reader::new(framing, limits.of_strangers()),
            machine,
            unbegun,
            out: Outbox::framed(framing),
            clock: Clock::new(Instant::now(), limits),
            login: Login { offer: Some(offer), ..Login::default() },
            id: None,
            origin,
            spoken: 0,
            bound: None,
            asks: None,
            orphan: None,
            may_keep: false,
            closing: Closing::Open,
            failed: false,
            short: false,
            awaits_room: false,
            held: false,
            late: Vec::new(),
            given: Tally::default(),
            epoch: None,
            gate,
        })
    }

    /// The client's address.
    pub(super) fn address(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// Counts what came against the limits of a signed-in client.
    pub(super) fn count(&mut self, bytes: usize, mut stanzas: Tally) {
        let came = Traffic { bytes, stanzas: stanzas.sum() };
        stanzas.publish(&self.gate.metrics.stanzas_in);
        let limits = self.gate.limits();
        if self.bound.is_some() && limits.enabled && self.clock.count(Instant::now(), came, limits)
        {
            self.gate.metrics.reads_delayed.add_one();
        }
    }

    /// An event for whoever keeps the account or its session. All events of a connection are for one account.
    pub(super) fn ask(&mut self, to: Route, event: ConnectionEvent, envelopes: &mut Vec<Envelope>) {
        let Some(id) = self.id else { return };
        self.spoken += 1;
        let epoch = *self.epoch.get_or_insert_with(|| {
            to.key().map_or_else(Epoch::default, |jid| self.gate.router.epoch(jid))
        });
        let origin = Origin::Client { session: self.origin, seq: self.spoken, part: 0 };
        envelopes.push(Envelope::new(to, Body::FromConnection(id, event), origin, epoch));
    }

    /// Asks for a session, which will answer.
    pub(super) fn ask_for_session(
        &mut self,
        to: Route,
        event: ConnectionEvent,
        envelopes: &mut Vec<Envelope>,
    ) {
        self.asks = Some((to.clone(), event.clone()));
        self.ask(to, event, envelopes);
    }

    /// Says something to the session, if there is one. What a client says that counts is said again here if need be;
    /// of one that does not, the way to the session may say it again, so that its place goes along.
    pub(super) fn say(&mut self, event: ConnectionEvent, envelopes: &mut Vec<Envelope>) {
        let Some(bound) = &self.bound else { return };
        let (to, counts) = (Route::Session(bound.session.clone()), bound.sm.is_some());
        let is_stanza = matches!(event, ConnectionEvent::Stanza(_) | ConnectionEvent::Answered(_));
        let place = (is_stanza && !counts).then_some(bound.said);
        self.ask(to, event, envelopes);
        if let (Some(seq), Some(envelope)) = (place, envelopes.last_mut()) {
            envelope.origin = Origin::Client { session: self.origin, seq, part: PLACED };
        }
    }

    /// Takes leave of the session.
    pub(super) fn part(&mut self, gone: Gone, envelopes: &mut Vec<Envelope>) {
        self.say(ConnectionEvent::Gone(gone), envelopes);
        if let Some(bound) = self.bound.take() {
            if gone == Gone::Lost {
                self.orphan = bound.orphan();
                self.may_keep = bound.sm.is_some();
            }
            self.gate.metrics.sessions.of(self.permit.transport()).take_one();
        }
    }

    /// Lets the metrics know.
    pub(super) fn publish(&mut self) {
        self.given.publish(&self.gate.metrics.stanzas_out);
    }

    /// The time to close begins.
    pub(super) fn limit_closing(&mut self) {
        let patience = Duration::from_secs(self.gate.config.c2s.close_seconds);
        self.clock.allow(Instant::now(), patience);
    }

    pub(super) fn has_news(&self) -> bool {
        let sm = self.bound.as_ref().and_then(|bound| bound.sm.as_ref());
        sm.is_some_and(|sm| sm.enabled && sm.unconfirmed.has_news())
    }

    pub(super) fn tell_news(&mut self) {
        let sm = self.bound.as_mut().and_then(|bound| bound.sm.as_mut());
        if let Some(sm) = sm.filter(|sm| sm.enabled)
            && let Some(h) = sm.unconfirmed.news()
        {
            self.out.element(|_, out| stream::sm::handled(h).write(out, ""));
        }
    }

    /// Tells the client the last h that it hears on this stream.
    pub(super) fn tell_last(&mut self) {
        let sm = self.bound.as_mut().and_then(|bound| bound.sm.as_mut());
        if let Some(sm) = sm.filter(|sm| sm.enabled && self.closing == Closing::Open)
            && let Some(h) = sm.unconfirmed.last()
        {
            self.out.element(|_, out| stream::sm::handled(h).write(out, ""));
        }
    }

    /// Tells the session when to stop giving, and when to go on.
    pub(super) fn tell_load(&mut self, envelopes: &mut Vec<Envelope>) {
        let Some(bound) = &mut self.bound else { return };
        let load = self.out.len();
        let event = match bound.clogged {
            false if load > outbox::HIGH => ConnectionEvent::Clogged,
            true if load < outbox::LOW => ConnectionEvent::Drained,
            _ => return,
        };
        bound.clogged = !bound.clogged;
        self.say(event, envelopes);
    }
}

/// What the stream features say of an offer.
pub(super) fn names(offer: &Offer, authenticator: &Authenticator) -> SaslOffer {
    SaslOffer {
        mechanisms: offer.mechanisms().iter().map(|known| known.name().to_owned()).collect(),
        bindings: offer.bindings().iter().map(|known| known.name().to_owned()).collect(),
        tokens: authenticator.offered_tokens(offer),
        upgrades: crate::upgrades::offered(offer),
    }
}

/// Random octets for the ids of a connection's streams.
pub(super) type Seeds = [machine::StreamSeed; machine::STREAMS_MAX];

fn random() -> io::Result<(Seeds, u64)> {
    let (mut seeds, mut origin) = (Seeds::default(), [0; 8]);
    getrandom::fill(seeds.as_flattened_mut())?;
    getrandom::fill(&mut origin)?;
    Ok((seeds, Origin::session_number(u64::from_ne_bytes(origin))))
}

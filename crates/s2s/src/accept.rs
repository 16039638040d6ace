//! Owns streams of other servers: takes the connection in, does what the machine says, and hands stanzas to the router.
//! A server that sends faster than it may is read more slowly; nobody else waits for it.
//!
//! | module | owns |
//! |---|---|
//! | `doubts` | why somebody is not believed |
//! | `proofs` | what is looked for before something is believed |
//! | `questions` | how much is looked up at a time, and keys of dialback |

mod doubts;
mod proofs;
mod questions;

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use router::Router;
use rustls_pki_types::UnixTime;
use stream::{Event, Limits, Parser};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use xmpp::{BareJid, StreamCondition, StreamError};

use crate::dial::Dialer;
use crate::failure::Failure;
use crate::guests::{Guest, Guests};
use crate::incoming::{Effect, Incoming, Question, Verdict, handled};
use crate::inflow::{Inflow, Inlet};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::pairs::Pairs;
use crate::proofs::Chain;
use crate::tls::{self, Start};
use crate::wire::{self, Read, ReadError};
pub(crate) use questions::Questions;
use socket::Permit;

/// A server has this long to answer the end of its stream.
const CLOSING: Duration = Duration::from_secs(5);

/// What all streams of other servers share.
pub(crate) struct Inbound {
    pub(crate) dialer: Rc<Dialer>,
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) guests: Arc<Guests>,
    /// Before a domain is proved.
    pub(crate) patience: Duration,
    /// Streams that one domain may have.
    pub(crate) of_one_domain: usize,
    pub(crate) inlet: Rc<Inlet>,
    pub(crate) questions: Questions,
    pub(crate) stopping: watch::Receiver<bool>,
    /// This member may not act, and may not for long: other servers are better off at another one.
    pub(crate) isolated: watch::Receiver<bool>,
}

/// One stream of another server.
struct Visit {
    inbound: Rc<Inbound>,
    machine: Incoming,
    parser: Parser,
    /// The certificates that the peer has shown.
    chain: Chain,
    guest: Guest,
    permit: Permit,
    inflow: Inflow,
    /// Keys that are being looked at.
    asking: JoinSet<(Question, Result<Verdict, Failure>)>,
    /// Where it comes from.
    address: IpAddr,
    began: Instant,
    /// What is written to it.
    outbox: Rc<Outbox>,
    /// The gate stops: until when the other end is waited for.
    leaves: Option<Instant>,
    /// The other end has ended its stream in order.
    has_ended: bool,
    /// Why we have.
    ended_for: Option<StreamError>,
}

/// How far a visit came.
enum Reached {
    StartTls(BareJid),
    End,
}

/// Serves one connection until it ends.
pub(crate) async fn welcome(
    inbound: Rc<Inbound>,
    tcp: TcpStream,
    address: SocketAddr,
    start: Start,
    permit: Permit,
) {
    if let Err(error) = wire::tune(&tcp) {
        return tracing::debug!(peer = %address, %error, "a connection was gone at once");
    }
    inbound.metrics.accepted.add_one();
    inbound.metrics.streams[1].add_one();
    let metrics = Arc::clone(&inbound.metrics);
    if let Err(failure) = Box::pin(visit(inbound, tcp, address, start, permit)).await {
        tracing::debug!(peer = %address, error = %failure, "a stream of another server ended");
    }
    metrics.streams[1].take_one();
}

async fn visit(
    inbound: Rc<Inbound>,
    mut tcp: TcpStream,
    address: SocketAddr,
    start: Start,
    permit: Permit,
) -> Result<(), Failure> {
    let began = Instant::now();
    if start == Start::Direct {
        let io = timeout(inbound.patience, encrypt(&inbound, tcp, "", start)).await;
        let io = io.map_err(|_| Failure::Silent)??;
        let chain = wire::chain(&io);
        let peer = inbound.dialer.trust.now().judge(&chain, UnixTime::now());
        let mut visit = Visit::new(inbound, Some(peer), address, permit);
        (visit.chain, visit.began) = (chain, began);
        return visit.converse(io).await.map(|_| ());
    }
    let mut visit = Visit::new(inbound, None, address, permit);
    let Reached::StartTls(local) = visit.converse(&mut tcp).await? else { return Ok(()) };
    let io = timeout(visit.left(), encrypt(&visit.inbound, tcp, local.as_str(), start)).await;
    let io =
        io.unwrap_or(Err(Failure::Silent)).inspect_err(|failure| visit.look_back(Some(failure)))?;
    visit.parser.reset();
    visit.chain = wire::chain(&io);
    let peer = visit.inbound.dialer.trust.now().judge(&visit.chain, UnixTime::now());
    visit.machine.tls_started(peer);
    visit.converse(io).await.map(|_| ())
}

async fn encrypt(
    inbound: &Inbound,
    tcp: TcpStream,
    local: &str,
    start: Start,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = tls::server(&inbound.dialer.certificates, local, start);
    let config = config.map_err(|error| Failure::Tls(error.to_string()))?;
    let io = TlsAcceptor::from(Arc::new(config)).accept(tcp).await;
    Ok(TlsStream::Server(io.map_err(|error| Failure::Tls(error.to_string()))?))
}

impl Visit {
    fn new(
        inbound: Rc<Inbound>,
        peer: Option<crate::trust::Peer>,
        address: SocketAddr,
        permit: Permit,
    ) -> Self {
        let ids = std::array::from_fn(|_| stream_id());
        let machine = Incoming::new(Arc::clone(&inbound.dialer.common), ids, peer);
        let parser = wire::parser();
        let guest = inbound.guests.enter(address);
        let inflow = Inflow::new(&inbound.inlet);
        let outbox = Rc::new(Outbox::new(&inbound.pairs, None, false));
        Self {
            inbound,
            machine,
            parser,
            chain: Chain::new(),
            guest,
            permit,
            inflow,
            asking: JoinSet::new(),
            address: address.ip(),
            began: Instant::now(),
            outbox,
            leaves: None,
            has_ended: false,
            ended_for: None,
        }
    }

    /// Does what the machine says, until it ends or wants TLS. It is written to whether or not it may be read.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: S,
    ) -> Result<Reached, Failure> {
        let (outbox, inbound) = (Rc::clone(&self.outbox), Rc::clone(&self.inbound));
        let over = Cell::new(false);
        let (mut reader, mut writer) = split(io);
        let reached = {
            let mut reading = pin!(self.read(&mut reader));
            let mut writing = pin!(write(&outbox, &inbound, &mut writer, &over));
            tokio::select! {
                reached = &mut reading => {
                    over.set(true);
                    outbox.news.notify_one();
                    match timeout(CLOSING, writing).await {
                        Ok(written) if !matches!(reached, Ok(Reached::End)) => written.and(reached),
                        // Who is gone hears nothing.
                        _ => reached,
                    }
                }
                written = &mut writing => written.and(Err(Failure::Closed)),
            }
        };
        if let Err(failure) = &reached {
            // Nothing but what came by ways is written here: of that, nothing comes back.
            drop(outbox.lose(failure));
        }
        if !matches!(reached, Ok(Reached::StartTls(_))) {
            outbox.close_ways();
            timeout(CLOSING, writer.shutdown()).await.ok();
            self.look_back(reached.as_ref().err());
        }
        reached
    }

    async fn read<S: AsyncRead + Unpin>(&mut self, io: &mut S) -> Result<Reached, Failure> {
        loop {
            self.may_go_on().await?;
            let mut effects = Vec::new();
            let came = self.wait(io).await;
            let mut over = false;
            match came {
                Came::Read(came, events) => {
                    if let Ok(Read::Some(bytes)) = &came {
                        self.inflow.came(*bytes, &events);
                    }
                    for event in events {
                        self.look_up(&event).await;
                        self.machine.handle(event, &mut effects);
                    }
                    match came {
                        Ok(Read::Some(_)) => {}
                        Ok(Read::End) => over = true,
                        Err(ReadError::Lost(error)) => {
                            return Err(wire::lost(&error));
                        }
                        Err(ReadError::Xml(error)) => self.machine.close(Some(error), &mut effects),
                    }
                }
                Came::Verdict(question, asked) => {
                    let verdict = self.judge(&question, asked);
                    self.inbound.metrics.verified.of(word(&verdict)).add_one();
                    self.machine.verified(&question, &verdict, &mut effects);
                }
                Came::Late => {
                    self.inbound.metrics.turned_away.of("late").add_one();
                    let error = StreamError::from(StreamCondition::ConnectionTimeout);
                    self.machine.close(Some(error), &mut effects);
                }
                Came::Settled => effects.extend(self.acknowledge()),
                // What it says now it shall say elsewhere.
                Came::Isolated => return Err(Failure::Closed),
                Came::Stop => {
                    self.leaves = Some(Instant::now() + CLOSING);
                    self.outbox.close_ways();
                    effects.extend(self.acknowledge());
                }
            }
            let reached = self.perform(effects)?;
            if let Some(reached) = reached {
                return Ok(reached);
            }
            if over {
                return Err(Failure::Lost("it was closed".to_owned()));
            }
            if self.is_done() {
                return self.leave();
            }
        }
    }

    /// What comes next.
    async fn wait<S: AsyncRead + Unpin>(&mut self, io: &mut S) -> Came {
        let mut stopping = self.inbound.stopping.clone();
        let mut isolated = self.inbound.isolated.clone();
        let (late, leaves) = (self.late(), self.leaves);
        let left = async move {
            match leaves {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let mut events = Vec::new();
        let came = {
            let mut reading = pin!(wire::read(io, &mut self.parser, &mut events));
            tokio::select! {
                came = &mut reading => Ok(came),
                Some(Ok((question, asked))) = self.asking.join_next() => Err(Came::Verdict(question, asked)),
                () = late => Err(Came::Late),
                () = self.inflow.is_due(), if leaves.is_none() => Err(Came::Settled),
                () = self.inflow.has_moved(), if leaves.is_some() => Err(Came::Settled),
                () = self.outbox.acked.notified(), if leaves.is_some() => Err(Came::Settled),
                () = left => Err(Came::Settled),
                _ = isolated.wait_for(|isolated| *isolated) => Err(Came::Isolated),
                _ = stopping.wait_for(|stop| *stop), if leaves.is_none() => Err(Came::Stop),
            }
        };
        match came {
            Ok(came) => Came::Read(came, events),
            Err(came) => came,
        }
    }

    /// Whether the gate stops, and nothing more is to be waited for here: what was taken is safe, and what was written
    /// has arrived, so that nothing comes twice.
    fn is_done(&self) -> bool {
        let is_settled = || self.inflow.is_settled() && self.outbox.is_settled();
        self.leaves.is_some_and(|until| is_settled() || Instant::now() >= until)
    }

    /// The peer is told what is safe, where it wants to know.
    fn acknowledge(&self) -> Option<Effect> {
        self.inflow.is_counted().then_some(Effect::Acknowledge)
    }

    /// Ends the stream, since the gate stops or the other end has ended its own.
    fn leave(&mut self) -> Result<Reached, Failure> {
        // What is told now does not come again (XEP-0198 §4).
        let mut effects: Vec<Effect> = Vec::new();
        effects.extend(self.acknowledge());
        let error = (!self.has_ended).then(|| StreamCondition::SystemShutdown.into());
        self.machine.close(error, &mut effects);
        Ok(self.perform(effects)?.unwrap_or(Reached::End))
    }

    /// Waits until the next read may be. Where that takes so long that the peer is better off at another member, it ends.
    async fn may_go_on(&self) -> Result<(), Failure> {
        let mut isolated = self.inbound.isolated.clone();
        tokio::select! {
            biased;
            may = self.inflow.may_go_on(&self.outbox) => may,
            _ = isolated.wait_for(|isolated| *isolated) => Err(Failure::Closed),
        }
    }

    /// How long it still has to prove who it is.
    fn left(&self) -> Duration {
        self.inbound.patience.saturating_sub(self.began.elapsed())
    }

    /// Ends when a stranger has had its time.
    fn late(&self) -> impl Future<Output = ()> + use<> {
        let left = self.left();
        let proved = self.machine.is_proved();
        async move {
            if proved {
                std::future::pending::<()>().await;
            }
            sleep(left).await;
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<Option<Reached>, Failure> {
        let (mut stanzas, mut reached) = (Vec::new(), None);
        for effect in effects {
            match effect {
                Effect::Write(bytes) => self.outbox.say(&bytes),
                Effect::StartTls(local) => reached = Some(Reached::StartTls(local)),
                Effect::Restart => self.parser.reset(),
                Effect::Proved(remote) => {
                    if !self.proved(&remote) {
                        self.inflow.hand_over(stanzas);
                        let mut last = Vec::new();
                        let error = StreamError::from(StreamCondition::ResourceConstraint)
                            .with_text("there are too many streams of this domain");
                        self.machine.close(Some(error), &mut last);
                        return self.perform(last);
                    }
                }
                Effect::Doubt(domain, why) => self.doubt(&domain, &why),
                Effect::Verify(question) => self.ask(question),
                Effect::Stanza(stanza) => stanzas.push(self.inflow.envelope(stanza)),
                Effect::Refuse(stanza, condition) => self.inflow.refuse(&stanza, condition),
                Effect::Count => {
                    self.inflow.count(0);
                    self.outbox.count();
                }
                Effect::Way(id) => self.outbox.open(id),
                Effect::Handled(h) => self.outbox.handled(h)?,
                Effect::Acknowledge => {
                    self.inflow.hand_over(std::mem::take(&mut stanzas));
                    self.outbox.say(&handled(self.inflow.standing()?));
                }
                Effect::Ended => {
                    // What came with it is handed over first, and counts.
                    self.inflow.hand_over(std::mem::take(&mut stanzas));
                    self.has_ended = true;
                    self.leaves = self.leaves.or_else(|| Some(Instant::now() + CLOSING));
                    self.outbox.close_ways();
                }
                Effect::Close(error) => {
                    self.ended_for = error;
                    reached = Some(Reached::End);
                }
            }
        }
        self.inflow.hand_over(stanzas);
        Ok(reached)
    }

    /// False where there are as many streams of this domain as there may be.
    fn proved(&mut self, remote: &BareJid) -> bool {
        if !self.guest.joins(remote, self.inbound.of_one_domain) {
            self.inbound.metrics.turned_away.of("domain").add_one();
            return false;
        }
        self.parser.set_limits(Limits::AFTER_LOGIN);
        self.permit.becomes_known();
        let (peer, proof) = (remote.as_str(), self.machine.proof_of(remote));
        tracing::info!(peer, "a stream of another server is open, proof: {proof}");
        true
    }
}

/// Writes what there is to say, and what comes by ways, until the reading is over.
async fn write<S: AsyncWrite + Unpin>(
    outbox: &Outbox,
    inbound: &Inbound,
    io: &mut S,
    over: &Cell<bool>,
) -> Result<(), Failure> {
    loop {
        // Nothing leaves while others may act for this member.
        let lease = inbound.router.lease();
        if !lease.holds() && lease.until_valid().await.is_err() {
            return Err(Failure::Closed);
        }
        let mut out = outbox.take_said();
        let count = if over.get() { 0 } else { outbox.gather(&mut out, None) };
        if !out.is_empty() {
            outbox.write_to(io, &out).await?;
            inbound.metrics.stanzas_out.add(count);
            outbox.written();
            continue;
        }
        if over.get() {
            return Ok(());
        }
        tokio::select! {
            () = outbox.news.notified() => {}
            () = outbox.overdue() => return Err(Failure::Silent),
        }
    }
}

enum Came {
    Read(Result<Read, ReadError>, Vec<Event>),
    Verdict(Question, Result<Verdict, Failure>),
    Late,
    Settled,
    Isolated,
    Stop,
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Invalid => "invalid",
        Verdict::Error(_) => "error",
    }
}

/// 128 bits that nobody can guess (RFC 6120 §4.7.3).
fn stream_id() -> String {
    let (high, low) = (getrandom::u64(), getrandom::u64());
    let half = |bits: Result<u64, _>| bits.expect("the system has random bytes");
    format!("{:016x}{:016x}", half(high), half(low))
}

//! Owns streams of other servers: takes the connection in, does what the machine says, and hands stanzas to the router.
//! A server that sends faster than it may is read more slowly; nobody else waits for it.
//!
//! | module | owns |
//! |---|---|
//! | `proofs` | what is looked for before something is believed |

mod proofs;

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proto::{Body, Envelope, Ledger};
use router::Router;
use rustls_pki_types::UnixTime;
use stream::{Event, Limits, Parser};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use xmpp::{BareJid, Epoch, Origin, Stanza, StanzaCondition, StreamCondition, StreamError};

use crate::budgets::{Drawn, OfDomains};
use crate::dial::Dialer;
use crate::failure::Failure;
use crate::guests::{Guest, Guests};
use crate::incoming::{Effect, Incoming, Question, Verdict, handled};
use crate::metrics::Metrics;
use crate::outlet::{Outlet, UNANSWERED};
use crate::pairs::Pairs;
use crate::proofs::Chain;
use crate::tls::{self, Start};
use crate::wire::{self, Read, ReadError};
use socket::Permit;
use socket::Rate;

/// Stanzas of one stream that are not safe yet; with more, it is not read.
const UNSAFE_MAX: usize = 1_024;
/// Keys that are asked about at a time, over all streams.
const QUESTIONS: usize = 64;
/// A server has this long to answer the end of its stream.
const CLOSING: Duration = Duration::from_secs(5);

/// What all streams of other servers share.
pub(crate) struct Hall {
    pub(crate) dialer: Rc<Dialer>,
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) guests: Arc<Guests>,
    /// Before a domain is proved.
    pub(crate) patience: Duration,
    /// Bytes and stanzas a second; none without limits.
    pub(crate) rates: Option<(u32, u32)>,
    /// The same for each domain.
    pub(crate) of_domains: Rc<OfDomains>,
    pub(crate) questions: Semaphore,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Hall {
    /// As many questions as may be asked at a time.
    pub(crate) fn questions() -> Semaphore {
        Semaphore::new(QUESTIONS)
    }
}

/// One stream of another server.
struct Visit {
    hall: Rc<Hall>,
    machine: Incoming,
    parser: Parser,
    /// The certificates that the peer has shown.
    chain: Chain,
    guest: Guest,
    permit: Permit,
    /// Tells this stream's stanzas from all others.
    session: u64,
    seq: u64,
    /// What the peer wants to know (XEP-0198); none while it does not.
    ledger: Option<Arc<Ledger>>,
    settled: Arc<Notify>,
    /// The peer has asked, and has not been told all.
    owes: bool,
    answer: mpsc::Sender<(Question, Verdict)>,
    answers: mpsc::Receiver<(Question, Verdict)>,
    began: Instant,
    rate: Rate,
    drawn: Drawn,
    /// How long not to read, since a domain has sent too much.
    hold: Option<Duration>,
    /// How many stanzas the last read brought.
    came: usize,
    /// What is written to it.
    outlet: Rc<Outlet>,
    /// The gate stops: until when the other end is waited for.
    leaves: Option<Instant>,
}

/// How far a visit came.
enum Reached {
    StartTls(BareJid),
    End,
}

/// Serves one connection until it ends.
pub(crate) async fn welcome(
    hall: Rc<Hall>,
    tcp: TcpStream,
    address: SocketAddr,
    (start, permit): (Start, Permit),
) {
    if let Err(error) = wire::tune(&tcp) {
        return tracing::debug!(peer = %address, %error, "a connection was gone at once");
    }
    hall.metrics.accepted.add_one();
    hall.metrics.streams[1].add_one();
    let metrics = Arc::clone(&hall.metrics);
    if let Err(failure) = Box::pin(visit(hall, tcp, address, (start, permit))).await {
        tracing::debug!(peer = %address, error = %failure, "a stream of another server ended");
    }
    metrics.streams[1].take_one();
}

async fn visit(
    hall: Rc<Hall>,
    mut tcp: TcpStream,
    address: SocketAddr,
    (start, permit): (Start, Permit),
) -> Result<(), Failure> {
    let patience = hall.patience;
    if start == Start::Direct {
        let io = timeout(patience, encrypt(&hall, tcp, "", start)).await;
        let io = io.map_err(|_| Failure::Silent)??;
        let chain = wire::chain(&io);
        let peer = hall.dialer.trust.now().judge(&chain, UnixTime::now());
        let mut visit = Visit::new(hall, Some(peer), address, permit);
        visit.chain = chain;
        return visit.converse(io).await.map(|_| ());
    }
    let mut visit = Visit::new(hall, None, address, permit);
    let Reached::StartTls(local) = visit.negotiate(&mut tcp).await? else { return Ok(()) };
    let io = timeout(patience, encrypt(&visit.hall, tcp, local.as_str(), start)).await;
    let io = io.map_err(|_| Failure::Silent)??;
    visit.parser.reset();
    visit.chain = wire::chain(&io);
    let peer = visit.hall.dialer.trust.now().judge(&visit.chain, UnixTime::now());
    visit.machine.tls_started(peer);
    visit.converse(io).await.map(|_| ())
}

async fn encrypt(
    hall: &Hall,
    tcp: TcpStream,
    local: &str,
    start: Start,
) -> Result<TlsStream<TcpStream>, Failure> {
    let config = tls::server(&hall.dialer.certificates, local, start);
    let config = config.map_err(|error| Failure::Tls(error.to_string()))?;
    let io = TlsAcceptor::from(Arc::new(config)).accept(tcp).await;
    Ok(TlsStream::Server(io.map_err(|error| Failure::Tls(error.to_string()))?))
}

impl Visit {
    fn new(
        hall: Rc<Hall>,
        peer: Option<crate::trust::Peer>,
        address: SocketAddr,
        permit: Permit,
    ) -> Self {
        let ids = std::array::from_fn(|_| stream_id());
        let machine = Incoming::new(Arc::clone(&hall.dialer.common), ids, peer);
        let parser = wire::parser();
        let session = getrandom::u64().unwrap_or_default();
        let rate = Rate::new(hall.rates);
        let (answer, answers) = mpsc::channel(QUESTIONS);
        let guest = hall.guests.enter(address);
        let outlet = Rc::new(Outlet::new(&hall.pairs, None, false));
        Self {
            hall,
            machine,
            parser,
            chain: Chain::new(),
            guest,
            permit,
            session,
            seq: 0,
            ledger: None,
            settled: Arc::default(),
            owes: false,
            answer,
            answers,
            began: Instant::now(),
            rate,
            drawn: Drawn::default(),
            hold: None,
            came: 0,
            outlet,
            leaves: None,
        }
    }

    /// In the clear, up to TLS.
    async fn negotiate(&mut self, tcp: &mut TcpStream) -> Result<Reached, Failure> {
        self.converse(tcp).await
    }

    /// Does what the machine says, until it ends or wants TLS. It is written to whether or not it may be read.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        io: S,
    ) -> Result<Reached, Failure> {
        let (outlet, hall) = (Rc::clone(&self.outlet), Rc::clone(&self.hall));
        let over = Cell::new(false);
        let (mut reader, mut writer) = split(io);
        let reached = {
            let mut reading = pin!(self.read(&mut reader));
            let mut writing = pin!(write(&outlet, &hall, &mut writer, &over));
            tokio::select! {
                reached = &mut reading => {
                    over.set(true);
                    outlet.news.notify_one();
                    match timeout(CLOSING, writing).await {
                        Ok(written) if !matches!(reached, Ok(Reached::End)) => written.and(reached),
                        // Who is gone hears nothing.
                        _ => reached,
                    }
                }
                written = &mut writing => written.and(Err(Failure::Closed)),
            }
        };
        if !matches!(reached, Ok(Reached::StartTls(_))) {
            outlet.close_ways();
            timeout(CLOSING, writer.shutdown()).await.ok();
        }
        reached
    }

    async fn read<S: AsyncRead + Unpin>(&mut self, io: &mut S) -> Result<Reached, Failure> {
        loop {
            self.may_go_on().await?;
            let mut effects = Vec::new();
            let came = self.wait(io).await;
            let (mut wait, mut over) = (None, false);
            match came {
                Came::Read(came, events) => {
                    self.came = events.len();
                    for event in events {
                        self.look_up(&event).await;
                        self.machine.handle(event, &mut effects);
                    }
                    match came {
                        Ok(Read::Some(bytes)) => {
                            wait = self.rate.count(self.began.elapsed(), bytes, self.came)
                        }
                        Ok(Read::End) => over = true,
                        Err(ReadError::Lost(error)) => {
                            return Err(Failure::Lost(error.to_string()));
                        }
                        Err(ReadError::Xml(error)) => self.machine.close(Some(error), &mut effects),
                    }
                }
                Came::Verdict(question, verdict) => {
                    self.hall.metrics.verified.of(word(&verdict)).add_one();
                    self.machine.verified(&question, &verdict, &mut effects);
                }
                Came::Late => {
                    self.hall.metrics.turned_away.of("late").add_one();
                    let error = StreamError::from(StreamCondition::ConnectionTimeout);
                    self.machine.close(Some(error), &mut effects);
                }
                Came::Settled => effects.extend(self.acknowledge()),
                Came::Stop => {
                    self.leaves = Some(Instant::now() + CLOSING);
                    self.outlet.close_ways();
                    effects.extend(self.acknowledge());
                }
            }
            let reached = self.perform(effects)?;
            if reached.is_some() || over {
                return Ok(reached.unwrap_or(Reached::End));
            }
            if self.is_done() {
                return self.leave();
            }
            if let Some(wait) = wait.max(self.hold.take()) {
                sleep(wait).await;
            }
        }
    }

    /// What comes next.
    async fn wait<S: AsyncRead + Unpin>(&mut self, io: &mut S) -> Came {
        let mut stopping = self.hall.stopping.clone();
        let (late, leaves) = (self.late(), self.leaves);
        let left = async move {
            match leaves {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let (settled, mut events) = (Arc::clone(&self.settled), Vec::new());
        let came = {
            let mut reading = pin!(wire::read(io, &mut self.parser, &mut events));
            tokio::select! {
                came = &mut reading => Ok(came),
                Some((question, verdict)) = self.answers.recv() => Err(Came::Verdict(question, verdict)),
                () = late => Err(Came::Late),
                () = settled.notified(), if self.owes || leaves.is_some() => Err(Came::Settled),
                () = self.outlet.acked.notified(), if leaves.is_some() => Err(Came::Settled),
                () = left => Err(Came::Settled),
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
        let is_settled = || {
            let is_safe = self.ledger.as_ref().is_none_or(|ledger| ledger.open_count() == 0);
            is_safe && self.outlet.is_settled()
        };
        self.leaves.is_some_and(|until| is_settled() || Instant::now() >= until)
    }

    /// The peer is told what is safe, where it wants to know.
    fn acknowledge(&self) -> Option<Effect> {
        self.ledger.is_some().then_some(Effect::Acknowledge)
    }

    /// Ends the stream, since the gate stops.
    fn leave(&mut self) -> Result<Reached, Failure> {
        // What is told now does not come again (XEP-0198 §4).
        let mut effects: Vec<Effect> = Vec::new();
        effects.extend(self.acknowledge());
        let error = StreamError::from(StreamCondition::SystemShutdown);
        self.machine.close(Some(error), &mut effects);
        Ok(self.perform(effects)?.unwrap_or(Reached::End))
    }

    /// Waits as long as this member may not act, or too much of the peer is not safe yet.
    async fn may_go_on(&self) -> Result<(), Failure> {
        let lease = self.hall.router.lease();
        if !lease.holds() && lease.until_valid().await.is_err() {
            return Err(Failure::Closed);
        }
        let mut waited = false;
        while self.ledger.as_ref().is_some_and(|ledger| ledger.open_count() > UNSAFE_MAX) {
            // Looked at again every so often: a wake-up may have come before.
            timeout(CLOSING, self.settled.notified()).await.ok();
            waited = true;
        }
        if waited && self.owes {
            // The peer is to be told of what has settled meanwhile, and the wake-up for it is gone.
            self.settled.notify_one();
        }
        while self.outlet.is_clogged() {
            self.outlet.gone.notified().await;
        }
        Ok(())
    }

    /// Ends when a stranger has had its time.
    fn late(&self) -> impl Future<Output = ()> + use<> {
        let left = self.hall.patience.saturating_sub(self.began.elapsed());
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
                Effect::Write(bytes) => self.outlet.say(&bytes),
                Effect::StartTls(local) => reached = Some(Reached::StartTls(local)),
                Effect::Restart => self.parser.reset(),
                Effect::Proved(remote) => self.proved(&remote),
                Effect::Verify(question) => self.ask(question),
                Effect::Stanza(stanza) => stanzas.push(self.envelope(stanza)),
                Effect::Refuse(stanza, condition) => self.refuse(&stanza, condition),
                Effect::Count => self.count(),
                Effect::Way(id) => self.outlet.open(id),
                Effect::Handled(h) => self.outlet.handled(h)?,
                Effect::Acknowledge => {
                    self.hand_over(std::mem::take(&mut stanzas));
                    let standing = handled(self.standing()?);
                    self.outlet.say(&standing);
                }
                Effect::Close(error) => {
                    if let Some(error) = &error {
                        let peer = self.machine.claimed().map(tracing::field::display);
                        let error = error.condition.name();
                        tracing::info!(peer, error, "a stream of another server was ended");
                    }
                    reached = Some(Reached::End);
                }
            }
        }
        self.hand_over(stanzas);
        Ok(reached)
    }

    fn proved(&mut self, remote: &BareJid) {
        self.parser.set_limits(Limits::AFTER_LOGIN);
        self.permit.becomes_known();
        self.guest.is(self.machine.proved());
        tracing::info!(peer = remote.as_str(), "a stream of another server is open");
    }

    /// Asks the server of a domain, beside everything else.
    fn ask(&self, question: Question) {
        let (hall, answer) = (Rc::clone(&self.hall), self.answer.clone());
        actix_rt::spawn(async move {
            let Ok(_turn) = hall.questions.acquire().await else { return };
            let verdict = match Box::pin(hall.dialer.ask(question.clone())).await {
                Ok(verdict) => verdict,
                Err(failure) => {
                    let peer = question.remote.as_str();
                    tracing::info!(peer, error = %failure, "a dialback key cannot be checked");
                    Verdict::Error(match failure {
                        Failure::NotFound(_) => StanzaCondition::RemoteServerNotFound,
                        _ => StanzaCondition::RemoteServerTimeout,
                    })
                }
            };
            // Whoever asked may be gone.
            answer.send((question, verdict)).await.ok();
        });
    }

    fn envelope(&mut self, stanza: Stanza) -> Envelope {
        if let Some(domain) = stanza.head().from.as_ref().map(|from| from.domain()) {
            let (hall, now) = (&self.hall, self.hall.pairs.now());
            let hold = self.drawn.count(&hall.of_domains, (&domain, stanza.len()), now);
            self.hold = self.hold.max(hold);
        }
        let origin = self.origin();
        let head = stanza.head();
        let route = |to| self.hall.router.route_between(head.from.as_ref(), to);
        let to = head.to.as_ref().map(route);
        let to = to.unwrap_or_else(|| proto::Route::Member(self.hall.router.member()));
        let receipt = self.ledger.as_ref().map(Ledger::open);
        Envelope::new(to, Body::Stanza(stanza), origin, Epoch::default()).with_receipt(receipt)
    }

    fn origin(&mut self) -> Origin {
        self.seq += 1;
        Origin::Client { session: self.session, seq: self.seq, part: 0 }
    }

    fn hand_over(&mut self, stanzas: Vec<Envelope>) {
        self.hall.metrics.stanzas_in.add(stanzas.len() as u64);
        for envelope in self.hall.router.post(stanzas) {
            self.hall.metrics.not_taken.of("full").add_one();
            let Envelope { body, receipt, origin, .. } = envelope;
            if let Body::Stanza(stanza) = body {
                self.hall.pairs.refuse(&stanza, StanzaCondition::ResourceConstraint, origin);
            }
            if let Some(receipt) = receipt {
                receipt.release();
            }
        }
    }

    fn refuse(&mut self, stanza: &Stanza, condition: StanzaCondition) {
        let why = match condition {
            StanzaCondition::RemoteServerNotFound => "address",
            _ => "malformed",
        };
        self.hall.metrics.not_taken.of(why).add_one();
        if let Some(ledger) = &self.ledger {
            ledger.open().release();
        }
        let origin = self.origin();
        self.hall.pairs.refuse(stanza, condition, origin);
    }

    fn count(&mut self) {
        let settled = Arc::clone(&self.settled);
        self.ledger = Some(Ledger::new(0, move || settled.notify_one()));
        self.outlet.count();
    }

    /// How many stanzas are safe. Where one cannot become so, the stream ends, and the peer sends again.
    fn standing(&mut self) -> Result<u64, Failure> {
        let Some(ledger) = &self.ledger else { return Ok(0) };
        let standing = ledger.standing();
        self.owes = ledger.open_count() > 0;
        if standing.faulty {
            return Err(Failure::Closed);
        }
        Ok(standing.handled)
    }
}

/// Writes what there is to say, and what comes by ways, until the reading is over.
async fn write<S: AsyncWrite + Unpin>(
    outlet: &Outlet,
    hall: &Hall,
    io: &mut S,
    over: &Cell<bool>,
) -> Result<(), Failure> {
    let lost = |error: std::io::Error| Failure::Lost(error.to_string());
    loop {
        // Nothing leaves while others may act for this member.
        let lease = hall.router.lease();
        if !lease.holds() && lease.until_valid().await.is_err() {
            return Err(Failure::Closed);
        }
        let mut out = outlet.take_said();
        let count = if over.get() { 0 } else { outlet.gather(&mut out, None) };
        if !out.is_empty() {
            let written = timeout(UNANSWERED, wire::write(io, &out)).await;
            written.map_err(|_| Failure::Silent)?.map_err(lost)?;
            hall.metrics.stanzas_out.add(count);
            outlet.written();
            continue;
        }
        if over.get() {
            return Ok(());
        }
        tokio::select! {
            () = outlet.news.notified() => {}
            () = outlet.overdue() => return Err(Failure::Silent),
        }
    }
}

enum Came {
    Read(Result<Read, ReadError>, Vec<Event>),
    Verdict(Question, Verdict),
    Late,
    Settled,
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

//! Owns one stream of a component: takes the connection in, does what the machine says, hands the component's stanzas to
//! the router, and writes what comes for it. A component that sends faster than it may is read more slowly.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use proto::{Body, Envelope};
use socket::{Permit, Read, ReadError, Waiting, io};
use stream::{Event, Limits, Parser};
use tokio::io::{AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use xmpp::{
    BareJid, Element, Epoch, Head, IqType, Jid, Kind, Stanza, StanzaCondition, StanzaError,
    StreamCondition, StreamError, ns,
};

use crate::disclosure;
use crate::machine::{Effect, Machine};
use crate::privilege;
use crate::registry::{ComponentStream, Registered, Registry};

/// Bytes that are written at once.
const BATCH_BYTES: usize = 64 << 10;
/// A component has this long to prove who it is, beside its turn among those who try.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the last words.
const CLOSING: Duration = Duration::from_secs(2);
/// A ping has this long to be answered.
const UNANSWERED: Duration = Duration::from_secs(30);

type Reader = ReadHalf<TcpStream>;
type Writer = WriteHalf<TcpStream>;

/// A connection on which stanzas may go.
pub(crate) struct Line {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) parser: Parser,
    pub(crate) machine: Machine,
}

/// A stream up to its proof.
struct Pending {
    registry: Rc<Registry>,
    address: SocketAddr,
    parser: Parser,
    machine: Machine,
}

/// Serves one connection until it ends.
pub(crate) async fn welcome(
    registry: Rc<Registry>,
    tcp: TcpStream,
    address: SocketAddr,
    mut permit: Permit,
) {
    if let Err(error) = io::tune(&tcp) {
        return tracing::debug!(peer = %address, %error, "a connection was gone at once");
    }
    let (mut reader, mut writer) = split(tcp);
    let mut pending = Pending {
        parser: Parser::for_content(Limits::BEFORE_LOGIN, ns::COMPONENT_ACCEPT),
        machine: Machine::new(stream_id()),
        registry: Rc::clone(&registry),
        address,
    };
    let proved = match timeout(PATIENCE, pending.prove(&mut reader, &mut writer)).await {
        Ok(proved) => proved,
        Err(_) => {
            registry.metrics.turned_away.of("late").add_one();
            pending.end(StreamCondition::ConnectionTimeout, &mut writer).await;
            None
        }
    };
    let registered = proved.and_then(|domain| registry.registered(&domain));
    let Some(registered) = registered else {
        timeout(CLOSING, writer.shutdown()).await.ok();
        return;
    };
    permit.becomes_known();
    let domain = registered.component.domain.clone();
    let Some(stream) = registry.open(&registered, address) else {
        tracing::warn!(jid = %domain, peer = %address, "a component has too many streams");
        registry.metrics.turned_away.of("conflict").add_one();
        return pending.end(StreamCondition::Conflict, &mut writer).await;
    };
    tracing::info!(jid = %domain, peer = %address, "a component is connected");
    let Pending { mut parser, mut machine, .. } = pending;
    parser.set_limits(Limits::AFTER_LOGIN);
    let mut welcome = machine.welcome();
    welcome.extend(privileges(&registry, &registered));
    let open = OpenStream::new(registry, registered, stream);
    open.serve(Line { reader, writer, parser, machine }, welcome).await;
    tracing::info!(jid = %domain, peer = %address, "a component is gone");
}

/// What a component may do in people's names, as it is told at the begin of its stream (XEP-0356 §5).
pub(crate) fn privileges(registry: &Registry, registered: &Registered) -> Vec<u8> {
    let mut out = Vec::new();
    for server in registry.router.hosts().domains() {
        if let Some(told) = privilege::told(&registered.component.privileges, server, &stream_id())
        {
            told.write(&mut out);
        }
    }
    out
}

impl Pending {
    /// Up to the proof; none where there is none.
    async fn prove(&mut self, reader: &mut Reader, writer: &mut Writer) -> Option<BareJid> {
        loop {
            let (mut events, mut effects) = (Vec::new(), Vec::new());
            let came = io::read(reader, &mut self.parser, &mut events).await;
            for event in events {
                self.handle(event, &mut effects).await;
            }
            match came {
                Ok(Read::Some(_)) => {}
                Ok(Read::End) | Err(ReadError::Lost(_)) => return None,
                Err(ReadError::Xml(error)) => self.machine.close(Some(error), &mut effects),
            }
            let mut proved = None;
            for effect in effects {
                match effect {
                    Effect::Write(bytes) => io::write(writer, &bytes).await.ok()?,
                    Effect::Proved(domain) => proved = Some(domain),
                    Effect::Close(error) => self.note(error.as_ref()),
                    Effect::Stanza(_) | Effect::Refuse(..) => {}
                }
            }
            if self.machine.is_closed() {
                return None;
            }
            if proved.is_some() {
                return proved;
            }
        }
    }

    /// Whoever tries a secret waits for its turn.
    async fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        let address = self.address.ip();
        let is_try = self.machine.awaits_proof();
        if is_try {
            let wait = self.registry.attempts.borrow_mut().enter(address, self.registry.now());
            sleep(wait).await;
        }
        let registry = Rc::clone(&self.registry);
        self.machine.handle(event, |domain| registry.secret(domain, address), effects);
        if is_try && !self.machine.is_closed() {
            registry.attempts.borrow_mut().was_right(address);
        }
    }

    fn note(&self, error: Option<&StreamError>) {
        let Some(condition) = error.map(|error| error.condition) else { return };
        let why = match condition {
            StreamCondition::HostUnknown => "domain",
            _ => "secret",
        };
        self.registry.metrics.turned_away.of(why).add_one();
        let error = condition.name();
        tracing::warn!(peer = %self.address, error, "a connection is no component's");
    }

    async fn end(&mut self, condition: StreamCondition, writer: &mut Writer) {
        let mut effects = Vec::new();
        self.machine.close(Some(condition.into()), &mut effects);
        for effect in effects {
            if let Effect::Write(bytes) = effect {
                timeout(CLOSING, io::write(writer, &bytes)).await.ok();
            }
        }
        timeout(CLOSING, writer.shutdown()).await.ok();
    }
}

/// An open stream.
pub(crate) struct OpenStream {
    registry: Rc<Registry>,
    registered: Rc<Registered>,
    stream: Rc<ComponentStream>,
    /// What is being written.
    in_flight: RefCell<Vec<Waiting<Envelope>>>,
    /// When the component last said something.
    heard: Cell<Instant>,
    /// When it was pinged, if it has said nothing since.
    pinged: Cell<Option<Instant>>,
    /// The id of our pings, and what those of our questions begin with.
    ping: String,
}

impl OpenStream {
    pub(crate) fn new(
        registry: Rc<Registry>,
        registered: Rc<Registered>,
        stream: Rc<ComponentStream>,
    ) -> Self {
        Self {
            registry,
            registered,
            stream,
            in_flight: RefCell::default(),
            heard: Cell::new(Instant::now()),
            pinged: Cell::new(None),
            ping: stream_id(),
        }
    }

    /// Serves the stream until it ends. `welcome` is what the component is told first.
    pub(crate) async fn serve(self, line: Line, mut welcome: Vec<u8>) {
        let Line { mut reader, mut writer, parser, machine } = line;
        let (hosts, component) = (self.registry.router.hosts(), &self.registered.component);
        if let Some(server) = hosts.domains().first() {
            let questions = disclosure::questions(&component.privileges, server, &self.ping);
            questions.iter().for_each(|question| question.write(&mut welcome));
        }
        let mut stopping = self.registry.stopping.clone();
        let mut isolated = self.registry.isolated.clone();
        let last = {
            let mut reading = pin!(self.read(&mut reader, parser, machine));
            let mut writing = pin!(self.write(&mut writer, welcome));
            tokio::select! {
                last = &mut reading => last,
                end = &mut writing => end.map(farewell).unwrap_or_default(),
                _ = stopping.wait_for(|stop| *stop) => farewell(StreamCondition::SystemShutdown),
                _ = isolated.wait_for(|isolated| *isolated) => {
                    farewell(StreamCondition::SystemShutdown)
                }
            }
        };
        let unsent = self.in_flight.take();
        let is_whole = unsent.is_empty();
        self.registry.close(&self.registered, &self.stream, unsent);
        // Behind a stanza that was cut off, nothing can be said.
        if is_whole {
            timeout(CLOSING, io::write(&mut writer, &last)).await.ok();
        }
        timeout(CLOSING, writer.shutdown()).await.ok();
    }

    /// Hands on what the component sends; answers what is to be said at the end.
    async fn read(&self, reader: &mut Reader, mut parser: Parser, mut machine: Machine) -> Vec<u8> {
        loop {
            let (mut events, mut effects) = (Vec::new(), Vec::new());
            let came = io::read(reader, &mut parser, &mut events).await;
            if !self.may_go_on().await {
                return Vec::new();
            }
            self.heard.set(Instant::now());
            if self.pinged.take().is_some() {
                // Its silence is measured from now on.
                self.stream.news.notify_one();
            }
            let count = events.len();
            for event in events {
                machine.handle(event, |_| None, &mut effects);
            }
            let mut wait = None;
            match came {
                Ok(Read::Some(bytes)) => {
                    let now = self.registry.now();
                    wait = self.registered.rate.borrow_mut().count(now, bytes, count);
                }
                Ok(Read::End) | Err(ReadError::Lost(_)) => {
                    self.perform(effects);
                    return Vec::new();
                }
                Err(ReadError::Xml(error)) => machine.close(Some(error), &mut effects),
            }
            let out = self.perform(effects);
            if machine.is_closed() {
                return out;
            }
            if let Some(wait) = wait {
                sleep(wait).await;
            }
        }
    }

    fn perform(&self, effects: Vec<Effect>) -> Vec<u8> {
        let (mut out, mut stanzas) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Write(bytes) => out.extend(bytes),
                Effect::Stanza(stanza) if self.is_answer_to_us(&stanza) => {}
                Effect::Stanza(stanza) => match self.in_whose_name(&stanza) {
                    None => stanzas.extend(self.envelope(stanza)),
                    Some(Ok(message)) => stanzas.extend(self.envelope(message)),
                    Some(Err(error)) => {
                        self.registry.refuse(&stanza, &error, self.registry.origin())
                    }
                },
                Effect::Refuse(stanza, condition) => {
                    self.registry.metrics.not_taken.of("malformed").add_one();
                    self.registry.refuse(&stanza, &condition.into(), self.registry.origin());
                }
                Effect::Close(Some(error)) => {
                    let (jid, error) = (&self.registered.component.domain, error.condition.name());
                    tracing::warn!(%jid, error, "a stream of a component was ended");
                }
                Effect::Close(None) | Effect::Proved(_) => {}
            }
        }
        self.registry.send(stanzas);
        out
    }

    /// The message that it sends in the name of another, if it does; why it may not send that, or a request.
    fn in_whose_name(&self, stanza: &Stanza) -> Option<Result<Stanza, StanzaError>> {
        let hosts = self.registry.router.hosts();
        let privileges = &self.registered.component.privileges;
        if privilege::is_forbidden(privileges, stanza, |domain| hosts.serves(domain)) {
            return Some(Err(StanzaCondition::Forbidden.into()));
        }
        let is_server =
            |to: &Jid| to.localpart().is_none() && to.is_bare() && hosts.serves(to.as_str());
        privilege::unwrapped(privileges, stanza, is_server)
    }

    fn envelope(&self, stanza: Stanza) -> Option<Envelope> {
        let head = stanza.head();
        let to = self.registry.router.route_between(head.from.as_ref(), head.to.as_ref()?);
        Some(Envelope::new(to, Body::Stanza(stanza), self.registry.origin(), Epoch::default()))
    }

    /// Waits as long as this member may not act; false: it never may again.
    async fn may_go_on(&self) -> bool {
        let lease = self.registry.router.lease();
        lease.holds() || lease.until_valid().await.is_ok()
    }

    /// Writes what comes for the component until the connection breaks; why it is to end, if it is to.
    async fn write(&self, writer: &mut Writer, mut out: Vec<u8>) -> Option<StreamCondition> {
        loop {
            if !self.may_go_on().await {
                return None;
            }
            self.gather(&mut out);
            if !out.is_empty() {
                io::write(writer, &out).await.ok()?;
                out.clear();
                self.written();
                continue;
            }
            tokio::select! {
                () = self.stream.news.notified() => {}
                () = self.quiet() => match self.pinged.get() {
                    Some(_) => return Some(StreamCondition::ConnectionTimeout),
                    None => self.ask(&mut out),
                },
            }
        }
    }

    /// Takes as much as goes at once.
    fn gather(&self, out: &mut Vec<u8>) {
        let mut queue = self.stream.queue.borrow_mut();
        let mut in_flight = self.in_flight.borrow_mut();
        while out.len() < BATCH_BYTES {
            let Some(waiting) = queue.pop() else { break };
            if let Body::Stanza(stanza) = &waiting.item.body {
                stanza.write(out);
            }
            in_flight.push(waiting);
        }
        drop(queue);
        self.stream.note();
    }

    fn written(&self) {
        let written = self.in_flight.take();
        self.registry.metrics.stanzas_out.add(written.len() as u64);
        for receipt in written.into_iter().filter_map(|waiting| waiting.item.receipt) {
            receipt.release();
        }
    }

    /// Ends when the component has been silent for so long that something must be done.
    async fn quiet(&self) {
        let every = Duration::from_secs(self.registered.component.settings.ping_seconds);
        if every.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let pinged = self.pinged.get();
            let until = pinged.map_or_else(|| self.heard.get() + every, |at| at + UNANSWERED);
            sleep_until(until).await;
            if pinged == self.pinged.get()
                && (pinged.is_some() || self.heard.get() + every <= until)
            {
                return;
            }
        }
    }

    /// XEP-0199 §4.4: whoever answers at all, also with an error, is there.
    fn ask(&self, out: &mut Vec<u8>) {
        let Some(server) = self.registry.router.hosts().domains().first() else { return };
        self.pinged.set(Some(Instant::now()));
        let head = Head {
            kind: Kind::Iq(IqType::Get),
            id: Some(self.ping.as_str().into()),
            from: Some(Jid::from(server.clone())),
            to: Some(Jid::from(self.registered.component.domain.clone())),
            lang: None,
        };
        Stanza::build(head, &[Element::new("ping", ns::PING)]).write(out);
    }

    /// Takes what answers a question of this gate.
    fn is_answer_to_us(&self, stanza: &Stanza) -> bool {
        if !matches!(stanza.kind(), Kind::Iq(IqType::Result | IqType::Error)) {
            return false;
        }
        let privileges = &self.registered.component.privileges;
        let disclosed = disclosure::answered(privileges, &self.ping, stanza);
        let is_one = disclosed.is_some() || stanza.head().id.as_deref() == Some(&*self.ping);
        if let Some((node, answer)) = disclosed {
            self.registry.disclose(&self.registered, node, answer);
        }
        is_one
    }
}

fn farewell(condition: StreamCondition) -> Vec<u8> {
    let mut out = Vec::new();
    StreamError::from(condition).write(&mut out);
    out.extend_from_slice(b"</stream:stream>");
    out
}

/// 128 bits that nobody can guess.
fn stream_id() -> String {
    let (high, low) = (getrandom::u64(), getrandom::u64());
    let half = |bits: Result<u64, _>| bits.expect("the system has random bytes");
    format!("{:016x}{:016x}", half(high), half(low))
}

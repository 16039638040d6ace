//! Owns what all streams of components share: who the components are, and the way of stanzas to them. All of it is on
//! the gate's own thread, so that what is for one stream stays in order; other threads reach it by the [`Inbox`].
//!
//! **Responsibility.** What has a receipt keeps it until it is written to the component's stream, since a component
//! acknowledges nothing. Where the stream breaks before, it goes to another one; so it may come twice, but not never.
//!
//! Bounds: 65,536 stanzas from other threads; as the configuration says for what waits while a component is away, and
//! for what waits for each stream; 256 MiB for all. Full: `resource-constraint`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::Plan;
use cluster::plan::Status as Membership;
use proto::{Body, Envelope, LineId, Lines, MemberId, Route};
use router::{Place, Refusal, RemoteGate, Router, leaving};
use socket::{Bounds, Queue, Rate, Waiting};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use xmpp::privilege::Presence;
use xmpp::{BareJid, Epoch, Origin, Stanza, StanzaCondition, StanzaError};

use crate::config::{Component, Config, Secret};
use crate::desk::{Desk, pair_of, weight};
use crate::metrics::Metrics;
use crate::status::Status;
use crate::turnstile::Turnstile;

/// Stanzas that wait for the gate's thread.
const INBOX: usize = 65_536;
/// A member says this often which streams it holds; plans are looked at four times as often.
const ANNOUNCE_EVERY: u32 = 4;

/// So long after a component has connected, a change of the plan may have kept somebody from telling it who is here.
const YOUNG: Duration = Duration::from_secs(120);
/// Accounts of a member that is gone are with others within this.
const SETTLING: Duration = Duration::from_secs(5);

/// An envelope that has passed more members than this one has come back from a stream that is not there.
const HOPS: u8 = 5;

/// What other threads have for components.
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<Envelope>,
    waiting: AtomicUsize,
}

impl Inbox {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Envelope>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { sender, waiting: AtomicUsize::new(0) }), receiver)
    }

    /// One was taken out.
    pub(crate) fn took(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RemoteGate for Inbox {
    fn take(&self, envelope: Envelope) -> Option<(Envelope, Refusal)> {
        if envelope.may_be_refused() && self.waiting.load(Ordering::Relaxed) >= INBOX {
            return Some((envelope, Refusal::Full));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(envelope).err().map(|back| (back.0, Refusal::NoOwner))
    }
}

/// Why a stanza does not reach a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It has no stream, and has had none for long.
    Away,
    /// Too much waits for it.
    Full,
    /// The server stops.
    Stopped,
}

impl Why {
    fn word(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Full => "full",
            Self::Stopped => "stopped",
        }
    }

    /// RFC 6120 §8.3.3.16: a service that was found, but not reached in time; §8.3.3.18.
    fn error(self) -> StanzaError {
        let (condition, text) = match self {
            Self::Away => (StanzaCondition::RemoteServerTimeout, "the component is not connected"),
            Self::Full => (StanzaCondition::ResourceConstraint, "too much waits for the component"),
            Self::Stopped => (StanzaCondition::RemoteServerTimeout, "the server stops"),
        };
        StanzaError::from(condition).with_text(text)
    }
}

/// What all streams share.
pub(crate) struct Hall {
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    /// True: streams end.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) turnstile: RefCell<Turnstile>,
    houses: HashMap<BareJid, Rc<House>>,
    status: Arc<Status>,
    clock: Instant,
    /// Tells what this gate says from what all others say.
    session: u64,
    seq: Cell<u64>,
    plan: Cell<u64>,
    /// When accounts are where the last plan has them; none where they cannot move.
    settled: Cell<Option<Duration>>,
    sweeps: Cell<u32>,
}

/// A component.
pub(crate) struct House {
    pub(crate) component: Component,
    pub(crate) rate: RefCell<Rate>,
    desk: RefCell<Desk<Envelope>>,
    /// Its streams to this member.
    lines: RefCell<BTreeMap<u64, Rc<Line>>>,
    bounds: Bounds,
    /// Bytes of all queues of all components.
    bytes: Arc<AtomicUsize>,
}

/// A stream of a component, as whoever has something for it sees it.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) queue: RefCell<Queue<Envelope>>,
    /// Something has come.
    pub(crate) news: Notify,
    opened: Duration,
    /// When accounts are to tell the component next who is here, if they are.
    told_at: Cell<Option<Duration>>,
    /// How many wait, for operators.
    waiting: Arc<AtomicUsize>,
}

impl Line {
    /// Tells operators how many wait.
    pub(crate) fn note(&self) {
        self.waiting.store(self.queue.borrow().len(), Ordering::Relaxed);
    }
}

impl House {
    fn new(component: Component, limits: bool, bytes: &Arc<AtomicUsize>) -> Self {
        let settings = &component.settings;
        let bounds = Bounds {
            items: settings.queue_stanzas,
            bytes: settings.queue_bytes,
            wait: Duration::from_secs(settings.wait_seconds),
        };
        let rates = (settings.bytes_per_second, settings.stanzas_per_second);
        Self {
            rate: RefCell::new(Rate::new(limits.then_some(rates))),
            desk: RefCell::new(Desk::new(Queue::new(bounds, Arc::clone(bytes)))),
            lines: RefCell::default(),
            component,
            bounds,
            bytes: Arc::clone(bytes),
        }
    }

    /// Whether it may see who is here.
    fn sees(&self) -> bool {
        self.component.privileges.presence != Presence::None
    }

    fn route(&self) -> Route {
        Route::Component(self.component.domain.clone())
    }

    /// The stream of this number, or the one that suits a pair of addresses best.
    fn line(&self, number: u64, pair: u64) -> Option<Rc<Line>> {
        let lines = self.lines.borrow();
        let best = || lines.values().max_by_key(|line| weight(pair, line.number));
        lines.get(&number).or_else(best).cloned()
    }
}

impl Hall {
    pub(crate) fn new(
        config: &Config,
        (router, metrics, status): (Router, Arc<Metrics>, Arc<Status>),
        stopping: watch::Receiver<bool>,
    ) -> Rc<Self> {
        let bytes = Arc::default();
        let house = |component: &Component| {
            let house = House::new(component.clone(), config.limits, &bytes);
            (component.domain.clone(), Rc::new(house))
        };
        Rc::new(Self {
            houses: config.components.iter().map(house).collect(),
            router,
            metrics,
            status,
            stopping,
            turnstile: RefCell::default(),
            clock: Instant::now(),
            session: getrandom::u64().unwrap_or_default(),
            seq: Cell::new(0),
            plan: Cell::new(0),
            settled: Cell::new(None),
            sweeps: Cell::new(0),
        })
    }

    /// The time, by this gate's own clock.
    pub(crate) fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    pub(crate) fn house(&self, domain: &BareJid) -> Option<Rc<House>> {
        self.houses.get(domain).cloned()
    }

    /// The secret of a component that may connect from this address.
    pub(crate) fn secret(&self, domain: &BareJid, address: IpAddr) -> Option<Secret> {
        let Component { allow, secret, .. } = &self.houses.get(domain)?.component;
        let may = allow.is_empty() || allow.iter().any(|network| network.has(address));
        may.then(|| secret.clone())
    }

    /// Another origin for what this gate causes.
    pub(crate) fn origin(&self) -> Origin {
        self.seq.set(self.seq.get() + 1);
        Origin::Client { session: self.session, seq: self.seq.get(), part: 0 }
    }

    /// A component has another stream; none where it has too many.
    pub(crate) fn open(&self, house: &House, address: SocketAddr) -> Option<Rc<Line>> {
        if house.lines.borrow().len() >= house.component.settings.streams {
            return None;
        }
        let number = getrandom::u64().unwrap_or_default();
        let queue = RefCell::new(Queue::new(house.bounds, Arc::clone(&house.bytes)));
        let waiting = self.status.enter(number, house.component.domain.clone(), address);
        let (news, opened) = (Notify::new(), self.now());
        let told_at = Cell::new(house.sees().then_some(opened));
        let line = Rc::new(Line { number, queue, news, opened, told_at, waiting });
        house.lines.borrow_mut().insert(number, Rc::clone(&line));
        self.metrics.streams.add_one();
        self.announce(house);
        self.show_who_is_here(house);
        Some(line)
    }

    /// A stream has ended; what was not surely written to it goes to another one.
    pub(crate) fn close(&self, house: &House, line: &Line, unsent: Vec<Waiting<Envelope>>) {
        if house.lines.borrow_mut().remove(&line.number).is_some() {
            self.metrics.streams.take_one();
        }
        self.status.leave(line.number);
        self.announce(house);
        // What it was told of people, the others may not have heard.
        if let Some(heir) = house.lines.borrow().values().next() {
            heir.told_at.set(house.sees().then(|| self.now()));
        }
        let queued = line.queue.borrow_mut().drain();
        for envelope in unsent.into_iter().map(|waiting| waiting.item).chain(queued) {
            self.lead(house, envelope);
        }
    }

    /// Takes what the router has for a component.
    pub(crate) fn take(&self, envelope: Envelope) {
        let (domain, number) = match &envelope.to {
            Route::Component(domain) => (domain, None),
            Route::Line(line) => (&line.domain, Some(line.number)),
            _ => return,
        };
        let Some(house) = self.houses.get(domain) else { return };
        match (envelope.body, number) {
            (Body::Lines(word), _) => self.hear(house, word),
            (body, None) => self.lead(house, Envelope { body, ..envelope }),
            (body, Some(number)) => self.hand_in(house, number, Envelope { body, ..envelope }),
        }
    }

    /// For the owner of the domain: picks a stream, or lets the stanza wait for one.
    fn lead(&self, house: &House, envelope: Envelope) {
        if matches!(self.router.place(&house.route()), Place::Member(_)) {
            return self.post(Envelope { to: house.route(), ..envelope });
        }
        let envelope = self.without_receipt(envelope);
        let Body::Stanza(stanza) = &envelope.body else { return };
        let plan = self.router.plan();
        let chosen = house.desk.borrow().choose(pair_of(stanza), |it| !is_gone(&plan, it));
        // What goes back and forth waits until it is known where the streams are.
        let chosen = chosen.filter(|_| envelope.hops <= HOPS);
        match chosen {
            Some((member, number)) if member == self.router.member() => {
                self.hand_in(house, number, envelope);
            }
            Some((member, number)) => {
                let domain = house.component.domain.clone();
                let to = Route::Line(Box::new(LineId { domain, member, number }));
                self.post(Envelope { to, ..envelope });
            }
            None => {
                let bytes = leaving::size(&envelope);
                let mut desk = house.desk.borrow_mut();
                let pushed = desk.waiting.push(self.now(), envelope, bytes);
                drop(desk);
                if let Err(envelope) = pushed {
                    self.bounce(envelope, Why::Full);
                }
            }
        }
    }

    /// Nobody waits for what is promised in memory only.
    fn without_receipt(&self, mut envelope: Envelope) -> Envelope {
        if !leaving::must_arrive(&self.router, &envelope)
            && let Some(receipt) = envelope.receipt.take()
        {
            receipt.release();
        }
        envelope
    }

    /// For whoever holds streams: hands a stanza to one of them. Where there is none, the owner did not know it yet.
    fn hand_in(&self, house: &House, number: u64, envelope: Envelope) {
        let Body::Stanza(stanza) = &envelope.body else { return };
        let Some(line) = house.line(number, pair_of(stanza)) else {
            self.announce(house);
            return self.lead(house, envelope);
        };
        let bytes = leaving::size(&envelope);
        let pushed = line.queue.borrow_mut().push(self.now(), envelope, bytes);
        match pushed {
            Ok(()) => {
                line.note();
                line.news.notify_one();
            }
            Err(envelope) => self.bounce(envelope, Why::Full),
        }
    }

    /// Whether this member owns a component's domain, and no member has a stream of it.
    pub(crate) fn lacks_stream(&self, house: &House) -> bool {
        let is_owner =
            !matches!(self.router.place(&house.route()), Place::Member(_) | Place::Nobody);
        is_owner && house.desk.borrow().choose(0, |_| true).is_none()
    }

    /// All components that listen, so that they are connected to.
    pub(crate) fn listening(&self) -> Vec<Rc<House>> {
        let listens = |house: &&Rc<House>| !house.component.settings.connect.is_empty();
        self.houses.values().filter(listens).cloned().collect()
    }

    /// Tells the owner of the domain which streams are here.
    fn announce(&self, house: &House) {
        let numbers = house.lines.borrow().keys().copied().collect();
        let member = self.router.member();
        let word = Lines { member, numbers, local: None, spare: Vec::new() };
        match self.router.place(&house.route()) {
            Place::Member(_) | Place::Nobody => {
                let body = Body::Lines(word);
                let envelope = Envelope::new(house.route(), body, self.origin(), Epoch::default());
                // It is said again soon.
                drop(self.router.post(vec![envelope]));
            }
            _ => self.hear(house, word),
        }
    }

    /// A member has said which streams it holds: what has waited goes.
    fn hear(&self, house: &House, word: Lines) {
        house.desk.borrow_mut().hear(word, self.now());
        let has_some = house.desk.borrow().choose(0, |_| true).is_some();
        if has_some {
            let waiting = house.desk.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.lead(house, envelope));
        }
    }

    fn post(&self, envelope: Envelope) {
        for envelope in self.router.post(vec![envelope]) {
            self.bounce(envelope, Why::Full);
        }
    }

    /// Sends what a component says.
    pub(crate) fn send(&self, stanzas: Vec<Envelope>) {
        self.metrics.stanzas_in.add(stanzas.len() as u64);
        for envelope in self.router.post(stanzas) {
            self.metrics.not_taken.of("full").add_one();
            let Envelope { body, origin, .. } = envelope;
            if let Body::Stanza(stanza) = body {
                self.refuse(&stanza, &StanzaCondition::ResourceConstraint.into(), origin);
            }
        }
    }

    /// Answers a stanza of a component with an error.
    pub(crate) fn refuse(&self, stanza: &Stanza, error: &StanzaError, origin: Origin) {
        if let Some(error) = stanza.error(error) {
            self.metrics.refused.add(leaving::send(&self.router, error, origin, None));
        }
    }

    fn bounce(&self, envelope: Envelope, why: Why) {
        self.metrics.bounced.of(why.word()).add_one();
        let refused = leaving::bounce(&self.router, envelope, &why.error(), false);
        self.metrics.refused.add(refused);
    }

    /// Looks at plans, says what is here, and sends back what has waited too long.
    pub(crate) fn sweep(&self) {
        let index = self.router.plan_index();
        let sweeps = self.sweeps.replace(self.sweeps.get().wrapping_add(1));
        let is_new = self.plan.replace(index) != index;
        let is_time = is_new || sweeps.is_multiple_of(ANNOUNCE_EVERY);
        for house in self.houses.values() {
            if is_new {
                self.plan_changed(house);
            }
            self.show_who_is_here(house);
            if is_time && !house.lines.borrow().is_empty() {
                self.announce(house);
            }
            self.look_after(house);
        }
    }

    /// Has a component be told who is here, when it is time (XEP-0356 §8 rule 1). Each stream is: which of them hears of
    /// whom, changes with each one that comes. Where accounts may be on their way from one member to another, it is told
    /// again when they have arrived.
    fn show_who_is_here(&self, house: &House) {
        let (now, settled) = (self.now(), self.settled.get());
        let mut is_due = false;
        for line in house.lines.borrow().values() {
            if line.told_at.get().is_some_and(|due| due <= now) {
                line.told_at.set(settled.filter(|settled| *settled > now));
                is_due = true;
            }
        }
        if is_due {
            self.router.tell_of_newcomer(&house.component.domain);
        }
    }

    /// There is another plan: accounts that have moved meanwhile may not have told of a young stream.
    fn plan_changed(&self, house: &House) {
        let now = self.now();
        let is_alone = self.router.plan().members().count() < 2;
        self.settled.set((!is_alone).then_some(now + SETTLING));
        for line in house.lines.borrow().values().filter(|line| now < line.opened + YOUNG) {
            if house.sees() && !is_alone {
                line.told_at.set(self.settled.get());
            }
        }
    }

    fn look_after(&self, house: &House) {
        let now = self.now();
        let plan = self.router.plan();
        let is_elsewhere = matches!(self.router.place(&house.route()), Place::Member(_));
        house.desk.borrow_mut().forget(now, |it| is_elsewhere || is_gone(&plan, it));
        let mut late = house.desk.borrow_mut().waiting.expired(now);
        for line in house.lines.borrow().values() {
            late.extend(line.queue.borrow_mut().expired(now));
        }
        late.into_iter().for_each(|envelope| self.bounce(envelope, Why::Away));
        if is_elsewhere {
            let waiting = house.desk.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.lead(house, envelope));
        }
    }

    /// Whether no stream is open, and nothing waits that another member could take.
    pub(crate) fn is_empty(&self) -> bool {
        self.houses.values().all(|house| house.lines.borrow().is_empty())
    }

    /// The server stops: what waits comes back.
    pub(crate) fn give_up(&self) {
        for house in self.houses.values() {
            let waiting = house.desk.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.bounce(envelope, Why::Stopped));
        }
    }
}

/// Whether a member takes no part any more.
fn is_gone(plan: &Plan, member: MemberId) -> bool {
    plan.member(member).is_none_or(|member| member.status == Membership::Expelled)
}

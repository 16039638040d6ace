//! Owns what all streams of components share: who the components are, and the way of stanzas to them. All of it is on
//! the gate's own thread, so that what is for one stream stays in order; other threads reach it by the [`crate::inbox::Inbox`].
//!
//! **Responsibility.** What has a receipt keeps it until it is written to the component's stream, since a component
//! acknowledges nothing. Where the stream breaks before, it goes to another one; so it may come twice, but not never.
//!
//! Bounds: as the configuration says for what waits while a component is away, and for what waits for each stream;
//! 256 MiB for all. Full: `resource-constraint`.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::Plan;
use cluster::plan::Status as Membership;
use proto::{Body, Envelope, HeldStreams, MemberId, Route, StreamId};
use router::{Place, Repeats, Router, leaving};
use socket::{Allowance, Bounds, Queue, Rate, Waiting};
use store::SharedStore;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use xmpp::privilege::Presence;
use xmpp::{BareJid, Epoch, Origin, Stanza, StanzaCondition, StanzaError};

use crate::attempts::AttemptLimit;
use crate::config::{Component, Config, Secret};
use crate::metrics::Metrics;
use crate::status::Status;
use crate::stream_table::{StreamTable, pair_of, weight};

/// A member says this often which streams it holds; plans are looked at four times as often.
const ANNOUNCE_EVERY: u32 = 4;

/// So long after a component has connected, a change of the plan may have kept somebody from telling it who is here.
const YOUNG: Duration = Duration::from_secs(120);
/// Accounts of a member that is gone are with others within this.
const SETTLING: Duration = Duration::from_secs(5);

/// An envelope that has passed more members than this one has come back from a stream that is not there.
const HOPS: u8 = 5;

/// Why a stanza does not reach a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undeliverable {
    /// It has no stream, and has had none for long.
    Away,
    /// Too much waits for it.
    Full,
    /// The server stops.
    Stopped,
}

impl Undeliverable {
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

/// What the gate's thread begins with.
pub(crate) struct Ground {
    pub(crate) router: Router,
    pub(crate) store: SharedStore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) status: Arc<Status>,
    /// True: streams end.
    pub(crate) stopping: watch::Receiver<bool>,
    /// This member may not act, and may not for long: components are better off at another one.
    pub(crate) isolated: watch::Receiver<bool>,
}

/// What all streams share.
pub(crate) struct Registry {
    pub(crate) router: Router,
    pub(crate) store: SharedStore,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) isolated: watch::Receiver<bool>,
    pub(crate) attempts: RefCell<AttemptLimit>,
    components: HashMap<BareJid, Rc<Registered>>,
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
pub(crate) struct Registered {
    pub(crate) component: Component,
    pub(crate) rate: RefCell<Rate>,
    table: RefCell<StreamTable<Envelope>>,
    /// What has come for it, while this member owns its domain.
    repeats: RefCell<Repeats>,
    /// What it has said that it can do in the server's place, by node, as long as it has streams to this member.
    disclosed: RefCell<BTreeMap<String, Stanza>>,
    /// Its streams to this member.
    streams: RefCell<BTreeMap<u64, Rc<ComponentStream>>>,
    bounds: Bounds,
    /// Bytes of all queues of all components.
    bytes: Arc<AtomicUsize>,
    /// Who tells accounts of it, as long as it has streams to this member.
    pub(crate) telling: RefCell<Option<JoinHandle<()>>>,
}

/// A stream of a component, as whoever has something for it sees it.
pub(crate) struct ComponentStream {
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

impl ComponentStream {
    /// Tells operators how many wait.
    pub(crate) fn note(&self) {
        self.waiting.store(self.queue.borrow().len(), Ordering::Relaxed);
    }
}

impl Registered {
    fn new(component: Component, limits: bool, bytes: &Arc<AtomicUsize>) -> Self {
        let settings = &component.settings;
        let bounds = Bounds {
            items: settings.queue_stanzas,
            bytes: settings.queue_bytes,
            wait: Duration::from_secs(settings.wait_seconds),
        };
        let rates = Allowance::per_second(settings.bytes_per_second, settings.stanzas_per_second);
        Self {
            rate: RefCell::new(Rate::new(limits.then_some(rates))),
            table: RefCell::new(StreamTable::new(Queue::new(bounds, Arc::clone(bytes)))),
            repeats: RefCell::default(),
            disclosed: RefCell::default(),
            streams: RefCell::default(),
            component,
            bounds,
            bytes: Arc::clone(bytes),
            telling: RefCell::default(),
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
    fn stream(&self, number: u64, pair: u64) -> Option<Rc<ComponentStream>> {
        let streams = self.streams.borrow();
        let best = || streams.values().max_by_key(|stream| weight(pair, stream.number));
        streams.get(&number).or_else(best).cloned()
    }
}

impl Registry {
    pub(crate) fn new(config: &Config, ground: Ground) -> Rc<Self> {
        let Ground { router, store, metrics, status, stopping, isolated } = ground;
        let bytes = Arc::default();
        let registered = |component: &Component| {
            let registered = Registered::new(component.clone(), config.limits, &bytes);
            (component.domain.clone(), Rc::new(registered))
        };
        Rc::new(Self {
            components: config.components.iter().map(registered).collect(),
            router,
            store,
            metrics,
            status,
            stopping,
            isolated,
            attempts: RefCell::default(),
            clock: Instant::now(),
            session: Origin::session_number(getrandom::u64().unwrap_or_default()),
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

    pub(crate) fn registered(&self, domain: &BareJid) -> Option<Rc<Registered>> {
        self.components.get(domain).cloned()
    }

    /// The secret of a component that may connect from this address.
    pub(crate) fn secret(&self, domain: &BareJid, address: IpAddr) -> Option<Secret> {
        let Component { allow, secret, .. } = &self.components.get(domain)?.component;
        let may = allow.is_empty() || allow.iter().any(|network| network.has(address));
        may.then(|| secret.clone())
    }

    /// Another origin for what this gate causes.
    pub(crate) fn origin(&self) -> Origin {
        self.seq.set(self.seq.get() + 1);
        Origin::Client { session: self.session, seq: self.seq.get(), part: 0 }
    }

    /// A component has another stream; none where it has too many.
    pub(crate) fn open(
        &self,
        registered: &Registered,
        address: SocketAddr,
    ) -> Option<Rc<ComponentStream>> {
        if registered.streams.borrow().len() >= registered.component.settings.streams {
            return None;
        }
        let number = getrandom::u64().unwrap_or_default();
        let queue = RefCell::new(Queue::new(registered.bounds, Arc::clone(&registered.bytes)));
        let waiting = self.status.enter(number, registered.component.domain.clone(), address);
        let (news, opened) = (Notify::new(), self.now());
        let told_at = Cell::new(registered.sees().then_some(opened));
        let stream = Rc::new(ComponentStream { number, queue, news, opened, told_at, waiting });
        let is_first = registered.streams.borrow().is_empty();
        registered.streams.borrow_mut().insert(number, Rc::clone(&stream));
        self.metrics.streams.add_one();
        self.announce(registered);
        self.show_who_is_here(registered);
        if is_first {
            self.ask_contacts(registered);
        }
        Some(stream)
    }

    /// A stream has ended; what was not surely written to it goes to another one.
    pub(crate) fn close(
        &self,
        registered: &Registered,
        stream: &ComponentStream,
        unsent: Vec<Waiting<Envelope>>,
    ) {
        if registered.streams.borrow_mut().remove(&stream.number).is_some() {
            self.metrics.streams.take_one();
        }
        if registered.streams.borrow().is_empty() {
            registered.disclosed.take();
        }
        self.status.leave(stream.number);
        self.announce(registered);
        // What it was told of people, the others may not have heard.
        registered.ask_no_more();
        if let Some(heir) = registered.streams.borrow().values().next() {
            heir.told_at.set(registered.sees().then(|| self.now()));
            self.ask_contacts(registered);
        }
        let queued = stream.queue.borrow_mut().drain();
        for envelope in unsent.into_iter().map(|waiting| waiting.item).chain(queued) {
            self.lead(registered, envelope);
        }
    }

    /// Takes what the router has for a component.
    pub(crate) fn take(&self, envelope: Envelope) {
        let (domain, number) = match &envelope.to {
            Route::Component(domain) => (domain, None),
            Route::Stream(stream) => (&stream.domain, Some(stream.number)),
            _ => return,
        };
        let Some(registered) = self.components.get(domain) else { return };
        match (envelope.body, number) {
            (Body::HeldStreams(word), _) => self.hear(registered, word),
            (body, None) => self.receive(registered, Envelope { body, ..envelope }),
            (body, Some(number)) => self.hand_in(registered, number, Envelope { body, ..envelope }),
        }
    }

    /// For the owner of the domain, once.
    fn receive(&self, registered: &Registered, mut envelope: Envelope) {
        if !self.is_elsewhere(registered) {
            envelope = self.without_receipt(envelope);
            if registered.repeats.borrow_mut().has(&mut envelope, self.now()) {
                return self.metrics.repeats.add_one();
            }
        }
        self.lead(registered, envelope);
    }

    /// Whether another member owns the component's domain.
    fn is_elsewhere(&self, registered: &Registered) -> bool {
        matches!(self.router.place(&registered.route()), Place::Member(_))
    }

    /// For the owner of the domain: picks a stream, or lets the stanza wait for one.
    fn lead(&self, registered: &Registered, envelope: Envelope) {
        if self.is_elsewhere(registered) {
            return self.post(Envelope { to: registered.route(), ..envelope });
        }
        let envelope = self.without_receipt(envelope);
        let Body::Stanza(stanza) = &envelope.body else { return };
        let plan = self.router.plan();
        let chosen = registered.table.borrow().choose(pair_of(stanza), |it| !is_gone(&plan, it));
        // What goes back and forth waits until it is known where the streams are.
        let chosen = chosen.filter(|_| envelope.hops <= HOPS);
        match chosen {
            Some((member, number)) if member == self.router.member() => {
                self.hand_in(registered, number, envelope);
            }
            Some((member, number)) => {
                let domain = registered.component.domain.clone();
                let to = Route::Stream(Box::new(StreamId { domain, member, number }));
                self.post(Envelope { to, ..envelope });
            }
            None => {
                let bytes = leaving::size(&envelope);
                let mut table = registered.table.borrow_mut();
                let pushed = table.waiting.push(self.now(), envelope, bytes);
                drop(table);
                if let Err(envelope) = pushed {
                    self.bounce(envelope, Undeliverable::Full);
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
    fn hand_in(&self, registered: &Registered, number: u64, envelope: Envelope) {
        let Body::Stanza(stanza) = &envelope.body else { return };
        let Some(stream) = registered.stream(number, pair_of(stanza)) else {
            self.announce(registered);
            return self.lead(registered, envelope);
        };
        let bytes = leaving::size(&envelope);
        let pushed = stream.queue.borrow_mut().push(self.now(), envelope, bytes);
        match pushed {
            Ok(()) => {
                stream.note();
                stream.news.notify_one();
            }
            Err(envelope) => self.bounce(envelope, Undeliverable::Full),
        }
    }

    /// Whether this member owns a component's domain and may act for it, and no member has a stream of it.
    pub(crate) fn lacks_stream(&self, registered: &Registered) -> bool {
        let is_owner =
            !matches!(self.router.place(&registered.route()), Place::Member(_) | Place::Nobody);
        is_owner
            && !*self.isolated.borrow()
            && registered.table.borrow().choose(0, |_| true).is_none()
    }

    /// All components that listen, so that they are connected to.
    pub(crate) fn listening(&self) -> Vec<Rc<Registered>> {
        let listens =
            |registered: &&Rc<Registered>| !registered.component.settings.connect.is_empty();
        self.components.values().filter(listens).cloned().collect()
    }

    /// A component has said what it can do in the server's place: every member is to know.
    pub(crate) fn disclose(&self, registered: &Registered, node: String, answer: Stanza) {
        self.router.disclose(&answer);
        registered.disclosed.borrow_mut().insert(node, answer);
    }

    /// Tells the owner of the domain which streams are here.
    fn announce(&self, registered: &Registered) {
        let numbers = registered.streams.borrow().keys().copied().collect();
        let member = self.router.member();
        let word = HeldStreams { member, numbers, local: None, spare: Vec::new() };
        match self.router.place(&registered.route()) {
            Place::Member(_) | Place::Nobody => {
                let body = Body::HeldStreams(word);
                let envelope =
                    Envelope::new(registered.route(), body, self.origin(), Epoch::default());
                // It is said again soon.
                drop(self.router.post(vec![envelope]));
            }
            _ => self.hear(registered, word),
        }
    }

    /// A member has said which streams it holds: what has waited goes.
    fn hear(&self, registered: &Registered, word: HeldStreams) {
        registered.table.borrow_mut().hear(word, self.now());
        let has_some = registered.table.borrow().choose(0, |_| true).is_some();
        if has_some {
            let waiting = registered.table.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.lead(registered, envelope));
        }
    }

    fn post(&self, envelope: Envelope) {
        for envelope in self.router.post(vec![envelope]) {
            self.bounce(envelope, Undeliverable::Full);
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

    fn bounce(&self, envelope: Envelope, why: Undeliverable) {
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
        for registered in self.components.values() {
            if is_new {
                self.plan_changed(registered);
            }
            self.show_who_is_here(registered);
            if is_time && !registered.streams.borrow().is_empty() {
                self.announce(registered);
            }
            self.look_after(registered);
        }
    }

    /// Has a component be told who is here, when it is time (XEP-0356 §8 rule 1). Each stream is: which of them hears of
    /// whom, changes with each one that comes. Where accounts may be on their way from one member to another, it is told
    /// again when they have arrived.
    fn show_who_is_here(&self, registered: &Registered) {
        let (now, settled) = (self.now(), self.settled.get());
        let mut is_due = false;
        for stream in registered.streams.borrow().values() {
            if stream.told_at.get().is_some_and(|due| due <= now) {
                stream.told_at.set(settled.filter(|settled| *settled > now));
                is_due = true;
            }
        }
        if is_due {
            self.router.tell_of_component(&registered.component.domain);
        }
    }

    /// There is another plan: accounts that have moved meanwhile may not have told of a young stream.
    fn plan_changed(&self, registered: &Registered) {
        let now = self.now();
        let is_alone = self.router.plan().members().count() < 2;
        self.settled.set((!is_alone).then_some(now + SETTLING));
        for stream in
            registered.streams.borrow().values().filter(|stream| now < stream.opened + YOUNG)
        {
            if registered.sees() && !is_alone {
                stream.told_at.set(self.settled.get());
            }
        }
        // Whoever has come may not know.
        registered.disclosed.borrow().values().for_each(|answer| self.router.disclose(answer));
    }

    fn look_after(&self, registered: &Registered) {
        let now = self.now();
        let plan = self.router.plan();
        let is_elsewhere = self.is_elsewhere(registered);
        registered.table.borrow_mut().forget(now, |it| is_elsewhere || is_gone(&plan, it));
        let mut late = registered.table.borrow_mut().waiting.expired(now);
        for stream in registered.streams.borrow().values() {
            late.extend(stream.queue.borrow_mut().expired(now));
        }
        late.into_iter().for_each(|envelope| self.bounce(envelope, Undeliverable::Away));
        if is_elsewhere {
            // What another owner was given comes back from there as something new if that one is gone.
            registered.repeats.take();
            let waiting = registered.table.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.lead(registered, envelope));
        }
    }

    /// Whether no stream is open, and nothing waits that another member could take.
    pub(crate) fn is_empty(&self) -> bool {
        self.components.values().all(|registered| registered.streams.borrow().is_empty())
    }

    /// The server stops: what waits comes back.
    pub(crate) fn give_up(&self) {
        for registered in self.components.values() {
            let waiting = registered.table.borrow_mut().waiting.drain();
            waiting.into_iter().for_each(|envelope| self.bounce(envelope, Undeliverable::Stopped));
        }
    }
}

/// Whether a member takes no part any more.
fn is_gone(plan: &Plan, member: MemberId) -> bool {
    plan.member(member).is_none_or(|member| member.status == Membership::Expelled)
}

#[cfg(test)]
mod tests;

//! Owns what another server sends on one stream, whichever of us has opened it: the machine has seen that it is from that
//! server's domain to ours; here it goes to the router, and is counted where the other end wants to know (XEP-0198 §4).
//!
//! Whether a stream may be read on is decided here, for both kinds. Bound: 1,024 stanzas that are not safe yet, and what came
//! with them; with more, the stream is not read. Nor is it while it or its domain has sent more than it may, or while answers
//! to it wait that it does not take.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use proto::receipt::Standing;
use proto::{Body, Envelope, Ledger, Receipt, Route};
use router::Router;
use socket::{Allowance, Rate};
use stream::Event;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use xmpp::{Epoch, Origin, Stanza, StanzaCondition, ns};

use crate::budgets::{Drawn, OfDomains};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::pairs::Pairs;

/// Stanzas that are not safe yet; with more, the stream is not read.
const UNSAFE_MAX: usize = 1_024;
/// It is looked this often whether they are.
const LOOK: Duration = Duration::from_secs(1);

/// What the inflows of all streams share.
pub(crate) struct Inlet {
    pub(crate) router: Router,
    pub(crate) pairs: Arc<Pairs>,
    pub(crate) metrics: Arc<Metrics>,
    /// How fast each stream may send; none without limits.
    pub(crate) rates: Option<Allowance>,
    /// How fast each domain may send.
    pub(crate) of_domains: OfDomains,
}

/// What comes on one stream.
pub(crate) struct Inflow {
    inlet: Rc<Inlet>,
    /// None while the other end does not count.
    ledger: RefCell<Option<Arc<Ledger>>>,
    /// Wakes whoever waits to read on.
    settled: Arc<Notify>,
    /// The same, for whoever tells the other end.
    news: Arc<Notify>,
    /// How many the other end knows to be safe.
    told: Cell<u64>,
    /// It has asked, and has not been told of all.
    owes: Cell<bool>,
    /// So many more come before the other end begins to count.
    uncounted: Cell<usize>,
    /// Tells this stream's stanzas from all others.
    stream: u64,
    seq: Cell<u64>,
    rate: Cell<Rate>,
    drawn: RefCell<Drawn>,
    /// How long not to read.
    hold: Cell<Option<Duration>>,
}

impl Inflow {
    /// Of a stream on which the other end does not count yet.
    pub(crate) fn new(inlet: &Rc<Inlet>) -> Self {
        Self {
            inlet: Rc::clone(inlet),
            ledger: RefCell::default(),
            settled: Arc::default(),
            news: Arc::default(),
            told: Cell::new(0),
            owes: Cell::new(false),
            uncounted: Cell::new(0),
            stream: getrandom::u64().unwrap_or_default(),
            seq: Cell::new(0),
            rate: Cell::new(Rate::new(inlet.rates)),
            drawn: RefCell::default(),
            hold: Cell::new(None),
        }
    }

    /// From now on the other end counts (XEP-0198 §3); but for so many stanzas, which it has sent before.
    pub(crate) fn count(&self, uncounted: usize) {
        let (settled, news) = (Arc::clone(&self.settled), Arc::clone(&self.news));
        let wake = move || {
            settled.notify_one();
            news.notify_one();
        };
        *self.ledger.borrow_mut() = Some(Ledger::new(0, wake));
        self.uncounted.set(uncounted);
    }

    /// Whether the other end counts.
    pub(crate) fn is_counted(&self) -> bool {
        self.ledger.borrow().is_some()
    }

    /// A stanza on its way; [`Inflow::hand_over`] is to follow.
    pub(crate) fn envelope(&self, stanza: Stanza) -> Envelope {
        let Inlet { router, pairs, of_domains, .. } = &*self.inlet;
        if let Some(domain) = stanza.head().from.as_ref().map(|from| from.domain()) {
            let mut drawn = self.drawn.borrow_mut();
            self.slow_down(drawn.count(of_domains, &domain, stanza.len(), pairs.now()));
        }
        let head = stanza.head();
        let to = head.to.as_ref().map(|to| router.route_between(head.from.as_ref(), to));
        let to = to.unwrap_or_else(|| Route::Member(router.member()));
        let envelope = Envelope::new(to, Body::Stanza(stanza), self.origin(), Epoch::default());
        envelope.with_receipt(self.receipt())
    }

    /// Hands stanzas on. What there is no room for comes back to its sender.
    pub(crate) fn hand_over(&self, stanzas: Vec<Envelope>) {
        let Inlet { router, pairs, metrics, .. } = &*self.inlet;
        metrics.stanzas_in.add(stanzas.len() as u64);
        for Envelope { body, receipt, origin, .. } in router.post(stanzas) {
            metrics.not_taken.of("full").add_one();
            if let Body::Stanza(stanza) = body {
                pairs.refuse(&stanza, StanzaCondition::ResourceConstraint, origin);
            }
            if let Some(receipt) = receipt {
                receipt.release();
            }
        }
    }

    /// Answers a stanza that cannot be handed on.
    pub(crate) fn refuse(&self, stanza: &Stanza, condition: StanzaCondition) {
        self.inlet.metrics.refuse(condition);
        if let Some(receipt) = self.receipt() {
            receipt.release();
        }
        self.inlet.pairs.refuse(stanza, condition, self.origin());
    }

    /// So many bytes came at once, and this was in them. What says that ours have arrived is no more than we have sent.
    pub(crate) fn came(&self, bytes: usize, events: &[Event]) {
        let count = events.iter().filter(|event| !is_acknowledgement(event)).count();
        let mut rate = self.rate.get();
        self.slow_down(rate.count(self.inlet.pairs.now(), bytes, count));
        self.rate.set(rate);
    }

    /// The stream is not to be read for so long, if at all.
    fn slow_down(&self, hold: Option<Duration>) {
        self.hold.set(self.hold.get().max(hold));
    }

    /// Waits as long as this member may not act, the other end has sent too fast, too much of it is not safe yet, or too
    /// many answers to it wait in `outbox` that it does not take.
    ///
    /// # Errors
    /// The stream is to end: a stanza cannot become safe, or the member never may act again.
    pub(crate) async fn may_go_on(&self, outbox: &Outbox) -> Result<(), Failure> {
        self.inlet.router.lease().until_valid().await.map_err(|_| Failure::Closed)?;
        if let Some(hold) = self.hold.take() {
            sleep(hold).await;
        }
        // It is asked each time: only then does the next one that settles wake us.
        while self.look()?.open > UNSAFE_MAX {
            timeout(LOOK, self.settled.notified()).await.ok();
        }
        while outbox.is_clogged() {
            outbox.gone.notified().await;
        }
        Ok(())
    }

    /// Ends when the other end is to be told more than it was when it asked.
    pub(crate) async fn is_due(&self) {
        loop {
            self.news.notified().await;
            // Where one cannot become safe, whoever tells says so.
            let has_moved = self.look().map_or(true, |it| it.handled != self.told.get());
            if self.owes.get() && has_moved {
                return;
            }
        }
    }

    /// Ends when something has become safe.
    pub(crate) async fn has_moved(&self) {
        self.news.notified().await;
    }

    /// Whether all that came is safe, as far as the other end wants to know.
    pub(crate) fn is_settled(&self) -> bool {
        self.ledger.borrow().as_ref().is_none_or(|ledger| ledger.open_count() == 0)
    }

    /// How many stanzas are safe, which the other end is told then (XEP-0198 §4).
    ///
    /// # Errors
    /// One cannot become so: the stream ends, and the other end sends again.
    pub(crate) fn standing(&self) -> Result<u64, Failure> {
        let Standing { handled, open, .. } = self.look()?;
        self.owes.set(open > 0);
        self.told.set(handled);
        Ok(handled)
    }

    fn look(&self) -> Result<Standing, Failure> {
        let nothing = Standing { handled: 0, faulty: false, open: 0 };
        let standing = self.ledger.borrow().as_ref().map_or(nothing, |ledger| ledger.standing());
        match standing.faulty {
            true => Err(Failure::Closed),
            false => Ok(standing),
        }
    }

    /// None where the other end does not count this one.
    fn receipt(&self) -> Option<Receipt> {
        let uncounted = self.uncounted.get();
        self.uncounted.set(uncounted.saturating_sub(1));
        self.ledger.borrow().as_ref().filter(|_| uncounted == 0).map(Ledger::open)
    }

    fn origin(&self) -> Origin {
        self.seq.set(self.seq.get() + 1);
        Origin::of_server(self.stream, self.seq.get())
    }
}

fn is_acknowledgement(event: &Event) -> bool {
    matches!(event, Event::Nonza(element) if element.is("a", ns::SM))
}

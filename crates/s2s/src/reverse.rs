//! XEP-0288 Bidirectional Server-to-Server Connections, version 1.0.1: what another server sends on a stream that we have
//! opened. The machine has seen that it is from its domain to ours; here it goes to the router, and is counted where the
//! other end wants to know. What we send on streams that others have opened goes by [`crate::ways`].

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use proto::{Body, Envelope, Ledger, Receipt, Route};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use xmpp::{Epoch, Origin, Stanza, StanzaCondition};

use crate::budgets::Drawn;
use crate::failure::Failure;
use crate::incoming::handled;
use crate::send::Desk;

/// Stanzas that are not safe yet; with more, the stream is not read.
const UNSAFE_MAX: usize = 1_024;
/// It is looked this often whether they are.
const LOOK: Duration = Duration::from_secs(1);

/// The other way of a stream of ours.
pub(crate) struct Reverse<'a> {
    desk: &'a Desk,
    ledger: Arc<Ledger>,
    settled: Arc<Notify>,
    /// The same, for whoever tells the other end.
    news: Arc<Notify>,
    /// It has asked, and has not been told all.
    owes: Cell<bool>,
    /// Tells this stream's stanzas from all others.
    session: u64,
    seq: Cell<u64>,
    drawn: RefCell<Drawn>,
    hold: Cell<Option<Duration>>,
    /// So many more came before the other end began to count.
    uncounted: Cell<usize>,
}

impl<'a> Reverse<'a> {
    pub(crate) fn new(desk: &'a Desk, uncounted: usize) -> Self {
        let settled = Arc::new(Notify::new());
        let news = Arc::new(Notify::new());
        let wake = (Arc::clone(&settled), Arc::clone(&news));
        Self {
            desk,
            ledger: Ledger::new(0, move || {
                wake.0.notify_one();
                wake.1.notify_one();
            }),
            settled,
            news,
            owes: Cell::new(false),
            session: getrandom::u64().unwrap_or_default(),
            seq: Cell::new(0),
            drawn: RefCell::default(),
            hold: Cell::new(None),
            uncounted: Cell::new(uncounted),
        }
    }

    /// Hands a stanza on.
    pub(crate) fn take(&self, stanza: Stanza) {
        self.desk.metrics.stanzas_in.add_one();
        if let Some(domain) = stanza.head().from.as_ref().map(|from| from.domain()) {
            let now = self.desk.pairs.now();
            let mut drawn = self.drawn.borrow_mut();
            let hold = drawn.count(&self.desk.of_domains, (&domain, stanza.len()), now);
            self.hold.set(self.hold.get().max(hold));
        }
        let router = &self.desk.router;
        let head = stanza.head();
        let to = head.to.as_ref().map(|to| router.route_between(head.from.as_ref(), to));
        let to = to.unwrap_or_else(|| Route::Member(router.member()));
        let envelope = Envelope::new(to, Body::Stanza(stanza), self.origin(), Epoch::default());
        for envelope in router.post(vec![envelope.with_receipt(self.receipt())]) {
            self.desk.metrics.not_taken.of("full").add_one();
            let Envelope { body, receipt, origin, .. } = envelope;
            if let Body::Stanza(stanza) = body {
                self.desk.pairs.refuse(&stanza, StanzaCondition::ResourceConstraint, origin);
            }
            if let Some(receipt) = receipt {
                receipt.release();
            }
        }
    }

    /// Answers a stanza that cannot be handed on.
    pub(crate) fn refuse(&self, stanza: &Stanza, condition: StanzaCondition) {
        self.desk.metrics.not_taken.of("malformed").add_one();
        if let Some(receipt) = self.receipt() {
            receipt.release();
        }
        self.desk.pairs.refuse(stanza, condition, self.origin());
    }

    /// Waits as long as this member may not act, the other end has sent too fast, or too much of it is not safe yet.
    pub(crate) async fn may_go_on(&self) -> Result<(), Failure> {
        let lease = self.desk.router.lease();
        if !lease.holds() && lease.until_valid().await.is_err() {
            return Err(Failure::Closed);
        }
        if let Some(hold) = self.hold.take() {
            sleep(hold).await;
        }
        while self.ledger.open_count() > UNSAFE_MAX {
            // Looked at again every so often: a wake-up may have come before.
            timeout(LOOK, self.settled.notified()).await.ok();
        }
        Ok(())
    }

    /// Ends when the other end is to be told more than it was when it asked.
    pub(crate) async fn is_due(&self) {
        match self.owes.get() {
            true => self.news.notified().await,
            false => std::future::pending().await,
        }
    }

    /// What the other end is told when it asks (XEP-0198 §4): all that is safe. Where a stanza cannot become so, the
    /// stream ends, and the other end sends again.
    pub(crate) fn standing(&self) -> Result<Vec<u8>, Failure> {
        let standing = self.ledger.standing();
        self.owes.set(self.ledger.open_count() > 0);
        match standing.faulty {
            true => Err(Failure::Closed),
            false => Ok(handled(standing.handled)),
        }
    }

    /// None for what came before the other end began to count (XEP-0198 §4).
    fn receipt(&self) -> Option<Receipt> {
        let uncounted = self.uncounted.get();
        self.uncounted.set(uncounted.saturating_sub(1));
        (uncounted == 0).then(|| self.ledger.open())
    }

    fn origin(&self) -> Origin {
        self.seq.set(self.seq.get() + 1);
        Origin::Client { session: self.session, seq: self.seq.get(), part: 0 }
    }
}

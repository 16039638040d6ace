//! Owns a lane in the simulation, as `router::link` has it: what is sent arrives once, in order and late. What has a
//! receipt is kept until the other end has confirmed it, everything else until it has arrived. A cut is a delay: what was
//! lost with it is sent again before anything else. When the other end dies, what is kept goes to whoever comes after it,
//! and says that it may have come before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use proto::receipt::Settle;

use super::*;

/// What has become of a receipt. Whoever does not care any more has another one: the dead say nothing.
#[derive(Debug, Default)]
pub(super) struct Fate(AtomicU8);

impl Settle for Fate {
    fn settle(&self, _: u64, faulty: bool) {
        self.0.store(if faulty { 2 } else { 1 }, Ordering::SeqCst);
    }
}

impl Fate {
    /// Whether all shares are released.
    pub(super) fn is_safe(&self) -> bool {
        let fate = self.0.load(Ordering::SeqCst);
        holds(fate < 2, Wrong::Dropped, || "a receipt was dropped".to_owned());
        fate == 1
    }

    pub(super) fn receipt(self: &Arc<Self>) -> Receipt {
        Receipt::new(0, Arc::clone(self) as Arc<dyn Settle>)
    }
}

struct Departure {
    stanza: Stanza,
    origin: Origin,
    again: bool,
    receipt: Option<Receipt>,
    arrived: bool,
    fate: Arc<Fate>,
}

/// From one entity to another.
#[derive(Default)]
pub(super) struct Lane(VecDeque<Departure>);

impl Lane {
    pub(super) fn send(
        &mut self,
        stanza: Stanza,
        origin: Origin,
        again: bool,
        receipt: Option<Receipt>,
    ) {
        let fate = Arc::default();
        self.0.push_back(Departure { stanza, origin, again, receipt, arrived: false, fate });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing has arrived that is not confirmed.
    pub(super) fn has_none_inside(&self) -> bool {
        !self.0.iter().any(|it| it.arrived)
    }

    /// The next one arrives.
    pub(super) fn arrive(&mut self, to: Route) -> Option<Envelope> {
        let at = self.0.iter().position(|it| !it.arrived)?;
        let departure = &mut self.0[at];
        departure.arrived = true;
        let receipt = departure.receipt.as_ref().map(|_| departure.fate.receipt());
        let body = Body::Stanza(departure.stanza.clone());
        let envelope = Envelope::new(to, body, departure.origin, Epoch(1)).with_receipt(receipt);
        let envelope = Envelope { again: departure.again, crossed: true, ..envelope };
        if departure.receipt.is_none() {
            self.0.remove(at);
        }
        Some(envelope)
    }

    /// The other end says what is safe.
    pub(super) fn confirm(&mut self) {
        while let Some(at) = self.0.iter().position(|it| it.arrived && it.fate.is_safe()) {
            self.0.remove(at).and_then(|it| it.receipt).into_iter().for_each(Receipt::release);
        }
    }

    /// The other end is gone: another one gets what is not confirmed.
    pub(super) fn turns(&mut self) {
        for departure in &mut self.0 {
            (departure.arrived, departure.again) = (false, true);
            departure.fate = Arc::default();
        }
    }

    /// This end is gone, or what it has sent is not heard any more.
    pub(super) fn ends(&mut self) {
        self.0.clear();
    }

    /// The other end is gone, and nothing is said again.
    pub(super) fn forgets_what_arrived(&mut self) {
        while let Some(gone) = self.0.pop_front_if(|it| it.arrived) {
            gone.receipt.into_iter().for_each(Receipt::release);
        }
    }
}

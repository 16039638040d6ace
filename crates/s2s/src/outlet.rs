//! Owns what is to be written to one stream, whoever opened it: answers, what its pair has, and what comes by ways; and
//! what was written until the other end has it (XEP-0198 §4), where that one counts.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use proto::{Body, Envelope, Route};
use socket::Waiting;
use stream::sm::{self, Bounds};
use tokio::sync::Notify;
use tokio::time::sleep;
use xmpp::StreamCondition;

use crate::failure::Failure;
use crate::pairs::{Pair, PairId, Pairs};
use crate::ways::Way;

/// Bytes that are written at once.
const BATCH_BYTES: usize = 64 << 10;
/// Stanzas of one pair before others on the stream have their turn.
const TURN: usize = 64;
/// Pairs on one stream.
const WAYS_MAX: usize = 256;
/// With more bytes of answers waiting, nothing that asks for more is read.
const CLOGGED: usize = 256 << 10;
/// The other end has this long to acknowledge.
pub(crate) const UNANSWERED: Duration = Duration::from_secs(30);

/// What is to be written, and what was written and may not have arrived.
pub(crate) struct Outlet {
    pairs: Arc<Pairs>,
    lane: Option<u8>,
    said: RefCell<Vec<u8>>,
    ways: RefCell<Vec<Arc<Way>>>,
    /// Whose turn is first.
    turn: Cell<usize>,
    /// What is not acknowledged, where the other end counts.
    unacked: RefCell<Option<sm::Outgoing<Waiting<Envelope>>>>,
    /// What is being written.
    in_flight: RefCell<Vec<Waiting<Envelope>>>,
    /// There is something to write.
    pub(crate) news: Arc<Notify>,
    pub(crate) acked: Notify,
    /// Something was written.
    pub(crate) gone: Notify,
}

impl Outlet {
    /// Of a stream that acknowledges, or may begin to do so; and where it is one of ours, of this lane.
    pub(crate) fn new(pairs: &Arc<Pairs>, lane: Option<u8>, managed: bool) -> Self {
        let outlet = Self {
            pairs: Arc::clone(pairs),
            lane,
            said: RefCell::default(),
            ways: RefCell::default(),
            turn: Cell::new(0),
            unacked: RefCell::default(),
            in_flight: RefCell::default(),
            news: Arc::default(),
            acked: Notify::new(),
            gone: Notify::new(),
        };
        if managed {
            outlet.count();
        }
        outlet
    }

    /// From now on the other end counts what it gets.
    pub(crate) fn count(&self) {
        // Looked at before one is pushed, so that a last one always fits.
        let bounds = Bounds { bytes: usize::MAX, ..Bounds::default() };
        *self.unacked.borrow_mut() = Some(sm::Outgoing::new(bounds));
    }

    /// Answers, behind all that was said before.
    pub(crate) fn say(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.said.borrow_mut().extend_from_slice(bytes);
            self.news.notify_one();
        }
    }

    /// What was said and is not written.
    pub(crate) fn take_said(&self) -> Vec<u8> {
        std::mem::take(&mut *self.said.borrow_mut())
    }

    /// Whether so much waits to be written that no more should be caused.
    pub(crate) fn is_clogged(&self) -> bool {
        self.said.borrow().len() > CLOGGED
    }

    /// One more pair may send here.
    pub(crate) fn open(&self, id: PairId) {
        let mut ways = self.ways.borrow_mut();
        if ways.len() < WAYS_MAX && ways.iter().all(|way| way.id != id) {
            ways.push(self.pairs.open_way(id, self.lane, &self.news));
        }
    }

    /// Nothing comes by ways any more; what was written may still be acknowledged.
    pub(crate) fn close_ways(&self) {
        let ways = std::mem::take(&mut *self.ways.borrow_mut());
        ways.iter().for_each(|way| self.pairs.close_way(way));
    }

    /// Takes as much as goes at once; how many stanzas. `own` is the pair that the stream was opened for.
    pub(crate) fn gather(&self, out: &mut Vec<u8>, own: Option<&Pair>) -> u64 {
        let ways = self.ways.borrow();
        let places = ways.len() + 1;
        let first = self.turn.replace(self.turn.get().wrapping_add(1));
        let mut count = 0;
        for place in (0..places).map(|it| first.wrapping_add(it) % places) {
            for _ in 0..TURN {
                if out.len() >= BATCH_BYTES || !self.has_room() {
                    break;
                }
                let next = match place.checked_sub(1) {
                    None => own.and_then(Pair::pop),
                    Some(way) => ways.get(way).and_then(|way| way.pop()),
                };
                let Some(waiting) = next else { break };
                count += u64::from(self.write(out, waiting));
            }
        }
        if count > 0 && self.unacked.borrow().is_some() {
            out.extend_from_slice(&sm::ask().to_bytes());
        }
        count
    }

    fn write(&self, out: &mut Vec<u8>, waiting: Waiting<Envelope>) -> bool {
        let Body::Stanza(stanza) = &waiting.item.body else { return false };
        stanza.write(out);
        let waiting = match &mut *self.unacked.borrow_mut() {
            Some(unacked) => {
                let bytes = waiting.bytes;
                // There is room: it was looked before.
                unacked.push(waiting, bytes).err().map(|sm::Full(waiting)| waiting)
            }
            None => Some(waiting),
        };
        self.in_flight.borrow_mut().extend(waiting);
        true
    }

    fn has_room(&self) -> bool {
        let most = Bounds::default();
        let has = |it: &sm::Outgoing<_>| it.len() < most.stanzas && it.bytes() < most.bytes;
        self.unacked.borrow().as_ref().is_none_or(has)
    }

    /// What was gathered and said is written.
    pub(crate) fn written(&self) {
        self.in_flight.borrow_mut().drain(..).for_each(released);
        self.gone.notify_one();
    }

    /// Stanzas have arrived: nobody waits for them any more.
    pub(crate) fn handled(&self, h: u32) -> Result<(), Failure> {
        let mut unacked = self.unacked.borrow_mut();
        let Some(unacked) = &mut *unacked else { return Ok(()) };
        match unacked.ack(h) {
            Ok(acked) => acked.for_each(released),
            Err(sm::AckError::TooLow { .. }) => {}
            Err(sm::AckError::TooHigh { .. }) => {
                return Err(Failure::Protocol(StreamCondition::UndefinedCondition.name()));
            }
        }
        self.acked.notify_one();
        // There may be room again.
        self.news.notify_one();
        Ok(())
    }

    /// Whether all that was written has arrived, as far as one can know.
    pub(crate) fn is_settled(&self) -> bool {
        self.unacked.borrow().as_ref().is_none_or(sm::Outgoing::is_empty)
    }

    /// Waits until the other end has left stanzas unacknowledged for too long.
    pub(crate) async fn overdue(&self) {
        match self.is_settled() {
            true => std::future::pending().await,
            false => sleep(UNANSWERED).await,
        }
    }

    /// What may not have arrived of what the stream's own pair had; of what came by ways, the receipts are dropped.
    pub(crate) fn take_back(&self) -> Vec<Waiting<Envelope>> {
        let mut back: Vec<Waiting<Envelope>> = Vec::new();
        if let Some(unacked) = &mut *self.unacked.borrow_mut() {
            back.extend(unacked.take_unacked());
        }
        back.append(&mut self.in_flight.borrow_mut());
        back.retain(|waiting| !matches!(waiting.item.to, Route::Line(_)));
        back
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close_ways();
    }
}

/// Nobody waits for a stanza any more.
pub(crate) fn released(waiting: Waiting<Envelope>) {
    if let Some(receipt) = waiting.item.receipt {
        receipt.release();
    }
}

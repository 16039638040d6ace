//! Owns what is to be written to one stream, whoever opened it: answers, what its pair has, and what comes by ways; and
//! what was written until the other end has it (XEP-0198 §4), or where that one does not count, for a while.
//!
//! That something was written puts off nothing: where it is not acknowledged when its time is over, its sender is told
//! so. What stands in its place is counted as it was, since the other end will count it; so the stream goes on for
//! others, unless nothing at all is acknowledged.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use proto::{Body, Envelope, Route};
use socket::Waiting;
use stream::Limits;
use stream::sm::{self, Bounds};
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use tokio::time::timeout;
use xmpp::StreamCondition;

use crate::failure::Failure;
use crate::overdue::Overdue;
use crate::pairs::{Pair, PairId, Pairs};
use crate::recent::Recent;
use crate::ways::Way;
use crate::{wire, words};

/// Bytes that are written at once.
const BATCH_BYTES: usize = 64 << 10;
/// Stanzas of one pair before others on the stream have their turn.
const TURN: usize = 64;
/// Pairs on one stream.
const WAYS_MAX: usize = 256;
/// With more bytes of answers waiting, nothing that asks for more is read.
const CLOGGED: usize = 256 << 10;
/// The other end has at most this long to acknowledge ([`Pairs::patience`]).
pub(crate) const UNANSWERED: Duration = Duration::from_secs(30);
/// After so much of that, or half of it, it is asked again: one that tells what is handled only when it is asked has told
/// of what was then.
const DOUBTFUL: Duration = Duration::from_secs(5);
/// How often it is looked for what was written and has waited its time.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// What is to be written, and what was written and may not have arrived.
pub(crate) struct Outbox {
    pairs: Arc<Pairs>,
    lane: Option<u8>,
    said: RefCell<Vec<u8>>,
    ways: RefCell<Vec<Arc<Way>>>,
    /// Whose turn is first.
    turn: Cell<usize>,
    /// What is not acknowledged, where the other end counts; none for what has come back meanwhile.
    unacked: RefCell<Option<sm::Outgoing<Option<Waiting<Envelope>>>>>,
    /// How long the other end may take nothing, or leave everything unacknowledged.
    patience: Duration,
    overdue: Overdue,
    doubtful: Overdue,
    /// When it is looked next for what has waited its time.
    look: Overdue,
    /// Bytes of one stanza that the other end takes (XEP-0478).
    max_bytes: usize,
    /// So many of the next may be what the other end ends streams for: each goes alone.
    suspects: Cell<usize>,
    /// The last one has gone alone.
    is_alone: Cell<bool>,
    /// What is being written.
    in_flight: RefCell<Vec<Waiting<Envelope>>>,
    /// What was written lately, where the other end does not count.
    recent: RefCell<Recent<Envelope>>,
    /// The other end has said that it has something of it.
    has_carried: Cell<bool>,
    /// There is something to write.
    pub(crate) news: Arc<Notify>,
    pub(crate) acked: Notify,
    /// Something was written.
    pub(crate) gone: Notify,
}

impl Outbox {
    /// Of a stream that acknowledges, or may begin to do so; and where it is one of ours, of this lane.
    pub(crate) fn new(pairs: &Arc<Pairs>, lane: Option<u8>, managed: bool) -> Self {
        let patience = pairs.patience();
        let outbox = Self {
            pairs: Arc::clone(pairs),
            lane,
            said: RefCell::default(),
            ways: RefCell::default(),
            turn: Cell::new(0),
            unacked: RefCell::default(),
            patience,
            overdue: Overdue::after(patience),
            doubtful: Overdue::after(DOUBTFUL.min(patience / 2)),
            look: Overdue::after(LOOK),
            max_bytes: Limits::AFTER_LOGIN.stanza_bytes,
            suspects: Cell::new(0),
            is_alone: Cell::new(false),
            in_flight: RefCell::default(),
            recent: RefCell::default(),
            has_carried: Cell::new(false),
            news: Arc::default(),
            acked: Notify::new(),
            gone: Notify::new(),
        };
        if managed {
            outbox.count();
        }
        outbox
    }

    /// The other end takes stanzas of so many bytes; where it has not said, as many as are taken here.
    #[must_use]
    pub(crate) fn within(mut self, max_bytes: Option<usize>) -> Self {
        self.max_bytes = max_bytes.unwrap_or(self.max_bytes);
        self
    }

    /// Whatever so many of the next stanzas are, the other end may have ended a stream for one of them.
    #[must_use]
    pub(crate) fn suspecting(self, suspects: usize) -> Self {
        self.suspects.set(suspects);
        self
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
                if out.len() >= BATCH_BYTES || !self.has_room() || self.must_wait() {
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
        let before = out.len();
        stanza.write(out);
        if out.len() - before > self.max_bytes {
            out.truncate(before);
            self.pairs.bounce(waiting.item, &Failure::TooBig(self.max_bytes));
            return false;
        }
        let suspects = self.suspects.get();
        self.is_alone.set(suspects > 0);
        self.suspects.set(suspects.saturating_sub(1));
        self.look.waits();
        let waiting = match &mut *self.unacked.borrow_mut() {
            Some(unacked) => {
                let bytes = waiting.bytes;
                self.overdue.waits();
                self.doubtful.waits();
                // There is room: it was looked before.
                unacked.push(Some(waiting), bytes).err().and_then(|sm::Full(waiting)| waiting)
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

    /// Writes what was gathered and said. The other end must take it in time; meanwhile, what has waited its time comes
    /// back.
    ///
    /// # Errors
    /// The connection is lost, or the other end is silent.
    pub(crate) async fn write_to(
        &self,
        io: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
    ) -> Result<(), Failure> {
        tokio::select! {
            written = timeout(self.patience, wire::write(io, bytes)) => {
                written.map_err(|_| Failure::Silent)?.map_err(|error| wire::lost(&error))
            }
            () = self.overdue() => Err(Failure::Silent),
        }
    }

    /// What was gathered and said is written.
    pub(crate) fn written(&self) {
        let (now, mut recent) = (self.pairs.now(), self.recent.borrow_mut());
        for mut waiting in self.in_flight.borrow_mut().drain(..) {
            if let Some(receipt) = waiting.item.receipt.take() {
                receipt.release();
            }
            recent.push(now, waiting);
        }
        recent.forget(now);
        self.gone.notify_one();
    }

    /// Stanzas have arrived: nobody waits for them any more.
    pub(crate) fn handled(&self, h: u32) -> Result<(), Failure> {
        let mut unacked = self.unacked.borrow_mut();
        let Some(unacked) = &mut *unacked else { return Ok(()) };
        let before = unacked.len();
        match unacked.ack(h) {
            Ok(acked) => {
                acked.inspect(|_| self.has_carried.set(true)).flatten().for_each(released);
            }
            Err(sm::AckError::TooLow { .. }) => {}
            // XEP-0198 §6.
            Err(sm::AckError::TooHigh { h, sent }) => {
                self.say(&words::error(&sm::too_high(h, sent)));
                self.say(words::CLOSE);
                return Err(Failure::Protocol("handled-count-too-high"));
            }
        }
        if unacked.len() < before {
            self.overdue.moved_on(!unacked.is_empty());
            self.doubtful.moved_on(!unacked.is_empty());
        }
        self.acked.notify_one();
        // There may be room again.
        self.news.notify_one();
        Ok(())
    }

    /// Whether all that was written has arrived, as far as one can know, or has come back.
    pub(crate) fn is_settled(&self) -> bool {
        self.unacked.borrow().as_ref().is_none_or(|it| it.unacked().all(Option::is_none))
    }

    /// Whether the other end has said that something has arrived.
    pub(crate) fn has_carried(&self) -> bool {
        self.has_carried.get()
    }

    /// Waits until the other end has left everything unacknowledged for too long. Before that it is asked again, and what
    /// has waited its time comes back.
    pub(crate) async fn overdue(&self) {
        let asking = async {
            loop {
                self.doubtful.passed().await;
                self.doubtful.moved_on(true);
                self.say(&sm::ask().to_bytes());
            }
        };
        let looking = async {
            loop {
                self.look.passed().await;
                self.expire();
                self.look.moved_on(!self.is_settled() || !self.in_flight.borrow().is_empty());
            }
        };
        tokio::select! {
            () = self.overdue.passed() => {}
            () = asking => {}
            () = looking => {}
        }
    }

    /// What has waited its time comes back, though it may yet arrive. What came by ways has none here: its owner looks.
    fn expire(&self) {
        let now = self.pairs.now();
        let mut late = Vec::new();
        if let Some(unacked) = &mut *self.unacked.borrow_mut() {
            let slots = unacked.unacked_mut();
            late.extend(slots.filter_map(|slot| slot.take_if(|waiting| waiting.due <= now)));
        }
        late.extend(self.in_flight.borrow_mut().extract_if(.., |waiting| waiting.due <= now));
        if !late.is_empty() {
            // It may be that nothing is on its way any more.
            self.news.notify_one();
        }
        late.into_iter().for_each(|waiting| self.pairs.bounce(waiting.item, &Failure::Unsure));
    }

    /// Whether something is under way that must be known to have arrived before anything follows.
    fn must_wait(&self) -> bool {
        let waits = || self.unacked.borrow().as_ref().is_some_and(|it| !it.is_empty());
        (self.suspects.get() > 0 || self.is_alone.get()) && waits()
    }

    /// The stream has failed. Where the other end has ended it for what it was sent, that is one of those that are not
    /// acknowledged: on the next stream each of them goes alone, and the one for which that ends too comes back, so
    /// that it holds up no others. How many those are.
    pub(crate) fn suspects(&self, failure: Option<&Failure>) -> usize {
        let mut unacked = self.unacked.borrow_mut();
        let (Some(Failure::Stream(why)), Some(unacked)) = (failure, &mut *unacked) else {
            return 0;
        };
        if !why.starts_with(StreamCondition::PolicyViolation.name()) {
            return 0;
        }
        if self.is_alone.get() && unacked.len() == 1 {
            for waiting in unacked.take_unacked().flatten() {
                self.pairs.bounce(waiting.item, &Failure::Unwanted);
            }
            return self.suspects.get();
        }
        unacked.len()
    }

    /// The connection has broken, and what was written lately to an end that does not count may be lost. What does no
    /// harm where it comes twice goes again; of the rest, senders hear.
    pub(crate) fn lose(&self, failure: &Failure) -> Vec<Waiting<Envelope>> {
        let silently = *failure == Failure::Silent;
        let lost = self.recent.borrow_mut().take(self.pairs.now(), silently);
        let mut again = Vec::new();
        for waiting in lost {
            let is_own = !matches!(waiting.item.to, Route::Stream(_));
            match self.pairs.may_come_twice(&waiting.item) {
                true if is_own => again.push(waiting),
                true => self.pairs.say_again(waiting.item),
                false => self.pairs.bounce(waiting.item, &Failure::Unsure),
            }
        }
        again
    }

    /// What may not have arrived of what the stream's own pair had, and has time left; of what came by ways, the receipts
    /// are dropped.
    pub(crate) fn take_back(&self) -> Vec<Waiting<Envelope>> {
        self.expire();
        let mut back: Vec<Waiting<Envelope>> = Vec::new();
        if let Some(unacked) = &mut *self.unacked.borrow_mut() {
            back.extend(unacked.take_unacked().flatten());
        }
        back.append(&mut self.in_flight.borrow_mut());
        back.retain(|waiting| !matches!(waiting.item.to, Route::Stream(_)));
        back
    }
}

impl Drop for Outbox {
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

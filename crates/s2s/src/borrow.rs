//! Owns how a pair sends by a way on a stream that is not its own ([`crate::ways`]).
//!
//! Bound: as many as one stream may have unacknowledged; the rest waits in the queue of the pair.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::{Envelope, Ledger, Route, StreamId};
use socket::Waiting;
use stream::sm::Bounds;
use tokio::sync::Notify;

use crate::failure::Failure;
use crate::outbox::{LOOK, released};
use crate::overdue::Overdue;
use crate::pairs::{Pair, Standing};
use crate::send::Outbound;
use crate::ways::WayId;

/// Whoever holds the stream ends it when this much of it has passed, and so says that something has not arrived; then it
/// is dead.
const GIVEN_UP: u32 = 3;

/// What a pair has sent by a way.
struct Borrowed<'a> {
    outbound: &'a Outbound,
    pair: &'a Pair,
    way: WayId,
    ledger: Arc<Ledger>,
    settled: Arc<Notify>,
    /// The oldest first; nothing of it is surely there. None for what has come back meanwhile.
    sent: VecDeque<Option<Waiting<Envelope>>>,
    bytes: usize,
    handled: u64,
    overdue: Overdue,
    /// When it is looked next for what has waited its time.
    look: Overdue,
}

/// Sends by a way as long as it is there; why it ended, where something may not have arrived.
pub(crate) async fn send(outbound: &Outbound, pair: &Pair, way: WayId) -> Result<(), Failure> {
    pair.stands(Standing::Shared);
    let settled = Arc::new(Notify::new());
    let wake = Arc::clone(&settled);
    let mut borrowed = Borrowed {
        outbound,
        pair,
        way,
        ledger: Ledger::new(0, move || wake.notify_one()),
        settled,
        sent: VecDeque::new(),
        bytes: 0,
        handled: 0,
        overdue: Overdue::after(outbound.pairs.patience() * GIVEN_UP),
        look: Overdue::after(LOOK),
    };
    let ended = borrowed.run().await;
    borrowed.expire();
    pair.put_back(borrowed.sent.drain(..).flatten().collect());
    pair.has_on_its_way(false);
    ended
}

impl Borrowed<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut stopping = self.outbound.stopping.clone();
        loop {
            self.settle()?;
            let is_over =
                *stopping.borrow() || !self.is_there() || !self.outbound.is_ours(self.pair);
            if is_over {
                return self.finish().await;
            }
            self.pair.has_on_its_way(true);
            self.post();
            self.pair.has_on_its_way(self.waits());
            tokio::select! {
                () = self.pair.news.notified() => {}
                () = self.pair.ways.notified() => {}
                () = self.settled.notified() => {}
                () = self.overdue.passed() => return Err(Failure::Silent),
                () = self.look.passed() => self.expire(),
                () = self.pair.reset.notified() => return self.finish().await,
                _ = stopping.changed() => {}
            }
        }
    }

    /// Whether the way is there still.
    fn is_there(&self) -> bool {
        self.outbound.pairs.ways.is_known(&self.pair.key(), self.way)
    }

    /// Nobody waits any more for what has arrived.
    fn settle(&mut self) -> Result<(), Failure> {
        let standing = self.ledger.standing();
        let has_moved = self.handled < standing.handled;
        while self.handled < standing.handled {
            self.handled += 1;
            if let Some(waiting) = self.sent.pop_front().flatten() {
                self.bytes -= waiting.bytes;
                released(waiting);
            }
        }
        if has_moved {
            self.overdue.moved_on(!self.sent.is_empty());
        }
        match standing.faulty {
            true => Err(Failure::Lost("the stream that was shared has ended".to_owned())),
            false => Ok(()),
        }
    }

    fn post(&mut self) {
        let most = Bounds::default();
        let mut batch = Vec::new();
        while self.sent.len() < most.stanzas && self.bytes < most.bytes {
            let Some(waiting) = self.pair.pop() else { break };
            let WayId { member, number } = self.way;
            let line = StreamId { domain: self.pair.id.remote.clone(), member, number };
            let Waiting { item, bytes, .. } = &waiting;
            let to = Route::Stream(Box::new(line));
            let copy = Envelope::new(to, item.body.clone(), item.origin, item.epoch);
            batch.push(copy.with_receipt(Some(self.ledger.open())));
            self.bytes += bytes;
            self.sent.push_back(Some(waiting));
            self.overdue.waits();
            self.look.waits();
        }
        // What no inbox takes is dropped, and so sent again.
        drop(self.outbound.router.post(batch));
    }

    /// Waits until it is known what has arrived.
    async fn finish(&mut self) -> Result<(), Failure> {
        while self.waits() {
            tokio::select! {
                () = self.settled.notified() => self.settle()?,
                () = self.overdue.passed() => return Err(Failure::Silent),
                () = self.look.passed() => self.expire(),
            }
        }
        Ok(())
    }

    /// Whether something was sent that has neither arrived nor come back.
    fn waits(&self) -> bool {
        self.sent.iter().any(Option::is_some)
    }

    /// What has waited its time comes back, though it may yet arrive.
    fn expire(&mut self) {
        let pairs = &self.outbound.pairs;
        let now = pairs.now();
        let late =
            |slot: &mut Option<_>| slot.take_if(|waiting: &mut Waiting<_>| waiting.due <= now);
        for waiting in self.sent.iter_mut().filter_map(late) {
            self.bytes -= waiting.bytes;
            pairs.bounce(waiting.item, &Failure::Unsure);
        }
        self.look.moved_on(self.waits());
    }
}

//! Owns how a pair sends by a way on a stream that is not its own ([`crate::ways`]).
//!
//! Bound: as many as one stream may have unacknowledged; the rest waits in the queue of the pair.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::{Envelope, Ledger, LineId, MemberId, Route};
use socket::Waiting;
use stream::sm::Bounds;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::failure::Failure;
use crate::outlet::{UNANSWERED, released};
use crate::pairs::{Pair, Standing};
use crate::send::Desk;

/// Whoever holds the stream ends it long before, and so says that something has not arrived; then it is dead.
const GIVEN_UP: Duration = UNANSWERED.saturating_mul(3);

/// What a pair has sent by a way.
struct Borrowed<'a> {
    desk: &'a Desk,
    pair: &'a Pair,
    way: (MemberId, u64),
    ledger: Arc<Ledger>,
    settled: Arc<Notify>,
    /// The oldest first; nothing of it is surely there.
    sent: VecDeque<Waiting<Envelope>>,
    bytes: usize,
    handled: u64,
}

/// Sends by a way as long as it is there; why it ended, where something may not have arrived.
pub(crate) async fn send(desk: &Desk, pair: &Pair, way: (MemberId, u64)) -> Result<(), Failure> {
    pair.stands(Standing::Shared);
    let settled = Arc::new(Notify::new());
    let wake = Arc::clone(&settled);
    let mut borrowed = Borrowed {
        desk,
        pair,
        way,
        ledger: Ledger::new(0, move || wake.notify_one()),
        settled,
        sent: VecDeque::new(),
        bytes: 0,
        handled: 0,
    };
    let ended = borrowed.run().await;
    pair.put_back(borrowed.sent.drain(..).collect());
    ended
}

impl Borrowed<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut stopping = self.desk.stopping.clone();
        loop {
            self.settle()?;
            let is_over = *stopping.borrow() || !self.is_there() || !self.desk.is_ours(self.pair);
            if is_over {
                return self.finish().await;
            }
            self.post();
            tokio::select! {
                () = self.pair.news.notified() => {}
                () = self.pair.ways.notified() => {}
                () = self.settled.notified() => {}
                () = overdue(!self.sent.is_empty()) => return Err(Failure::Silent),
                () = self.pair.reset.notified() => return self.finish().await,
                _ = stopping.changed() => {}
            }
        }
    }

    /// Whether the way is there still.
    fn is_there(&self) -> bool {
        self.desk.pairs.ways.is_known(&self.pair.key(), self.way)
    }

    /// Nobody waits any more for what has arrived.
    fn settle(&mut self) -> Result<(), Failure> {
        let standing = self.ledger.standing();
        while self.handled < standing.handled {
            self.handled += 1;
            if let Some(waiting) = self.sent.pop_front() {
                self.bytes -= waiting.bytes;
                released(waiting);
            }
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
            let (member, number) = self.way;
            let line = LineId { domain: self.pair.id.remote.clone(), member, number };
            let Waiting { item, bytes, .. } = &waiting;
            let to = Route::Line(Box::new(line));
            let copy = Envelope::new(to, item.body.clone(), item.origin, item.epoch);
            batch.push(copy.with_receipt(Some(self.ledger.open())));
            self.bytes += bytes;
            self.sent.push_back(waiting);
        }
        // What no inbox takes is dropped, and so sent again.
        drop(self.desk.router.post(batch));
    }

    /// Waits until it is known what has arrived.
    async fn finish(&mut self) -> Result<(), Failure> {
        while !self.sent.is_empty() {
            if timeout(GIVEN_UP, self.settled.notified()).await.is_err() {
                return Err(Failure::Silent);
            }
            self.settle()?;
        }
        Ok(())
    }
}

/// Ends when something has not arrived for so long that it will not.
async fn overdue(waits: bool) {
    match waits {
        true => sleep(GIVEN_UP).await,
        false => std::future::pending().await,
    }
}

//! Owns the queue in front of an arbiter, where envelopes from other threads wait.
//!
//! Bound: [`Inbox::CAPACITY`] stanzas. Full: stanzas are handed back to be refused; words of control are
//! always taken, since each answers something that was counted before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::Envelope;
use tokio::sync::mpsc;

/// The sending side; one per arbiter, shared by all threads.
#[derive(Clone)]
pub struct Inbox {
    sender: mpsc::UnboundedSender<Vec<Envelope>>,
    waiting: Arc<AtomicUsize>,
}

/// The receiving side, on the arbiter.
pub struct Receiver {
    receiver: mpsc::UnboundedReceiver<Vec<Envelope>>,
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    /// Most stanzas that wait in front of one arbiter.
    pub const CAPACITY: usize = 65_536;

    /// An empty queue.
    pub fn new() -> (Self, Receiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let inbox = Self { sender, waiting: Arc::clone(&waiting) };
        (inbox, Receiver { receiver, waiting })
    }

    /// Puts a batch into the queue; gives back what does not fit.
    pub fn push(&self, mut batch: Vec<Envelope>) -> Vec<Envelope> {
        let room = Self::CAPACITY.saturating_sub(self.waiting.load(Ordering::Relaxed));
        let mut refused = Vec::new();
        if batch.len() > room {
            let mut taken = 0;
            batch = batch
                .into_iter()
                .filter_map(|envelope| {
                    if envelope.may_be_refused() && taken >= room {
                        refused.push(envelope);
                        return None;
                    }
                    taken += 1;
                    Some(envelope)
                })
                .collect();
        }
        self.waiting.fetch_add(batch.len(), Ordering::Relaxed);
        if let Err(mpsc::error::SendError(lost)) = self.sender.send(batch) {
            // The arbiter has ended: the process is stopping.
            refused.extend(lost);
        }
        refused
    }

    /// Envelopes waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Receiver {
    /// The next batch; none when every sender is gone.
    pub async fn next(&mut self) -> Option<Vec<Envelope>> {
        let batch = self.receiver.recv().await?;
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use proto::session::{EdgeWord, Gone};
    use proto::{ArbiterId, Body, ConnectionId, MemberId, Route};
    use xmpp::{BareJid, Epoch, Head, Kind, MessageType, Origin, Shard, Stanza};

    use super::*;

    fn envelope(body: Body) -> Envelope {
        let to = Route::User(BareJid::parse("a@x").unwrap());
        let shard = Shard::new(0).unwrap();
        let origin = Origin::Shard { shard, epoch: Epoch(0), counter: 0 };
        Envelope::new(to, body, origin, Epoch(0))
    }

    fn stanza() -> Envelope {
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        envelope(Body::Stanza(Stanza::new(head, "")))
    }

    #[test]
    fn a_thousand_clones_cannot_pass_the_bound() {
        let (inbox, _receiver) = Inbox::new();
        let mut refused = 0;
        for _ in 0..1_000 {
            refused += inbox.clone().push((0..100).map(|_| stanza()).collect()).len();
        }
        assert_eq!(inbox.waiting(), Inbox::CAPACITY);
        assert_eq!(refused, 100_000 - Inbox::CAPACITY);
    }

    #[test]
    fn words_of_control_are_taken_when_stanzas_are_refused() {
        let (inbox, _receiver) = Inbox::new();
        inbox.push((0..Inbox::CAPACITY).map(|_| stanza()).collect());
        let connection = ConnectionId { member: MemberId(1), arbiter: ArbiterId(0), number: 1 };
        let gone = Body::Edge(connection, EdgeWord::Gone(Gone::Lost));
        let refused = inbox.push(vec![stanza(), envelope(gone)]);
        assert!(refused.len() == 1 && refused[0].may_be_refused());
    }
}

//! Owns the queue in front of an arbiter, where envelopes from other threads wait.
//!
//! Bound: [`Inbox::CAPACITY`] stanzas. Full: stanzas are handed back to be refused; control envelopes are
//! always taken, since each answers something that was counted before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::{Announced, Envelope, MemberId};
use tokio::sync::{mpsc, oneshot};
use xmpp::BareJid;

use crate::link::sender::Returned;
use crate::local::Refusal;

/// What another thread tells an arbiter.
pub(crate) enum Post {
    /// Envelopes from a thread of this member that is no arbiter.
    Envelopes(Vec<Envelope>),
    /// Envelopes from another arbiter or member, which were let into the shards that they are for: they go in, though those
    /// may have been closed since. What the same ones send now goes another way, and must not be there before them.
    LetIn(Vec<Envelope>),
    /// To hand on what this arbiter has for others, and to say so: all that came before has been taken then.
    HandOn(oneshot::Sender<()>),
    /// Envelopes that this arbiter sent and that are to find another way, by a plan of at least this index.
    Again(Vec<Returned>),
    /// An envelope that this arbiter sent and that must be answered.
    Refused(Envelope, Refusal),
    /// A member's process is gone.
    Gone(MemberId),
    /// A thread of a member has said all that it holds of this member's shards.
    Announced(Announced),
    /// A component has another stream, and is to be told who is here.
    ComponentConnected(BareJid),
    /// What is held back may go on.
    Look,
}

impl Post {
    /// What it counts against the bound.
    fn len(&self) -> usize {
        match self {
            Self::Envelopes(batch) | Self::LetIn(batch) => batch.len(),
            Self::Again(batch) => batch.len(),
            Self::HandOn(_)
            | Self::Refused(..)
            | Self::Gone(_)
            | Self::Announced(_)
            | Self::ComponentConnected(_)
            | Self::Look => 0,
        }
    }
}

/// The sending side; one per arbiter, shared by all threads.
#[derive(Clone)]
pub struct Inbox {
    sender: mpsc::UnboundedSender<Post>,
    waiting: Arc<AtomicUsize>,
}

/// The receiving side, on the arbiter.
pub struct Receiver {
    receiver: mpsc::UnboundedReceiver<Post>,
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
    pub fn push(&self, batch: Vec<Envelope>) -> Vec<Envelope> {
        let (batch, mut refused) = self.fit(batch);
        if let Some(Post::Envelopes(lost)) = self.tell(Post::Envelopes(batch)) {
            refused.extend(lost);
        }
        refused
    }

    /// The same, of what was [let in](Post::LetIn).
    pub(crate) fn let_in(&self, batch: Vec<Envelope>) -> Vec<Envelope> {
        let (batch, mut refused) = self.fit(batch);
        if let Some(Post::LetIn(lost)) = self.tell(Post::LetIn(batch)) {
            refused.extend(lost);
        }
        refused
    }

    /// What there is room for, and the rest.
    fn fit(&self, mut batch: Vec<Envelope>) -> (Vec<Envelope>, Vec<Envelope>) {
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
        (batch, refused)
    }

    /// Queues a post, whatever its length; gives it back when the arbiter has ended, as it does when
    /// the process stops.
    pub(crate) fn tell(&self, post: Post) -> Option<Post> {
        let length = post.len();
        self.waiting.fetch_add(length, Ordering::Relaxed);
        let lost = self.sender.send(post).err().map(|mpsc::error::SendError(post)| post);
        if lost.is_some() {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
        }
        lost
    }

    /// Resolves when the arbiter has taken all that is in the queue now, and has handed on what it has for others; an error
    /// where it may not act, or has ended.
    pub(crate) fn has_handed_on(&self) -> oneshot::Receiver<()> {
        let (done, heard) = oneshot::channel();
        self.tell(Post::HandOn(done));
        heard
    }

    /// Whether there is room for another stanza.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting() < Self::CAPACITY
    }

    /// Envelopes waiting now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Receiver {
    /// The next post; none when every sender is gone.
    pub(crate) async fn next(&mut self) -> Option<Post> {
        let post = self.receiver.recv().await?;
        self.waiting.fetch_sub(post.len(), Ordering::Relaxed);
        Some(post)
    }
}

#[cfg(test)]
mod tests {
    use proto::session::{ConnectionEvent, Gone};
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
        let gone = Body::FromConnection(connection, ConnectionEvent::Gone(Gone::Lost));
        let refused = inbox.push(vec![stanza(), envelope(gone)]);
        assert!(refused.len() == 1 && refused[0].may_be_refused());
    }
}

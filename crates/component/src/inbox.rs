//! Owns what other threads have for components, on its way to the gate's own thread.
//!
//! Bound: 65,536 stanzas. Full: `resource-constraint`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::Envelope;
use router::{Refusal, RemoteGate};
use tokio::sync::mpsc;

/// Stanzas that wait for the gate's thread.
const INBOX: usize = 65_536;

/// What other threads have for components.
pub(crate) struct Inbox {
    sender: mpsc::UnboundedSender<Envelope>,
    waiting: AtomicUsize,
}

impl Inbox {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Envelope>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self { sender, waiting: AtomicUsize::new(0) }), receiver)
    }

    /// One was taken out.
    pub(crate) fn took(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RemoteGate for Inbox {
    fn take(&self, envelope: Envelope) -> Option<(Envelope, Refusal)> {
        if envelope.may_be_refused() && self.waiting.load(Ordering::Relaxed) >= INBOX {
            return Some((envelope, Refusal::Full));
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(envelope).err().map(|back| (back.0, Refusal::NoOwner))
    }
}

#[cfg(test)]
mod tests {
    use proto::{Body, Route};
    use xmpp::{BareJid, Epoch, Head, Kind, MessageType, Origin, Stanza};

    use super::*;

    #[test]
    fn so_many_stanzas_wait_for_the_thread_and_the_next_comes_back() {
        let (inbox, mut waiting) = Inbox::new();
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        let to = Route::Component(BareJid::parse("irc.x.org").unwrap());
        let origin = Origin::Client { session: 1, seq: 1, part: 0 };
        let body = Body::Stanza(Stanza::new(head, ""));
        let take = || {
            let envelope = Envelope::new(to.clone(), body.clone(), origin, Epoch::default());
            inbox.take(envelope).map(|(_, refusal)| refusal)
        };
        assert!((0..INBOX).all(|_| take().is_none()));
        assert!(matches!(take(), Some(Refusal::Full)));
        waiting.try_recv().unwrap();
        inbox.took();
        assert!(take().is_none(), "there is room again");
    }
}

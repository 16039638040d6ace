//! Owns what waits in front of an actor's door: whatever comes before the actor has its turn is one batch, and one message
//! of actix. What the actor is told in between by other messages parts what comes before it from what comes after.

use std::cell::RefCell;

use proto::Envelope;
use smallvec::SmallVec;

/// Shared by an actor and the way into it. No bound of its own: [`crate::actor::Permits`] are asked before.
#[derive(Default)]
pub(crate) struct Inbox(RefCell<State>);

#[derive(Default)]
struct State {
    /// Oldest first; for each there is a message in the actor's mailbox.
    batches: SmallVec<[Vec<Envelope>; 1]>,
    /// Another message is behind the last one's.
    closed: bool,
}

impl Inbox {
    /// Puts envelopes in; whether the actor must be told, since they are a batch of their own.
    #[must_use]
    pub(crate) fn put(&self, envelopes: Vec<Envelope>) -> bool {
        let mut state = self.0.borrow_mut();
        let is_closed = std::mem::take(&mut state.closed);
        match state.batches.last_mut().filter(|_| !is_closed) {
            Some(batch) => {
                batch.extend(envelopes);
                false
            }
            None => {
                state.batches.push(envelopes);
                true
            }
        }
    }

    /// The oldest batch.
    pub(crate) fn take(&self) -> Option<Vec<Envelope>> {
        let mut state = self.0.borrow_mut();
        (!state.batches.is_empty()).then(|| state.batches.remove(0))
    }

    /// The newest batch, of which the actor could not be told.
    pub(crate) fn take_back(&self) -> Vec<Envelope> {
        self.0.borrow_mut().batches.pop().unwrap_or_default()
    }

    /// What comes from now on is behind another message.
    pub(crate) fn close(&self) {
        self.0.borrow_mut().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use proto::{Body, MemberId, Route};
    use xmpp::{Epoch, Origin};

    use super::*;

    fn envelope(seq: u64) -> Vec<Envelope> {
        let origin = Origin::Client { session: 1, seq, part: 0 };
        vec![Envelope::new(Route::Member(MemberId(1)), Body::Woken, origin, Epoch::default())]
    }

    fn taken(inbox: &Inbox) -> Vec<u64> {
        let seq = |it: Envelope| match it.origin {
            Origin::Client { seq, .. } => seq,
            Origin::Shard { .. } => 0,
        };
        inbox.take().into_iter().flatten().map(seq).collect()
    }

    #[test]
    fn what_comes_before_the_actors_turn_is_one_batch() {
        let inbox = Inbox::default();
        assert_eq!([1, 2, 3].map(|seq| inbox.put(envelope(seq))), [true, false, false]);
        assert_eq!(taken(&inbox), [1, 2, 3]);
        assert!(inbox.put(envelope(4)));
        assert_eq!(taken(&inbox), [4]);
        assert!(taken(&inbox).is_empty());
    }

    #[test]
    fn nothing_passes_another_message() {
        let inbox = Inbox::default();
        assert!(inbox.put(envelope(1)));
        inbox.close();
        assert_eq!([2, 3].map(|seq| inbox.put(envelope(seq))), [true, false]);
        assert_eq!(taken(&inbox), [1]);
        assert!(!inbox.put(envelope(4)));
        assert_eq!(taken(&inbox), [2, 3, 4]);
    }
}

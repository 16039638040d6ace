//! Owns what an arbiter holds back because others for the same bucket are under way elsewhere. Pure.
//!
//! Bound: [`Held::MOST`] envelopes. Full: stanzas come back to be refused. Control envelopes are always taken, and so is
//! what came back, of which nobody knows whether it was acted on; of that there is no more than lanes keep.

use std::collections::{HashMap, VecDeque};

use proto::Envelope;
use xmpp::Bucket;

use crate::link::outputs::Sent;

/// An envelope that waits.
pub(crate) struct Waiting {
    pub(crate) envelope: Envelope,
    pub(crate) bucket: Bucket,
    /// It goes by a plan of at least this index.
    pub(crate) plan: u64,
    /// It was sent before, in this place of all that the arbiter ever sent, and came back: it goes again when all
    /// others of its bucket are back too.
    pub(crate) returned: Option<u64>,
    /// It counts as sent by the shard of the entity that sends it.
    pub(crate) sent: Option<Sent>,
}

/// Envelopes that wait, in the order in which they were sent: what came back was sent before the rest.
#[derive(Default)]
pub(crate) struct Held {
    returned: VecDeque<Waiting>,
    waiting: VecDeque<Waiting>,
    counts: HashMap<Bucket, usize>,
}

impl Held {
    /// Most envelopes of one arbiter, those that came back among them.
    pub(crate) const MOST: usize = 65_536;

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.returned.is_empty()
    }

    /// Whether something for this bucket waits: whatever comes later for it must wait behind.
    pub(crate) fn holds(&self, bucket: Bucket) -> bool {
        self.counts.contains_key(&bucket)
    }

    /// Behind all that waits; gives back what there is no room for.
    pub(crate) fn push(&mut self, waiting: Waiting) -> Option<Envelope> {
        let all = self.waiting.len() + self.returned.len();
        if all >= Self::MOST && waiting.envelope.may_be_refused() {
            return Some(waiting.envelope);
        }
        self.keep(waiting);
        None
    }

    /// Takes what came back, in whatever order.
    pub(crate) fn take_back(&mut self, earlier: impl IntoIterator<Item = Waiting>) {
        for waiting in earlier {
            self.keep(waiting);
        }
    }

    /// Whatever waits for a plan waits for that no longer.
    pub(crate) fn wait_for_no_plan(&mut self) {
        self.returned.iter_mut().for_each(|waiting| waiting.plan = 0);
    }

    fn keep(&mut self, waiting: Waiting) {
        *self.counts.entry(waiting.bucket).or_default() += 1;
        if waiting.returned.is_none() {
            return self.waiting.push_back(waiting);
        }
        let later = |it: &Waiting| it.returned > waiting.returned;
        let own = |(_, it): &(usize, &Waiting)| it.bucket == waiting.bucket;
        // Those of a bucket are in order, and most come back so.
        let behind =
            self.returned.iter().enumerate().rev().filter(own).take_while(|it| later(it.1));
        let at = behind.last().map_or(self.returned.len(), |(at, _)| at);
        self.returned.insert(at, waiting);
    }

    /// Offers each in order, as long as none before it for the same bucket has to go on waiting. `send` gives
    /// back what has to.
    pub(crate) fn retry(&mut self, mut send: impl FnMut(Waiting) -> Option<Waiting>) {
        let all = std::mem::take(self);
        for waiting in all.returned.into_iter().chain(all.waiting) {
            let back = match self.holds(waiting.bucket) {
                true => Some(waiting),
                false => send(waiting),
            };
            if let Some(waiting) = back {
                self.keep(waiting);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::{Body, Route};
    use xmpp::{BareJid, Epoch, Head, Kind, MessageType, Origin, Stanza};

    use super::*;

    fn waiting(bucket: u64, seq: u64) -> Waiting {
        let origin = Origin::Client { session: 1, seq, part: 0 };
        let to = Route::User(BareJid::parse("a@x").unwrap());
        let envelope = Envelope::new(to, Body::Woken, origin, Epoch(0));
        Waiting { envelope, bucket: Bucket::of_hash(bucket), plan: 0, returned: None, sent: None }
    }

    fn stanza() -> Waiting {
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        let mut stanza = waiting(1, 1);
        stanza.envelope.body = Body::Stanza(Stanza::new(head, ""));
        stanza
    }

    #[test]
    fn when_full_a_stanza_comes_back_and_a_word_is_taken() {
        let mut held = Held::default();
        (0..Held::MOST).for_each(|_| assert!(held.push(stanza()).is_none()));
        assert!(held.push(stanza()).is_some_and(|back| back.may_be_refused()));
        assert!(held.push(waiting(1, 2)).is_none());
    }

    #[test]
    fn what_came_back_counts_and_is_always_taken() {
        let mut held = Held::default();
        let back = |seq| Waiting { returned: Some(seq), ..stanza() };
        held.take_back((0..Held::MOST as u64).map(back));
        assert!(held.push(stanza()).is_some(), "there is no room behind it");
        held.take_back([back(Held::MOST as u64)]);
        let mut offered = 0;
        held.retry(|_| {
            offered += 1;
            None
        });
        assert_eq!(offered, Held::MOST + 1);
    }

    fn seq(waiting: &Waiting) -> u64 {
        match waiting.envelope.origin {
            Origin::Client { seq, .. } => seq,
            Origin::Shard { .. } => 0,
        }
    }

    #[test]
    fn what_waits_goes_on_in_order_and_never_past_another_one_for_the_same_bucket() {
        let mut held = Held::default();
        for (bucket, seq) in [(1, 3), (2, 4), (1, 5)] {
            assert!(held.push(waiting(bucket, seq)).is_none());
        }
        held.take_back([Waiting { returned: Some(2), ..waiting(1, 2) }]);
        let back = |bucket, seq| Waiting { returned: Some(seq), ..waiting(bucket, seq) };
        held.take_back([back(2, 2)]);
        held.take_back([back(1, 1)]);
        let mut sent = Vec::new();
        held.retry(|waiting| {
            if waiting.bucket == Bucket::of_hash(1) {
                return Some(waiting);
            }
            sent.push(seq(&waiting));
            None
        });
        assert_eq!(sent, [2, 4]);
        assert!(held.holds(Bucket::of_hash(1)) && !held.holds(Bucket::of_hash(2)));
        sent.clear();
        held.retry(|waiting| {
            sent.push(seq(&waiting));
            None
        });
        assert_eq!(sent, [1, 2, 3, 5]);
        assert!(held.is_empty());
    }
}

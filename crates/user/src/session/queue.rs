//! Owns the stanzas between a session and its client: those that the connection has not been given yet,
//! and with stream management those that the client has not acknowledged (XEP-0198 §4). Pure.
//!
//! Bound: [`Limits`]. Full: the session ends, and what it holds goes back to its user, who delivers it
//! elsewhere or stores it.

use std::collections::VecDeque;

use xmpp::{Origin, Stanza};

use super::wrapped;

/// A stanza for the client.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// The stanza.
    pub(super) stanza: Stanza,
    /// When it came: microseconds since 1970-01-01 UTC.
    pub(super) at: u64,
    /// Its mark where the user has it in store too ([`proto::session::UserEvent::Stored`]).
    pub(super) mark: Option<u64>,
    /// Its identity, where it may come again.
    pub(super) origin: Option<Origin>,
    /// It has come again, since the session goes on from its copy.
    pub(super) again: bool,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Stanzas while nobody takes them. A connection that takes them is bounded by bytes alone, so
    /// that joining a large room does not end the session.
    pub(super) stanzas: usize,
    /// Bytes, in any case.
    pub(super) bytes: usize,
}

/// Stanzas for one client, oldest first: handed to the connection, then waiting.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// How many of the first ones the connection has been given.
    handed: usize,
    /// How many of the first ones a former connection was given: the client may have them.
    before: usize,
    /// How many of the first ones the second copy knows.
    copied: usize,
    bytes: usize,
    /// How many the client has acknowledged before these.
    acked: u64,
}

/// What an h of the client means that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AckError {
    /// It acknowledges stanzas that were never sent (XEP-0198 §6).
    TooHigh {
        /// How many were sent, modulo 2^32.
        sent: u32,
    },
    /// It takes back what was acknowledged before. Those stanzas are gone.
    Stale,
}

impl Item {
    /// What it costs to keep: the content, and about as much as its addresses and places take.
    pub(super) fn cost(&self) -> usize {
        const ENTRY: usize = 256;
        self.stanza.len() + ENTRY
    }
}

impl Queue {
    /// Whether an item would pass the limits. `taken`: the connection takes what it is given.
    pub(super) fn is_full_for(&self, item: &Item, limits: Limits, taken: bool) -> bool {
        self.bytes + item.cost() > limits.bytes || (!taken && self.items.len() >= limits.stanzas)
    }

    /// Appends an item.
    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.cost();
        self.items.push_back(item);
    }

    /// The mark stands for another stored message too, which came behind all that wait: whether any of those has one.
    pub(super) fn mark_last(&mut self, mark: u64) -> bool {
        let last = self.items.iter_mut().rev().find_map(|item| item.mark.as_mut());
        last.map(|last| *last = mark).is_some()
    }

    /// The next item that the connection has not been given; now it has.
    pub(super) fn hand(&mut self) -> Option<&Item> {
        let item = self.items.get(self.handed)?;
        self.handed += 1;
        Some(item)
    }

    /// Forgets what the connection has been given, which without stream management is all that can be
    /// done for it; the last mark among it.
    pub(super) fn forget_handed(&mut self) -> Option<u64> {
        let mark = self.forget(self.handed);
        if self.items.is_empty() && self.items.capacity() > 32 {
            self.items = VecDeque::new();
        }
        mark
    }

    /// What the connection has been given that the client has not acknowledged.
    pub(super) fn handed(&self) -> impl Iterator<Item = &Stanza> {
        self.items.iter().take(self.handed).map(|item| &item.stanza)
    }

    /// How many stanzas the connection has been given that the client has not acknowledged.
    pub(super) fn unacknowledged(&self) -> usize {
        self.handed
    }

    /// The client has handled stanzas up to `h` (XEP-0198 §4); the last mark among them.
    pub(super) fn acknowledge(&mut self, h: u32) -> Result<Option<u64>, AckError> {
        if self.is_stale(h) {
            return Err(AckError::Stale);
        }
        let news = h.wrapping_sub(wrapped(self.acked));
        match usize::try_from(news) {
            Ok(count) if count <= self.handed.max(self.before) => {
                self.acked += u64::from(news);
                Ok(self.forget(count))
            }
            _ => {
                let sent = self.acked + self.handed.max(self.before) as u64;
                Err(AckError::TooHigh { sent: wrapped(sent) })
            }
        }
    }

    /// Whether `h` takes back what was acknowledged before.
    pub(super) fn is_stale(&self, h: u32) -> bool {
        h.wrapping_sub(wrapped(self.acked)) > u32::MAX / 2
    }

    /// Everything is to be given to the connection once more (XEP-0198 §5).
    pub(super) fn rewind(&mut self) {
        self.before = self.before.max(self.handed);
        self.handed = 0;
    }

    /// A queue as it stood in a snapshot.
    pub(super) fn restored(items: Vec<Item>, handed: usize, acked: u64) -> Self {
        let bytes = items.iter().map(Item::cost).sum();
        let handed = handed.min(items.len());
        Self { handed, before: 0, copied: 0, bytes, acked, items: items.into() }
    }

    /// Everything, oldest first.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    /// What the second copy does not know, each with whether the connection has not been given it.
    pub(super) fn uncopied(&self) -> impl Iterator<Item = (&Item, bool)> {
        let all = self.items.iter().enumerate().skip(self.copied);
        all.map(|(index, item)| (item, index >= self.handed))
    }

    /// How many of the first ones the second copy knows.
    pub(super) fn len_copied(&self) -> usize {
        self.copied
    }

    /// The second copy knows everything now.
    pub(super) fn copied(&mut self) {
        self.copied = self.items.len();
    }

    /// The client has more than the copy knew from which the session goes on, since it was given that by a process that
    /// is gone, and counts from `h`. It has all that the copy knew; what else it has comes again. What is new it cannot
    /// have.
    pub(super) fn catch_up(&mut self, h: u32) -> Option<u64> {
        let news = h.wrapping_sub(wrapped(self.acked));
        let given = self.handed.max(self.before);
        let mut more = u64::from(news).saturating_sub(given as u64);
        self.acked += u64::from(news);
        let mark = self.forget(given);
        self.items.retain(|item| {
            let has_it = item.again && more > 0;
            more -= u64::from(has_it);
            !has_it
        });
        self.bytes = self.items.iter().map(Item::cost).sum();
        self.copied = 0;
        mark
    }

    /// How many were ever queued since the client counts.
    pub(super) fn place(&self) -> u64 {
        self.acked + self.items.len() as u64
    }

    /// Whether there is something that the connection has not been given.
    pub(super) fn waits(&self) -> bool {
        self.handed < self.items.len()
    }

    /// How many of those the connection has been given.
    pub(super) fn given(&self) -> u64 {
        self.acked + self.handed as u64
    }

    /// How many the client has acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acked
    }

    /// Everything, oldest first.
    pub(super) fn into_items(self) -> impl Iterator<Item = Item> {
        self.items.into_iter()
    }

    fn forget(&mut self, count: usize) -> Option<u64> {
        let gone = self.items.drain(..count.min(self.items.len()));
        let (mut mark, mut bytes) = (None, 0);
        for item in gone {
            bytes += item.cost();
            mark = item.mark.or(mark);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.handed = self.handed.saturating_sub(count);
        self.before = self.before.saturating_sub(count);
        self.copied = self.copied.saturating_sub(count);
        mark
    }
}

#[cfg(test)]
mod tests {
    use xmpp::{Head, Kind, MessageType};

    use super::*;

    const LIMITS: Limits = Limits { stanzas: 3, bytes: 2_000 };

    fn item(mark: u64) -> Item {
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        Item {
            stanza: Stanza::new(head, "<body>hi</body>"),
            at: mark,
            mark: Some(mark),
            origin: None,
            again: false,
        }
    }

    fn queue(handed: u64, waiting: u64) -> Queue {
        let mut queue = Queue::default();
        (1..=handed + waiting).for_each(|mark| queue.push(item(mark)));
        (0..handed).for_each(|_| assert!(queue.hand().is_some()));
        queue
    }

    fn marks(queue: Queue) -> Vec<u64> {
        queue.into_items().filter_map(|item| item.mark).collect()
    }

    #[test]
    fn an_acknowledgement_forgets_just_what_it_covers() {
        let mut queue = queue(3, 1);
        assert_eq!(queue.acknowledge(2), Ok(Some(2)));
        assert_eq!(queue.acknowledge(2), Ok(None));
        assert_eq!(queue.unacknowledged(), 1);
        assert_eq!(marks(queue), [3, 4]);
    }

    #[test]
    fn what_was_not_sent_cannot_be_acknowledged() {
        let mut queue = queue(2, 1);
        assert_eq!(queue.acknowledge(3), Err(AckError::TooHigh { sent: 2 }));
        assert_eq!(queue.acknowledge(1), Ok(Some(1)));
        assert_eq!(queue.acknowledge(0), Err(AckError::Stale));
        assert_eq!(marks(queue), [2, 3]);
    }

    #[test]
    fn h_wraps_at_two_to_the_32nd() {
        let mut queue = queue(3, 0);
        queue.acked = u64::from(u32::MAX) - 1;
        assert_eq!(queue.acknowledge(0), Ok(Some(2)));
        assert_eq!(queue.acknowledge(2), Err(AckError::TooHigh { sent: 1 }));
        assert_eq!(queue.acknowledge(1), Ok(Some(3)));
    }

    #[test]
    fn a_rewound_queue_hands_out_everything_again() {
        let mut queue = queue(2, 1);
        queue.rewind();
        assert_eq!(queue.hand().and_then(|item| item.mark), Some(1));
        assert_eq!(queue.unacknowledged(), 1);
    }

    #[test]
    fn whoever_has_more_than_a_copy_knew_gets_what_is_new_and_not_what_has_come_again() {
        let mut queue = queue(2, 0);
        for (mark, again) in [(10, true), (11, false), (12, true), (13, true)] {
            queue.push(Item { again, ..item(mark) });
        }
        assert_eq!(queue.acknowledge(4), Err(AckError::TooHigh { sent: 2 }));
        assert_eq!(queue.catch_up(4), Some(2));
        assert_eq!((queue.acknowledged(), queue.unacknowledged()), (4, 0));
        assert_eq!(queue.bytes, 2 * item(1).cost());
        assert_eq!(marks(queue), [11, 13]);
    }

    #[test]
    fn a_client_may_acknowledge_what_a_former_connection_was_given() {
        let mut queue = queue(2, 1);
        queue.rewind();
        assert_eq!(queue.acknowledge(3), Err(AckError::TooHigh { sent: 2 }));
        assert_eq!(queue.acknowledge(2), Ok(Some(2)));
        assert_eq!(marks(queue), [3]);
    }

    #[test]
    fn stanzas_bound_what_nobody_takes_and_bytes_bound_everything() {
        let queue = queue(0, 3);
        assert!(queue.is_full_for(&item(4), LIMITS, false));
        assert!(!queue.is_full_for(&item(4), LIMITS, true));
        let tight = Limits { bytes: queue.bytes + item(4).cost() - 1, ..LIMITS };
        assert!(queue.is_full_for(&item(4), tight, true));
    }
}

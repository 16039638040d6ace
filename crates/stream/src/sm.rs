//! XEP-0198 Stream Management, version 1.6.3: the counters and the queue of stanzas that the peer has not
//! acknowledged. Pure, and free of parsing streams; what an unacknowledged stanza is, its keeper says.

mod elements;

use std::collections::VecDeque;

pub use elements::{Enabled, Malformed, Request, ask, failed, handled, resumed, too_high};

/// How much may wait for acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Stanzas. 1,000.
    pub stanzas: usize,
    /// Bytes of their content. 1 MiB.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { stanzas: 1000, bytes: 1 << 20 }
    }
}

/// The stanzas sent to a peer that it has not acknowledged, in order, and the counters about them.
#[derive(Clone, Debug)]
pub struct Outgoing<T> {
    bounds: Bounds,
    queue: VecDeque<(T, usize)>,
    bytes: usize,
    /// What the peer has acknowledged, modulo 2^32 (XEP-0198 §4).
    acked: u32,
}

/// The queue takes no more; here is what it did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// The peer says that it handled what it cannot have handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// More than was sent; the stream must be closed with [`too_high`] (XEP-0198 §6).
    #[error("{h} handled, but {sent} sent")]
    TooHigh {
        /// What the peer said.
        h: u32,
        /// What was sent.
        sent: u32,
    },
    /// Less than it has acknowledged before. What it wants again is gone: a resumption must fail with
    /// `item-not-found`.
    #[error("{h} handled, after {acked} were acknowledged")]
    TooLow {
        /// What the peer said.
        h: u32,
        /// What it said before.
        acked: u32,
    },
}

impl<T> Outgoing<T> {
    /// An empty queue whose counters are zero.
    pub fn new(bounds: Bounds) -> Self {
        Self::restore(bounds, 0)
    }

    /// An empty queue of a peer that has acknowledged so many; what was unacknowledged is pushed again, in
    /// order.
    pub fn restore(bounds: Bounds, acked: u32) -> Self {
        Self { bounds, queue: VecDeque::new(), bytes: 0, acked }
    }

    /// Takes a stanza that is about to be sent, with the bytes it counts for.
    ///
    /// # Errors
    /// When a bound is reached; the stanza is given back and not counted.
    pub fn push(&mut self, stanza: T, bytes: usize) -> Result<(), Full<T>> {
        let total = self.bytes.saturating_add(bytes);
        if self.queue.len() >= self.bounds.stanzas || total > self.bounds.bytes {
            return Err(Full(stanza));
        }
        self.bytes = total;
        self.queue.push_back((stanza, bytes));
        Ok(())
    }

    /// The peer has handled `h` stanzas: those that it had not acknowledged before leave the queue, in order.
    ///
    /// # Errors
    /// [`AckError`]; nothing has changed then. [`AckError::TooLow`] may be ignored for an `<a/>`.
    pub fn ack(&mut self, h: u32) -> Result<impl Iterator<Item = T> + '_, AckError> {
        let fresh = self.fresh(h)?;
        self.acked = h;
        self.bytes -= self.queue.iter().take(fresh).map(|(_, bytes)| bytes).sum::<usize>();
        Ok(self.queue.drain(..fresh).map(|(stanza, _)| stanza))
    }

    /// The peer resumes and has handled `h` stanzas: what it has not handled must be sent again, in order, and
    /// stays in the queue (XEP-0198 §5).
    ///
    /// # Errors
    /// [`AckError`]; the resumption must fail, and nothing has changed.
    pub fn rewind(&mut self, h: u32) -> Result<impl Iterator<Item = &T>, AckError> {
        self.ack(h)?.for_each(drop);
        Ok(self.unacked())
    }

    /// The stanzas that are not acknowledged, in order.
    pub fn unacked(&self) -> impl Iterator<Item = &T> {
        self.queue.iter().map(|(stanza, _)| stanza)
    }

    /// The same, to change them. What is put in place of one is counted as it was.
    pub fn unacked_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.queue.iter_mut().map(|(stanza, _)| stanza)
    }

    /// Takes all stanzas that are not acknowledged out, because the session ends.
    pub fn take_unacked(&mut self) -> impl Iterator<Item = T> + '_ {
        self.bytes = 0;
        self.acked = self.sent();
        self.queue.drain(..).map(|(stanza, _)| stanza)
    }

    /// How many stanzas are not acknowledged.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether all stanzas are acknowledged.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes of what is not acknowledged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many stanzas were sent, modulo 2^32.
    pub fn sent(&self) -> u32 {
        self.acked.wrapping_add(self.outstanding())
    }

    /// How many stanzas the peer has acknowledged, modulo 2^32.
    pub fn acked(&self) -> u32 {
        self.acked
    }

    /// How many stanzas at the front of the queue `h` acknowledges. Counters wrap, so what is not among the
    /// sent ones counts as lower if it lies less than half the circle behind.
    fn fresh(&self, h: u32) -> Result<usize, AckError> {
        let ahead = h.wrapping_sub(self.acked);
        if ahead <= self.outstanding() {
            return Ok(ahead as usize);
        }
        if ahead > u32::MAX / 2 {
            return Err(AckError::TooLow { h, acked: self.acked });
        }
        Err(AckError::TooHigh { h, sent: self.sent() })
    }

    fn outstanding(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }
}

/// How many stanzas of the peer are handled: safe, and so to be acknowledged (XEP-0198 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled(u32);

impl Handled {
    /// As many as a stored session had handled.
    pub fn restore(h: u32) -> Self {
        Self(h)
    }

    /// So many more are handled.
    pub fn raise(&mut self, stanzas: u32) {
        self.0 = self.0.wrapping_add(stanzas);
    }

    /// The value of `h`.
    pub fn h(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(acked: u32, stanzas: u32) -> Outgoing<u32> {
        let mut queue = Outgoing::restore(Bounds::default(), acked);
        for stanza in 1..=stanzas {
            queue.push(stanza, 10).unwrap();
        }
        queue
    }

    fn acked(queue: &mut Outgoing<u32>, h: u32) -> Vec<u32> {
        queue.ack(h).unwrap().collect()
    }

    #[test]
    fn an_acknowledgement_releases_what_it_covers_once_and_in_order() {
        let mut queue = queue(0, 5);
        assert_eq!((queue.sent(), queue.bytes()), (5, 50));
        assert_eq!(acked(&mut queue, 2), [1, 2]);
        assert_eq!(acked(&mut queue, 2), [0; 0]);
        assert_eq!(acked(&mut queue, 5), [3, 4, 5]);
        assert_eq!((queue.sent(), queue.acked(), queue.bytes()), (5, 5, 0));
        assert!(queue.is_empty());
    }

    #[test]
    fn counters_pass_two_to_the_thirty_second() {
        let mut queue = queue(u32::MAX - 1, 4);
        assert_eq!(queue.sent(), 2);
        assert_eq!(acked(&mut queue, u32::MAX), [1]);
        assert_eq!(acked(&mut queue, 1), [2, 3]);
        assert_eq!(queue.ack(3).err(), Some(AckError::TooHigh { h: 3, sent: 2 }));
        let before = AckError::TooLow { h: u32::MAX, acked: 1 };
        assert_eq!(queue.ack(u32::MAX).err(), Some(before));
        assert_eq!(acked(&mut queue, 2), [4]);
    }

    #[test]
    fn more_handled_than_sent_is_refused_and_changes_nothing() {
        let mut queue = queue(0, 8);
        assert_eq!(queue.ack(10).err(), Some(AckError::TooHigh { h: 10, sent: 8 }));
        assert_eq!(queue.rewind(9).err(), Some(AckError::TooHigh { h: 9, sent: 8 }));
        assert_eq!((queue.len(), queue.acked()), (8, 0));
    }

    #[test]
    fn a_resumption_sends_again_what_was_not_handled_and_keeps_it() {
        let mut queue = queue(0, 4);
        assert_eq!(queue.rewind(3).unwrap().copied().collect::<Vec<_>>(), [4]);
        assert_eq!((queue.len(), queue.sent(), queue.acked()), (1, 4, 3));
        let gone = AckError::TooLow { h: 2, acked: 3 };
        assert_eq!(queue.rewind(2).map(|_| ()), Err(gone));
        assert_eq!(queue.rewind(3).unwrap().count(), 1);
    }

    #[test]
    fn a_full_queue_gives_the_stanza_back() {
        let mut queue = Outgoing::new(Bounds { stanzas: 2, bytes: 100 });
        assert_eq!(queue.push("a", 60), Ok(()));
        assert_eq!(queue.push("b", 41), Err(Full("b")));
        assert_eq!(queue.push("c", 40), Ok(()));
        assert_eq!(queue.push("d", 0), Err(Full("d")));
        assert_eq!(queue.sent(), 2);
        assert_eq!(queue.ack(1).unwrap().collect::<Vec<_>>(), ["a"]);
        assert_eq!(queue.push("d", 60), Ok(()));
    }

    #[test]
    fn an_end_takes_out_what_was_not_acknowledged() {
        let mut queue = queue(7, 3);
        acked(&mut queue, 8);
        assert_eq!(queue.take_unacked().collect::<Vec<_>>(), [2, 3]);
        assert_eq!((queue.bytes(), queue.sent(), queue.acked()), (0, 10, 10));
    }

    #[test]
    fn what_is_handled_is_counted_modulo_two_to_the_thirty_second() {
        let mut handled = Handled::restore(u32::MAX);
        handled.raise(2);
        assert_eq!(handled.h(), 1);
    }
}

//! Owns what waits for one domain: in order, bounded, and each with the time at which it has waited long enough. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many.
    pub items: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// How long.
    pub wait: Duration,
}

/// What waits, the oldest first.
#[derive(Debug)]
pub struct Queue<T> {
    bounds: Bounds,
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
    /// Bytes of all queues.
    all: Arc<AtomicUsize>,
}

/// Most bytes of all queues together.
const ALL_BYTES: usize = 256 << 20;

/// Something that waits.
#[derive(Debug)]
pub struct Waiting<T> {
    /// What.
    pub item: T,
    /// How many bytes it counts for.
    pub bytes: usize,
    /// When it has waited long enough.
    pub due: Duration,
}

impl<T> Queue<T> {
    /// An empty one; `all` counts the bytes of this one and its siblings.
    pub fn new(bounds: Bounds, all: Arc<AtomicUsize>) -> Self {
        Self { bounds, waiting: VecDeque::new(), bytes: 0, all }
    }

    /// Takes something behind all others.
    ///
    /// # Errors
    /// There is no room: it comes back.
    pub fn push(&mut self, now: Duration, item: T, bytes: usize) -> Result<(), T> {
        let total = self.bytes.saturating_add(bytes);
        let is_full = self.waiting.len() >= self.bounds.items || total > self.bounds.bytes;
        if is_full || self.all.load(Ordering::Relaxed).saturating_add(bytes) > ALL_BYTES {
            return Err(item);
        }
        self.add(bytes);
        self.waiting.push_back(Waiting { item, bytes, due: now.saturating_add(self.bounds.wait) });
        Ok(())
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<Waiting<T>> {
        let next = self.waiting.pop_front()?;
        self.take(next.bytes);
        Some(next)
    }

    /// Takes back what was popped and has not gone, in its order, before all others. There is always room for it.
    pub fn put_back(&mut self, items: impl DoubleEndedIterator<Item = Waiting<T>>) {
        for waiting in items.rev() {
            self.add(waiting.bytes);
            self.waiting.push_front(waiting);
        }
    }

    /// Those that have waited long enough.
    pub fn expired(&mut self, now: Duration) -> Vec<T> {
        let late = self.waiting.iter().take_while(|waiting| waiting.due <= now).count();
        let late: Vec<Waiting<T>> = self.waiting.drain(..late).collect();
        self.take(late.iter().map(|waiting| waiting.bytes).sum());
        late.into_iter().map(|waiting| waiting.item).collect()
    }

    /// All.
    pub fn drain(&mut self) -> Vec<T> {
        self.take(self.bytes);
        self.waiting.drain(..).map(|waiting| waiting.item).collect()
    }

    /// When the oldest has waited long enough.
    #[cfg(test)]
    fn due(&self) -> Option<Duration> {
        self.waiting.front().map(|waiting| waiting.due)
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        self.take(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<u32> {
        let bounds = Bounds { items: 3, bytes: 100, wait: Duration::from_secs(30) };
        Queue::new(bounds, Arc::default())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_waits_goes_in_order_and_what_did_not_go_goes_first() {
        let mut queue = queue();
        for item in [1, 2, 3] {
            queue.push(at(item), u32::try_from(item).unwrap(), 10).unwrap();
        }
        let (first, second) = (queue.pop().unwrap(), queue.pop().unwrap());
        queue.push(at(9), 4, 10).unwrap();
        queue.put_back([first, second].into_iter());
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop().map(|it| it.item)).collect();
        assert_eq!(order, [1, 2, 3, 4]);
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn more_than_the_bound_comes_back() {
        let mut queue = queue();
        assert_eq!(queue.push(at(0), 1, 101), Err(1));
        assert_eq!(queue.push(at(0), 2, 60), Ok(()));
        assert_eq!(queue.push(at(0), 3, 60), Err(3));
        for item in [4, 5] {
            queue.push(at(0), item, 1).unwrap();
        }
        assert_eq!(queue.push(at(0), 6, 1), Err(6));
    }

    #[test]
    fn all_queues_together_have_a_bound_too() {
        let all = Arc::<AtomicUsize>::default();
        let bounds = Bounds { items: 9, bytes: usize::MAX, wait: Duration::ZERO };
        let mut first = Queue::new(bounds, Arc::clone(&all));
        let mut second = Queue::new(bounds, Arc::clone(&all));
        assert_eq!(first.push(at(0), 1, ALL_BYTES - 1), Ok(()));
        assert_eq!(second.push(at(0), 2, 2), Err(2));
        assert_eq!(first.drain(), [1]);
        assert_eq!(second.push(at(0), 2, 2), Ok(()));
        drop(second);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn each_waits_its_own_time_and_no_longer() {
        let mut queue = queue();
        queue.push(at(1), 1, 1).unwrap();
        queue.push(at(5), 2, 1).unwrap();
        assert_eq!(queue.due(), Some(at(31)));
        assert_eq!(queue.expired(at(30)), [0; 0]);
        assert_eq!(queue.expired(at(31)), [1]);
        assert_eq!((queue.due(), queue.bytes), (Some(at(35)), 1));
        assert_eq!(queue.drain(), [2]);
        assert!(queue.is_empty());
    }
}

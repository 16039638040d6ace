//! Owns whose turn it is with a shard that moves: it comes here, or it goes from here. One after the other: what has not
//! come as a whole cannot go on from here, and what has not left yet cannot come back.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use xmpp::Shard;

/// The turns of all shards. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Turns {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    taken: Mutex<BTreeSet<Shard>>,
    /// Somebody's turn is over.
    over: Notify,
}

/// A turn with a shard; it is over when this is dropped.
pub(super) struct Turn {
    of: Arc<Shared>,
    shard: Shard,
}

impl Turns {
    /// Waits until nobody else has a turn with this shard. The order of those who wait is any: a leader moves a shard to
    /// one place at a time.
    pub(super) async fn wait_for(&self, shard: Shard) -> Turn {
        loop {
            let mut over = pin!(self.shared.over.notified());
            // What ends between the look and the wait is heard of.
            over.as_mut().enable();
            if self.shared.taken().insert(shard) {
                return Turn { of: Arc::clone(&self.shared), shard };
            }
            over.await;
        }
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, BTreeSet<Shard>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.taken().remove(&self.shard);
        self.of.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_shard_has_one_turn_at_a_time_and_others_do_not_wait_for_it() {
        let [shard, other] = [7, 8].map(|number| Shard::new(number).unwrap());
        let (turns, mut cx) = (Turns::default(), Context::from_waker(Waker::noop()));
        let mut takes = |shard| pin!(turns.wait_for(shard)).poll(&mut cx).is_ready();
        assert!(takes(shard) && takes(shard), "what is over is over");
        let mut first = Box::pin(turns.wait_for(shard));
        let std::task::Poll::Ready(turn) = first.as_mut().poll(&mut cx) else { panic!("it waits") };
        let mut second = Box::pin(turns.wait_for(shard));
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(pin!(turns.wait_for(other)).poll(&mut cx).is_ready());
        drop(turn);
        assert!(second.as_mut().poll(&mut cx).is_ready());
    }
}

//! Owns the two tasks of an arbiter: one takes what other threads send, one lets out what this one sends.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Local;
use crate::inbox::Receiver;

/// What was turned away until another plan comes is tried again after so long: the shard may have stayed where it was.
const PATIENCE: Duration = Duration::from_millis(300);

pub(super) async fn receive(local: Rc<Local>, mut inbox: Receiver) {
    while let Some(post) = inbox.next().await {
        local.hear(post);
    }
}

pub(super) async fn flush(local: Rc<Local>) {
    let mut patience = None;
    while !local.stopped.get() {
        wait(&local, &mut patience).await;
        // Behind all tasks that are ready now.
        tokio::task::yield_now().await;
        // Rule A: an effect leaves only while the lease holds.
        let lease = local.router.lease();
        if !lease.holds() {
            local.frozen.set(true);
            if lease.until_valid().await.is_err() {
                // Expelled or stopping: nothing may leave any more.
                return;
            }
            local.frozen.set(false);
            super::edges().iter().for_each(|edge| edge.thaw());
        }
        local.flush_once();
    }
}

/// Waits until there is something to let out, or what was turned away may be tried again.
async fn wait(local: &Local, patience: &mut Option<Instant>) {
    if !local.waits.get() {
        *patience = None;
        return local.flush.notified().await;
    }
    let until = *patience.get_or_insert_with(|| Instant::now() + PATIENCE);
    // Whoever was notified has nothing to say but that.
    drop(timeout_at(until, local.flush.notified()).await);
    if Instant::now() >= until {
        *patience = None;
        local.held.borrow_mut().wait_for_no_plan();
    }
}

//! Owns the two tasks of an arbiter: one takes what other threads send, one lets out what this one sends.

use std::rc::Rc;

use super::Local;
use crate::inbox::Receiver;

pub(super) async fn receive(local: Rc<Local>, mut inbox: Receiver) {
    while let Some(post) = inbox.next().await {
        local.hear(post);
    }
}

pub(super) async fn flush(local: Rc<Local>) {
    while !local.stopped.get() {
        local.flush.notified().await;
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

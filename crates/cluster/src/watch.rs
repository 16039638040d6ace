//! Owns the way in which actors and edges read the plan: a cached copy that costs one atomic load per look.

use std::sync::Arc;

use tokio::sync::watch;

use crate::plan::Plan;

/// A reader of the plan; each thread has its own.
#[derive(Clone, Debug)]
pub struct PlanHandle {
    changes: watch::Receiver<Arc<Plan>>,
    cached: Arc<Plan>,
}

/// The cluster has stopped: the plan will not change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster has stopped")]
pub struct Stopped;

impl PlanHandle {
    /// A reader of the plan that whoever has the other end gives.
    pub fn new(mut changes: watch::Receiver<Arc<Plan>>) -> Self {
        let cached = Arc::clone(&changes.borrow_and_update());
        Self { changes, cached }
    }

    /// A plan that never changes, for tests that need no cluster.
    pub fn fixed(plan: Plan) -> Self {
        Self::new(watch::channel(Arc::new(plan)).1)
    }

    /// A plan that changes with what is sent, for tests that need no cluster.
    pub fn changing(plan: Plan) -> (watch::Sender<Arc<Plan>>, Self) {
        let (sender, receiver) = watch::channel(Arc::new(plan));
        (sender, Self::new(receiver))
    }

    /// The plan as this member knows it now.
    pub fn get(&mut self) -> &Arc<Plan> {
        // An error says that the cluster has stopped, not whether there was a last change.
        if self.changes.has_changed().unwrap_or(true) {
            self.cached = Arc::clone(&self.changes.borrow_and_update());
        }
        &self.cached
    }

    /// As [`PlanHandle::get`], for readers that many threads share.
    pub fn latest(&self) -> Arc<Plan> {
        Arc::clone(&self.changes.borrow())
    }

    /// Waits until the plan differs from what [`PlanHandle::get`] gave last.
    ///
    /// # Errors
    ///
    /// It will not change any more.
    pub async fn changed(&mut self) -> Result<&Arc<Plan>, Stopped> {
        self.changes.changed().await.map_err(|_| Stopped)?;
        self.cached = Arc::clone(&self.changes.borrow_and_update());
        Ok(&self.cached)
    }
}

#[cfg(test)]
mod tests {
    use proto::MemberId;

    use super::*;
    use crate::hash::HashKey;

    #[test]
    fn a_reader_sees_the_latest_plan_and_keeps_the_last_one_when_the_cluster_stops() {
        let (sender, receiver) = watch::channel(Arc::new(Plan::new()));
        let mut handle = PlanHandle::new(receiver);
        assert!(!handle.get().is_bootstrapped());
        sender.send_replace(Arc::new(Plan::single(MemberId(1), HashKey::new([0; 16]))));
        let mut other = handle.clone();
        assert!(handle.get().is_bootstrapped());
        let first = Arc::clone(handle.get());
        assert!(Arc::ptr_eq(&first, handle.get()), "the copy is cached");
        drop(sender);
        assert!(handle.get().is_bootstrapped());
        assert!(other.get().is_bootstrapped(), "also what it had not looked at");
    }
}

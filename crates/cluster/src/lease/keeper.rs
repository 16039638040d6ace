//! Owns the thread work that keeps this member's lease alive: asks every 200 ms, on the control thread, and
//! moves the end that all other threads read. When this stops, for whatever reason, the lease runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::MemberId;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::handle::Lease;
use super::renewal::Renewal;
use super::vitals::Senses;
use super::{Grant, Heartbeat, Terms};
use crate::clock::BootTime;
use crate::plan::Plan;
use crate::raft::driver::Command;

/// Asks for the lease of one process of a member.
pub(crate) struct Keeper {
    pub(crate) member: MemberId,
    pub(crate) incarnation: Arc<AtomicU64>,
    pub(crate) terms: Terms,
    pub(crate) lease: Lease,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) senses: Arc<Senses>,
}

/// The most answers that wait to be taken; more are dropped, the next heartbeat brings another.
const MAX_GRANTS: usize = 8;

impl Keeper {
    /// Keeps the lease alive until the group is gone.
    pub(crate) async fn run(mut self) {
        let (sender, mut grants) = mpsc::channel(MAX_GRANTS);
        let mut renewal = Renewal::new(self.terms);
        let mut beats = interval(self.terms.heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let asks = tokio::select! {
                _ = beats.tick() => true,
                Some(grant) = grants.recv() => {
                    self.lease.extend(renewal.granted(grant, self.applied()));
                    false
                }
                changed = self.plan.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.lease.extend(renewal.applied(self.applied()));
                    // A member that has just come up need not wait for the next beat.
                    !self.lease.holds()
                }
            };
            // A member that has left must not look as if it were there.
            if asks && (self.lease.is_over() || !self.ask(&sender)) {
                return;
            }
        }
    }

    /// Sends a heartbeat; says whether there is still a group to ask. One that finds no room is dropped:
    /// the next is better. A member that hangs does not ask: others take over when its lease has ended.
    fn ask(&self, grants: &mpsc::Sender<Grant>) -> bool {
        let vitals = self.senses.vitals();
        if vitals.must_stop(&self.plan.borrow(), self.member) {
            return true;
        }
        let heartbeat = Heartbeat {
            member: self.member,
            incarnation: self.incarnation.load(Ordering::Acquire),
            sent: BootTime::now(),
            applied: self.applied(),
            vitals,
        };
        let grants = grants.clone();
        let answer = Box::new(move |grant| {
            let _unsent = grants.try_send(grant);
        });
        let sent = self.commands.try_send(Command::Heartbeat(heartbeat, answer));
        !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
    }

    fn applied(&self) -> u64 {
        self.plan.borrow().index()
    }
}

//! Owns the thread that drives the Raft group: the only place where the group meets a clock and a channel.
//! It runs on a runtime of its own, and nothing else runs there: actors that are busy cost no elections.

use std::sync::Arc;

use bytes::Bytes;
use proto::MemberId;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::group::{Group, GroupError, Standing, TICK};
use super::proposals::Fate;
use super::transport::{Answer, Transport};
use crate::clock::BootTime;
use crate::lease::Heartbeat;
use crate::plan::{Entry, Plan};

/// What is asked of the group.
pub(crate) enum Command {
    /// Put an entry into the plan.
    Propose(Entry, Fate),
    /// Get this heartbeat granted.
    Heartbeat(Heartbeat, Answer),
    /// Take a Raft message of another member.
    Step(MemberId, Bytes),
    /// Know that a member cannot be reached.
    Unreachable(MemberId),
    /// End.
    Stop,
}

/// The most commands that wait; senders wait or drop beyond.
pub(crate) const MAX_COMMANDS: usize = 1024;

/// The most commands that are taken before the group works: one flush for all their entries.
const BATCH: usize = 64;

/// The group with its ways in and out.
pub(crate) struct Driver<T> {
    pub(crate) group: Group,
    pub(crate) transport: T,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) plan: watch::Sender<Arc<Plan>>,
    pub(crate) standing: watch::Sender<Standing>,
}

impl<T: Transport> Driver<T> {
    /// Drives the group until it is told to stop or all senders of commands are gone.
    ///
    /// # Errors
    ///
    /// [`GroupError`]; this member must stop.
    pub(crate) async fn run(mut self) -> Result<(), GroupError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.group.tick(BootTime::now()),
                taken = self.commands.recv_many(&mut batch, BATCH) => {
                    if taken == 0 || !self.take(batch.drain(..)) {
                        return Ok(());
                    }
                }
            }
            self.work()?;
        }
    }

    /// Says whether to go on.
    fn take(&mut self, commands: impl Iterator<Item = Command>) -> bool {
        for command in commands {
            match command {
                Command::Propose(entry, fate) => self.group.propose(&entry, fate),
                Command::Heartbeat(heartbeat, answer) => {
                    let elsewhere = self.group.heartbeat(heartbeat, answer, BootTime::now());
                    if let Some((leader, heartbeat, answer)) = elsewhere {
                        self.transport.heartbeat(leader, heartbeat, answer);
                    }
                }
                Command::Step(from, message) => self.group.step(from, &message),
                Command::Unreachable(member) => self.group.unreachable(member),
                Command::Stop => return false,
            }
        }
        true
    }

    fn work(&mut self) -> Result<(), GroupError> {
        let done = self.group.work(BootTime::now())?;
        for (to, message) in done.messages {
            if !self.transport.send(to, message) {
                self.group.unreachable(to);
            }
        }
        let plan = self.group.plan();
        if plan.index() != self.plan.borrow().index() {
            self.plan.send_replace(Arc::new(plan.clone()));
        }
        for (fate, applied) in done.fates {
            fate(applied);
        }
        let standing = self.group.standing();
        self.standing.send_if_modified(|known| std::mem::replace(known, standing) != standing);
        Ok(())
    }
}

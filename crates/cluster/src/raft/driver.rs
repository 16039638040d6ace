//! Owns the thread that drives the Raft group: the only place where the group meets a clock and a channel.
//! It runs on a runtime of its own, and nothing else runs there: actors that are busy cost no elections.

use std::sync::Arc;

use bytes::Bytes;
use proto::MemberId;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::group::{Group, GroupError, Standing, TICK};
use super::proposals::Fate;
use super::transport::{Answer, Transport};
use crate::ask::{Answered, Ask};
use crate::clock::BootTime;
use crate::lease::Heartbeat;
use crate::plan::{Entry, Plan};

/// What is asked of the group.
pub(crate) enum Command {
    /// Put an entry into the plan.
    Propose(Entry, Fate),
    /// Do what a member asks for, if this one leads.
    Ask(Ask, Answered),
    /// Get this heartbeat granted.
    Heartbeat(Heartbeat, Answer),
    /// Take a Raft message of another member.
    Step(MemberId, Bytes),
    /// Know that a member cannot be reached.
    Unreachable(MemberId),
    /// Know who leads, as another member says.
    Hint(Option<MemberId>),
    /// Know the plan, as another member says.
    Observe(Arc<Plan>),
    /// Take part as a new process; gives the incarnation.
    Renew(oneshot::Sender<u64>),
    /// Let another lead.
    HandOver,
    /// End.
    Stop,
}

/// What has come to the plan of a member that gets it by Raft.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// The entry at an index; without data it changes nothing.
    Entry(u64, Bytes),
    /// It came whole: look at it anew.
    Whole,
}

/// The most commands that wait; senders wait or drop beyond.
pub(crate) const MAX_COMMANDS: usize = 1024;

/// The most commands that are taken before the group works: one flush for all their entries.
const BATCH: usize = 64;

/// The group with its ways in and out.
pub(crate) struct Driver {
    pub(crate) group: Group,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) plan: watch::Sender<Arc<Plan>>,
    pub(crate) news: broadcast::Sender<News>,
    pub(crate) standing: watch::Sender<Standing>,
}

impl Driver {
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
                    if taken == 0 || !self.take(batch.drain(..))? {
                        return Ok(());
                    }
                }
            }
            self.work()?;
        }
    }

    /// Says whether to go on.
    fn take(&mut self, commands: impl Iterator<Item = Command>) -> Result<bool, GroupError> {
        for command in commands {
            match command {
                Command::Propose(entry, fate) => self.group.propose(&entry, fate),
                Command::Ask(ask, answered) => self.group.ask(ask, answered),
                Command::Heartbeat(heartbeat, answer) => {
                    let elsewhere = self.group.heartbeat(heartbeat, answer, BootTime::now());
                    if let Some((leader, heartbeat, answer)) = elsewhere {
                        self.transport.heartbeat(leader, heartbeat, answer);
                    }
                }
                Command::Step(from, message) => self.group.step(from, &message, BootTime::now()),
                Command::Unreachable(member) => self.group.unreachable(member),
                Command::Hint(leader) => self.group.hint(leader),
                Command::Observe(plan) => self.publish(plan),
                Command::Renew(renewed) => {
                    // Whoever waited for it is gone: the incarnation is no less new.
                    renewed.send(self.group.renew()?).ok();
                }
                Command::HandOver => self.group.hand_leadership_over(),
                Command::Stop => return Ok(false),
            }
        }
        Ok(true)
    }

    fn work(&mut self) -> Result<(), GroupError> {
        let done = self.group.work(BootTime::now())?;
        for (to, message) in done.messages {
            if !self.transport.send(to, message) {
                self.group.unreachable(to);
            }
        }
        let plan = self.group.plan();
        if plan.index() > self.plan.borrow().index() {
            self.publish(Arc::new(plan.clone()));
        }
        let whole = done.restored.then_some(News::Whole);
        let entries = done.news.into_iter().map(|(index, data)| News::Entry(index, data));
        for news in whole.into_iter().chain(entries) {
            // Nobody follows.
            self.news.send(news).ok();
        }
        for (fate, applied) in done.fates {
            fate(applied);
        }
        let standing = self.group.standing();
        self.standing.send_if_modified(|known| {
            let differs = *known != standing;
            *known = standing;
            differs
        });
        Ok(())
    }

    /// Makes a plan the one that this member acts by. An older one never replaces a newer: both are the same
    /// history, told by Raft and by another member.
    fn publish(&self, plan: Arc<Plan>) {
        self.plan.send_if_modified(|known| {
            let newer = plan.index() > known.index();
            if newer {
                *known = plan;
            }
            newer
        });
    }
}

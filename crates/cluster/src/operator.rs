//! Owns what an operator may see of the cluster and do to it, from any member.

use std::sync::Arc;
use std::time::Duration;

use proto::MemberId;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::ask::{Ask, Verdict};
use crate::clock::BootTime;
use crate::control::net::{CallError, Net};
use crate::lease::handle::Lease;
use crate::plan::{Member, Phase, Plan, Status as MemberStatus};
use crate::raft::driver::Command;
use crate::raft::group::Standing;
use crate::status::Status;

/// The cluster in an operator's hands. A clone is the same.
#[derive(Clone)]
pub struct Operator {
    pub(crate) member: MemberId,
    pub(crate) lease: Lease,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) net: Option<Net>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRow {
    /// Its number.
    pub shard: u16,
    /// The name of its owner.
    pub owner: String,
    /// The name of its standby, if it has one.
    pub standby: Option<String>,
    /// Since when it is its owner's: 16 hexadecimal digits, generation first.
    pub epoch: String,
    /// The name of the member that it moves to, if it does.
    pub moves_to: Option<String>,
}

/// Why the cluster did not do what an operator wants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// No member has this name or id.
    #[error("there is no member {0:?}; `rookery cluster members` lists them")]
    Unknown(String),
    /// The leader refused.
    #[error("the cluster refuses: {0}")]
    Refused(String),
    /// No leader was found in time.
    #[error("no leader answered in time")]
    NoLeader,
}

/// How long the leader is looked for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Operator {
    /// The cluster as this member sees it.
    pub fn status(&self) -> Status {
        let plan = Arc::clone(&self.plan.borrow());
        let standing = self.standing.borrow().clone();
        let mut status = Status::of(&plan, &standing, self.member, self.lease.holds());
        if let Some(net) = &self.net {
            status.staying = net.shared.staying.rows(BootTime::now());
            for (row, member) in status.members.iter_mut().zip(plan.members()) {
                row.differs = net.shared.common.difference(member.info.id);
                row.clock_ahead_millis = net.shared.skews.ahead(member.info.id);
            }
        }
        status
    }

    /// Every shard.
    pub fn shards(&self) -> Vec<ShardRow> {
        let plan = Arc::clone(&self.plan.borrow());
        let name = |id: MemberId| {
            plan.member(id).map_or_else(|| id.to_string(), |member| member.info.name.clone())
        };
        let row = |(shard, held): (xmpp::Shard, &crate::plan::Ownership)| ShardRow {
            shard: shard.number(),
            owner: name(held.owner),
            standby: held.standby.map(name),
            epoch: format!("{:016x}", held.epoch.0),
            moves_to: match held.phase {
                Phase::Moving { to, .. } => Some(name(to)),
                Phase::Active => None,
            },
        };
        plan.ownerships().map(row).collect()
    }

    /// A member is to lose its shards; this one where none is named.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn drain(&self, member: Option<&str>) -> Result<(), OperatorError> {
        let member = member.map_or(Ok(self.member), |name| self.find(name))?;
        self.ask(Ask::Drain(member)).await
    }

    /// A member that was to lose its shards gets its share again; this one where none is named.
    ///
    /// # Errors
    ///
    /// [`OperatorError`].
    pub async fn restore(&self, member: Option<&str>) -> Result<(), OperatorError> {
        let member = member.map_or(Ok(self.member), |name| self.find(name))?;
        self.ask(Ask::Restore(member)).await
    }

    /// A member that is out does not come back: nothing of it is remembered, and its vote goes to another.
    ///
    /// # Errors
    ///
    /// [`OperatorError`]; it takes part, for instance.
    pub async fn remove(&self, member: &str) -> Result<(), OperatorError> {
        let member = self.find(member)?;
        self.ask(Ask::Remove(member)).await
    }

    /// The member of a name or an id. Of two of one name the one that takes part.
    fn find(&self, name: &str) -> Result<MemberId, OperatorError> {
        let plan = Arc::clone(&self.plan.borrow());
        let named = plan.members().filter(|m| m.info.name == name || m.info.id.to_string() == name);
        let found = named.max_by_key(|member| member.status != MemberStatus::Expelled);
        let found = found.map(|member| member.info.id);
        found.ok_or_else(|| OperatorError::Unknown(name.to_owned()))
    }

    async fn ask(&self, ask: Ask) -> Result<(), OperatorError> {
        let refused = |why| OperatorError::Refused(self.with_names(why));
        self.ask_leader(ask).await.map_err(|error| match error {
            OperatorError::Refused(why) => refused(why),
            other => other,
        })
    }

    /// Operators know members by their names.
    fn with_names(&self, text: String) -> String {
        let plan = Arc::clone(&self.plan.borrow());
        let named = |text: String, member: &Member| {
            text.replace(&member.info.id.to_string(), &member.info.name)
        };
        plan.members().fold(text, named)
    }

    async fn ask_leader(&self, ask: Ask) -> Result<(), OperatorError> {
        let Some(net) = &self.net else { return self.ask_alone(ask).await };
        // Waits on the runtime of the calls, whichever the caller is on.
        let (net, runtime) = (net.clone(), net.shared.peers.runtime().clone());
        let asked = runtime.spawn(async move { net.ask(ask, PATIENCE).await }).await;
        match asked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(CallError::Refused(why))) => Err(OperatorError::Refused(why)),
            _ => Err(OperatorError::NoLeader),
        }
    }

    async fn ask_alone(&self, ask: Ask) -> Result<(), OperatorError> {
        let (sender, receiver) = oneshot::channel();
        let answered = Box::new(move |verdict| {
            // Whoever asked has given up.
            sender.send(verdict).ok();
        });
        let sent = self.commands.try_send(Command::Ask(ask, answered));
        sent.map_err(|_| OperatorError::NoLeader)?;
        match timeout(PATIENCE, receiver).await {
            Ok(Ok(Verdict::Done)) => Ok(()),
            Ok(Ok(Verdict::Refused(why))) => Err(OperatorError::Refused(why)),
            _ => Err(OperatorError::NoLeader),
        }
    }
}

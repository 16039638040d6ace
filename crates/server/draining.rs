//! Owns the end of a member's part in a cluster while it still runs: its shards go to others, then its clients, a few
//! at a time. By an operator's word (`rookery cluster drain`) or by SIGTERM; both the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c2s::Gate;
use cluster::plan::Status;
use cluster::{Cluster, Plan};
use proto::MemberId;
use tokio::time::{sleep, timeout};

/// How long a member that is to end waits for others to take its shards.
const PATIENCE: Duration = Duration::from_secs(120);

/// So long without a lease, and no leader will come that could give its shards to anybody: the others end as well.
const ALONE: Duration = Duration::from_secs(10);

/// Between attempts to listen for clients again, where somebody else has the port.
const PAUSE: Duration = Duration::from_secs(1);

/// What keeps a member from listening for clients though it is to. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Listening {
    fault: Arc<Mutex<Option<String>>>,
}

impl Listening {
    /// None where it listens, or is not to.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What keeps it from that now.
    pub(crate) fn set(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// Whether nothing is left of a member that others were to take, nor anything that it keeps for the others.
fn is_empty(plan: &Plan, member: MemberId) -> bool {
    plan.ownerships().all(|(_, held)| held.owner != member && held.standby != Some(member))
}

/// Whether another member can take shards.
fn has_others(plan: &Plan, member: MemberId) -> bool {
    plan.members().any(|other| other.info.id != member && other.takes_shards())
}

/// Gives this member's shards to others, if there are any: what lives in them goes on there. Returns when it owns none,
/// or when that takes too long; says whether others have them.
pub(crate) async fn give_shards_away(cluster: &Cluster) -> bool {
    let (member, mut plan) = (cluster.member_id(), cluster.plan());
    if !has_others(plan.get(), member) || is_empty(plan.get(), member) {
        return has_others(plan.get(), member);
    }
    if let Err(error) = cluster.operator().drain(None).await {
        tracing::warn!(%error, "others cannot take this member's shards; they take over when it has left");
        return false;
    }
    let emptied = async {
        while !is_empty(plan.get(), member) && has_others(plan.get(), member) {
            if plan.changed().await.is_err() {
                return;
            }
        }
    };
    let lease = cluster.lease();
    let in_time = tokio::select! {
        in_time = timeout(PATIENCE, emptied) => in_time.is_ok(),
        () = lease.until_lost_for(ALONE) => false,
    };
    if !in_time {
        let left =
            cluster.plan().get().ownerships().filter(|(_, held)| held.owner == member).count();
        tracing::warn!(
            "{left} shards were not taken in time; others take over when this member has left"
        );
    }
    is_empty(cluster.plan().get(), member)
}

/// Lets clients go, a few at a time over `over`, whenever an operator has drained this member; lets them come again when
/// that is called off.
pub(crate) async fn follow(cluster: &Cluster, gate: &Gate, over: Duration, listening: &Listening) {
    let member = cluster.member_id();
    let drains =
        |plan: &Plan| plan.member(member).is_some_and(|own| own.status == Status::Draining);
    loop {
        if until(cluster, |plan| drains(plan) && is_empty(plan, member)).await.is_none() {
            return;
        }
        tracing::info!("is drained: its clients are let go");
        let called_off = async {
            let let_go = async {
                gate.drip(over).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                so = until(cluster, |plan| !drains(plan)) => so,
                () = let_go => None,
            }
        };
        if called_off.await.is_none() {
            return;
        }
        let opening = open(|| Ok(gate.open_again()?), listening);
        tokio::select! {
            () = opening => tracing::info!("is not drained any more: clients may come again"),
            // Or there is no other plan any more, which is looked at next.
            _ = until(cluster, drains) => listening.set(None),
        }
    }
}

/// Tries to listen until it does; meanwhile `listening` says what keeps it from that.
async fn open(mut listen: impl FnMut() -> anyhow::Result<()>, listening: &Listening) {
    while let Err(error) = listen() {
        listening.set(Some(format!("{error:#}")));
        sleep(PAUSE).await;
    }
    listening.set(None);
}

/// Waits until the plan is so; none where there will be no other plan.
async fn until(cluster: &Cluster, so: impl Fn(&Plan) -> bool) -> Option<()> {
    let mut plan = cluster.plan();
    while !so(plan.get()) {
        plan.changed().await.ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_member_listens_again_as_soon_as_it_can_and_says_why_it_cannot() {
        let (listening, mut tried) = (Listening::default(), 0);
        let mut heard = Vec::new();
        let listen = || {
            tried += 1;
            heard.push(listening.fault());
            anyhow::ensure!(tried > 3, "the port is taken");
            Ok(())
        };
        open(listen, &listening).await;
        let taken = || Some("the port is taken".to_owned());
        assert_eq!(heard, [None, taken(), taken(), taken()]);
        assert_eq!(listening.fault(), None);
    }
}

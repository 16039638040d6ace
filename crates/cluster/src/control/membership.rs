//! Owns a member's part in the plan: it comes up, it comes back as a new process when it was expelled and
//! lives, and it ends when it was cut off for too long.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{interval, sleep};

use super::net::{CallError, Net};
use crate::ask::Ask;
use crate::clock::BootTime;
use crate::lease::handle::Lease;
use crate::plan::Status;
use crate::raft::GroupError;
use crate::raft::driver::Command;

/// How often it is looked whether something is to be done.
const PACE: Duration = Duration::from_millis(100);

/// Between attempts to come up.
const PAUSE: Duration = Duration::from_millis(200);

/// So many refusals are meant.
const MAX_REFUSALS: u32 = 25;

/// How long one question to the leader may take.
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// How this process stands in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It takes part.
    In,
    /// It is let in, or an earlier process of it takes part.
    Coming,
    /// It is not in.
    Out,
}

/// How this process stands in the plan.
pub(crate) fn place(net: &Net) -> Place {
    let (plan, me) = (net.plan(), net.me());
    match plan.member(me.id) {
        None => Place::Out,
        Some(known) if known.status == Status::Expelled => Place::Out,
        Some(known) if known.status == Status::Joining => Place::Coming,
        Some(known) if known.info.incarnation < me.incarnation => Place::Coming,
        Some(_) => Place::In,
    }
}

/// Comes up, whatever it takes.
///
/// # Errors
///
/// The cluster refuses this member.
pub(crate) async fn come_up(net: &Net) -> Result<(), CallError> {
    let mut refusals = 0;
    loop {
        if is_expelled(net) {
            renew(net).await;
        }
        let me = net.me();
        // Its own plan may be an old one: the leader is asked in any case where it is not in.
        let asked = match place(net) {
            Place::In => return Ok(()),
            Place::Out => net.ask(Ask::Join(me), ASK_PATIENCE).await,
            Place::Coming => match net.ask(Ask::Up(me.clone()), ASK_PATIENCE).await {
                // Expelled meanwhile, and not told.
                Err(CallError::Refused(_)) => net.ask(Ask::Join(me), ASK_PATIENCE).await,
                asked => asked,
            },
        };
        match asked {
            // One that comes twice is refused the second time: its own plan tells what is so.
            Err(CallError::Refused(why)) if refusals >= MAX_REFUSALS => {
                return Err(CallError::Refused(why));
            }
            Err(error) => {
                refusals += u32::from(matches!(error, CallError::Refused(_)));
                tracing::debug!(%error, "could not come up yet");
            }
            Ok(()) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Brings this member back whenever it is expelled, and ends it when it had no lease for too long.
pub(crate) async fn run(net: Net, lease: Lease) {
    let mut paces = interval(PACE);
    let mut held_last = BootTime::now();
    loop {
        paces.tick().await;
        let now = BootTime::now();
        if lease.is_over() {
            // It has left.
            return;
        }
        if lease.holds() {
            held_last = now;
            continue;
        }
        let grace = net.shared.mesh.isolation_grace;
        let left = grace.saturating_sub(now.since(held_last));
        if left.is_zero() {
            // Again and again: a busy group may not take it.
            net.tell(Command::Fail(GroupError::CutOff(grace)));
            continue;
        }
        if place(&net) != Place::In
            && let Ok(Err(error)) = tokio::time::timeout(left, come_up(&net)).await
        {
            // The lease does not come back either: the grace runs out.
            tracing::warn!(%error, "could not come back");
        }
    }
}

/// Whether this very process was expelled.
fn is_expelled(net: &Net) -> bool {
    let (plan, me) = (net.plan(), net.me());
    plan.member(me.id).is_some_and(|known| {
        known.status == Status::Expelled && known.info.incarnation >= me.incarnation
    })
}

/// Becomes a new process for the others: what this one held is not its own any more.
async fn renew(net: &Net) {
    let (sender, receiver) = oneshot::channel();
    net.tell(Command::Renew(sender));
    if let Ok(incarnation) = receiver.await {
        tracing::warn!("was expelled; comes back as incarnation {incarnation}");
        net.renewed(incarnation);
    }
}

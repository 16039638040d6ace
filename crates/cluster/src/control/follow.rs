//! Owns the plan of a member that Raft does not speak to: it follows another member's.

use std::sync::Arc;
use std::time::Duration;

use proto::MemberId;
use tokio::time::{interval, sleep, timeout};

use super::net::{CallError, Net, PATIENCE, call, client};
use crate::clock::BootTime;
use crate::plan::{Entry, Plan, Status};
use crate::raft::driver::Command;
use crate::wire;

/// Raft must have been silent for so long: longer than any election.
const SILENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether Raft speaks.
const PACE: Duration = Duration::from_millis(200);

/// Who is followed says something every second.
const NEWS_PATIENCE: Duration = Duration::from_secs(3);

/// Follows whenever Raft is silent, for ever.
pub(crate) async fn run(net: Net) {
    let mut silent_since: Option<BootTime> = None;
    let mut paces = interval(PACE);
    let mut number = 0_usize;
    loop {
        paces.tick().await;
        if net.shared.standing.borrow().follows {
            silent_since = None;
            continue;
        }
        let now = BootTime::now();
        if now.since(*silent_since.get_or_insert(now)) < SILENCE {
            continue;
        }
        number = number.wrapping_add(1);
        let Some(guide) = guide(&net, number) else { continue };
        if let Err(error) = follow(&net, guide).await {
            tracing::debug!(peer = %guide, %error, "the plan cannot be followed there");
            net.forget_channel(guide);
            sleep(PACE).await;
        }
    }
}

/// Whom to follow: the leader, or else another each time. Who has no part in Raft refuses.
fn guide(net: &Net, number: usize) -> Option<MemberId> {
    let (plan, me) = (net.plan(), net.me().id);
    let takes_part = |status| matches!(status, Status::Up | Status::Draining);
    let others: Vec<_> = plan
        .members()
        .filter(|member| member.info.id != me && takes_part(member.status))
        .map(|member| member.info.id)
        .collect();
    let leader = net.leader().filter(|leader| others.contains(leader) && number % 2 == 1);
    leader.or_else(|| others.get(number % others.len().max(1)).copied())
}

/// Follows one member until it fails or Raft speaks.
async fn follow(net: &Net, guide: MemberId) -> Result<(), CallError> {
    let channel = net.channel(guide).await?;
    let mut news = call(client(channel).watch_plan(wire::Watching {}), PATIENCE).await?;
    let mut plan: Option<Plan> = None;
    loop {
        let next = timeout(NEWS_PATIENCE, news.message()).await.map_err(|_| CallError::Late)?;
        let next = next.map_err(Box::new)?.ok_or(CallError::Late)?;
        if net.shared.standing.borrow().follows {
            return Ok(());
        }
        net.hint((next.leader != 0).then_some(MemberId(next.leader)));
        if take(&mut plan, next)? {
            let plan = plan.clone().map(Arc::new);
            plan.into_iter().for_each(|plan| net.tell(Command::Observe(plan)));
        }
    }
}

/// Lays news over the plan; says whether it changed.
fn take(plan: &mut Option<Plan>, news: wire::PlanNews) -> Result<bool, CallError> {
    let unreadable = |error: crate::plan::CodecError| CallError::Refused(error.to_string());
    if !news.plan.is_empty() {
        *plan = Some(Plan::decode(&news.plan).map_err(unreadable)?);
        return Ok(true);
    }
    let Some(plan) = plan else { return Ok(false) };
    let changed = !news.changes.is_empty();
    for change in news.changes {
        if change.index != plan.index() + 1 {
            return Err(CallError::Refused("a change of the plan is missing".to_owned()));
        }
        match change.entry.is_empty() {
            true => plan.skip(change.index),
            false => {
                let entry = Entry::decode(&change.entry).map_err(unreadable)?;
                // A refused entry leaves no trace here as there.
                plan.apply(change.index, entry).ok();
            }
        }
    }
    Ok(changed)
}

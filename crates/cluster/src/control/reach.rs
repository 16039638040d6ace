//! Owns whom this member reaches: it says hello to all others every second. A leader hears of it by heartbeats, and a
//! member that is out does not come in before it reaches all who take part.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use proto::MemberId;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::net::{CallError, Net, call, client};
use super::skew::Exchange;
use crate::clock::wall_millis;
use crate::plan::{Plan, Status};

/// How often, and how long an answer may take.
pub(crate) const PACE: Duration = Duration::from_secs(1);

/// So many rounds in a row without an answer are a cut, and as many as pass while a lease lasts. They are counted, and not
/// timed: a process that stood still has missed one round, however long that took.
const MISSES: u64 = 3;

/// Who was reached.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// How many rounds in a row each was not reached in.
    missed: BTreeMap<MemberId, u64>,
}

impl Reach {
    /// A round is over: who was asked, and whether there was an answer. Whoever was not asked does not take part.
    pub(crate) fn note(&mut self, round: impl IntoIterator<Item = (MemberId, bool)>) {
        let before = std::mem::take(&mut self.missed);
        let missed = |member| before.get(&member).copied().unwrap_or(0);
        let count = |(member, reached)| match reached {
            true => (member, 0),
            false => (member, missed(member).saturating_add(1)),
        };
        self.missed = round.into_iter().map(count).collect();
    }

    /// To whom the way is cut, where leases last for so long.
    pub(crate) fn unreached(&self, lease: Duration) -> Vec<MemberId> {
        let misses = MISSES.max(lease.as_secs() / PACE.as_secs());
        let cut = self.missed.iter().filter(|(_, missed)| **missed >= misses);
        cut.map(|(member, _)| *member).collect()
    }

    /// One of those who take part that was not reached in the last round, if there is one.
    pub(crate) fn missing(&self, plan: &Plan, me: MemberId) -> Option<MemberId> {
        others(plan, me).find(|other| self.missed.get(other) != Some(&0))
    }
}

/// Who takes part beside this member.
pub(crate) fn others(plan: &Plan, me: MemberId) -> impl Iterator<Item = MemberId> {
    let takes_part = |status| matches!(status, Status::Up | Status::Draining);
    let others = plan.members().filter(move |it| it.info.id != me && takes_part(it.status));
    others.map(|member| member.info.id)
}

/// Says hello to all others, for ever.
pub(crate) async fn run(net: Net) {
    let mut paces = interval(PACE);
    paces.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        paces.tick().await;
        let (plan, me) = (net.plan(), net.me().id);
        let round = join_all(others(&plan, me).map(|other| ask(&net, other))).await;
        net.shared.senses.reach(|reach| reach.note(round));
    }
}

async fn ask(net: &Net, other: MemberId) -> (MemberId, bool) {
    let answered = match timeout(PACE, hello(net, other)).await {
        // One that does not like what it hears was reached.
        Ok(Ok(()) | Err(CallError::Refused(_))) => true,
        Ok(Err(CallError::Call(status))) => status.code() == tonic::Code::FailedPrecondition,
        Ok(Err(_)) | Err(_) => false,
    };
    if !answered {
        net.forget_channel(other);
    }
    (other, answered)
}

async fn hello(net: &Net, other: MemberId) -> Result<(), CallError> {
    let channel = net.channel(other).await?;
    let asked = wall_millis();
    let answer = call(client(channel).hello(net.greeting()), PACE).await?;
    let exchange = Exchange { asked, there: answer.wall_millis, answered: wall_millis() };
    net.shared.skews.note(other, exchange);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashKey;
    use crate::plan::{Entry, MemberInfo};

    const LEASE: Duration = Duration::from_secs(1);
    const ME: MemberId = MemberId(1);
    const TWO: MemberId = MemberId(2);
    const THREE: MemberId = MemberId(3);

    #[test]
    fn a_way_is_cut_when_it_has_failed_three_times_in_a_row() {
        let mut reach = Reach::default();
        for _ in 0..2 {
            reach.note([(TWO, false), (THREE, true)]);
            assert_eq!(reach.unreached(LEASE), []);
        }
        reach.note([(TWO, true), (THREE, true)]);
        (0..2).for_each(|_| reach.note([(TWO, false), (THREE, false)]));
        assert_eq!(reach.unreached(LEASE), [], "it begins anew after each answer");
        reach.note([(TWO, false), (THREE, true)]);
        assert_eq!(reach.unreached(LEASE), [TWO]);
        assert_eq!(reach.unreached(LEASE * 4), [], "where leases are long, so is this");
        reach.note([(THREE, true)]);
        assert_eq!(reach.unreached(LEASE), [], "whoever is out is not missed");
    }

    #[test]
    fn a_member_that_is_out_waits_until_it_reaches_all_who_take_part() {
        let mut plan = Plan::single(TWO, HashKey::new([0; 16]));
        let mut reach = Reach::default();
        assert_eq!(reach.missing(&plan, ME), Some(TWO), "it has not asked yet");
        reach.note([(TWO, true)]);
        assert_eq!(reach.missing(&plan, ME), None);
        let third = MemberInfo::new(THREE, "three");
        plan.apply(2, Entry::Join(third.clone())).unwrap();
        assert_eq!(reach.missing(&plan, ME), None, "who has not come up does not count");
        plan.apply(3, Entry::Up(third)).unwrap();
        reach.note([(TWO, true), (THREE, false)]);
        assert_eq!(reach.missing(&plan, ME), Some(THREE));
    }
}

//! Owns who is relieved because its arbiters are slow: its share becomes nothing, so that its accounts go to others, and
//! what it was when it is well again. Its clients stay with it: they need their sockets served, and lose nothing by
//! waiting. One member at a time, and only while most are well: where all are busy, whoever is left would be busier still.

use std::time::Duration;

use super::reports::{Report, Reports};
use crate::clock::BootTime;
use crate::plan::{Entry, Member, Plan, Status};

/// Slow for so long, without a break.
const PATIENCE: Duration = Duration::from_secs(3);

/// Well for so long, without a break: moving all it has there and back is not for nothing.
const WELL: Duration = Duration::from_secs(30);

/// What to change, if anything.
pub(super) fn next(plan: &Plan, reports: &Reports, now: BootTime) -> Option<Entry> {
    let present: Vec<(&Member, &Report)> = reports.present(plan, now).collect();
    let mut relieved = present.iter().filter(|(member, report)| is_relieved(member, report));
    if let Some((member, report)) = relieved.next() {
        let well = !report.slow && now.since(report.since) >= WELL;
        let (member, weight) = (member.info.id, report.vitals.weight);
        if well {
            tracing::info!(%member, "is well again, and takes accounts");
        }
        return well.then_some(Entry::SetWeight { member, weight });
    }
    if plan.members().any(|member| member.status == Status::Draining) {
        return None;
    }
    let takers: Vec<_> = present.iter().filter(|(member, _)| member.takes_shards()).collect();
    let slow: Vec<_> = takers.iter().filter(|(_, report)| report.slow).collect();
    if takers.len() < 2 || slow.len() * 2 > takers.len() {
        return None;
    }
    let late = slow.iter().filter(|(_, report)| now.since(report.since) >= PATIENCE);
    let (member, report) = late.max_by_key(|(it, report)| (report.vitals.lag, it.info.id))?;
    let member = member.info.id;
    tracing::warn!(%member, "an arbiter of it is {:?} late: others take its accounts", report.vitals.lag);
    Some(Entry::SetWeight { member, weight: 0 })
}

fn is_relieved(member: &Member, report: &Report) -> bool {
    member.info.weight == 0 && report.vitals.weight > 0
}

#[cfg(test)]
mod tests {
    use proto::MemberId;

    use super::super::tests::Town;
    use super::*;
    use crate::lease::vitals::Vitals;

    const BEAT: Duration = Duration::from_millis(200);

    /// How late the arbiters of each member are in milliseconds, from the first on, for so long; what is changed, and after
    /// which time.
    fn lasts(town: &mut Town, late: &[u64], time: Duration) -> Option<(Entry, Duration)> {
        let begun = town.now;
        while town.now.since(begun) < time {
            for (id, lag) in (1..).zip(late) {
                let lag = Duration::from_millis(*lag);
                town.says(id, Vitals { lag, weight: 100, ..Vitals::default() });
            }
            if let Some(entry) = next(&town.plan, &town.coordinator.reports, town.now) {
                return Some((entry, town.now.since(begun)));
            }
            town.now = town.now + BEAT;
        }
        None
    }

    fn share(member: u64, weight: u32) -> Entry {
        Entry::SetWeight { member: MemberId(member), weight }
    }

    #[test]
    fn who_is_slow_for_three_seconds_is_relieved_and_who_is_well_for_thirty_takes_its_share_again()
    {
        let mut town = Town::of(3);
        assert_eq!(lasts(&mut town, &[50, 1_100, 50], Duration::from_millis(2_900)), None);
        assert_eq!(lasts(&mut town, &[50, 900, 50], BEAT), None);
        let relieved = lasts(&mut town, &[50, 1_100, 50], Duration::from_secs(10));
        assert_eq!(relieved, Some((share(2, 0), PATIENCE)), "from the beginning");
        town.apply(share(2, 0));
        assert_eq!(lasts(&mut town, &[50, 2_000, 50], WELL * 2), None);
        assert_eq!(lasts(&mut town, &[50, 50, 50], WELL - BEAT), None);
        assert_eq!(lasts(&mut town, &[50, 2_000, 50], BEAT), None);
        let back = lasts(&mut town, &[50, 50, 50], WELL * 2);
        assert_eq!(back, Some((share(2, 100), WELL)));
    }

    #[test]
    fn a_busy_cluster_is_not_relieved_of_its_members() {
        let long = Duration::from_secs(60);
        let of = |late: &[u64]| {
            let mut town = Town::of(late.len() as u64);
            lasts(&mut town, late, long).map(|(entry, _)| entry)
        };
        assert_eq!(of(&[4_000]), None, "nobody else takes accounts");
        assert_eq!(of(&[4_000, 50]), Some(share(1, 0)));
        assert_eq!(of(&[4_000, 4_000]), None);
        assert_eq!(of(&[4_000, 50, 4_000]), None, "most are slow");
        assert_eq!(of(&[2_000, 50, 4_000, 50, 50]), Some(share(3, 0)), "the slowest first");
        let mut town = Town::of(5);
        town.apply(share(3, 0));
        assert_eq!(lasts(&mut town, &[2_000, 50, 4_000, 50, 50], long), None, "one at a time");
        let mut town = Town::of(3);
        town.apply(Entry::Drain(MemberId(3)));
        assert_eq!(lasts(&mut town, &[50, 4_000, 50], long), None, "somebody is drained");
    }

    #[test]
    fn a_member_without_a_share_of_its_own_gets_none() {
        let mut town = Town::of(2);
        town.apply(share(2, 0));
        for _ in 0..300 {
            town.says(2, Vitals::default());
            assert_eq!(next(&town.plan, &town.coordinator.reports, town.now), None);
            town.now = town.now + BEAT;
        }
    }
}

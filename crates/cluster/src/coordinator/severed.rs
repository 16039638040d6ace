//! Owns which of two members goes that do not reach each other though both reach the leader. To drain one would need what
//! is cut: what lives there waits for copies and receipts of the other. So it is not granted its lease any more,
//! and expelled when that has ended, like one that is silent. It comes back when it reaches all who take part
//! (`crate::control::membership`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::MemberId;

use super::reports::Reports;
use crate::clock::BootTime;
use crate::plan::{Plan, Status};

/// A leader hears for so long that somebody is not reached before it believes it. Members that stood still, or have just
/// got a leader, speak of the time before; each asks the others once a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a leader knows of whom it has parted.
#[derive(Debug, Default)]
pub(crate) struct Severed {
    /// Processes, until they have come back as others.
    parted: BTreeSet<(MemberId, u64)>,
}

impl Severed {
    /// Who goes now, if anybody: whoever misses most, of equals the one with the higher id, and never the leader, whom
    /// its followers reach. One after the other; and more than half of those who took part stay, whatever is reported.
    pub(super) fn next(
        &mut self,
        plan: &Plan,
        reports: &Reports,
        me: MemberId,
        now: BootTime,
    ) -> Option<(MemberId, u64)> {
        let process = |id| plan.member(id).map(|it| (it.status, it.info.incarnation));
        let takes_part = |status| matches!(status, Status::Up | Status::Draining);
        self.parted.retain(|(id, incarnation)| process(*id).is_some_and(|it| it.1 == *incarnation));
        let goes = |(id, _): &(MemberId, u64)| process(*id).is_some_and(|it| takes_part(it.0));
        if self.parted.iter().any(goes) {
            return None;
        }
        let missed = missed(plan, reports, now);
        let others = missed.iter().filter(|(id, _)| **id != me);
        let (id, missed) = others.max_by_key(|(id, missed)| (missed.len(), **id))?;
        let here = plan.members().filter(|member| takes_part(member.status)).count();
        if (here - 1) * 2 <= here + self.parted.len() {
            return None;
        }
        let (_, incarnation) = process(*id)?;
        tracing::warn!(member = %id, peer = ?missed, "is parted from the others: it does not reach them, nor they it");
        self.parted.insert((*id, incarnation));
        Some((*id, incarnation))
    }
}

/// Whom each member does not reach, or is not reached by. Which of two said so does not matter.
fn missed(plan: &Plan, reports: &Reports, now: BootTime) -> BTreeMap<MemberId, BTreeSet<MemberId>> {
    let takes_part = |id| {
        let status = plan.member(id).map(|member| member.status);
        matches!(status, Some(Status::Up | Status::Draining))
    };
    let mut missed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let present = reports.present(plan, now);
    for (member, report) in present.filter(|(_, report)| report.has_missed_for(PATIENCE, now)) {
        let me = member.info.id;
        for other in
            report.vitals.unreached.iter().copied().filter(|it| takes_part(*it) && *it != me)
        {
            missed.entry(me).or_default().insert(other);
            missed.entry(other).or_default().insert(me);
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::super::tests::Town;
    use super::*;
    use crate::lease::vitals::Vitals;
    use crate::plan::{Entry, heirs};

    const LEADER: u64 = 1;

    /// Every member says whom it does not reach, for as long as a leader wants to hear it.
    fn says(town: &mut Town, ways: &[(u64, u64)]) {
        says_once(town, ways);
        for _ in 0..PATIENCE.as_secs() {
            town.now = town.now + Duration::from_secs(1);
            says_once(town, ways);
        }
    }

    fn says_once(town: &mut Town, ways: &[(u64, u64)]) {
        for id in 1..=7 {
            let unreached = ways.iter().filter(|(from, _)| *from == id);
            let unreached = unreached.map(|(_, to)| MemberId(*to)).collect();
            town.says(id, Vitals { unreached, ..Vitals::default() });
        }
    }

    fn goes(town: &mut Town) -> Option<u64> {
        let now = town.now;
        let goes = town.coordinator.part(&town.plan, MemberId(LEADER), now);
        goes.map(|(id, incarnation)| {
            assert_eq!(incarnation, 1);
            id.0
        })
    }

    #[test]
    fn of_two_that_do_not_reach_each_other_one_goes() {
        type Case = (&'static str, u64, &'static [(u64, u64)], Option<u64>);
        let cases: [Case; 9] = [
            ("all reach all", 3, &[], None),
            ("both say so", 3, &[(2, 3), (3, 2)], Some(3)),
            ("one says so", 3, &[(2, 3)], Some(3)),
            ("the other one says so", 3, &[(3, 2)], Some(3)),
            ("who misses more", 4, &[(2, 3), (2, 4)], Some(2)),
            ("who is missed by more", 4, &[(3, 2), (4, 2)], Some(2)),
            ("not the leader", 3, &[(3, 1), (2, 1), (1, 2)], Some(3)),
            ("there are only two", 2, &[(2, 1), (1, 2)], None),
            ("who is missed takes no part", 3, &[(2, 9)], None),
        ];
        for (what, members, ways, expected) in cases {
            let mut town = Town::of(members);
            says(&mut town, ways);
            assert_eq!(goes(&mut town), expected, "{what}");
        }
    }

    #[test]
    fn one_goes_after_the_other_and_more_than_half_stay() {
        let mut town = Town::of(5);
        // Two halves, of which each reaches the leader.
        let ways = [(2, 4), (2, 5), (3, 4), (3, 5), (4, 2), (4, 3), (5, 2), (5, 3)];
        let mut gone = Vec::new();
        for _ in 0..10 {
            says(&mut town, &ways);
            let Some(next) = goes(&mut town) else { break };
            says(&mut town, &ways);
            assert_eq!(goes(&mut town), None, "it has not gone yet");
            let member = MemberId(next);
            let heirs = heirs(&town.plan, member).unwrap();
            town.apply(Entry::Expel { member, incarnation: 1, heirs });
            gone.push(next);
        }
        assert_eq!(gone, [5, 4], "all that are left reach each other");
        says(&mut town, &[(2, 3)]);
        assert_eq!(goes(&mut town), None, "two of five would be left");
        // One is back, as another process, and reaches all.
        let info = crate::plan::MemberInfo {
            incarnation: 2,
            ..town.plan.member(MemberId(4)).unwrap().info.clone()
        };
        town.apply(Entry::Join(info.clone()));
        town.apply(Entry::Up(info));
        says(&mut town, &[(2, 3)]);
        assert_eq!(goes(&mut town), Some(3));
    }

    #[test]
    fn what_is_said_of_the_time_before_parts_nobody() {
        let mut town = Town::of(3);
        // These two stood still, and are found missing before they are asked again.
        says_once(&mut town, &[(1, 2), (1, 3)]);
        assert_eq!(goes(&mut town), None);
        town.now = town.now + PATIENCE;
        says_once(&mut town, &[(1, 2), (1, 3)]);
        assert_eq!(goes(&mut town), None, "nothing was heard in between");
        says(&mut town, &[]);
        says_once(&mut town, &[(2, 3)]);
        assert_eq!(goes(&mut town), None, "it begins anew");
        says(&mut town, &[(2, 3)]);
        assert_eq!(goes(&mut town), Some(3));
    }

    #[test]
    fn what_was_said_long_ago_counts_no_more() {
        let mut town = Town::of(3);
        says(&mut town, &[(2, 3)]);
        town.now = town.now + Duration::from_secs(2);
        assert_eq!(goes(&mut town), None);
    }
}

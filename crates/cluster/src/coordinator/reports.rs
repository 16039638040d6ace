//! Owns what a leader has heard of how members are.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::MemberId;

use crate::clock::BootTime;
use crate::lease::Heartbeat;
use crate::lease::vitals::Vitals;
use crate::plan::{Member, Plan, Status};

/// What was heard longer ago says nothing.
const STALE: Duration = Duration::from_secs(2);

/// The last word of each member.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    by_member: BTreeMap<MemberId, Report>,
}

/// What one member has said of itself.
#[derive(Debug)]
pub(super) struct Report {
    incarnation: u64,
    heard: BootTime,
    pub(super) vitals: Vitals,
    pub(super) slow: bool,
    /// Since when it has been slow, or well, without a break.
    pub(super) since: BootTime,
    /// Since when it has said without a break that it does not reach somebody.
    misses_since: Option<BootTime>,
}

impl Reports {
    /// Takes what a heartbeat says.
    pub(crate) fn note(&mut self, heartbeat: &Heartbeat, plan: &Plan, now: BootTime) {
        let vitals = heartbeat.vitals.clone();
        let lease = plan.member(heartbeat.member).map_or(Duration::ZERO, |it| it.info.lease);
        let slow = vitals.is_slow(lease);
        let incarnation = heartbeat.incarnation;
        let goes_on = |known: &&Report| known.incarnation == incarnation && known.is_fresh(now);
        let known = self.by_member.get(&heartbeat.member).filter(goes_on);
        let since = known.filter(|known| known.slow == slow).map_or(now, |known| known.since);
        let misses_since = (!vitals.unreached.is_empty())
            .then(|| known.and_then(|known| known.misses_since).unwrap_or(now));
        let report = Report { incarnation, heard: now, vitals, slow, since, misses_since };
        self.by_member.insert(heartbeat.member, report);
    }

    /// Who takes part and was heard lately.
    pub(super) fn present<'a>(
        &'a self,
        plan: &'a Plan,
        now: BootTime,
    ) -> impl Iterator<Item = (&'a Member, &'a Report)> {
        let takes_part = |member: &Member| matches!(member.status, Status::Up | Status::Draining);
        let members = plan.members().filter(move |member| takes_part(member));
        members.filter_map(move |member| {
            let report = self.by_member.get(&member.info.id)?;
            let is_it = report.incarnation == member.info.incarnation && report.is_fresh(now);
            is_it.then_some((member, report))
        })
    }
}

impl Report {
    /// Whether it has not reached somebody for so long.
    pub(super) fn has_missed_for(&self, patience: Duration, now: BootTime) -> bool {
        self.misses_since.is_some_and(|since| now.since(since) >= patience)
    }

    fn is_fresh(&self, now: BootTime) -> bool {
        now.since(self.heard) < STALE
    }
}

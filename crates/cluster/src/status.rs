//! Owns what an operator sees of the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::MemberId;
use serde::{Deserialize, Serialize};

use crate::control::skew;
use crate::control::staying::StayingRow;
use crate::plan::{Phase, Plan, Status as MemberStatus};
use crate::raft::group::Standing;

/// The cluster as this member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Which cluster.
    pub cluster: String,
    /// This member.
    pub member: String,
    /// How often the cluster was begun or recovered by force.
    pub generation: u32,
    /// The behaviour that all members have agreed on.
    pub feature_level: u32,
    /// Whether this member may act now.
    pub lease: bool,
    /// The member that leads, if one does.
    pub leader: Option<String>,
    /// The term of Raft.
    pub term: u64,
    /// The index of the last entry that is committed.
    pub commit: u64,
    /// The index of the last entry in this member's plan.
    pub applied: u64,
    /// The index of the last entry in this member's log.
    pub last: u64,
    /// All members.
    pub members: Vec<MemberRow>,
    /// Shards that are on the move.
    pub moving: usize,
    /// Shards of this member that do not move though they are to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staying: Vec<StayingRow>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its id in 16 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where others reach it; empty for a member alone.
    pub addr: String,
    /// Its failure zone.
    pub zone: String,
    /// What the cluster says of it.
    pub status: MemberStatus,
    /// Counts its starts.
    pub incarnation: u64,
    /// Its share.
    pub weight: u32,
    /// Its part in Raft: `leader`, `voter`, `learner`, or `observer`.
    pub part: String,
    /// How many shards it owns.
    pub shards: usize,
    /// How many shards it is standby of.
    pub standby_shards: usize,
    /// In what its configuration differs from this member's, where all must be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// By how many milliseconds its wall clock is ahead of this member's, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_millis: Option<i64>,
}

impl MemberRow {
    /// By how much its wall clock is ahead of this member's, or behind, in words; none where they agree.
    pub fn wrong_clock(&self) -> Option<String> {
        let wrong = |ahead: &i64| Duration::from_millis(ahead.unsigned_abs()) > skew::LIMIT;
        self.clock_ahead_millis.filter(wrong).map(skew::words)
    }
}

impl Status {
    pub(crate) fn of(plan: &Plan, standing: &Standing, me: MemberId, lease: bool) -> Self {
        Self {
            cluster: plan.cluster().to_string(),
            member: me.to_string(),
            generation: plan.generation(),
            feature_level: plan.feature_level(),
            lease,
            leader: standing.leader.map(|id| id.to_string()),
            term: standing.term,
            commit: standing.commit,
            applied: plan.index(),
            last: standing.last,
            members: member_rows(plan, standing),
            moving: moving(plan),
            staying: Vec::new(),
        }
    }
}

fn member_rows(plan: &Plan, standing: &Standing) -> Vec<MemberRow> {
    let (mut owned, mut standby) = (BTreeMap::new(), BTreeMap::new());
    for (_, held) in plan.ownerships() {
        *owned.entry(held.owner).or_insert(0) += 1;
        if let Some(id) = held.standby {
            *standby.entry(id).or_insert(0) += 1;
        }
    }
    let row = |member: &crate::plan::Member| MemberRow {
        id: member.info.id.to_string(),
        name: member.info.name.clone(),
        addr: member.info.addr.clone(),
        zone: member.info.zone.clone(),
        status: member.status,
        incarnation: member.info.incarnation,
        weight: member.info.weight,
        part: part(standing, member.info.id).to_owned(),
        shards: owned.get(&member.info.id).copied().unwrap_or(0),
        standby_shards: standby.get(&member.info.id).copied().unwrap_or(0),
        differs: None,
        clock_ahead_millis: None,
    };
    plan.members().map(row).collect()
}

fn part(standing: &Standing, id: MemberId) -> &'static str {
    match id {
        id if standing.leader == Some(id) => "leader",
        id if standing.voters.contains(&id) => "voter",
        id if standing.learners.contains(&id) => "learner",
        _ => "observer",
    }
}

fn moving(plan: &Plan) -> usize {
    let moving = |phase| matches!(phase, Phase::Moving { .. });
    plan.ownerships().filter(|(_, held)| moving(held.phase)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashKey;

    #[test]
    fn a_clock_that_is_off_by_more_than_three_seconds_is_shown() {
        let plan = Plan::single(MemberId(1), HashKey::new([0; 16]));
        let mut row = member_rows(&plan, &Standing::default()).remove(0);
        let mut shown = |ahead| {
            row.clock_ahead_millis = ahead;
            row.wrong_clock()
        };
        assert_eq!(shown(None), None);
        assert_eq!(shown(Some(-3_000)), None);
        assert_eq!(shown(Some(3_600_000)).as_deref(), Some("3600.0s ahead of"));
        assert_eq!(shown(Some(-3_600_000)).as_deref(), Some("3600.0s behind"));
    }
}

//! Owns which shards move: away from members that are to go, and to members that have less than their share.

use std::collections::BTreeMap;

use proto::MemberId;
use xmpp::Shard;

use crate::plan::{Assignment, Entry, Member, Phase, Plan, Status};

/// The most moves that are under way at a time from one member, and to one member.
pub(super) const IN_FLIGHT: usize = 32;

/// So many more than its share a member may keep.
const SLACK: usize = 1;

/// What to move next, if anything.
pub(super) fn next(plan: &Plan, resting: impl Fn(Shard) -> bool) -> Option<Entry> {
    let mut loads = Loads::of(plan)?;
    let mut moves = Vec::new();
    for (shard, held) in plan.ownerships() {
        let still = held.phase == Phase::Active && !resting(shard);
        if !still || !loads.is_too_much(held.owner) {
            continue;
        }
        // A member that is its standby already has most of it.
        let preferred = held.standby.filter(|standby| loads.wants(*standby));
        let Some(member) = preferred.or_else(|| loads.neediest(held.owner)) else { continue };
        loads.give(held.owner, member);
        moves.push(Assignment { shard, member });
    }
    (!moves.is_empty()).then_some(Entry::Prepare(moves))
}

struct Loads {
    by_member: BTreeMap<MemberId, Load>,
}

#[derive(Default)]
struct Load {
    /// How many it has, those under way counted where they go.
    has: usize,
    /// How many it should have; none for whoever is to go.
    share: usize,
    /// Moves under way from it, and to it.
    leaving: usize,
    coming: usize,
}

impl Loads {
    /// None where nobody takes shards.
    fn of(plan: &Plan) -> Option<Self> {
        let takers: Vec<&Member> = plan.members().filter(|member| member.takes_shards()).collect();
        let weights: u64 = takers.iter().map(|member| u64::from(member.info.weight)).sum();
        let count = u64::from(Shard::COUNT);
        let share = |member: &Member| match member.takes_shards() {
            true => usize::try_from(count * u64::from(member.info.weight) / weights.max(1)),
            false => Ok(0),
        };
        let present = plan.members().filter(|member| member.status != Status::Expelled);
        let load = |member: &Member| Load { share: share(member).unwrap_or(0), ..Load::default() };
        let by_member = present.map(|member| (member.info.id, load(member))).collect();
        let mut loads = Self { by_member };
        for (_, held) in plan.ownerships() {
            match held.phase {
                Phase::Active => loads.load(held.owner).has += 1,
                Phase::Moving { to, .. } => {
                    loads.load(held.owner).has += 1;
                    loads.give(held.owner, to);
                }
            }
        }
        (!takers.is_empty()).then_some(loads)
    }

    fn load(&mut self, member: MemberId) -> &mut Load {
        self.by_member.entry(member).or_default()
    }

    fn give(&mut self, from: MemberId, to: MemberId) {
        let load = self.load(from);
        load.has = load.has.saturating_sub(1);
        load.leaving += 1;
        let load = self.load(to);
        load.has += 1;
        load.coming += 1;
    }

    fn is_too_much(&self, member: MemberId) -> bool {
        self.by_member.get(&member).is_some_and(|load| {
            let slack = if load.share == 0 { 0 } else { SLACK };
            load.leaving < IN_FLIGHT && load.has > load.share + slack
        })
    }

    fn wants(&self, member: MemberId) -> bool {
        self.by_member
            .get(&member)
            .is_some_and(|load| load.coming < IN_FLIGHT && load.has < load.share)
    }

    /// Whoever has least for its share; from a member that is to go, also whoever has its share.
    fn neediest(&self, from: MemberId) -> Option<MemberId> {
        let goes = self.by_member.get(&from).is_some_and(|load| load.share == 0);
        let takes = |(id, load): &(&MemberId, &Load)| {
            **id != from
                && load.share > 0
                && load.coming < IN_FLIGHT
                && (goes || load.has < load.share)
        };
        let least = |(_, load): &(&MemberId, &Load)| load.has * 1024 / load.share.max(1);
        self.by_member.iter().filter(takes).min_by_key(least).map(|(id, _)| *id)
    }
}

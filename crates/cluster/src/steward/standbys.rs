//! Owns where second copies are kept: on another host, in another zone where there is one, and spread so
//! that whatever one owner leaves behind is taken over by all others together.

use std::collections::BTreeMap;

use proto::MemberId;
use xmpp::Shard;

use crate::plan::{Entry, Member, Plan};

/// The most standbys that one entry names.
const BATCH: usize = 2048;

/// A standby is taken from whoever has so many more than another.
const SLACK: u32 = 64;

/// What to change, if anything.
pub(super) fn next(plan: &Plan) -> Option<Entry> {
    let members: Vec<&Member> = plan.members().filter(|member| member.takes_shards()).collect();
    if is_well(plan, &members) {
        return None;
    }
    let mut counts = Counts::of(plan, &members);
    let mut changes = missing(plan, &members, &mut counts);
    if changes.is_empty() {
        changes = surplus(plan, &members, &mut counts);
    }
    (!changes.is_empty()).then_some(Entry::SetStandby(changes))
}

/// Whether every shard has a standby that can be one, and no member has many more than another. It is asked
/// with every change of the plan, and so is cheap.
fn is_well(plan: &Plan, members: &[&Member]) -> bool {
    let mut counts = vec![0_u32; members.len()];
    let place = |id| members.iter().position(|member| member.info.id == id);
    for (_, held) in plan.ownerships() {
        match held.standby.map(place) {
            Some(Some(at)) => counts.iter_mut().skip(at).take(1).for_each(|count| *count += 1),
            Some(None) => return false,
            // Alone, an owner can have none.
            None if members.iter().any(|member| member.info.id != held.owner) => return false,
            None => {}
        }
    }
    let ends = counts.iter().max().zip(counts.iter().min());
    ends.is_none_or(|(most, least)| most - least <= SLACK)
}

/// How many standbys each member has, and how many of each owner's.
struct Counts {
    all: BTreeMap<MemberId, u32>,
    pairs: BTreeMap<(MemberId, MemberId), u32>,
}

impl Counts {
    fn of(plan: &Plan, members: &[&Member]) -> Self {
        let all = members.iter().map(|member| (member.info.id, 0)).collect();
        let mut counts = Self { all, pairs: BTreeMap::new() };
        for (_, held) in plan.ownerships() {
            held.standby.into_iter().for_each(|standby| counts.add(held.owner, standby));
        }
        counts
    }

    fn add(&mut self, owner: MemberId, standby: MemberId) {
        *self.all.entry(standby).or_insert(0) += 1;
        *self.pairs.entry((owner, standby)).or_insert(0) += 1;
    }

    fn remove(&mut self, owner: MemberId, standby: MemberId) {
        self.all.entry(standby).and_modify(|count| *count = count.saturating_sub(1));
        self.pairs.entry((owner, standby)).and_modify(|count| *count = count.saturating_sub(1));
    }

    /// The best member to keep a second copy of what this owner has.
    fn best(&self, owner: &Member, members: &[&Member]) -> Option<MemberId> {
        let others = members.iter().filter(|member| member.info.id != owner.info.id);
        let best = others.min_by_key(|member| {
            let id = member.info.id;
            let pair = self.pairs.get(&(owner.info.id, id)).copied().unwrap_or(0);
            (closeness(owner, member), pair, self.all.get(&id).copied().unwrap_or(0), id)
        });
        best.map(|member| member.info.id)
    }
}

/// How much two members die together: 0 for different zones and hosts.
fn closeness(one: &Member, other: &Member) -> u8 {
    let same_host = one.info.host() == other.info.host();
    let same_zone = !one.info.zone.is_empty() && one.info.zone == other.info.zone;
    u8::from(same_zone) + 2 * u8::from(same_host)
}

/// A standby for each shard that has none that can be one.
fn missing(
    plan: &Plan,
    members: &[&Member],
    counts: &mut Counts,
) -> Vec<(Shard, Option<MemberId>)> {
    let mut changes = Vec::new();
    for (shard, held) in plan.ownerships() {
        let able = |id: &MemberId| members.iter().any(|member| member.info.id == *id);
        let Some(owner) = plan.member(held.owner) else { continue };
        if held.standby.as_ref().is_some_and(able) || changes.len() == BATCH {
            continue;
        }
        let standby = counts.best(owner, members);
        if standby == held.standby {
            continue;
        }
        held.standby.into_iter().for_each(|before| counts.remove(held.owner, before));
        standby.into_iter().for_each(|standby| counts.add(held.owner, standby));
        changes.push((shard, standby));
    }
    changes
}

/// Takes standbys from whoever has many for whoever has few, such as a newcomer.
fn surplus(
    plan: &Plan,
    members: &[&Member],
    counts: &mut Counts,
) -> Vec<(Shard, Option<MemberId>)> {
    let mut changes = Vec::new();
    for (shard, held) in plan.ownerships() {
        let Some((standby, owner)) = held.standby.zip(plan.member(held.owner)) else { continue };
        let Some(best) = counts.best(owner, members) else { continue };
        let count = |id| counts.all.get(&id).copied().unwrap_or(0);
        let pair = |id| counts.pairs.get(&(held.owner, id)).copied().unwrap_or(0);
        let better = count(standby) > count(best) + SLACK && pair(standby) > pair(best);
        if best != standby && better && changes.len() < BATCH {
            counts.remove(held.owner, standby);
            counts.add(held.owner, best);
            changes.push((shard, Some(best)));
        }
    }
    changes
}

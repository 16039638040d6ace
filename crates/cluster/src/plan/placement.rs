//! Owns which member a shard without owner is given to. Deterministic: the same plan gives the same answer
//! everywhere.

use proto::MemberId;
use xmpp::Shard;

use super::entry::Assignment;
use super::member::Member;
use super::{Phase, Plan};

/// How many shards each member has, and how many it should.
pub(super) struct Loads {
    /// Ordered by id; no weight is 0.
    shares: Vec<Share>,
}

struct Share {
    member: MemberId,
    weight: u64,
    load: u64,
}

impl Loads {
    /// Members with their weights and nothing yet. Where all weights are 0, all count the same.
    pub(super) fn new(members: impl Iterator<Item = (MemberId, u32)>) -> Self {
        let mut shares: Vec<_> = members
            .map(|(member, weight)| Share { member, weight: u64::from(weight), load: 0 })
            .collect();
        if shares.iter().all(|share| share.weight == 0) {
            shares.iter_mut().for_each(|share| share.weight = 1);
        }
        shares.retain(|share| share.weight > 0);
        shares.sort_by_key(|share| share.member);
        Self { shares }
    }

    /// Counts a shard that a member has.
    pub(super) fn count(&mut self, member: MemberId) {
        if let Some(share) = self.shares.iter_mut().find(|s| s.member == member) {
            share.load += 1;
        }
    }

    /// Gives one more shard to the member that has least for its weight; the lowest id among equals.
    /// None where there are no members.
    pub(super) fn give(&mut self) -> Option<MemberId> {
        let share = self.shares.iter_mut().min_by(|a, b| {
            // (a.load + 1) / a.weight against the same of b, without fractions.
            ((a.load + 1) * b.weight).cmp(&((b.load + 1) * a.weight))
        })?;
        share.load += 1;
        Some(share.member)
    }
}

/// The heirs of `gone`: one for each shard that it owns. A shard goes to the member that it was moving to,
/// else to its standby, else to whoever has least for its weight. None where nobody may own shards.
pub fn heirs(plan: &Plan, gone: MemberId) -> Option<Vec<Assignment>> {
    let others = || plan.members().filter(|member| member.info.id != gone);
    let takes = others().filter(|member| member.takes_shards());
    let mut loads = Loads::new(takes.map(id_and_weight));
    if loads.shares.is_empty() {
        loads = Loads::new(others().filter(|member| member.can_own()).map(id_and_weight));
    }
    for (_, held) in plan.ownerships() {
        loads.count(held.owner);
    }
    let usable = |id: &MemberId| *id != gone && plan.member(*id).is_some_and(Member::takes_shards);
    let mut heirs = Vec::new();
    for (shard, held) in plan.ownerships().filter(|(_, held)| held.owner == gone) {
        let target = match held.phase {
            Phase::Moving { to, .. } => Some(to),
            Phase::Active => None,
        };
        let preferred = target.filter(usable).or_else(|| held.standby.filter(usable));
        let member = match preferred {
            Some(member) => {
                loads.count(member);
                member
            }
            None => loads.give()?,
        };
        heirs.push(Assignment { shard, member });
    }
    Some(heirs)
}

/// An owner for each shard of a new cluster, in order of the shards. None where there are no members.
pub(super) fn spread(members: impl Iterator<Item = (MemberId, u32)>) -> Option<Vec<MemberId>> {
    let mut loads = Loads::new(members);
    Shard::all().map(|_| loads.give()).collect()
}

fn id_and_weight(member: &Member) -> (MemberId, u32) {
    (member.info.id, member.info.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(weights: &[(u64, u32)]) -> Vec<usize> {
        let members = weights.iter().map(|&(id, weight)| (MemberId(id), weight));
        let owners = spread(members).unwrap();
        let count = |id| owners.iter().filter(|owner| **owner == MemberId(id)).count();
        weights.iter().map(|&(id, _)| count(id)).collect()
    }

    #[test]
    fn shards_spread_by_weight() {
        assert_eq!(counts(&[(1, 100)]), [4096]);
        assert_eq!(counts(&[(3, 7), (1, 7)]), [2048, 2048]);
        assert_eq!(counts(&[(1, 100), (2, 100), (3, 100)]), [1366, 1365, 1365]);
        assert_eq!(counts(&[(1, 300), (2, 100), (3, 0)]), [3072, 1024, 0]);
        assert_eq!(counts(&[(1, 0), (2, 0)]), [2048, 2048]);
        assert_eq!(spread(std::iter::empty()), None);
    }

    #[test]
    fn two_hundred_members_differ_by_one_shard() {
        let members: Vec<_> = (1..=200).map(|id| (id, 100)).collect();
        let counts = counts(&members);
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert_eq!((*least, *most), (20, 21));
    }

    #[test]
    fn the_order_in_which_members_are_named_does_not_matter() {
        let one = spread([(MemberId(1), 5), (MemberId(2), 9)].into_iter());
        let other = spread([(MemberId(2), 9), (MemberId(1), 5)].into_iter());
        assert_eq!(one, other);
    }
}

//! Owns where second copies are kept: on another host, in another zone where there is one, and spread so
//! that whatever one owner leaves behind is taken over by all others together.

use proto::MemberId;
use xmpp::Shard;

use crate::plan::{Entry, Member, Ownership, Plan};

/// The most standbys that one entry names.
const BATCH: usize = 2048;

/// A standby is taken from whoever has so many more than another.
const SLACK: u32 = 64;

/// What to change, if anything.
pub(super) fn next(plan: &Plan) -> Option<Entry> {
    let mut counts = Counts::of(plan);
    if counts.is_well(plan) {
        return None;
    }
    let mut changes = missing(plan, &mut counts);
    if changes.is_empty() {
        changes = surplus(plan, &mut counts);
    }
    (!changes.is_empty()).then_some(Entry::SetStandby(changes))
}

/// How many standbys each member has, and how many of each owner's. It is made with every change of the plan, and so of
/// tables: members are places in them, in the order of their ids.
struct Counts {
    ids: Vec<MemberId>,
    /// Who can be a standby.
    able: Vec<bool>,
    all: Vec<u32>,
    /// A row for each owner: how many standbys of its each one has, and how much both die together.
    pairs: Vec<u32>,
    closeness: Vec<u8>,
}

impl Counts {
    fn of(plan: &Plan) -> Self {
        let members: Vec<&Member> = plan.members().collect();
        let both = members.iter().flat_map(|one| members.iter().map(|other| closeness(one, other)));
        let mut counts = Self {
            ids: members.iter().map(|member| member.info.id).collect(),
            able: members.iter().map(|member| member.takes_shards()).collect(),
            all: vec![0; members.len()],
            pairs: vec![0; members.len() * members.len()],
            closeness: both.collect(),
        };
        for (_, held) in plan.ownerships() {
            let standby = held.standby.and_then(|standby| counts.place(standby));
            if let Some((owner, standby)) = counts.place(held.owner).zip(standby) {
                counts.add(owner, standby);
            }
        }
        counts
    }

    fn place(&self, id: MemberId) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    /// The place of a shard's standby, if it can be one.
    fn standby(&self, held: &Ownership) -> Option<usize> {
        let place = held.standby.and_then(|standby| self.place(standby));
        place.filter(|place| self.able[*place])
    }

    /// Whether every shard has a standby that can be one, and no member has many more than another.
    fn is_well(&self, plan: &Plan) -> bool {
        let able = || self.ids.iter().zip(&self.able).filter(|(_, able)| **able);
        // Alone, an owner can have none.
        let alone = |owner: MemberId| !able().any(|(id, _)| *id != owner);
        let has_one = |held: &Ownership| match held.standby {
            Some(_) => self.standby(held).is_some(),
            None => alone(held.owner),
        };
        let counts = || self.all.iter().zip(&self.able).filter(|(_, able)| **able);
        let ends =
            counts().map(|(count, _)| count).max().zip(counts().map(|(count, _)| count).min());
        ends.is_none_or(|(most, least)| most - least <= SLACK)
            && plan.ownerships().all(|(_, held)| has_one(held))
    }

    fn pair(&self, owner: usize, standby: usize) -> usize {
        owner * self.ids.len() + standby
    }

    fn add(&mut self, owner: usize, standby: usize) {
        let pair = self.pair(owner, standby);
        self.all[standby] += 1;
        self.pairs[pair] += 1;
    }

    fn remove(&mut self, owner: usize, standby: usize) {
        let pair = self.pair(owner, standby);
        self.all[standby] = self.all[standby].saturating_sub(1);
        self.pairs[pair] = self.pairs[pair].saturating_sub(1);
    }

    /// The best member to keep a second copy of what this owner has.
    fn best(&self, owner: usize) -> Option<usize> {
        let others = (0..self.ids.len()).filter(|place| *place != owner && self.able[*place]);
        others.min_by_key(|place| {
            let pair = self.pair(owner, *place);
            (self.closeness[pair], self.pairs[pair], self.all[*place], *place)
        })
    }
}

/// How much two members die together: 0 for different zones and hosts.
fn closeness(one: &Member, other: &Member) -> u8 {
    let same_host = one.info.host() == other.info.host();
    let same_zone = !one.info.zone.is_empty() && one.info.zone == other.info.zone;
    u8::from(same_zone) + 2 * u8::from(same_host)
}

/// A standby for each shard that has none that can be one.
fn missing(plan: &Plan, counts: &mut Counts) -> Vec<(Shard, Option<MemberId>)> {
    let mut changes = Vec::new();
    for (shard, held) in plan.ownerships() {
        if changes.len() == BATCH || counts.standby(held).is_some() {
            continue;
        }
        let Some(owner) = counts.place(held.owner) else { continue };
        let best = counts.best(owner);
        let standby = best.map(|place| counts.ids[place]);
        if standby == held.standby {
            continue;
        }
        let before = held.standby.and_then(|before| counts.place(before));
        before.into_iter().for_each(|before| counts.remove(owner, before));
        best.into_iter().for_each(|best| counts.add(owner, best));
        changes.push((shard, standby));
    }
    changes
}

/// Takes standbys from whoever has many for whoever has few, such as a newcomer.
fn surplus(plan: &Plan, counts: &mut Counts) -> Vec<(Shard, Option<MemberId>)> {
    let mut changes = Vec::new();
    for (shard, held) in plan.ownerships() {
        let standby = held.standby.and_then(|standby| counts.place(standby));
        let Some((standby, owner)) = standby.zip(counts.place(held.owner)) else { continue };
        let Some(best) = counts.best(owner) else { continue };
        let pair = |place| counts.pairs[counts.pair(owner, place)];
        let better = counts.all[standby] > counts.all[best] + SLACK && pair(standby) > pair(best);
        if best != standby && better && changes.len() < BATCH {
            counts.remove(owner, standby);
            counts.add(owner, best);
            changes.push((shard, Some(counts.ids[best])));
        }
    }
    changes
}

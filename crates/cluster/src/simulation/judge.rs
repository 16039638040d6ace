//! Owns what must hold: at no moment do two members act for one shard; all replay one history, in which epochs only
//! rise; and when faults have ended, everybody is in and at rest.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hasher as _};

use xmpp::{Epoch, Shard};

use super::member::Member;
use crate::plan::{Ownership, Phase, Plan, Status};

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    #[error("members {one} and {other} both act for shard {} at {at} ns", .shard.number())]
    TwoAct { one: usize, other: usize, shard: Shard, at: u64 },
    #[error("two members have different plans at entry {index}")]
    TwoHistories { index: u64 },
    #[error("the epoch of shard {} does not rise up to entry {index}", .shard.number())]
    EpochFell { shard: Shard, index: u64 },
    #[error("faults have ended, and {0}")]
    Unrested(String),
    #[error("the log grew by {entries} entries while nothing happened")]
    Restless { entries: u64 },
}

/// What it has seen.
#[derive(Default)]
pub(super) struct Judge {
    /// Each index of the log that somebody's plan stood at, and what all was then, as a hash.
    history: BTreeMap<u64, u64>,
    newest: Plan,
    /// Where each member's plan stood when it was looked at last.
    noted: HashMap<usize, u64>,
    /// Whether two members, each with the plan of an index, would act for one shard.
    clashes: HashMap<(usize, u64, usize, u64), Option<Shard>>,
    rested_at: Option<u64>,
}

impl Judge {
    /// Judges the present moment, in which something of one member may have changed.
    pub(super) fn look(
        &mut self,
        members: &[Member],
        still: &[u64],
        changed: usize,
        now: u64,
    ) -> Result<(), Violation> {
        self.note(changed, &members[changed])?;
        let acts = |at: usize| still[at] <= now && members[at].acts(now);
        if !acts(changed) {
            return Ok(());
        }
        for other in (0..members.len()).filter(|other| *other != changed && acts(*other)) {
            if let Some(shard) = self.clash(members, changed, other) {
                return Err(Violation::TwoAct { one: changed, other, shard, at: now });
            }
        }
        Ok(())
    }

    /// A member's plan is part of the one history.
    fn note(&mut self, at: usize, member: &Member) -> Result<(), Violation> {
        let Some(plan) = member.process.as_ref().map(|process| process.plan()) else {
            return Ok(());
        };
        let index = plan.index();
        if self.noted.insert(at, index) == Some(index) {
            return Ok(());
        }
        let hash = hash(plan);
        if let Some(seen) = self.history.get(&index) {
            return if *seen == hash { Ok(()) } else { Err(Violation::TwoHistories { index }) };
        }
        if index > self.newest.index() {
            rises(&self.newest, plan)?;
            self.newest = plan.clone();
        }
        self.history.insert(index, hash);
        Ok(())
    }

    fn clash(&mut self, members: &[Member], one: usize, other: usize) -> Option<Shard> {
        let plan = |at: usize| members[at].process.as_ref().map(|process| process.plan());
        let (ours, theirs) = (plan(one)?, plan(other)?);
        if ours.index() == theirs.index() {
            return None;
        }
        let key = (one, ours.index(), other, theirs.index());
        *self.clashes.entry(key).or_insert_with(|| {
            // What is to move is let go of as soon as the plan says so.
            let own = |at: usize, held: &Ownership| {
                held.owner == members[at].id && held.phase == Phase::Active
            };
            let mut both = ours.ownerships().zip(theirs.ownerships());
            both.find(|((_, a), (_, b))| own(one, a) && own(other, b)).map(|((shard, _), _)| shard)
        })
    }

    /// Remembers how long the log was when nothing was left to do.
    pub(super) fn rested(&mut self, members: &[Member]) -> Result<(), Violation> {
        if self.rested_at.is_some() {
            return Ok(());
        }
        let plans: Vec<&Plan> =
            members.iter().filter_map(|it| Some(it.process.as_ref()?.plan())).collect();
        let Some(first) = plans.first().filter(|_| plans.len() == members.len()) else {
            return Err(Violation::Unrested("somebody does not run".to_owned()));
        };
        if plans.iter().any(|plan| plan.index() != first.index()) {
            let indexes: Vec<u64> = plans.iter().map(|plan| plan.index()).collect();
            return Err(Violation::Unrested(format!("plans stand at {indexes:?}")));
        }
        if let Some(out) = first.members().find(|member| member.status != Status::Up) {
            return Err(Violation::Unrested(format!("{} is {:?}", out.info.name, out.status)));
        }
        if first.ownerships().any(|(_, held)| held.phase != Phase::Active) {
            return Err(Violation::Unrested("shards still move".to_owned()));
        }
        self.rested_at = Some(first.index());
        Ok(())
    }

    pub(super) fn end(&self, members: &[Member], now: u64) -> Result<(), Violation> {
        if let Some(idle) = members.iter().position(|member| !member.acts(now)) {
            return Err(Violation::Unrested(format!("member {idle} has no lease")));
        }
        let last = self.history.last_key_value().map_or(0, |(index, _)| *index);
        match last - self.rested_at.unwrap_or(last) {
            0 => Ok(()),
            entries => Err(Violation::Restless { entries }),
        }
    }
}

/// Who owns what since when, who is to get it, and who takes part.
fn hash(plan: &Plan) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (_, held) in plan.ownerships() {
        hasher.write_u64(held.owner.0);
        hasher.write_u64(held.epoch.0);
        hasher.write_u64(held.standby.map_or(0, |standby| standby.0));
        if let Phase::Moving { to, since } = held.phase {
            hasher.write_u64(to.0 ^ since << 8);
        }
    }
    for member in plan.members() {
        hasher.write_u64(member.info.id.0 ^ member.info.incarnation << 8);
        hasher.write_u8(member.status as u8);
    }
    hasher.finish()
}

/// Epochs of the later plan are at least the earlier one's, and higher where the owner is another.
fn rises(before: &Plan, after: &Plan) -> Result<(), Violation> {
    for ((shard, was), (_, is)) in before.ownerships().zip(after.ownerships()) {
        let least = if was.owner == is.owner { was.epoch } else { Epoch(was.epoch.0 + 1) };
        if is.epoch < least {
            return Err(Violation::EpochFell { shard, index: after.index() });
        }
    }
    Ok(())
}

//! Owns what must hold: at no moment do two members act for one shard; all replay one history, in which epochs only
//! rise; and when faults have ended, everybody is in and at rest.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

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
    #[error("faults have ended, and {after} ms later nobody acted for some shard")]
    Unserved { after: u64 },
    #[error(
        "members {one} and {other} both act, and have not reached each other for long, at {at} ns"
    )]
    BothGoOn { one: usize, other: usize, at: u64 },
    #[error("member {member} acts, whose arbiter hangs, at {at} ns")]
    HungActs { member: usize, at: u64 },
    #[error("only {left} members act at {at} ns")]
    TooFew { left: usize, at: u64 },
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
    /// Two of whom only one may act in a time.
    parts: Option<((usize, usize), Range<u64>)>,
    /// Who may not act in a time.
    stops: Option<(usize, Range<u64>)>,
    /// When somebody acted for each shard again, and of which plans and leases that was found.
    served_at: Option<u64>,
    served_by: Vec<Option<u64>>,
}

/// So long after the ways are cut one of two has stopped: three rounds of greetings, as long until a leader believes it, and
/// a lease.
const PARTED: u64 = 9_500 * MS;

/// So long after an arbiter stopped its member has.
const STOPPED: u64 = 6_500 * MS;

/// So long after faults have ended somebody acts for each shard, whatever they were: a leader is elected and hears from
/// its voters, waits for the leases that another may have granted, and grants again to whom it had given up.
const SERVED: u64 = 7_000 * MS;

const MS: u64 = 1_000_000;

impl Judge {
    /// Two members do not reach each other for this time: soon one of them acts no more, and all others do.
    pub(super) fn must_part(&mut self, both: (usize, usize), time: Range<u64>) {
        self.parts = Some((both, time.start + PARTED..time.end));
    }

    /// An arbiter of a member hangs for this time: soon the member acts no more, and all others do.
    pub(super) fn must_stop(&mut self, member: usize, time: Range<u64>) {
        self.stops = Some((member, time.start + STOPPED..time.end));
    }

    /// Who must have stopped has, and nobody else.
    fn judge_trouble(&self, members: &[Member], now: u64) -> Result<(), Violation> {
        let acts = |at: usize| members[at].acts(now);
        let parts = self.parts.as_ref().filter(|(_, time)| time.contains(&now));
        let stops = self.stops.as_ref().filter(|(_, time)| time.contains(&now));
        if let Some(&((one, other), _)) = parts.filter(|((a, b), _)| acts(*a) && acts(*b)) {
            return Err(Violation::BothGoOn { one, other, at: now });
        }
        if let Some(&(member, _)) = stops.filter(|(member, _)| acts(*member)) {
            return Err(Violation::HungActs { member, at: now });
        }
        let left = (0..members.len()).filter(|at| acts(*at)).count();
        match parts.is_some() || stops.is_some() {
            true if left + 1 < members.len() => Err(Violation::TooFew { left, at: now }),
            _ => Ok(()),
        }
    }

    /// Judges the present moment, in which something of one member may have changed.
    pub(super) fn look(
        &mut self,
        members: &[Member],
        still: &[u64],
        changed: usize,
        now: u64,
    ) -> Result<(), Violation> {
        self.note(changed, &members[changed])?;
        self.judge_trouble(members, now)?;
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

    /// Notes whether somebody acts for each shard, at this time after faults have ended.
    pub(super) fn note_service(&mut self, members: &[Member], now: u64, after: u64) {
        let plan = |member: &Member| Some(member.process.as_ref()?.plan().index());
        let by: Vec<_> = members.iter().map(|it| plan(it).filter(|_| it.acts(now))).collect();
        if self.served_by == by {
            return;
        }
        let mut served: Vec<_> = self.newest.ownerships().map(|_| false).collect();
        for member in members.iter().filter(|it| it.acts(now)) {
            let Some(process) = &member.process else { continue };
            for (is_served, (_, held)) in served.iter_mut().zip(process.plan().ownerships()) {
                *is_served |= held.owner == member.id;
            }
        }
        match served.iter().all(|is_served| *is_served) {
            true => drop(self.served_at.get_or_insert(after)),
            false => self.served_at = None,
        }
        self.served_by = by;
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

    /// How long after the faults somebody acted for each shard.
    pub(super) fn end(&self, members: &[Member], now: u64) -> Result<Duration, Violation> {
        if let Some(idle) = members.iter().position(|member| !member.acts(now)) {
            return Err(Violation::Unrested(format!("member {idle} has no lease")));
        }
        let last = self.history.last_key_value().map_or(0, |(index, _)| *index);
        let entries = last - self.rested_at.unwrap_or(last);
        if entries > 0 {
            return Err(Violation::Restless { entries });
        }
        match self.served_at.unwrap_or(u64::MAX) {
            after @ ..=SERVED => Ok(Duration::from_nanos(after)),
            after => Err(Violation::Unserved { after: after / MS }),
        }
    }
}

/// Who owns what since when, who is to get it, and who takes part.
fn hash(plan: &Plan) -> u64 {
    let mut hash = 0_u64;
    // Nobody chooses what goes in: a quick one is good enough.
    let mut add =
        |word: u64| hash = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for (_, held) in plan.ownerships() {
        add(held.owner.0);
        add(held.epoch.0);
        add(held.standby.map_or(0, |standby| standby.0));
        if let Phase::Moving { to, since } = held.phase {
            add(to.0 ^ since << 8);
        }
    }
    for member in plan.members() {
        add(member.info.id.0 ^ member.info.incarnation << 8);
        add(member.status as u64);
    }
    hash
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

//! Owns what a leader does to the plan on its own account: second copies are kept somewhere, newcomers get
//! their share, who is to go is emptied, and the right members vote. Pure: a plan and the time come in,
//! at most one change comes out.
//!
//! | module | owns |
//! |---|---|
//! | `standbys` | where second copies are kept |
//! | `moves` | which shards move |
//! | `reports` | what members say of how they are |
//! | `slow` | who is relieved |
//! | `severed` | which of two goes that do not reach each other |
//! | [`voters`] | who votes, who learns |

mod moves;
mod reports;
mod severed;
mod slow;
mod standbys;
#[cfg(test)]
mod tests;
pub(crate) mod voters;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::MemberId;
use xmpp::Shard;

use crate::clock::BootTime;
use crate::lease::Heartbeat;
use crate::plan::{Entry, MoveId, Phase, Plan};

/// What a leader knows of what it has begun.
#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    /// When each move that is under way was seen first.
    begun: BTreeMap<(Shard, u64), BootTime>,
    /// Moves whose owners cannot let go now, until the plan says that they are over: an entry is taken as a whole, and
    /// one that calls several off is refused where one of them has ended on its way into the log.
    stay: BTreeSet<MoveId>,
    /// Shards whose move was called off are left in peace until then.
    resting: BTreeMap<Shard, BootTime>,
    reports: reports::Reports,
    severed: severed::Severed,
    /// The index of the plan for which something was proposed, and when: what came of it is awaited.
    proposed: Option<(u64, BootTime)>,
    /// The index of the plan whose moves are in `begun`.
    watched: Option<u64>,
    /// The index of the plan in which every shard is where it is to be, and its second copy too. A leader asks with
    /// every tick, and to look through all shards takes long.
    in_order: Option<u64>,
}

/// A move whose owner has not let go by then is called off. An owner gives up itself, and says so, as soon as nothing
/// goes on any more; this is for one that does not: longer than what lives in a shard travels.
const MOVE_PATIENCE: Duration = Duration::from_secs(60);

/// How long a shard stays where it is after a move that was called off.
const REST: Duration = Duration::from_secs(10);

/// After so long without a new plan, what was proposed is taken for lost.
const PROPOSAL_PATIENCE: Duration = Duration::from_secs(1);

impl Coordinator {
    /// The next change to propose, if there is one.
    pub(crate) fn next(&mut self, plan: &Plan, now: BootTime) -> Option<Entry> {
        self.watch(plan, now);
        let waits = |(index, at): (u64, BootTime)| {
            plan.index() == index && now.since(at) < PROPOSAL_PATIENCE
        };
        if self.proposed.is_some_and(waits) {
            return None;
        }
        let entry = self
            .aborts(now)
            .or_else(|| slow::next(plan, &self.reports, now))
            .or_else(|| self.places(plan));
        self.proposed = entry.as_ref().map(|_| (plan.index(), now));
        entry
    }

    /// What changes where shards and second copies are.
    fn places(&mut self, plan: &Plan) -> Option<Entry> {
        if self.in_order == Some(plan.index()) {
            return None;
        }
        let rests = |shard| self.resting.contains_key(&shard);
        let entry = standbys::next(plan).or_else(|| moves::next(plan, rests));
        self.in_order = entry.is_none().then_some(plan.index());
        entry
    }

    /// A member has said how it is.
    pub(crate) fn hear(&mut self, heartbeat: &Heartbeat, plan: &Plan, now: BootTime) {
        self.reports.note(heartbeat, plan, now);
    }

    /// Who is to go because it and another one do not reach each other, if anybody; `me` leads.
    pub(crate) fn part(
        &mut self,
        plan: &Plan,
        me: MemberId,
        now: BootTime,
    ) -> Option<(MemberId, u64)> {
        self.severed.next(plan, &self.reports, me, now)
    }

    /// An owner cannot let go of shards now: their moves are called off.
    pub(crate) fn call_off(&mut self, moves: impl IntoIterator<Item = MoveId>) {
        self.stay.extend(moves);
    }

    /// Notes which moves are under way, and which shards have rested.
    fn watch(&mut self, plan: &Plan, now: BootTime) {
        if self.resting.extract_if(.., |_, until| now >= *until).count() > 0 {
            self.in_order = None;
        }
        if self.watched.replace(plan.index()) == Some(plan.index()) {
            return;
        }
        let moving = plan.ownerships().filter_map(|(shard, held)| match held.phase {
            Phase::Moving { since, .. } => Some((shard, since)),
            Phase::Active => None,
        });
        let known = std::mem::take(&mut self.begun);
        let seen = |id| (id, known.get(&id).copied().unwrap_or(now));
        self.begun = moving.map(seen).collect();
        let begun = &self.begun;
        self.stay.retain(|moved| begun.contains_key(&(moved.shard, moved.since)));
    }

    fn aborts(&mut self, now: BootTime) -> Option<Entry> {
        let moves = self.begun.iter().map(|(&(shard, since), at)| (MoveId { shard, since }, *at));
        let is_off = |(moved, begun): &(MoveId, BootTime)| {
            now.since(*begun) > MOVE_PATIENCE || self.stay.contains(moved)
        };
        let off: Vec<MoveId> = moves.filter(is_off).map(|(moved, _)| moved).collect();
        self.resting.extend(off.iter().map(|moved| (moved.shard, now + REST)));
        (!off.is_empty()).then_some(Entry::Abort(off))
    }
}

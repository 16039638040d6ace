//! Owns what this member does while it leads, besides what raft does: it expels who is silent, keeps the
//! plan in order, gives votes to the right members, and answers what others ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ::raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use ::raft::{Progress, ProgressState, SnapshotStatus};
use proto::MemberId;

use super::group::{Group, settle};
use super::proposals::Fate;
use crate::ask::{Answered, Ask, Verdict};
use crate::clock::BootTime;
use crate::coordinator::Coordinator;
use crate::coordinator::voters::{self, Candidate, Conf};
use crate::lease::Heartbeat;
use crate::plan::{Entry, Member, MemberInfo, Plan, Roles, Status, heirs};

/// What only a leader knows, and forgets when another leads.
#[derive(Default)]
pub(super) struct Duties {
    coordinator: Coordinator,
    /// The index of the plan for which it was asked last.
    looked_at: u64,
    /// When each member's last Raft message came.
    heard: BTreeMap<MemberId, BootTime>,
    /// Since when it leads; since when each learner has had all of the log.
    since: Option<BootTime>,
    caught_up: BTreeMap<MemberId, BootTime>,
    /// Since when a snapshot is on its way to a member.
    snapshots: BTreeMap<u64, BootTime>,
    /// When the configuration was last asked to change, and leadership to go over.
    changed: Option<BootTime>,
    transferred: Option<BootTime>,
    /// Processes whose expulsion is under way, and was told.
    expelled: BTreeSet<(MemberId, u64)>,
}

/// A voter that was silent for so long is replaced; longer than any restart.
const DEAD: Duration = Duration::from_secs(30);

/// A learner must have had all of the log for so long.
const STEADY: Duration = Duration::from_secs(2);

/// So many entries behind is not behind.
const LAG: u64 = 64;

/// A snapshot that is not answered for so long is lost, as any word may be. Raft waits until it is told.
const LOST: Duration = Duration::from_secs(10);

/// At most one change of the configuration, and one transfer of leadership, in this time.
const PACE: Duration = Duration::from_secs(1);

impl Duties {
    pub(super) fn heard(&mut self, member: MemberId, now: BootTime) {
        self.heard.insert(member, now);
    }

    /// A member has said how it is.
    pub(super) fn hear(&mut self, heartbeat: &Heartbeat, plan: &Plan, now: BootTime) {
        self.coordinator.hear(heartbeat, plan, now);
    }

    pub(super) fn follow(&mut self) {
        *self = Self::default();
    }

    fn is_dead(&self, member: MemberId, now: BootTime) -> bool {
        let last = self.heard.get(&member).copied().or(self.since);
        last.is_some_and(|last| now.since(last) > DEAD)
    }
}

/// Whether `pace` has passed since the last time; if so, this is the last time.
fn is_due(last: &mut Option<BootTime>, pace: Duration, now: BootTime) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= pace);
    if due {
        *last = Some(now);
    }
    due
}

impl Group {
    /// What a leader does with every tick.
    pub(super) fn do_duties(&mut self, now: BootTime) {
        self.duties.since.get_or_insert(now);
        self.part_severed(now);
        self.expel_silent(now);
        self.look_after_plan(now);
        self.note_progress(now);
        self.give_up_snapshots(now);
        self.choose_voters(now);
        let goes = self.plan.member(self.me).is_some_and(|me| me.status == Status::Draining);
        if goes && is_due(&mut self.duties.transferred, PACE, now) {
            self.hand_leadership_over();
        }
    }

    /// Proposes what the plan needs next; says whether there was anything.
    fn look_after_plan(&mut self, now: BootTime) -> bool {
        self.duties.looked_at = self.plan.index();
        let Some(entry) = self.duties.coordinator.next(&self.plan, now) else { return false };
        let proposed = self.node.propose(Vec::new(), entry.encode());
        settle(proposed);
        true
    }

    /// As [`Group::look_after_plan`], where the plan has changed since: moves need not wait for a tick.
    pub(super) fn look_after_new_plan(&mut self, now: BootTime) -> bool {
        self.plan.index() != self.duties.looked_at && self.look_after_plan(now)
    }

    /// Lets another voter lead that has all of the log, if there is one.
    pub(crate) fn hand_leadership_over(&mut self) {
        let up = |id: u64| {
            let member = self.plan.member(MemberId(id));
            id != self.me.0 && member.is_some_and(|member| member.status == Status::Up)
        };
        let voters = self.conf_state.voters.iter().copied().filter(|id| up(*id));
        let matched = |id: &u64| self.node.raft.prs().get(*id).map_or(0, |p| p.matched);
        if let Some(next) = voters.max_by_key(matched).filter(|_| self.leading.is_some()) {
            self.node.transfer_leader(next);
        }
    }

    /// Takes what a member asks for.
    pub(crate) fn ask(&mut self, ask: Ask, answered: Answered) {
        if self.leading.is_none() {
            answered(Verdict::Elsewhere(self.standing().leader.filter(|id| *id != self.me)));
            return;
        }
        let entry = match ask {
            Ask::Join(info) => self.joining(info),
            Ask::Up(info) => self.coming_up(info),
            Ask::Drain(member) => Ok(Some(Entry::Drain(member))),
            Ask::Restore(member) => Ok(Some(Entry::Restore(member))),
            Ask::Remove(member) => Ok(Some(Entry::Forget(member))),
            Ask::Leave { member, incarnation } => {
                self.granter.leave(member, incarnation);
                Ok(None)
            }
            Ask::Release { owner, mut moves } => {
                // One that was called off meanwhile must not keep the others back: an entry is taken as a whole.
                moves.retain(|moved| self.plan.is_under_way(*moved, owner));
                Ok((!moves.is_empty()).then_some(Entry::Release(moves)))
            }
            Ask::CallOff { owner, moves } => {
                let own = moves.into_iter().filter(|moved| self.plan.is_under_way(*moved, owner));
                self.duties.coordinator.call_off(own);
                Ok(None)
            }
        };
        match entry {
            Ok(None) => answered(Verdict::Done),
            Err(why) => answered(Verdict::Refused(why)),
            Ok(Some(entry)) => {
                let fate: Fate = Box::new(move |applied| {
                    answered(match applied {
                        Ok(()) => Verdict::Done,
                        Err(refusal) => Verdict::Refused(refusal.to_string()),
                    });
                });
                self.propose(&entry, fate);
            }
        }
    }

    /// What lets a member in; none where it is in.
    fn joining(&self, info: MemberInfo) -> Result<Option<Entry>, String> {
        match self.plan.member(info.id) {
            Some(known) if known.status == Status::Expelled => Ok(Some(Entry::Join(info))),
            Some(known) if known.info.name != info.name => {
                Err("this member's id belongs to another name".to_owned())
            }
            Some(known) if known.info.incarnation > info.incarnation => {
                Err("a later process of this member is known".to_owned())
            }
            // Its new process says so when it has the plan.
            Some(_) => Ok(None),
            None => Ok(Some(Entry::Join(info))),
        }
    }

    fn coming_up(&self, info: MemberInfo) -> Result<Option<Entry>, String> {
        let known = self.plan.member(info.id);
        let is_up = |member: &Member| {
            matches!(member.status, Status::Up | Status::Draining)
                && member.info.incarnation == info.incarnation
        };
        Ok(known.is_none_or(|member| !is_up(member)).then_some(Entry::Up(info)))
    }

    /// Of two members that do not reach each other one gets no lease any more.
    fn part_severed(&mut self, now: BootTime) {
        let goes = self.duties.coordinator.part(&self.plan, self.me, now);
        if let Some((member, incarnation)) = goes {
            self.granter.refuse(member, incarnation);
        }
    }

    /// Proposes to expel members whose leases have ended. Not by way of the proposals: it must not be
    /// proposed again by a later leadership, which has not waited.
    fn expel_silent(&mut self, now: BootTime) {
        let mut gone = self.granter.silent(&self.plan, now);
        let left = self.granter.left(&self.plan);
        gone.extend(left.iter().copied());
        self.duties.expelled.retain(|process| gone.contains(process));
        for (member, incarnation) in gone {
            let Some(heirs) = heirs(&self.plan, member) else {
                continue;
            };
            // Without a majority it is proposed again and again.
            if self.duties.expelled.insert((member, incarnation)) {
                match left.contains(&(member, incarnation)) {
                    true => tracing::info!(%member, "goes on without a member that has left"),
                    false => {
                        tracing::warn!(%member, "expels a member that is silent, incarnation {incarnation}");
                    }
                }
            }
            let entry = Entry::Expel { member, incarnation, heirs };
            let proposed = self.node.propose(Vec::new(), entry.encode());
            settle(proposed);
        }
    }

    /// Notes who has all of the log, and since when.
    fn note_progress(&mut self, now: BootTime) {
        let last = self.node.raft.raft_log.last_index();
        let progress = |id: u64| self.node.raft.prs().get(id);
        // Also one to which raft feels its way: it goes on to do so until there is something new to tell.
        let has_all = |p: &Progress| {
            p.state != ProgressState::Snapshot && p.matched > 0 && p.matched + LAG > last
        };
        let near = |id: u64| progress(id).is_some_and(has_all);
        let near: BTreeSet<_> = self.conf_state.learners.iter().filter(|id| near(**id)).collect();
        self.duties.caught_up.retain(|id, _| near.contains(&id.0));
        for id in near {
            self.duties.caught_up.entry(MemberId(*id)).or_insert(now);
        }
    }

    /// Has raft send snapshots again that are lost.
    fn give_up_snapshots(&mut self, now: BootTime) {
        let waits = |(_, progress): &(&u64, &Progress)| progress.state == ProgressState::Snapshot;
        let waiting: Vec<u64> = self.node.raft.prs().iter().filter(waits).map(|it| *it.0).collect();
        self.duties.snapshots.retain(|id, _| waiting.contains(id));
        for id in waiting {
            let since = self.duties.snapshots.entry(id).or_insert(now);
            if now.since(*since) >= LOST {
                *since = now;
                self.node.report_snapshot(id, SnapshotStatus::Failure);
            }
        }
    }

    /// Gives votes to the right members.
    fn choose_voters(&mut self, now: BootTime) {
        let busy = self.node.raft.has_pending_conf() || !self.conf_state.voters_outgoing.is_empty();
        // Before the cluster begins the plan knows nobody, and would leave nobody a vote.
        if busy || !self.plan.is_bootstrapped() || !is_due(&mut self.duties.changed, PACE, now) {
            return;
        }
        let ids = |ids: &[u64]| ids.iter().copied().map(MemberId).collect();
        let conf =
            Conf { voters: ids(&self.conf_state.voters), learners: ids(&self.conf_state.learners) };
        // Also whoever has not come up: a voter that comes back after it was expelled has a vote all the time.
        let may_vote = |member: &&Member| member.info.roles.contains(Roles::VOTER);
        let candidates = self.plan.members().filter(may_vote);
        let candidates: Vec<_> = candidates.map(|member| self.candidate(member, now)).collect();
        let Some(next) = voters::next(self.me, &conf, &candidates) else { return };
        let (old, new) = (conf.voters.len(), next.voters.len());
        tracing::info!(
            "changes who votes: {new} in the place of {old}, {} learn",
            next.learners.len()
        );
        let proposed = self.node.propose_conf_change(Vec::new(), changes(&conf, &next));
        settle(proposed);
    }

    fn candidate(&self, member: &Member, now: BootTime) -> Candidate {
        let id = member.info.id;
        let caught_up = self.duties.caught_up.get(&id);
        Candidate {
            id,
            fit: member.status == Status::Up,
            dead: id != self.me
                && member.status != Status::Draining
                && self.duties.is_dead(id, now)
                && self.conf_state.voters.contains(&id.0),
            caught_up: caught_up.is_some_and(|since| now.since(*since) >= STEADY),
            zone: member.info.zone.clone(),
            host: member.info.host().to_owned(),
        }
    }
}

/// The way from one configuration to another.
fn changes(from: &Conf, to: &Conf) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    let mut push = |kind, id: MemberId| {
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id.0;
        change.mut_changes().push(single);
    };
    for id in to.voters.difference(&from.voters) {
        push(ConfChangeType::AddNode, *id);
    }
    for id in to.learners.difference(&from.learners) {
        push(ConfChangeType::AddLearnerNode, *id);
    }
    let gone = |id: &&MemberId| !to.voters.contains(id) && !to.learners.contains(id);
    for id in from.voters.union(&from.learners).filter(gone) {
        push(ConfChangeType::RemoveNode, *id);
    }
    change
}

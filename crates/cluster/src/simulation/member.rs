//! Owns one member of the simulation: the group, the lease and the duties of its threads, without the threads.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use proto::MemberId;
use tempfile::TempDir;
use xmpp::Shard;

use super::world::{Outbox, Word};
use crate::ask::Ask;
use crate::clock::BootTime;
use crate::control::reach::{Reach, others};
use crate::hash::HashKey;
use crate::lease::renewal::Renewal;
use crate::lease::vitals::Vitals;
use crate::lease::{Grant, Heartbeat, Terms};
use crate::plan::{
    Bootstrap, ClusterUuid, Entry, FEATURE_LEVEL, MemberInfo, MoveId, Ownership, Phase, Plan,
    Status,
};
use crate::raft::group::Group;
use crate::raft::log::RaftLog;

/// A member with its disk, and its process while it runs.
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) process: Option<Process>,
    /// What the last process left on the disk.
    log: Option<RaftLog>,
    /// Its clock against true time: parts per million too fast.
    rate: i64,
    /// When its clock said 0, before true time began.
    offset: u64,
    elections: Range<usize>,
    terms: Terms,
    /// What it says of how long its lease may last.
    lease: Duration,
    _disk: TempDir,
}

/// What runs.
pub(super) struct Process {
    pub(super) group: Group,
    ttl: Duration,
    lease: Duration,
    pub(super) incarnation: u64,
    /// What another member has told, where Raft does not speak to this one.
    observed: Plan,
    renewal: Renewal,
    pub(super) lease_end: BootTime,
    /// Moves that were said to be let go of.
    let_go: BTreeSet<(Shard, u64)>,
    /// What of it the leader may not have heard.
    insists: Vec<MoveId>,
    ticks: u64,
    /// The plan that was looked at for moves.
    looked_at: u64,
    reach: Reach,
    /// Who was said hello to in this round, and who has answered.
    greeted: Vec<MemberId>,
    answered: BTreeSet<MemberId>,
}

/// A member's place in the world's list, as an id.
pub(super) fn id(index: usize) -> MemberId {
    MemberId(index as u64 + 1)
}

/// The place of an id.
pub(super) fn index(id: MemberId) -> usize {
    usize::try_from(id.0).unwrap() - 1
}

fn info(id: MemberId, incarnation: u64, lease: Duration) -> MemberInfo {
    MemberInfo { incarnation, lease, ..MemberInfo::new(id, format!("m{id}")) }
}

/// The plan with which members begin whose leases last as long as they say.
fn first_plan(leases: &[Duration]) -> Plan {
    let first = |(at, lease): (usize, &Duration)| info(id(at), 1, *lease);
    let mut plan = Plan::new();
    let bootstrap = Bootstrap {
        cluster: ClusterUuid(1),
        generation: 1,
        hash_key: HashKey::new([1; 16]),
        feature_level: FEATURE_LEVEL,
        members: leases.iter().enumerate().map(first).collect(),
    };
    plan.apply(1, Entry::Bootstrap(bootstrap)).unwrap();
    plan
}

impl Member {
    /// The one at a place among members whose leases last for `ttls`, and who say that it is `leases`.
    pub(super) fn new(
        at: usize,
        ttls: &[Duration],
        leases: &[Duration],
        rate: i64,
        offset: u64,
    ) -> Self {
        // In memory where that is to be had: nothing here is about the disk.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let disk = TempDir::new_in(place).unwrap();
        let mut log = RaftLog::open(disk.path(), id(at)).unwrap();
        let voters: Vec<MemberId> = (0..ttls.len()).map(id).collect();
        log.initialize(&voters, first_plan(leases).encode()).unwrap();
        // Raft's own dice cannot be loaded: each member gets a time of its own to wait.
        let elections = 8 + at..9 + at;
        let mut member = Self {
            id: id(at),
            process: None,
            log: Some(log),
            rate,
            offset,
            elections,
            terms: Terms { ttl: ttls[at], ..Terms::default() },
            lease: leases[at],
            _disk: disk,
        };
        member.start();
        member
    }

    /// Its own clock.
    pub(super) fn clock(&self, now: u64) -> BootTime {
        let error = i128::from(now) * i128::from(self.rate) / 1_000_000;
        BootTime(self.offset + u64::try_from(i128::from(now) + error).unwrap())
    }

    pub(super) fn start(&mut self) {
        let Some(mut log) = self.log.take() else { return };
        let known = log.identity().incarnation;
        let first = !log.is_initialized() || log.last_position() <= 1 && known == 1;
        let incarnation = if first { known } else { log.renew().unwrap().incarnation };
        let group = Group::with_elections(log, self.terms, self.elections.clone()).unwrap();
        let renewal = Renewal::new(self.terms);
        self.process = Some(Process {
            group,
            ttl: self.terms.ttl,
            lease: self.lease,
            incarnation,
            observed: Plan::new(),
            renewal,
            lease_end: BootTime(0),
            let_go: BTreeSet::new(),
            insists: Vec::new(),
            ticks: 0,
            looked_at: 0,
            reach: Reach::default(),
            greeted: Vec::new(),
            answered: BTreeSet::new(),
        });
    }

    pub(super) fn die(&mut self) {
        if let Some(process) = self.process.take() {
            self.log = Some(process.group.into_log());
        }
    }

    /// Whether it would act at this moment.
    pub(super) fn acts(&self, now: u64) -> bool {
        self.process.as_ref().is_some_and(|process| self.clock(now) < process.lease_end)
    }
}

impl Process {
    /// The plan that it acts by.
    pub(super) fn plan(&self) -> &Plan {
        let own = self.group.plan();
        if self.observed.index() > own.index() { &self.observed } else { own }
    }

    /// Takes a word; `local` is the member's clock.
    pub(super) fn take(&mut self, from: usize, word: Word, local: BootTime, outbox: &Outbox) {
        match word {
            Word::Raft(bytes) => self.group.step(id(from), &bytes, local),
            Word::Heartbeat(heartbeat) => {
                let answer = outbox.answer(from);
                drop(self.group.heartbeat(heartbeat, answer, local));
            }
            Word::Grant(grant) => {
                let grant = Grant { ttl: grant.ttl.min(self.ttl), ..grant };
                self.lease_end = self.renewal.granted(grant, self.plan().index());
            }
            Word::Hello => outbox.push(from, Word::Answer),
            Word::Answer => drop(self.answered.insert(id(from))),
            Word::Ask(ask) => self.group.ask(ask, Box::new(drop)),
            Word::Watch => {
                let plan = Box::new(self.plan().clone());
                outbox.push(from, Word::Plan(plan, self.group.standing().leader));
            }
            Word::Plan(plan, leader) => {
                self.group.hint(leader);
                if plan.index() > self.plan().index() {
                    self.observed = *plan;
                }
            }
        }
    }

    /// Follows the plan by way of another member where Raft does not speak to this one.
    pub(super) fn watch(&self, other: usize, outbox: &Outbox) {
        if !self.group.standing().follows {
            outbox.push(other, Word::Watch);
        }
    }

    /// Says hello to everybody, and notes who has answered the last time.
    pub(super) fn greet(&mut self, me: MemberId, outbox: &Outbox) {
        let greeted = std::mem::take(&mut self.greeted).into_iter();
        self.reach.note(greeted.map(|other| (other, self.answered.contains(&other))));
        self.answered.clear();
        self.greeted = others(self.plan(), me).collect();
        self.greeted.iter().for_each(|other| outbox.push(index(*other), Word::Hello));
    }

    /// How it is, with an arbiter that has done nothing for so long.
    pub(super) fn vitals(&self, lag: Duration) -> Vitals {
        Vitals { lag, unreached: self.reach.unreached(self.ttl), weight: 100 }
    }

    /// Asks for the lease.
    pub(super) fn beat(&mut self, me: MemberId, vitals: Vitals, local: BootTime, outbox: &Outbox) {
        let heartbeat = Heartbeat {
            member: me,
            incarnation: self.incarnation,
            sent: local,
            applied: self.plan().index(),
            vitals,
        };
        let answer = outbox.answer(index(me));
        if let Some((leader, heartbeat, _)) = self.group.heartbeat(heartbeat, answer, local) {
            outbox.push(index(leader), Word::Heartbeat(heartbeat));
        }
    }

    /// What comes of a turn: words go out, the plan moves on.
    pub(super) fn work(&mut self, me: MemberId, local: BootTime, outbox: &Outbox) {
        let done = self.group.work(local).unwrap();
        for (to, bytes) in done.messages {
            outbox.push(index(to), Word::Raft(bytes));
        }
        for (fate, applied) in done.fates {
            fate(applied);
        }
        let index = self.plan().index();
        if index > self.looked_at {
            self.looked_at = index;
            self.lease_end = self.renewal.applied(index);
            self.let_go(me, outbox);
        }
    }

    /// Lets go of what is to move.
    fn let_go(&mut self, me: MemberId, outbox: &Outbox) {
        let moving = |(shard, held): (Shard, &Ownership)| match held.phase {
            Phase::Moving { since, .. } if held.owner == me => Some(MoveId { shard, since }),
            _ => None,
        };
        let mut moves: Vec<MoveId> = self.plan().ownerships().filter_map(moving).collect();
        moves.retain(|moved| self.let_go.insert((moved.shard, moved.since)));
        if !moves.is_empty() {
            self.insists.extend(&moves);
            self.say(Ask::Release { owner: me, moves }, outbox);
        }
    }

    /// Says now and then again what it has let go of, as [`crate::control::moves`] does.
    pub(super) fn insist(&mut self, me: MemberId, outbox: &Outbox) {
        self.ticks += 1;
        let mut moves = std::mem::take(&mut self.insists);
        moves.retain(|moved| self.plan().is_under_way(*moved, me));
        if !moves.is_empty() && self.ticks.is_multiple_of(20) {
            self.say(Ask::Release { owner: me, moves: moves.clone() }, outbox);
        }
        self.insists = moves;
    }

    /// Comes up, and comes back when it was expelled, as [`crate::control::membership`] does.
    pub(super) fn see_to_membership(&mut self, me: MemberId, waits: bool, outbox: &Outbox) {
        let parted = waits && self.reach.missing(self.plan(), me).is_some();
        let known = self.plan().member(me).map(|it| (it.status, it.info.incarnation));
        let (own, lease) = (self.incarnation, self.lease);
        let ask = match known {
            Some((Status::Expelled, incarnation)) => {
                if incarnation >= own {
                    self.incarnation = self.group.renew().unwrap();
                }
                if parted {
                    return;
                }
                Ask::Join(info(me, self.incarnation, lease))
            }
            None if parted => return,
            None => Ask::Join(info(me, own, lease)),
            Some((Status::Joining, _)) => Ask::Up(info(me, own, lease)),
            Some((_, incarnation)) if incarnation < own => Ask::Up(info(me, own, lease)),
            Some(_) => return,
        };
        self.say(ask, outbox);
    }

    fn say(&mut self, ask: Ask, outbox: &Outbox) {
        match self.group.standing().leader {
            Some(leader) if self.group.leads().is_none() => {
                outbox.push(index(leader), Word::Ask(ask))
            }
            _ => self.group.ask(ask, Box::new(drop)),
        }
    }
}

/// Between beats, by the member's own clock.
pub(super) const BEAT: Duration = Duration::from_millis(200);

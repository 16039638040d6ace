//! Owns the leader's side of all leases: whom to answer, and whom it may expel. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::MemberId;

use super::{Grant, Heartbeat, Terms};
use crate::clock::BootTime;
use crate::plan::{Plan, Status};

/// What a leader knows of its members' leases. `R` is where an answer goes.
#[derive(Debug)]
pub(crate) struct Granter<R> {
    terms: Terms,
    /// Since when it leads and has applied an entry of its own term, with all before it.
    leader_since: Option<BootTime>,
    /// The heartbeats that wait for the next question to the voters; the latest of each member.
    asking: BTreeMap<MemberId, (Heartbeat, R)>,
    /// The question that is under way.
    read: Option<Read<R>>,
    reads: u64,
    /// Which incarnation of each member was heard when. One that was never heard counts from when it was seen
    /// in the plan.
    heard: BTreeMap<MemberId, (u64, BootTime)>,
    /// The change of its own shards that a member has not had yet, and since when it is awaited.
    behind: BTreeMap<MemberId, (u64, BootTime)>,
    /// Which incarnations are never answered again, because their expulsion was proposed.
    expelling: BTreeMap<MemberId, u64>,
    /// Which of them have said that they stopped.
    left: BTreeMap<MemberId, u64>,
    /// When it was looked last who is silent.
    looked: Option<BootTime>,
}

#[derive(Debug)]
struct Read<R> {
    number: u64,
    begun: BootTime,
    askers: BTreeMap<MemberId, (Heartbeat, R)>,
}

/// At most one question to the voters in this time.
const READ_PACE: Duration = Duration::from_millis(50);

/// A question that is not answered by then was lost on the way.
const READ_PATIENCE: Duration = Duration::from_millis(200);

/// A member that has not had a change of its own shards for so long is not answered any more. It acts for nobody
/// without, however well it asks, and comes back when the plan reaches it.
const BEHIND: Duration = Duration::from_secs(10);

impl<R> Granter<R> {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            leader_since: None,
            asking: BTreeMap::new(),
            read: None,
            reads: 0,
            heard: BTreeMap::new(),
            behind: BTreeMap::new(),
            expelling: BTreeMap::new(),
            left: BTreeMap::new(),
            looked: None,
        }
    }

    /// It leads, and has applied the first entry of its term.
    pub(crate) fn lead(&mut self, now: BootTime) {
        self.leader_since.get_or_insert(now);
    }

    /// It does not lead (any more). Whoever waits for an answer gets none.
    pub(crate) fn follow(&mut self) {
        let (terms, reads) = (self.terms, self.reads);
        *self = Self { reads, ..Self::new(terms) };
    }

    /// Takes a heartbeat.
    ///
    /// # Errors
    ///
    /// Gives `answer_to` back: there will be no grant.
    pub(crate) fn heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        answer_to: R,
        plan: &Plan,
        now: BootTime,
    ) -> Result<(), R> {
        if self.leader_since.is_none() || !self.may_answer(&heartbeat, plan) {
            return Err(answer_to);
        }
        self.heard.insert(heartbeat.member, (heartbeat.incarnation, now));
        self.note_behind(&heartbeat, plan, now);
        self.asking.insert(heartbeat.member, (heartbeat, answer_to));
        Ok(())
    }

    fn note_behind(&mut self, heartbeat: &Heartbeat, plan: &Plan, now: BootTime) {
        let (id, applied) = (heartbeat.member, heartbeat.applied);
        if self.behind.get(&id).is_some_and(|(awaited, _)| applied >= *awaited) {
            self.behind.remove(&id);
        }
        let changed = plan.member(id).map_or(0, |member| member.shards_changed);
        if applied < changed {
            self.behind.entry(id).or_insert((changed, now));
        }
    }

    /// The number of the question to put to the voters now, if there is one to put.
    pub(crate) fn next_read(&mut self, now: BootTime) -> Option<u64> {
        let pace = match &self.read {
            Some(read) if read.askers.is_empty() => READ_PACE,
            Some(_) => READ_PATIENCE,
            None => Duration::ZERO,
        };
        let early = self.read.as_ref().is_some_and(|r| now.since(r.begun) < pace);
        let lost = self.read.as_ref().is_some_and(|r| !r.askers.is_empty());
        if early || (self.asking.is_empty() && !lost) {
            return None;
        }
        let mut askers = self.read.take().map_or_else(BTreeMap::new, |r| r.askers);
        askers.append(&mut self.asking);
        self.reads += 1;
        self.read = Some(Read { number: self.reads, begun: now, askers });
        Some(self.reads)
    }

    /// The voters have confirmed, after question `number` was put, that it leads.
    pub(crate) fn confirmed(&mut self, number: u64, plan: &Plan) -> Vec<(R, Grant)> {
        let Some(read) = self.read.as_mut().filter(|read| read.number == number) else {
            return Vec::new();
        };
        let askers = std::mem::take(&mut read.askers);
        let answerable =
            askers.into_values().filter(|(heartbeat, _)| self.may_answer(heartbeat, plan));
        let grant = |(heartbeat, answer_to): (Heartbeat, R)| {
            let member = plan.member(heartbeat.member)?;
            let grant = Grant {
                sent: heartbeat.sent,
                ttl: self.terms.ttl,
                min_index: member.shards_changed,
            };
            Some((answer_to, grant))
        };
        answerable.filter_map(grant).collect()
    }

    /// Members whose leases have ended for certain (rule B): silent for longer than a lease lasts, under a
    /// leader that has led for as long. From here on they are not answered; the caller proposes to expel
    /// them, again and again until the plan says so.
    ///
    /// Each member has as long as its own configuration lets its lease last, whatever that of a leader says: one that led
    /// before may have granted as much.
    pub(crate) fn silent(&mut self, plan: &Plan, now: BootTime) -> Vec<(MemberId, u64)> {
        self.forgive_stillness(now);
        self.refuse_behind(plan, now);
        let ended = |since: BootTime, lease: Duration| {
            let longest = Terms { ttl: self.terms.ttl.max(lease), ..self.terms };
            now.since(since) > longest.silence()
        };
        let taking_part = |status| matches!(status, Status::Up | Status::Draining);
        let members = plan.members().filter(|member| taking_part(member.status));
        let mut silent = Vec::new();
        for info in members.map(|member| &member.info) {
            let (id, incarnation) = (info.id, info.incarnation);
            let heard = self.heard.entry(id).or_insert((incarnation, now));
            if heard.0 != incarnation {
                *heard = (incarnation, now);
            }
            let leads_long = self.leader_since.is_some_and(|since| ended(since, info.lease));
            if leads_long && ended(heard.1, info.lease) {
                silent.push((id, incarnation));
            }
        }
        self.expelling.extend(silent.iter().copied());
        silent
    }

    /// A leader that stood still has heard nobody meanwhile: that is not their silence, which begins anew.
    fn forgive_stillness(&mut self, now: BootTime) {
        let before = self.looked.replace(now);
        if before.is_some_and(|before| now.since(before) > self.terms.ttl / 2) {
            self.heard.values_mut().for_each(|(_, heard)| *heard = now);
            self.behind.values_mut().for_each(|(_, since)| *since = now);
        }
    }

    /// Whoever is behind for too long is silent from now on: a lease that it may just have got ends first.
    fn refuse_behind(&mut self, plan: &Plan, now: BootTime) {
        let late = self.behind.extract_if(.., |_, (_, since)| now.since(*since) > BEHIND);
        let late: Vec<MemberId> = late.map(|(id, _)| id).collect();
        for member in late.into_iter().filter_map(|id| plan.member(id)) {
            tracing::warn!(member = %member.info.id, "has not had its part of the plan for too long");
            self.refuse(member.info.id, member.info.incarnation);
        }
    }

    /// A process is not answered any more: when its lease has ended, it is silent.
    pub(crate) fn refuse(&mut self, member: MemberId, incarnation: u64) {
        self.expelling.insert(member, incarnation);
    }

    /// Takes a process's own word that it has stopped to act: it may be expelled without waiting.
    pub(crate) fn leave(&mut self, member: MemberId, incarnation: u64) {
        self.expelling.insert(member, incarnation);
        self.left.insert(member, incarnation);
    }

    /// Who has left and is still in.
    pub(crate) fn left(&self, plan: &Plan) -> Vec<(MemberId, u64)> {
        let is_in = |id: &MemberId, incarnation: &u64| {
            plan.member(*id).is_some_and(|member| {
                member.status != Status::Expelled && member.info.incarnation == *incarnation
            })
        };
        let left = self.left.iter().filter(|(id, incarnation)| is_in(id, incarnation));
        left.map(|(id, incarnation)| (*id, *incarnation)).collect()
    }

    fn may_answer(&self, heartbeat: &Heartbeat, plan: &Plan) -> bool {
        let expelled = self.expelling.get(&heartbeat.member);
        plan.member(heartbeat.member).is_some_and(|member| {
            matches!(member.status, Status::Up | Status::Draining)
                && member.info.incarnation == heartbeat.incarnation
                && expelled.is_none_or(|incarnation| *incarnation != heartbeat.incarnation)
        })
    }
}

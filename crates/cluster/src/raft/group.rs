//! Owns this member's part in the Raft group: what raft decides, the plan that it replays, and, while it
//! leads, everybody's leases. No threads and no clocks: time comes in as ticks and as points in time, words
//! of other members as bytes, and what is to leave is handed out.

use std::ops::Range;
use std::time::Duration;

use ::raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, EntryType, Message, Snapshot};
use ::raft::prelude::{Config as RaftConfig, Entry as LogEntry, RawNode, Ready};
use ::raft::{ProgressState, ReadOnlyOption, ReadState, SnapshotStatus, StateRole};
use bytes::Bytes;
use proto::MemberId;
use protobuf::Message as _;

use super::check::{self, Own};
use super::leading::Duties;
use super::log::{LogError, RaftLog, Update};
use super::logger::logger;
use super::proposals::{Fate, Proposals};
use super::transport::Answer;
use crate::clock::BootTime;
use crate::lease::granter::Granter;
use crate::lease::{Heartbeat, Terms};
use crate::plan::{Applied, CodecError, Entry, Plan};

/// How often [`Group::tick`] is to be called. An election begins after 400 to 800 ms without a leader.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Ticks without a leader, at least, before an election begins; at most twice as many.
const ELECTION: usize = 8;

/// So many entries, or bytes of them, are replaced by a snapshot.
const COMPACT_ENTRIES: u64 = 256;
const COMPACT_BYTES: usize = 4 << 20;

/// So many entries before a snapshot are kept for followers that lag.
const KEEP_ENTRIES: u64 = 64;

/// This member's part.
pub(crate) struct Group {
    pub(super) me: MemberId,
    pub(super) node: RawNode<RaftLog>,
    pub(super) plan: Plan,
    /// The term of the last entry in the plan.
    applied_term: u64,
    /// The configuration as of the last entry in the plan.
    pub(super) conf_state: ConfState,
    pub(super) granter: Granter<Answer>,
    /// The term in which this member leads and has applied an entry, while it does.
    pub(super) leading: Option<u64>,
    /// Questions of the granter that the voters have confirmed, up to which index.
    confirmed: Vec<(u64, u64)>,
    pub(super) proposals: Proposals,
    /// What only a leader knows.
    pub(super) duties: Duties,
    /// Who leads, as others say: for a member that raft does not speak to.
    hint: Option<MemberId>,
    /// The configuration has changed: whoever is new needs a snapshot that names it.
    snapshot_due: bool,
    /// What has come of the present turn of work.
    done: Done,
}

/// What came of a turn of work.
#[derive(Default)]
pub(crate) struct Done {
    /// What is to leave, in order.
    pub(crate) messages: Vec<(MemberId, Bytes)>,
    /// What was applied, in order: index and data, which is empty where the plan does not change by it.
    pub(crate) news: Vec<(u64, Bytes)>,
    /// The plan is not what came before it and the news: it came whole.
    pub(crate) restored: bool,
    /// Whom to tell that an entry is in the plan, once whoever reads the plan can see it.
    pub(crate) fates: Vec<(Fate, Applied)>,
}

/// How raft stands.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) leader: Option<MemberId>,
    /// Whether raft itself knows the leader: this member gets the plan by it.
    pub(crate) follows: bool,
    pub(crate) voters: Vec<MemberId>,
    pub(crate) learners: Vec<MemberId>,
    pub(crate) term: u64,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) last: u64,
}

/// Why this member cannot take part any more. It must stop: it would act by another plan than the others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An entry or a snapshot is not for this program.
    #[error("entry {index} of the raft log cannot be applied")]
    Entry {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        source: CodecError,
    },
    /// Raft refused what it must not.
    #[error("raft failed")]
    Raft(#[from] ::raft::Error),
}

impl Group {
    /// Takes part with the log given, from its last snapshot on.
    ///
    /// # Errors
    ///
    /// The snapshot is not for this program, or raft does not accept the log.
    pub(crate) fn new(log: RaftLog, terms: Terms) -> Result<Self, GroupError> {
        Self::with_elections(log, terms, ELECTION..2 * ELECTION)
    }

    /// As [`Group::new`]; an election begins after a number of ticks from this range, by chance.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) fn with_elections(
        log: RaftLog,
        terms: Terms,
        ticks: Range<usize>,
    ) -> Result<Self, GroupError> {
        let identity = log.identity();
        let metadata = log.snapshot().get_metadata().clone();
        let plan = match log.snapshot().data.is_empty() {
            true => Plan::new(),
            false => decode_plan(log.snapshot())?,
        };
        let config = RaftConfig {
            id: identity.member.0,
            applied: metadata.index,
            election_tick: ELECTION,
            min_election_tick: ticks.start,
            max_election_tick: ticks.end,
            heartbeat_tick: 2,
            pre_vote: true,
            check_quorum: true,
            read_only_option: ReadOnlyOption::Safe,
            max_size_per_msg: 1 << 20,
            max_uncommitted_size: 16 << 20,
            ..RaftConfig::default()
        };
        let mut group = Self {
            me: identity.member,
            node: RawNode::new(&config, log, &logger())?,
            plan,
            applied_term: metadata.term,
            conf_state: metadata.get_conf_state().clone(),
            granter: Granter::new(terms),
            leading: None,
            confirmed: Vec::new(),
            proposals: Proposals::new(identity.member.0, identity.incarnation),
            duties: Duties::default(),
            hint: None,
            snapshot_due: false,
            done: Done::default(),
        };
        group.plan.skip(metadata.index);
        Ok(group)
    }

    /// The plan as far as it is known here.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Gives the log back.
    pub(crate) fn into_log(self) -> RaftLog {
        self.node.raft.r.raft_log.store
    }

    /// How raft stands.
    pub(crate) fn standing(&self) -> Standing {
        let raft = &self.node.raft;
        // Whoever was taken out of the configuration hears no more, and raft does not count that.
        let hears = raft.state == StateRole::Leader || raft.election_elapsed <= 2 * ELECTION;
        let known = Some(MemberId(raft.leader_id)).filter(|id| id.0 != 0 && hears);
        let ids = |ids: &[u64]| ids.iter().copied().map(MemberId).collect();
        Standing {
            leader: known.or(self.hint),
            follows: known.is_some(),
            voters: ids(&self.conf_state.voters),
            learners: ids(&self.conf_state.learners),
            term: raft.term,
            commit: raft.raft_log.committed,
            applied: self.plan.index(),
            last: raft.raft_log.last_index(),
        }
    }

    /// This member, if it leads and has applied an entry of its term.
    #[cfg(test)]
    pub(crate) fn leads(&self) -> Option<MemberId> {
        self.leading.map(|_| self.me)
    }

    /// Proposes to expel a member, whatever it holds.
    #[cfg(test)]
    pub(crate) fn expel(&mut self, member: MemberId) {
        let Some(incarnation) = self.plan.member(member).map(|it| it.info.incarnation) else {
            return;
        };
        let Some(heirs) = crate::plan::heirs(&self.plan, member) else { return };
        let entry = Entry::Expel { member, incarnation, heirs };
        settle(self.node.propose(Vec::new(), entry.encode()));
    }

    /// Notes who leads, as others say. It counts for as long as raft does not say it.
    pub(crate) fn hint(&mut self, leader: Option<MemberId>) {
        self.hint = leader.filter(|leader| *leader != self.me);
    }

    /// This member takes part anew: it was expelled, and has dropped what it had.
    ///
    /// # Errors
    ///
    /// The log failed.
    pub(crate) fn renew(&mut self) -> Result<u64, GroupError> {
        Ok(self.node.mut_store().renew()?.incarnation)
    }

    /// Lets one tick pass.
    pub(crate) fn tick(&mut self, now: BootTime) {
        // The only voter need not wait for a leader to fall silent: there is nobody else to lead.
        let alone =
            self.conf_state.voters == [self.me.0] && self.conf_state.voters_outgoing.is_empty();
        if alone && self.node.raft.state != StateRole::Leader {
            let campaigned = self.node.campaign();
            settle(campaigned);
        }
        self.node.tick();
        self.proposals.tick();
        if self.leading.is_some() {
            self.do_duties(now);
        }
    }

    /// Takes an entry for the plan. Its fate is dropped if it is unknown in 10 s.
    pub(crate) fn propose(&mut self, entry: &Entry, fate: Fate) {
        self.proposals.add(entry, fate);
    }

    /// Takes a heartbeat: this member's own, or another's if this one leads. Gives it back if another leads.
    pub(crate) fn heartbeat(
        &mut self,
        heartbeat: Heartbeat,
        answer: Answer,
        now: BootTime,
    ) -> Option<(MemberId, Heartbeat, Answer)> {
        let leader = self.standing().leader;
        match leader.filter(|leader| *leader != self.me) {
            Some(leader) if heartbeat.member == self.me => Some((leader, heartbeat, answer)),
            Some(_) => None,
            None => {
                if self.leading.is_some() {
                    self.duties.hear(&heartbeat, &self.plan, now);
                }
                drop(self.granter.heartbeat(heartbeat, answer, &self.plan, now));
                None
            }
        }
    }

    /// Takes a Raft message of another member, whose identity is proven and who sends for itself.
    pub(crate) fn step(&mut self, from: MemberId, message: &[u8], now: BootTime) {
        let sent = |message: &Message| message.from == from.0 && message.to == self.me.0;
        let Some(message) = check::parse(message).filter(sent) else {
            tracing::warn!(peer = %from, "refused a raft message that is malformed or not for this member");
            return;
        };
        let log = &self.node.raft.raft_log;
        let own = Own {
            committed: (log.committed, log.term(log.committed).unwrap_or(0)),
            last: log.last_index(),
        };
        if !check::is_sound(&message, own, |index| log.term(index).ok()) {
            let kind = message.get_msg_type();
            tracing::warn!(peer = %from, "refused a raft message that contradicts the log: {kind:?}");
            return;
        }
        self.duties.heard(from, now);
        let stepped = self.node.step(message);
        settle(stepped);
    }

    /// A member cannot be reached; Raft slows down towards it.
    pub(crate) fn unreachable(&mut self, member: MemberId) {
        self.node.report_unreachable(member.0);
        let progress = self.node.raft.prs().get(member.0);
        if progress.is_some_and(|progress| progress.state == ProgressState::Snapshot) {
            self.node.report_snapshot(member.0, SnapshotStatus::Failure);
        }
    }

    /// Does all that is to be done.
    ///
    /// # Errors
    ///
    /// [`GroupError`]; this member must stop.
    pub(crate) fn work(&mut self, now: BootTime) -> Result<Done, GroupError> {
        loop {
            self.drain()?;
            self.follow_leadership(now);
            let begun = self.begin(now);
            if !begun {
                break;
            }
        }
        self.compact()?;
        Ok(std::mem::take(&mut self.done))
    }

    /// Works until raft has nothing more to say.
    fn drain(&mut self) -> Result<(), GroupError> {
        while self.node.has_ready() {
            let ready = self.node.ready();
            self.handle(ready)?;
        }
        Ok(())
    }

    /// One turn of raft, in the order that it asks for: send, apply, keep, send what waited for that.
    fn handle(&mut self, mut ready: Ready) -> Result<(), GroupError> {
        self.send(ready.take_messages())?;
        if !ready.snapshot().is_empty() {
            self.restore(ready.snapshot())?;
        }
        self.apply_all(ready.take_committed_entries())?;
        let update = Update {
            snapshot: Some(ready.snapshot().clone()).filter(|snapshot| !snapshot.is_empty()),
            entries: ready.take_entries(),
            hard_state: ready.hs().cloned(),
            sync: ready.must_sync(),
        };
        self.keep(update)?;
        self.send(ready.take_persisted_messages())?;
        self.note_reads(ready.take_read_states());
        let mut light = self.node.advance(ready);
        if light.commit_index().is_some() {
            let hard_state = Some(self.node.raft.hard_state());
            self.keep(Update { hard_state, ..Update::default() })?;
        }
        self.send(light.take_messages())?;
        self.apply_all(light.take_committed_entries())?;
        self.node.advance_apply();
        Ok(())
    }

    fn keep(&mut self, update: Update) -> Result<(), GroupError> {
        let nothing = update.snapshot.is_none() && update.entries.is_empty();
        if nothing && update.hard_state.is_none() {
            return Ok(());
        }
        Ok(self.node.mut_store().write(update)?)
    }

    fn send(&mut self, messages: Vec<Message>) -> Result<(), GroupError> {
        for message in messages {
            let bytes = message.write_to_bytes().map_err(::raft::Error::from)?;
            self.done.messages.push((MemberId(message.to), bytes.into()));
        }
        Ok(())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), GroupError> {
        self.plan = decode_plan(snapshot)?;
        self.plan.skip(snapshot.get_metadata().index);
        self.applied_term = snapshot.get_metadata().term;
        self.conf_state = snapshot.get_metadata().get_conf_state().clone();
        self.done.restored = true;
        self.done.news.clear();
        Ok(())
    }

    fn apply_all(&mut self, entries: Vec<LogEntry>) -> Result<(), GroupError> {
        entries.iter().try_for_each(|entry| self.apply(entry))
    }

    fn apply(&mut self, entry: &LogEntry) -> Result<(), GroupError> {
        let index = entry.index;
        self.applied_term = entry.term;
        let changes = entry.get_entry_type() == EntryType::EntryNormal;
        let data = if changes { entry.data.clone() } else { Bytes::new() };
        self.done.news.push((index, data));
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => self.plan.skip(index),
            EntryType::EntryNormal => {
                let change = Entry::decode(&entry.data);
                let change = change.map_err(|source| GroupError::Entry { index, source })?;
                let applied = self.plan.apply(index, change);
                if let Err(refusal) = &applied {
                    tracing::debug!(error = %refusal, "refused entry {index} of the plan");
                }
                let fate = self.proposals.applied(&entry.context);
                self.done.fates.extend(fate.map(|fate| (fate, applied)));
            }
            EntryType::EntryConfChange => {
                let change = ConfChange::parse_from_bytes(&entry.data);
                let change = change.map_err(::raft::Error::from)?;
                self.conf_state = self.node.apply_conf_change(&change)?;
                self.plan.skip(index);
                self.snapshot_due = true;
            }
            EntryType::EntryConfChangeV2 => {
                let change = ConfChangeV2::parse_from_bytes(&entry.data);
                let change = change.map_err(::raft::Error::from)?;
                self.conf_state = self.node.apply_conf_change(&change)?;
                self.plan.skip(index);
                self.snapshot_due = true;
            }
        }
        Ok(())
    }

    /// Notes which questions of the granter the voters have confirmed.
    fn note_reads(&mut self, reads: Vec<ReadState>) {
        for read in reads {
            let context = read.request_ctx.split_first_chunk::<8>();
            let number = context
                .filter(|(member, _)| **member == self.me.0.to_be_bytes())
                .and_then(|(_, number)| Some(u64::from_be_bytes(number.try_into().ok()?)));
            self.confirmed.extend(number.map(|number| (read.index, number)));
        }
    }

    /// Tells the granter whether this member leads, and answers those whose question is confirmed.
    fn follow_leadership(&mut self, now: BootTime) {
        let raft = &self.node.raft;
        let leads = raft.state == StateRole::Leader && self.applied_term == raft.term;
        let leading = leads.then_some(raft.term);
        if leading != self.leading {
            self.leading = leading;
            self.granter.follow();
            self.duties.follow();
            self.confirmed.clear();
            self.proposals.hasten();
            if leads {
                self.granter.lead(now);
                tracing::info!("leads the cluster in term {}", raft.term);
            }
        }
        let applied = self.plan.index();
        for (_, number) in self.confirmed.extract_if(.., |(index, _)| *index <= applied) {
            for (answer, grant) in self.granter.confirmed(number, &self.plan) {
                answer(grant);
            }
        }
    }

    /// Hands raft what waits for a leader. Says whether there was anything.
    fn begin(&mut self, now: BootTime) -> bool {
        if self.leading.is_none() {
            return false;
        }
        let due = self.proposals.due();
        let read = self.granter.next_read(now);
        let looked = self.look_after_new_plan(now);
        let any = !due.is_empty() || read.is_some() || looked;
        for (tag, data) in due {
            let proposed = self.node.propose(tag, data);
            settle(proposed);
        }
        if let Some(number) = read {
            let context = [self.me.0.to_be_bytes(), number.to_be_bytes()].concat();
            self.node.read_index(context);
        }
        any
    }

    fn compact(&mut self) -> Result<(), GroupError> {
        let (entries, bytes) = self.node.store().since_snapshot();
        let due = std::mem::take(&mut self.snapshot_due);
        if entries < COMPACT_ENTRIES && bytes < COMPACT_BYTES && !due {
            return Ok(());
        }
        let snapshot_index = self.node.store().snapshot().get_metadata().index;
        if self.plan.index() == snapshot_index {
            return Ok(());
        }
        let data = self.plan.encode().into();
        let mut snapshot = Snapshot { data, ..Snapshot::default() };
        let metadata = snapshot.mut_metadata();
        metadata.index = self.plan.index();
        metadata.term = self.applied_term;
        metadata.set_conf_state(self.conf_state.clone());
        Ok(self.node.mut_store().compact(snapshot, KEEP_ENTRIES)?)
    }
}

/// Raft's refusals of single messages and proposals are part of its way; they are asked again.
pub(super) fn settle(result: ::raft::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "raft refused");
    }
}

fn decode_plan(snapshot: &Snapshot) -> Result<Plan, GroupError> {
    let index = snapshot.get_metadata().index;
    Plan::decode(&snapshot.data).map_err(|source| GroupError::Entry { index, source })
}

//! Owns the takeover barrier: which shards have a new owner without a word of the one before, and what waits for
//! them until every member has said what it holds of them. Pure: plans and reports in.
//!
//! A shard is *taken* where its owner or epoch differs and the former owner has not handed it over: that one is
//! expelled, or it is another process of the same member. A plan that somebody has skipped does no harm: what is not
//! clearly handed over counts as taken.
//!
//! Bound: [`Gates::STANZAS`] and [`Gates::BYTES`] of an arbiter wait; full: stanzas are refused, control envelopes are
//! taken.

use std::collections::{HashMap, VecDeque};

use cluster::Plan;
use cluster::plan::{Member, Ownership, Status};
use proto::{Announced, Body, Envelope, MemberId};
use xmpp::{Epoch, Shard};

/// Shards that wait.
#[derive(Default)]
pub(super) struct Gates {
    shut: HashMap<Shard, Gate>,
    /// By member, for each thread of it: the plan up to which it has said all.
    reports: HashMap<MemberId, Vec<u64>>,
    stanzas: usize,
    bytes: usize,
}

struct Gate {
    /// The plan of which all must have spoken.
    plan: u64,
    /// All have; entities go on from their copies.
    opening: bool,
    waiting: VecDeque<Envelope>,
}

/// What a gate makes of an envelope.
pub(super) enum Passage {
    /// It goes on.
    Passes(Envelope),
    /// It waits.
    Waits,
    /// There is no room.
    Full(Envelope),
}

impl Gates {
    /// Most stanzas that wait on an arbiter.
    pub(super) const STANZAS: usize = 65_536;
    /// Most bytes of them.
    pub(super) const BYTES: usize = 64 << 20;

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.shut.is_empty()
    }

    /// Whether a shard waits.
    pub(super) fn is_shut(&self, shard: Shard) -> bool {
        self.shut.contains_key(&shard)
    }

    /// A shard waits until everybody has spoken of this plan.
    pub(super) fn shut(&mut self, shard: Shard, plan: u64) {
        let waiting = self.shut.remove(&shard).map(|gate| gate.waiting).unwrap_or_default();
        self.shut.insert(shard, Gate { plan, opening: false, waiting });
    }

    /// Shows an envelope to the gate of its shard. `within`: it comes from within an account, and goes on once the
    /// account's sessions come back.
    pub(super) fn pass(&mut self, shard: Shard, envelope: Envelope, within: bool) -> Passage {
        let Some(gate) = self.shut.get_mut(&shard).filter(|gate| !(gate.opening && within)) else {
            return Passage::Passes(envelope);
        };
        if let Body::Stanza(stanza) = &envelope.body {
            if self.stanzas >= Self::STANZAS || self.bytes + stanza.len() > Self::BYTES {
                return Passage::Full(envelope);
            }
            self.stanzas += 1;
            self.bytes += stanza.len();
        }
        gate.waiting.push_back(envelope);
        Passage::Waits
    }

    /// Somebody has spoken.
    pub(super) fn hear(&mut self, Announced { by, plan, arbiter, arbiters }: Announced) {
        let reports = self.reports.entry(by).or_default();
        if reports.len() != usize::from(arbiters) {
            // Another process of the member, with other threads.
            *reports = vec![0; usize::from(arbiters)];
        }
        if let Some(report) = reports.get_mut(usize::from(arbiter.0)) {
            *report = plan.max(*report);
        }
    }

    /// The shards of which everybody has spoken: they open now.
    pub(super) fn ready(&mut self, plan: &Plan) -> Vec<Shard> {
        let takes_part = |member: &&Member| matches!(member.status, Status::Up | Status::Draining);
        let spoken = |member: &Member| {
            let reports = self.reports.get(&member.info.id).filter(|reports| !reports.is_empty());
            reports.and_then(|reports| reports.iter().copied().min()).unwrap_or(0)
        };
        let Some(spoken) = plan.members().filter(takes_part).map(spoken).min() else {
            return Vec::new();
        };
        let ready = self.shut.iter_mut().filter(|(_, gate)| !gate.opening && gate.plan <= spoken);
        ready
            .map(|(shard, gate)| {
                gate.opening = true;
                *shard
            })
            .collect()
    }

    /// A shard is open, or somebody else's: what waited, in order.
    pub(super) fn open(&mut self, shard: Shard) -> VecDeque<Envelope> {
        let waiting = self.shut.remove(&shard).map(|gate| gate.waiting).unwrap_or_default();
        for envelope in &waiting {
            if let Body::Stanza(stanza) = &envelope.body {
                self.stanzas = self.stanzas.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(stanza.len());
            }
        }
        waiting
    }

    /// How many envelopes wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shut.values().map(|gate| gate.waiting.len()).sum()
    }
}

/// The shards that were taken between two plans, with their new owners. Before the first one, all are.
pub(super) fn taken(before: Option<&Plan>, now: &Plan) -> HashMap<Shard, MemberId> {
    let taken = now.ownerships().filter(|(shard, held)| {
        let Some(before) = before.filter(|plan| plan.is_bootstrapped()) else { return true };
        let Some((owner, epoch)) = before.owner(*shard) else { return true };
        (owner, epoch) != (held.owner, held.epoch)
            && !is_handed_over(before, owner, epoch, now, held)
    });
    taken.map(|(shard, held)| (shard, held.owner)).collect()
}

/// Whether the owner before must have let go: it is the same process still, and nothing else happened.
fn is_handed_over(
    before: &Plan,
    owner: MemberId,
    epoch: Epoch,
    now: &Plan,
    held: &Ownership,
) -> bool {
    let process = |plan: &Plan| {
        let member = plan.member(owner).filter(|member| member.status != Status::Expelled)?;
        Some(member.info.incarnation)
    };
    owner != held.owner
        && held.epoch == epoch.next()
        && process(now).is_some()
        && process(now) == process(before)
}

/// The members whose shards have changed between two plans: whoever holds something for them says so.
pub(super) fn to_tell(before: Option<&Plan>, now: &Plan) -> Vec<MemberId> {
    let is_new = |member: &&Member| {
        let known = before.and_then(|plan| plan.member(member.info.id));
        member.status != Status::Expelled
            && !known.is_some_and(|known| {
                known.shards_changed == member.shards_changed
                    && known.info.incarnation == member.info.incarnation
            })
    };
    now.members().filter(is_new).map(|member| member.info.id).collect()
}

#[cfg(test)]
mod tests;

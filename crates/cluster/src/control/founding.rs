//! Owns how members that have no cluster agree to begin one. Pure. The smallest id proposes to all; each
//! promises itself to one proposal at a time; when all have promised, all keep the same plan.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::MemberId;

use crate::clock::BootTime;
use crate::plan::{MemberInfo, Plan};
use crate::wire;

/// What a member without a cluster knows of others without one.
#[derive(Debug)]
pub(crate) struct Founding {
    me: MemberInfo,
    expect: usize,
    seen: BTreeMap<MemberId, Seen>,
    /// Whom this member has promised itself to, with which plan, and until when.
    promised: Option<(MemberId, Plan, BootTime)>,
    settled: Option<Plan>,
}

#[derive(Debug)]
struct Seen {
    info: MemberInfo,
    since: BootTime,
    last: BootTime,
}

/// For so long all must have seen each other.
const STEADY: Duration = Duration::from_secs(3);

/// Who was not heard for so long is gone.
const GONE: Duration = Duration::from_secs(7);

/// A promise that nothing came of ends.
const PROMISE: Duration = Duration::from_secs(10);

/// The most members without a cluster that are kept in mind.
const MAX_SEEN: usize = 64;

impl Founding {
    pub(crate) fn new(me: MemberInfo, expect: usize) -> Self {
        Self { me, expect, seen: BTreeMap::new(), promised: None, settled: None }
    }

    /// Another member has said who it is.
    pub(crate) fn met(&mut self, info: MemberInfo, greeting: &wire::Greeting, now: BootTime) {
        let same = usize::try_from(greeting.bootstrap_expect) == Ok(self.expect);
        if !greeting.cluster_uuid.is_empty() || !same || info.id == self.me.id {
            self.seen.remove(&info.id);
            return;
        }
        // A new disk is a new member of the same name.
        self.seen.retain(|id, seen| *id == info.id || seen.info.name != info.name);
        let since = self.seen.get(&info.id).map_or(now, |seen| seen.since);
        if self.seen.len() < MAX_SEEN || self.seen.contains_key(&info.id) {
            self.seen.insert(info.id, Seen { info, since, last: now });
        }
    }

    /// The members to begin a cluster with, if it is for this member to propose it now.
    pub(crate) fn due(&mut self, now: BootTime) -> Option<Vec<MemberInfo>> {
        self.seen.retain(|_, seen| now.since(seen.last) < GONE);
        if self.promised.as_ref().is_some_and(|(to, _, until)| *to != self.me.id && now < *until) {
            return None;
        }
        let steady = self.seen.values().filter(|seen| now.since(seen.since) >= STEADY);
        let mut members: Vec<_> = steady.map(|seen| seen.info.clone()).collect();
        // All that are there must be steady: one that has just come may have the smallest id.
        if members.len() != self.seen.len() {
            return None;
        }
        members.push(self.me.clone());
        members.sort_by_key(|info| info.id);
        members.truncate(self.expect);
        let mine = members.first().is_some_and(|first| first.id == self.me.id);
        (members.len() == self.expect && mine).then_some(members)
    }

    /// How many members without a cluster are there, this one included.
    pub(crate) fn there(&self) -> usize {
        self.seen.len() + 1
    }

    /// This member proposes a plan itself.
    pub(crate) fn propose(&mut self, plan: Plan, now: BootTime) {
        self.promised = Some((self.me.id, plan, now + PROMISE));
    }

    /// Another member proposes a plan, or says that all have promised.
    ///
    /// # Errors
    ///
    /// Why this member does not promise itself.
    pub(crate) fn asked(
        &mut self,
        name: &str,
        plan: Plan,
        settled: bool,
        now: BootTime,
    ) -> Result<(), &'static str> {
        let proposer = plan.members().next().filter(|first| first.info.name == name);
        let proposer = proposer.ok_or("it is not for this member to propose")?.info.id;
        let of_mine = |info: &MemberInfo| info.id == self.me.id && info.name == self.me.name;
        if !plan.is_bootstrapped() || plan.index() != 1 || plan.members().count() != self.expect {
            return Err("the plan is not one to begin with");
        }
        if !plan.members().any(|member| of_mine(&member.info)) {
            return Err("this member is not in the plan");
        }
        match &self.promised {
            // However long ago: nothing else was promised since.
            Some((to, promised, _)) if settled && *to == proposer && *promised == plan => {
                self.settled = Some(plan.clone());
            }
            _ if settled => return Err("that was not promised"),
            Some((to, _, until)) if now < *until && *to != proposer => {
                return Err("promised to another");
            }
            _ => {}
        }
        self.promised = Some((proposer, plan, now + PROMISE));
        Ok(())
    }

    /// The plan that all have promised themselves to.
    pub(crate) fn settled(&self) -> Option<Plan> {
        self.settled.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashKey;
    use crate::plan::{Bootstrap, ClusterUuid, Entry};

    fn info(id: u64) -> MemberInfo {
        MemberInfo::new(MemberId(id), format!("m{id}"))
    }

    fn greeting(expect: u32) -> wire::Greeting {
        wire::Greeting { bootstrap_expect: expect, ..wire::Greeting::default() }
    }

    fn plan(members: &[u64]) -> Plan {
        let mut plan = Plan::new();
        let first = Bootstrap {
            cluster: ClusterUuid(u128::from(members[0])),
            generation: 1,
            hash_key: HashKey::new([1; 16]),
            feature_level: 1,
            members: members.iter().copied().map(info).collect(),
        };
        plan.apply(1, Entry::Bootstrap(first)).unwrap();
        plan
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(seconds * 1_000_000_000)
    }

    #[test]
    fn the_smallest_id_proposes_when_all_have_seen_each_other_for_a_while() {
        let mut founding = Founding::new(info(1), 3);
        founding.met(info(2), &greeting(3), at(1));
        founding.met(info(3), &greeting(3), at(2));
        assert_eq!(founding.due(at(4)), None);
        assert_eq!(founding.due(at(5)).unwrap().len(), 3);
        founding.met(info(4), &greeting(3), at(5));
        assert_eq!(founding.due(at(6)), None, "the newcomer is awaited");
        let mut greater = Founding::new(info(3), 3);
        greater.met(info(1), &greeting(3), at(1));
        greater.met(info(2), &greeting(3), at(1));
        assert_eq!(greater.due(at(5)), None);
    }

    #[test]
    fn who_is_gone_or_in_a_cluster_or_expects_otherwise_does_not_count() {
        let mut founding = Founding::new(info(1), 2);
        founding.met(info(2), &greeting(2), at(1));
        assert!(founding.due(at(5)).is_some());
        assert_eq!(founding.due(at(9)), None);
        founding.met(info(2), &greeting(3), at(10));
        assert_eq!(founding.due(at(14)), None);
        let in_cluster = wire::Greeting { cluster_uuid: vec![1; 16].into(), ..greeting(2) };
        founding.met(info(2), &in_cluster, at(14));
        assert_eq!(founding.due(at(18)), None);
    }

    #[test]
    fn a_member_promises_itself_to_one_proposal_at_a_time() {
        let mut founding = Founding::new(info(3), 3);
        let (one, other) = (plan(&[1, 2, 3]), plan(&[2, 3, 4]));
        assert!(founding.asked("m1", one.clone(), true, at(1)).is_err(), "nothing was promised");
        assert_eq!(founding.asked("m1", one.clone(), false, at(1)), Ok(()));
        assert!(founding.asked("m2", other.clone(), false, at(2)).is_err());
        assert_eq!(founding.settled(), None);
        assert_eq!(founding.asked("m1", one.clone(), true, at(2)), Ok(()));
        assert_eq!(founding.settled(), Some(one));
        assert!(founding.asked("m2", other, false, at(11)).is_err());
    }

    #[test]
    fn a_promise_that_nothing_comes_of_ends() {
        let mut founding = Founding::new(info(3), 3);
        assert_eq!(founding.asked("m1", plan(&[1, 2, 3]), false, at(1)), Ok(()));
        assert_eq!(founding.asked("m2", plan(&[2, 3, 4]), false, at(12)), Ok(()));
        assert!(founding.asked("m1", plan(&[1, 2, 3]), true, at(13)).is_err());
        let mut founding = Founding::new(info(3), 3);
        assert_eq!(founding.asked("m1", plan(&[1, 2, 3]), false, at(1)), Ok(()));
        assert!(founding.asked("m2", plan(&[2, 3, 4]), true, at(12)).is_err(), "not promised");
        assert_eq!(founding.asked("m1", plan(&[1, 2, 3]), true, at(13)), Ok(()));
    }

    #[test]
    fn only_the_smallest_member_of_a_plan_may_propose_it() {
        let mut founding = Founding::new(info(3), 3);
        assert!(founding.asked("m2", plan(&[1, 2, 3]), false, at(1)).is_err());
        assert!(founding.asked("m1", plan(&[1, 2, 4]), false, at(1)).is_err());
        assert!(founding.asked("m1", plan(&[1, 3]), false, at(1)).is_err());
    }
}

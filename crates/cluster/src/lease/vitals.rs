//! Owns how a member finds itself, which it tells the leader with each heartbeat: how far its arbiters are behind, and whom
//! it does not reach. The leader relieves who is slow, and parts members that do not reach each other
//! (`crate::coordinator`); who hangs stops by itself.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use proto::MemberId;

use crate::control::reach::Reach;
use crate::plan::Plan;

/// An arbiter that has done nothing for longer than this, and than a lease lasts, is slow …
const SLOW: Duration = Duration::from_secs(1);

/// … and for longer than so many times that, it hangs.
const HUNG: u32 = 5;

/// How a member finds itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Vitals {
    /// For how long the arbiter that is furthest behind has done nothing.
    pub lag: Duration,
    /// Who takes part and was not reached several times in a row.
    pub unreached: Vec<MemberId>,
    /// Its share by its own configuration; in the plan it may have none for a while.
    pub weight: u32,
}

impl Vitals {
    /// Whether its accounts are better off elsewhere, if that lasts. `lease` is how long its lease lasts: as long as others
    /// would wait for it.
    pub(crate) fn is_slow(&self, lease: Duration) -> bool {
        self.lag > SLOW.max(lease)
    }

    /// Whether this member must not go on: some of its accounts are as good as dead, which nobody sees from outside as
    /// long as it has a lease. Where nobody else takes shards, it goes on: those of its arbiters that work are all
    /// there is.
    pub(crate) fn must_stop(&self, plan: &Plan, me: MemberId) -> bool {
        let lease = plan.member(me).map_or(Duration::ZERO, |own| own.info.lease);
        let heirs = plan.members().any(|other| other.info.id != me && other.takes_shards());
        self.lag > SLOW.max(lease) * HUNG && heirs
    }
}

/// Where a member learns how it is.
pub(crate) struct Senses {
    weight: u32,
    lease: Duration,
    lag: OnceLock<Box<dyn Fn() -> Duration + Send + Sync>>,
    reach: Mutex<Reach>,
}

impl Senses {
    /// `lease` is how long this member's lease lasts.
    pub(crate) fn new(weight: u32, lease: Duration) -> Self {
        Self { weight, lease, lag: OnceLock::new(), reach: Mutex::default() }
    }

    /// From now on the lag of arbiters is known.
    pub(crate) fn watch_arbiters(&self, lag: impl Fn() -> Duration + Send + Sync + 'static) {
        // There is one process with arbiters; the first word stays.
        drop(self.lag.set(Box::new(lag)));
    }

    /// How this member is now.
    pub(crate) fn vitals(&self) -> Vitals {
        Vitals {
            lag: self.lag.get().map_or(Duration::ZERO, |lag| lag()),
            unreached: self.reach(|reach| reach.unreached(self.lease)),
            weight: self.weight,
        }
    }

    /// Looks at, or notes, who was reached.
    pub(crate) fn reach<T>(&self, look: impl FnOnce(&mut Reach) -> T) -> T {
        look(&mut self.reach.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether others have this member's accounts because it was slow.
    pub(crate) fn is_relieved(&self, plan: &Plan, me: MemberId) -> bool {
        self.weight > 0 && plan.member(me).is_some_and(|own| own.info.weight == 0)
    }
}

impl fmt::Debug for Senses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Senses").field("weight", &self.weight).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::HashKey;
    use crate::plan::{Entry, MemberInfo};

    const ME: MemberId = MemberId(1);

    fn after(millis: u64) -> Vitals {
        Vitals { lag: Duration::from_millis(millis), ..Vitals::default() }
    }

    #[test]
    fn a_member_that_hangs_stops_where_another_can_take_over() {
        let alone = Plan::single(ME, HashKey::new([0; 16]));
        let mut two = alone.clone();
        let other = MemberInfo::new(MemberId(2), "two");
        two.apply(2, Entry::Join(other.clone())).unwrap();
        two.apply(3, Entry::Up(other)).unwrap();
        assert!(!after(5_000).must_stop(&two, ME));
        assert!(after(5_001).must_stop(&two, ME));
        assert!(!after(60_000).must_stop(&alone, ME), "it is all there is");
        let takes_none = Entry::SetWeight { member: MemberId(2), weight: 0 };
        two.apply(4, takes_none).unwrap();
        assert!(!after(60_000).must_stop(&two, ME), "the other one takes none");
    }

    #[test]
    fn what_a_member_says_of_itself_is_what_its_senses_say() {
        let lease = Duration::from_secs(1);
        let senses = Senses::new(7, lease);
        assert_eq!(senses.vitals(), Vitals { weight: 7, ..Vitals::default() });
        senses.watch_arbiters(|| Duration::from_millis(1_001));
        (0..3).for_each(|_| senses.reach(|reach| reach.note([(MemberId(2), false)])));
        let vitals = senses.vitals();
        assert!(vitals.is_slow(lease) && !vitals.is_slow(lease * 2));
        assert_eq!(vitals.unreached, [MemberId(2)]);
        assert!(!after(1_000).is_slow(Duration::ZERO));
    }
}

//! Owns how fast each other domain may send, over all its streams to this member, so that more streams are no more
//! stanzas, and neither is one after the other. Time is handed in.
//!
//! Bound: of domains without a stream, 4,096 that may not send a whole burst yet are remembered, and up to 256 more until
//! it is looked again. With more, those go first that could soonest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use socket::{Allowance, Rate};
use xmpp::BareJid;

/// Domains without a stream that are remembered.
const REMEMBERED: usize = 4_096;
/// With so many domains more, it is looked which may be forgotten.
const LOOK_EVERY: usize = 256;

/// A domain's budget, shared by its streams.
pub(crate) type Budget = Rc<RefCell<Rate>>;

/// The budget of each domain that has a stream, or has had one of late.
pub(crate) struct OfDomains {
    allowance: Option<Allowance>,
    known: RefCell<HashMap<BareJid, Budget>>,
}

impl OfDomains {
    /// Each may send so much; none for no limit.
    pub(crate) fn new(allowance: Option<Allowance>) -> Self {
        Self { allowance, known: RefCell::default() }
    }

    /// The budget of a domain: what is left of it, also where its last stream has ended meanwhile.
    pub(crate) fn of(&self, domain: &BareJid, now: Duration) -> Budget {
        let mut known = self.known.borrow_mut();
        if let Some(budget) = known.get(domain) {
            return Rc::clone(budget);
        }
        if known.len() % LOOK_EVERY == LOOK_EVERY - 1 {
            forget(&mut known, now);
        }
        let budget = Rc::new(RefCell::new(Rate::new(self.allowance)));
        known.insert(domain.clone(), Rc::clone(&budget));
        budget
    }
}

/// Forgets budgets that no stream draws on: all that are as good as new, and of the others those above the bound.
fn forget(known: &mut HashMap<BareJid, Budget>, now: Duration) {
    let owes = |budget: &Budget| budget.borrow().owes(now);
    let is_idle = |budget: &Budget| Rc::strong_count(budget) == 1;
    known.retain(|_, budget| !is_idle(budget) || !owes(budget).is_zero());
    let idle = known.iter().filter(|(_, budget)| is_idle(budget));
    let mut idle: Vec<_> = idle.map(|(domain, budget)| (owes(budget), domain.clone())).collect();
    let Some(many) = idle.len().checked_sub(REMEMBERED) else { return };
    idle.sort_unstable_by_key(|(owes, _)| *owes);
    idle.iter().take(many).for_each(|(_, domain)| drop(known.remove(domain)));
}

/// What one stream draws on: the budgets of the domains that have sent on it.
#[derive(Default)]
pub(crate) struct Drawn {
    budgets: HashMap<BareJid, Budget>,
}

impl Drawn {
    /// Counts a stanza of a domain; how long not to read the stream, if at all.
    pub(crate) fn count(
        &mut self,
        all: &OfDomains,
        domain: &BareJid,
        bytes: usize,
        now: Duration,
    ) -> Option<Duration> {
        let budget = self.budgets.entry(domain.clone()).or_insert_with(|| all.of(domain, now));
        budget.borrow_mut().count(now, bytes, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_streams_of_a_domain_draw_on_one_budget() {
        let all = OfDomains::new(Some(Allowance::per_second(1_000_000, 10)));
        let [a, b] = ["a.example", "b.example"].map(|name| BareJid::parse(name).unwrap());
        let (mut one, mut two) = (Drawn::default(), Drawn::default());
        let now = Duration::from_secs(1);
        for _ in 0..25 {
            assert_eq!(one.count(&all, &a, 100, now), None);
            assert_eq!(two.count(&all, &a, 100, now), None);
        }
        let wait = two.count(&all, &a, 100, now).unwrap();
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(two.count(&all, &b, 100, now), None);
        assert_eq!(all.known.borrow().len(), 2);
        let free = OfDomains::new(None);
        assert_eq!(Drawn::default().count(&free, &a, usize::MAX, now), None);
    }

    fn domain(number: usize) -> BareJid {
        BareJid::parse(&format!("d{number}.example")).unwrap()
    }

    /// A stream comes, brings so many stanzas, and ends.
    fn visits(all: &OfDomains, domain: &BareJid, stanzas: u64, now: Duration) -> Option<Duration> {
        let mut stream = Drawn::default();
        (0..stanzas).fold(None, |_, _| stream.count(all, domain, 100, now))
    }

    #[test]
    fn who_ends_its_last_stream_and_opens_another_one_has_gained_nothing() {
        let all = OfDomains::new(Some(Allowance::per_second(1_000_000, 10)));
        let (a, now) = (domain(0), Duration::from_secs(1));
        assert_eq!(visits(&all, &a, 50, now), None);
        assert_eq!(visits(&all, &a, 1, now), Some(Duration::from_millis(100)));
        // It looks often enough, and forgets it only when it may send as much again as any other one.
        let later = |seconds| now + Duration::from_secs(seconds);
        let others = |from: usize, now| {
            for number in from..from + 2 * LOOK_EVERY {
                visits(&all, &domain(number), 1, now);
            }
        };
        others(1, later(4));
        assert_eq!(visits(&all, &a, 40, later(4)), Some(Duration::from_millis(100)));
        others(10_000, later(20));
        assert!(!all.known.borrow().contains_key(&a));
        assert_eq!(visits(&all, &a, 50, later(20)), None);
    }

    #[test]
    fn no_more_domains_are_remembered_than_the_bound_and_who_owes_most_is_not_forgotten() {
        let all = OfDomains::new(Some(Allowance::per_second(1_000_000, 10)));
        let now = Duration::from_secs(1);
        assert_eq!(visits(&all, &domain(0), 50, now), None);
        let mut held = Drawn::default();
        held.count(&all, &domain(1), 100, now);
        for number in 2..2 * REMEMBERED {
            visits(&all, &domain(number), 2, now);
        }
        let most = REMEMBERED + LOOK_EVERY + 1;
        assert!((REMEMBERED..=most).contains(&all.known.borrow().len()));
        assert!(visits(&all, &domain(0), 1, now).is_some());
        assert!(all.known.borrow().contains_key(&domain(1)), "its stream is there");
    }
}

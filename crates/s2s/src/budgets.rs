//! Owns how fast each other domain may send, over all its streams to this member, so that more streams are no more
//! stanzas. Time is handed in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use socket::{Allowance, Rate};
use xmpp::BareJid;

/// With so many domains more, those without a stream are forgotten.
const LOOK_EVERY: usize = 256;

/// A domain's budget, shared by its streams.
pub(crate) type Budget = Rc<RefCell<Rate>>;

/// The budget of each domain that has a stream.
pub(crate) struct OfDomains {
    allowance: Option<Allowance>,
    known: RefCell<HashMap<BareJid, Weak<RefCell<Rate>>>>,
}

impl OfDomains {
    /// Each may send so much; none for no limit.
    pub(crate) fn new(allowance: Option<Allowance>) -> Self {
        Self { allowance, known: RefCell::default() }
    }

    /// The budget of a domain, for as long as somebody holds it.
    pub(crate) fn of(&self, domain: &BareJid) -> Budget {
        let mut known = self.known.borrow_mut();
        if let Some(budget) = known.get(domain).and_then(Weak::upgrade) {
            return budget;
        }
        if known.len() % LOOK_EVERY == LOOK_EVERY - 1 {
            known.retain(|_, budget| budget.strong_count() > 0);
        }
        let budget = Rc::new(RefCell::new(Rate::new(self.allowance)));
        known.insert(domain.clone(), Rc::downgrade(&budget));
        budget
    }
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
        let budget = self.budgets.entry(domain.clone()).or_insert_with(|| all.of(domain));
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
        // Who closes a stream and opens another one has gained nothing while the first is there.
        drop(two);
        assert!(Drawn::default().count(&all, &a, 100, now).is_some());
        assert_eq!(all.known.borrow().len(), 2);
        let free = OfDomains::new(None);
        assert_eq!(Drawn::default().count(&free, &a, usize::MAX, now), None);
    }
}

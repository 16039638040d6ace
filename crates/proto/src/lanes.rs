//! Owns over how many lanes what is for each other domain is spread, and by which of them a stanza goes. Pure.
//!
//! What one account, room or service says to one account of the other domain goes by one lane, whatever resources are
//! meant: so it stays in order, which is all that RFC 6120 §10.1 asks for. Each lane is owned by whichever member has
//! its bucket.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::num::NonZeroU8;
use std::sync::Arc;

use siphasher::sip::SipHasher24;
use xmpp::Jid;

/// How many lanes there are to each other domain; one, unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    all: Option<NonZeroU8>,
    of: Arc<BTreeMap<String, NonZeroU8>>,
}

impl Lanes {
    /// So many to every domain, but for these.
    pub fn new(all: NonZeroU8, of: BTreeMap<String, NonZeroU8>) -> Self {
        Self { all: Some(all), of: Arc::new(of) }
    }

    /// How many there are to a domain.
    pub fn count(&self, domain: &str) -> NonZeroU8 {
        self.of.get(domain).copied().or(self.all).unwrap_or(NonZeroU8::MIN)
    }

    /// The lane of a stanza, by the bare addresses that it is between: below [`Lanes::count`], the first where nobody
    /// sends.
    ///
    /// Every member and every release must find the same one, so the hash is one that never changes. It has no key:
    /// whoever knows how to fill one lane fills no more than there was with a single one.
    pub fn of(&self, from: Option<&Jid>, to: &Jid) -> u8 {
        let count = self.count(to.domainpart()).get();
        let Some(from) = from.filter(|_| count > 1) else { return 0 };
        let mut hasher = SipHasher24::new();
        hasher.write(from.bare_str().as_bytes());
        // No address has one.
        hasher.write(&[0]);
        hasher.write(to.bare_str().as_bytes());
        u8::try_from(hasher.finish() % u64::from(count)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn lanes(all: u8, of: &[(&str, u8)]) -> Lanes {
        let count = |count| NonZeroU8::new(count).unwrap();
        let of = of.iter().map(|(domain, lanes)| ((*domain).to_owned(), count(*lanes)));
        Lanes::new(count(all), of.collect())
    }

    #[test]
    fn the_bare_addresses_of_both_sides_decide_and_the_table_never_changes() {
        let lanes = lanes(1, &[("y.org", 4)]);
        // Members of different releases work together: another function here would be another order there.
        let table = [
            ("a@x.org", "b@y.org", 1),
            ("a@x.org/phone", "b@y.org", 1),
            ("a@x.org", "b@y.org/desk", 1),
            ("a@x.org/laptop", "b@y.org/phone", 1),
            ("b@x.org", "b@y.org", 0),
            ("a@x.org", "c@y.org", 2),
            ("a@x.org", "y.org", 1),
            ("x.org", "b@y.org", 2),
            ("room@conference.x.org/romeo", "b@y.org/desk", 1),
            ("room@conference.x.org/juliet", "b@y.org/desk", 1),
            // Another domain has one lane.
            ("a@x.org", "c@z.org", 0),
        ];
        for (from, to, lane) in table {
            assert_eq!(lanes.of(Some(&jid(from)), &jid(to)), lane, "{from} to {to}");
        }
        assert_eq!(lanes.of(None, &jid("b@y.org")), 0);
    }

    #[test]
    fn pairs_spread_evenly_also_where_one_side_is_the_same() {
        let lanes = lanes(4, &[]);
        let room = |number: u32| (jid("room@c.x.org"), jid(&format!("u{number}@y.org")));
        let crowd = |number: u32| (jid(&format!("u{number}@x.org")), jid("b@y.org"));
        for pair in [&room as &dyn Fn(u32) -> (Jid, Jid), &crowd] {
            let mut counts = [0; 4];
            for (from, to) in (0..1_000).map(pair) {
                counts[usize::from(lanes.of(Some(&from), &to))] += 1;
            }
            assert!(counts.iter().all(|count| (200..=300).contains(count)), "{counts:?}");
        }
    }

    #[test]
    fn a_domain_has_as_many_lanes_as_is_said_of_it() {
        let lanes = lanes(2, &[("big.org", 8), ("small.org", 1)]);
        let counts = ["big.org", "small.org", "other.org"].map(|it| lanes.count(it).get());
        assert_eq!(counts, [8, 1, 2]);
        assert_eq!(Lanes::default().count("big.org"), NonZeroU8::MIN);
    }
}

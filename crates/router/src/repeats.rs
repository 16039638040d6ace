//! Owns the question whether what is to leave the cluster has come before: whatever takes the place of something that is
//! gone - the home of an account, the owner of a room - says once more what that one may have said, and another server, or
//! a component, should not hear it twice. Entities ask the same (`entity/src/repeats.rs`). Pure: time is handed in.
//!
//! Only what says itself that it comes again is held back, and never presence, which may come twice.
//!
//! Bound: [`MOST`] causes and pairs of addresses that were heard last, and as many before them, each for two minutes at
//! most. What is not known any more goes once more.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use proto::seen::Numbers;
use proto::{Body, Envelope, Firsts, Mark};
use xmpp::Kind;

const MOST: usize = 4_096;
/// Longer than it takes to notice that a member is gone, and to go on in its place.
const MEMORY: Duration = Duration::from_secs(60);

/// What has come for one queue of late.
#[derive(Default)]
pub struct Repeats {
    hasher: RandomState,
    /// What has come of each cause between two addresses.
    young: HashMap<u64, Numbers>,
    /// What was young before.
    old: HashMap<u64, Numbers>,
    /// Since when the young ones are gathered.
    since: Duration,
    firsts: Firsts<(u64, u64)>,
}

impl Repeats {
    /// Whether the envelope has come before; if not, it is marked, and the mark is taken back if its receipt turns out to
    /// be dropped. The receipt of one that has come before is taken: it is settled as that of the first one is.
    pub fn has(&mut self, envelope: &mut Envelope, now: Duration) -> bool {
        for (key, number) in self.firsts.take_failed() {
            let known = [self.young.get_mut(&key), self.old.get_mut(&key)];
            known.into_iter().flatten().for_each(|numbers| numbers.forget(number));
        }
        // What is sent from here is said again by nobody who finds this queue.
        let Some((key, number)) =
            self.mark(envelope).filter(|_| envelope.crossed || envelope.again)
        else {
            return false;
        };
        let receipt = envelope.receipt.take();
        if self.see((key, number), envelope.again, now) && envelope.again {
            receipt.into_iter().for_each(|repeat| self.firsts.join((key, number), repeat));
            return true;
        }
        envelope.receipt = receipt.map(|receipt| self.firsts.watch((key, number), receipt));
        // From here it goes for the first time, also where it has to come back here.
        envelope.again = false;
        false
    }

    /// Whether this has come; it has from now on.
    fn see(&mut self, (key, number): (u64, u64), again: bool, now: Duration) -> bool {
        self.make_room(now);
        let known = self.young.remove(&key).or_else(|| self.old.remove(&key));
        let was_known = known.is_some();
        let mut numbers = known.unwrap_or_else(|| Numbers::of(number));
        let has_come = numbers.see(number, again) && was_known;
        self.young.insert(key, numbers);
        has_come
    }

    fn mark(&self, envelope: &Envelope) -> Option<(u64, u64)> {
        let Body::Stanza(stanza) = &envelope.body else { return None };
        if matches!(stanza.kind(), Kind::Presence(_)) {
            return None;
        }
        let (mark, head) = (Mark::of(envelope.origin, stanza), stanza.head());
        let between = (head.from.as_ref()?.bare_str(), head.to.as_ref()?.as_str());
        Some((self.hasher.hash_one((mark.key(), between)), mark.number()))
    }

    fn make_room(&mut self, now: Duration) {
        if self.young.len() >= MOST || now >= self.since + MEMORY {
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::{Ledger, Route};
    use xmpp::{BareJid, Epoch, Head, Jid, MessageType, Origin, PresenceType, Stanza};

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    /// Something that a room tells its people, in the way of a link.
    fn said(kind: Kind, to: &str, seq: u64) -> Envelope {
        let from = Some(Jid::parse("room@conference.x.org/nick").unwrap());
        let to = Some(Jid::parse(to).unwrap());
        let stanza = Stanza::new(Head { kind, id: None, from, to, lang: None }, "");
        let route = Route::User(BareJid::parse("nobody@x.org").unwrap());
        let origin = Origin::Client { session: 0, seq, part: 0 };
        let envelope = Envelope::new(route, Body::Stanza(stanza), origin, Epoch(1));
        Envelope { crossed: true, ..envelope }
    }

    fn message(to: &str, seq: u64) -> Envelope {
        said(Kind::Message(MessageType::Groupchat), to, seq)
    }

    fn again(envelope: Envelope) -> Envelope {
        Envelope { again: true, ..envelope }
    }

    #[test]
    fn what_is_said_again_is_known_for_each_who_has_had_it_and_new_for_all_others() {
        let mut repeats = Repeats::default();
        for (to, seq) in [("a@y.org/r", 10), ("b@y.org/r", 10), ("a@y.org/r", 500_000)] {
            assert!(!repeats.has(&mut message(to, seq), NOW));
        }
        // Another owner does not know what has left; B has not had the second one.
        for (to, seq, known) in [
            ("a@y.org/r", 10, true),
            ("b@y.org/r", 10, true),
            ("a@y.org/r", 500_000, true),
            ("b@y.org/r", 500_000, false),
            ("b@y.org/r", 500_000, true),
            ("a@y.org/other", 10, false),
            ("a@y.org/r", 500_001, false),
        ] {
            assert_eq!(repeats.has(&mut again(message(to, seq)), NOW), known, "{to} {seq}");
        }
    }

    #[test]
    fn an_answer_that_another_one_has_passed_has_not_come_before() {
        let answer = |seq| said(Kind::Iq(xmpp::IqType::Result), "a@y.org/r", seq);
        let mut repeats = Repeats::default();
        assert!(!repeats.has(&mut answer(2), NOW));
        assert!(!repeats.has(&mut again(answer(1)), NOW));
        assert!([1, 2].iter().all(|seq| repeats.has(&mut again(answer(*seq)), NOW)));
    }

    #[test]
    fn nothing_is_held_back_that_does_not_say_that_it_comes_again() {
        let mut repeats = Repeats::default();
        assert!(!repeats.has(&mut message("a@y.org", 2), NOW));
        for seq in [2, 1] {
            assert!(!repeats.has(&mut message("a@y.org", seq), NOW), "{seq}");
        }
        let here = Envelope { crossed: false, ..message("b@y.org", 1) };
        let mut here = [here, again(message("b@y.org", 1))];
        assert!(here.iter_mut().all(|it| !repeats.has(it, NOW)), "what is sent here is not marked");
        let presence = || again(said(Kind::Presence(PresenceType::Available), "a@y.org", 1));
        assert!([presence(), presence()].iter_mut().all(|it| !repeats.has(it, NOW)));
    }

    #[test]
    fn a_repeat_is_safe_when_the_first_one_is_and_what_failed_is_new() {
        for faulty in [false, true] {
            let (mut repeats, ledger) = (Repeats::default(), Ledger::new(0, || {}));
            let mut first = message("a@y.org", 1).with_receipt(Some(Ledger::new(0, || {}).open()));
            assert!(!repeats.has(&mut first, NOW));
            let repeat = |ledger: &std::sync::Arc<Ledger>| {
                again(message("a@y.org", 1)).with_receipt(Some(ledger.open()))
            };
            let mut second = repeat(&ledger);
            assert!(repeats.has(&mut second, NOW) && second.receipt.is_none());
            assert_eq!((ledger.standing().handled, ledger.standing().faulty), (0, false));
            let receipt = first.receipt.unwrap();
            if faulty {
                drop(receipt);
                assert!(ledger.standing().faulty);
            } else {
                receipt.release();
                assert_eq!(ledger.standing().handled, 1);
            }
            let known = repeats.has(&mut repeat(&Ledger::new(0, || {})), NOW);
            assert_eq!(known, !faulty);
        }
    }

    #[test]
    fn what_was_heard_long_ago_or_before_too_many_others_is_forgotten() {
        let mut repeats = Repeats::default();
        let come = |repeats: &mut Repeats, to: &str, later: Duration| {
            repeats.has(&mut message(to, 1), NOW + later)
        };
        let is_known = |repeats: &mut Repeats, to: &str, later: Duration| {
            repeats.has(&mut again(message(to, 1)), NOW + later)
        };
        for to in ["a@y.org", "b@y.org"] {
            assert!(!come(&mut repeats, to, Duration::ZERO));
        }
        assert!(!come(&mut repeats, "c@y.org", MEMORY));
        assert!(is_known(&mut repeats, "a@y.org", MEMORY));
        assert!(!come(&mut repeats, "c@y.org", 2 * MEMORY));
        assert!(!is_known(&mut repeats, "b@y.org", 2 * MEMORY));
        for number in 0..3 * MOST {
            assert!(!come(&mut repeats, &format!("d{number}@y.org"), 2 * MEMORY));
        }
        assert!(repeats.young.len() <= MOST && repeats.old.len() <= MOST);
        assert!(!is_known(&mut repeats, "a@y.org", 2 * MEMORY));
    }
}

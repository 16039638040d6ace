//! Owns what the owner of a component's domain knows of it: which streams it has to which members, and what waits while
//! it has none. Pure: time is handed in.
//!
//! Each member says every so often which streams it holds. One that has not for long, or is gone, holds none.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use proto::{HeldStreams, MemberId};
use socket::Queue;
use xmpp::Stanza;

/// A member that has said nothing of its streams for this long has none.
const SILENT: Duration = Duration::from_secs(10);

/// What is known of one component.
pub(crate) struct StreamTable<T> {
    held: BTreeMap<MemberId, Held>,
    /// What waits until there is a stream.
    pub(crate) waiting: Queue<T>,
}

struct Held {
    numbers: Vec<u64>,
    heard: Duration,
}

impl<T> StreamTable<T> {
    pub(crate) fn new(waiting: Queue<T>) -> Self {
        Self { held: BTreeMap::new(), waiting }
    }

    /// A member holds these streams now, and no others.
    pub(crate) fn hear(&mut self, HeldStreams { member, numbers, .. }: HeldStreams, now: Duration) {
        if numbers.is_empty() {
            self.held.remove(&member);
        } else {
            self.held.insert(member, Held { numbers, heard: now });
        }
    }

    /// Forgets streams of members that are gone, or silent.
    pub(crate) fn forget(&mut self, now: Duration, is_gone: impl Fn(MemberId) -> bool) {
        self.held.retain(|member, held| !is_gone(*member) && held.heard + SILENT > now);
    }

    /// The stream for what one address says to another, to a member that is there: the same one, as long as it is.
    pub(crate) fn choose(
        &self,
        pair: u64,
        is_there: impl Fn(MemberId) -> bool,
    ) -> Option<(MemberId, u64)> {
        let of = |(member, held): (&MemberId, &Held)| {
            held.numbers.iter().map(|number| (*member, *number)).collect::<Vec<_>>()
        };
        let all = self.held.iter().filter(|(member, _)| is_there(**member)).flat_map(of);
        all.max_by_key(|(_, number)| weight(pair, *number))
    }
}

/// How well a stream suits a pair of addresses: where one comes or goes, others keep their pairs.
pub(crate) fn weight(pair: u64, number: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (pair, number).hash(&mut hasher);
    hasher.finish()
}

/// A number for the two accounts that a stanza is between.
pub(crate) fn pair_of(stanza: &Stanza) -> u64 {
    let mut hasher = DefaultHasher::new();
    let head = stanza.head();
    for jid in [&head.from, &head.to] {
        jid.as_ref().map(|jid| jid.bare_str()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use socket::Bounds;

    use super::*;

    fn table() -> StreamTable<u32> {
        let bounds = Bounds { items: 3, bytes: 100, wait: Duration::from_secs(30) };
        StreamTable::new(Queue::new(bounds, Arc::default()))
    }

    fn held(member: u64, numbers: &[u64]) -> HeldStreams {
        let (member, numbers) = (MemberId(member), numbers.to_vec());
        HeldStreams { member, numbers, local: None, spare: Vec::new() }
    }

    #[test]
    fn a_pair_keeps_its_stream_when_others_come_and_go() {
        let mut table = table();
        assert_eq!(table.choose(1, |_| true), None);
        table.hear(held(1, &[11, 12]), Duration::ZERO);
        table.hear(held(2, &[21]), Duration::ZERO);
        let before: Vec<_> = (0..200).map(|pair| table.choose(pair, |_| true).unwrap()).collect();
        for stream in [(1, 11), (1, 12), (2, 21)] {
            let stream = (MemberId(stream.0), stream.1);
            assert!(before.iter().filter(|it| **it == stream).count() > 40, "{stream:?}");
        }
        table.hear(held(1, &[12]), Duration::ZERO);
        for (pair, before) in (0..).zip(&before) {
            let now = table.choose(pair, |_| true).unwrap();
            assert!(now == *before || before.1 == 11);
        }
        table.hear(held(2, &[]), Duration::ZERO);
        assert_eq!(table.choose(7, |_| true), Some((MemberId(1), 12)));
        assert_eq!(table.choose(7, |member| member != MemberId(1)), None);
    }

    #[test]
    fn members_that_are_gone_or_silent_hold_no_streams() {
        let mut table = table();
        table.hear(held(1, &[11]), Duration::ZERO);
        table.hear(held(2, &[21]), Duration::from_secs(5));
        table.forget(Duration::from_secs(9), |_| false);
        assert_eq!(table.held.len(), 2);
        table.forget(Duration::from_secs(10), |_| false);
        assert_eq!(table.choose(1, |_| true), Some((MemberId(2), 21)));
        table.forget(Duration::from_secs(10), |member| member == MemberId(2));
        assert_eq!(table.choose(1, |_| true), None);
    }
}

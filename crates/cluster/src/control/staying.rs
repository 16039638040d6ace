//! Owns which shards of this member do not move though they are to, and why: for operators.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xmpp::Shard;

use crate::clock::BootTime;

/// A shard that does not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayingRow {
    /// Its number.
    pub shard: u16,
    /// What kept it last time.
    pub why: String,
    /// How often it was tried in vain.
    pub times: u32,
}

/// Whatever is to move is tried again before that; where it is not, it is not to move any more.
const RECENT: Duration = Duration::from_secs(120);

/// Shards that were to move in vain; as many as there are at most.
#[derive(Debug, Default)]
pub(crate) struct Staying {
    by_shard: Mutex<BTreeMap<Shard, Stay>>,
}

#[derive(Debug)]
struct Stay {
    why: String,
    times: u32,
    last: BootTime,
}

impl Staying {
    /// A shard was to move in vain.
    pub(crate) fn note(&self, shard: Shard, why: String, now: BootTime) {
        let mut all = self.lock();
        all.retain(|_, stay| now.since(stay.last) < RECENT);
        let times = all.get(&shard).map_or(0, |stay| stay.times).saturating_add(1);
        // Once is nothing: what lives there may just have been busy.
        if times > 1 && times.is_power_of_two() {
            let shard = shard.number();
            tracing::warn!(error = why, "shard {shard} was to move {times} times in vain");
        }
        all.insert(shard, Stay { why, times, last: now });
    }

    /// Only these are still this member's.
    pub(crate) fn retain(&self, own: impl Fn(Shard) -> bool) {
        self.lock().retain(|shard, _| own(*shard));
    }

    /// As operators see it.
    pub(crate) fn rows(&self, now: BootTime) -> Vec<StayingRow> {
        let all = self.lock();
        let recent = all.iter().filter(|(_, stay)| now.since(stay.last) < RECENT);
        let row = |(shard, stay): (&Shard, &Stay)| StayingRow {
            shard: shard.number(),
            why: stay.why.clone(),
            times: stay.times,
        };
        recent.map(row).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Shard, Stay>> {
        self.by_shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_move_is_shown_until_it_has_or_is_not_to_any_more() {
        let (staying, begun) = (Staying::default(), BootTime(1));
        let [one, other] = [7, 8].map(|number| Shard::new(number).unwrap());
        staying.note(one, "busy".to_owned(), begun);
        staying.note(other, "busy".to_owned(), begun);
        staying.note(one, "no room".to_owned(), begun + RECENT / 2);
        let row = |shard: Shard, why: &str, times| StayingRow {
            shard: shard.number(),
            why: why.to_owned(),
            times,
        };
        let [of_one, of_other] = [row(one, "no room", 2), row(other, "busy", 1)];
        assert_eq!(staying.rows(begun + RECENT / 2), [of_one.clone(), of_other]);
        assert_eq!(staying.rows(begun + RECENT), [of_one]);
        staying.retain(|shard| shard != one);
        assert_eq!(staying.rows(begun), [row(other, "busy", 1)]);
        staying.note(one, "busy".to_owned(), begun + RECENT);
        assert_eq!(staying.rows(begun + RECENT), [row(one, "busy", 1)], "it begins anew");
    }
}

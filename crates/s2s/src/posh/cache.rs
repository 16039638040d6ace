//! Owns documents that were fetched, until they end (RFC 7711 §6) or operators want them asked again: what was found, and
//! that nothing was. Bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Fingerprint;

/// Most domains that are remembered.
const DOMAINS_MAX: usize = 1_000;
/// A document is kept for no longer than this, and never for longer than it says (RFC 7711 §6).
const MOST: Duration = Duration::from_secs(7 * 86_400);
/// A domain that has none is asked again after this.
const NONE: Duration = Duration::from_secs(300);

type Found = Result<Vec<Fingerprint>, String>;
type Documents = BTreeMap<String, (Instant, Found)>;

/// What is known of domains.
#[derive(Default)]
pub(crate) struct PoshCache(Mutex<Documents>);

impl PoshCache {
    /// What is known of a domain still.
    pub(super) fn find(&self, domain: &str) -> Option<Found> {
        let cache = self.lock();
        cache.get(domain).filter(|(until, _)| *until > Instant::now()).map(|(_, it)| it.clone())
    }

    /// Keeps what was found, and gives it back.
    pub(super) fn put(
        &self,
        domain: &str,
        found: Result<(Vec<Fingerprint>, Duration), String>,
    ) -> Found {
        let (found, lasts) = match found {
            Ok((prints, expires)) => (Ok(prints), expires.min(MOST)),
            Err(why) => (Err(why), NONE),
        };
        let (mut cache, now) = (self.lock(), Instant::now());
        if cache.len() >= DOMAINS_MAX {
            cache.retain(|_, (until, _)| *until > now);
        }
        if cache.len() >= DOMAINS_MAX {
            let soonest = cache.iter().min_by_key(|(_, (until, _))| *until);
            let soonest = soonest.map(|(domain, _)| domain.clone());
            soonest.and_then(|domain| cache.remove(&domain));
        }
        cache.insert(domain.to_owned(), (now + lasts, found.clone()));
        found
    }

    /// Forgets what domains have published, also that there is nothing: they are asked again.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Documents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(seconds: u64) -> Result<(Vec<Fingerprint>, Duration), String> {
        Ok((vec![Fingerprint::Sha256(vec![1])], Duration::from_secs(seconds)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_is_kept_until_its_end_within_bounds() {
        let cache = PoshCache::default();
        for (domain, said, kept) in [("a", 2, 2), ("b", 3_600, 3_600), ("c", 1 << 40, 7 * 86_400)] {
            assert!(cache.put(domain, found(said)).is_ok());
            tokio::time::advance(Duration::from_secs(kept - 1)).await;
            assert!(cache.find(domain).is_some(), "{domain}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(cache.find(domain).is_none(), "{domain}");
        }
        assert!(cache.put("d", Err("no".to_owned())).is_err());
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(cache.find("d"), Some(Err("no".to_owned())));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.find("d"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_forgotten_is_asked_again() {
        let cache = PoshCache::default();
        cache.put("a", found(60)).unwrap();
        cache.put("b", Err("no".to_owned())).unwrap_err();
        cache.forget();
        assert_eq!((cache.find("a"), cache.find("b")), (None, None));
        cache.put("b", found(60)).unwrap();
        assert!(cache.find("b").is_some_and(|it| it.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn with_too_many_the_one_that_ends_first_makes_room() {
        let cache = PoshCache::default();
        for number in 0..DOMAINS_MAX {
            cache.put(&format!("{number}"), found(1_000 + number as u64)).unwrap();
        }
        cache.put("another", found(5_000)).unwrap();
        assert_eq!(cache.lock().len(), DOMAINS_MAX);
        assert!(cache.find("0").is_none() && cache.find("1").is_some());
        assert!(cache.find("another").is_some());
    }
}

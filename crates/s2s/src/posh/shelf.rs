//! Owns documents that were fetched, until they end (RFC 7711 §3): what was found, and that nothing was. Bounded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Print;

/// Most domains that are remembered.
const DOMAINS_MAX: usize = 1_000;
/// What a document says of its end is taken within these.
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(7 * 86_400);
/// A domain that has none is asked again after this.
const NONE: Duration = Duration::from_secs(300);

type Found = Result<Vec<Print>, String>;

/// What is known of domains.
#[derive(Default)]
pub(crate) struct Shelf(RefCell<BTreeMap<String, (Instant, Found)>>);

impl Shelf {
    /// What is known of a domain still.
    pub(super) fn find(&self, domain: &str) -> Option<Found> {
        let shelf = self.0.borrow();
        shelf.get(domain).filter(|(until, _)| *until > Instant::now()).map(|(_, it)| it.clone())
    }

    /// Keeps what was found, and gives it back.
    pub(super) fn put(&self, domain: &str, found: Result<(Vec<Print>, Duration), String>) -> Found {
        let (found, lasts) = match found {
            Ok((prints, expires)) => (Ok(prints), expires.clamp(LEAST, MOST)),
            Err(why) => (Err(why), NONE),
        };
        let (mut shelf, now) = (self.0.borrow_mut(), Instant::now());
        if shelf.len() >= DOMAINS_MAX {
            shelf.retain(|_, (until, _)| *until > now);
        }
        if shelf.len() >= DOMAINS_MAX {
            let soonest = shelf.iter().min_by_key(|(_, (until, _))| *until);
            let soonest = soonest.map(|(domain, _)| domain.clone());
            soonest.and_then(|domain| shelf.remove(&domain));
        }
        shelf.insert(domain.to_owned(), (now + lasts, found.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(seconds: u64) -> Result<(Vec<Print>, Duration), String> {
        Ok((vec![Print::Sha256(vec![1])], Duration::from_secs(seconds)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_document_is_kept_until_its_end_within_bounds() {
        let shelf = Shelf::default();
        for (domain, said, kept) in [("a", 0, 60), ("b", 3_600, 3_600), ("c", 1 << 40, 7 * 86_400)]
        {
            assert!(shelf.put(domain, found(said)).is_ok());
            tokio::time::advance(Duration::from_secs(kept - 1)).await;
            assert!(shelf.find(domain).is_some(), "{domain}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(shelf.find(domain).is_none(), "{domain}");
        }
        assert!(shelf.put("d", Err("no".to_owned())).is_err());
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(shelf.find("d"), Some(Err("no".to_owned())));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(shelf.find("d"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn with_too_many_the_one_that_ends_first_makes_room() {
        let shelf = Shelf::default();
        for number in 0..DOMAINS_MAX {
            shelf.put(&format!("{number}"), found(1_000 + number as u64)).unwrap();
        }
        shelf.put("another", found(5_000)).unwrap();
        assert_eq!(shelf.0.borrow().len(), DOMAINS_MAX);
        assert!(shelf.find("0").is_none() && shelf.find("1").is_some());
        assert!(shelf.find("another").is_some());
    }
}

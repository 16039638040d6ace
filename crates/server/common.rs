//! Owns what all members of a cluster must have in common, as they tell each other: where it differs, one member takes for a
//! stranger's what is another's own.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::certificates::load_tls;
use crate::config::Config;
use crate::config::services::Services;

/// What is longer than so many bytes is told by its digest.
const LONGEST: usize = 200;

/// By name, in words that operators read.
///
/// # Errors
/// A name is no domain, or a certificate cannot be used.
pub(crate) fn of(config: &Config) -> anyhow::Result<BTreeMap<String, String>> {
    let mut common = BTreeMap::new();
    common.insert("domains".to_owned(), list(config.domain.iter().map(|it| it.name.clone())));
    let Services { rooms, pubsub, upload, .. } = config.services()?;
    let services = rooms.into_iter().chain(pubsub).chain(upload.into_iter().map(|(jid, _)| jid));
    common.insert("services".to_owned(), list(services.map(|jid| jid.to_string())));
    common.insert("lease".to_owned(), format!("{} ms", config.lease.ttl().as_millis()));
    // Those that somebody else has signed are exchanged one after the other, and are as good as each other.
    let made = config.domain.iter().filter(|domain| domain.certificate.is_none());
    let made: Vec<_> = made.map(|domain| domain.name.as_str()).collect();
    for shown in load_tls(config)?.describe() {
        if made.contains(&shown.domain.as_str()) {
            common.insert(format!("the certificate of {}", shown.domain), shown.sha256);
        }
    }
    Ok(common)
}

fn list(names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    let count = names.len();
    let text = names.join(", ");
    if text.len() <= LONGEST {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    format!("{count} names with the digest {}", HEXLOWER.encode(&digest[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_names_is_no_difference_and_many_are_told_by_their_digest() {
        let names = |names: &[&str]| list(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(names(&["b.example", "a.example"]), "a.example, b.example");
        let many =
            |last: u32| list((0..50).chain([last]).map(|number| format!("{number}.example")));
        assert!(many(50).starts_with("51 names") && many(50).len() < LONGEST);
        assert_ne!(many(50), many(51));
    }
}

//! Owns the keyed hash that places addresses in buckets. Knows no shard owners.

use std::fmt;
use std::hash::Hasher;

use proto::RemoteId;
use siphasher::sip::SipHasher24;
use xmpp::{BareJid, Bucket};

/// The key of the hash: made once per cluster, replicated in the plan, never changed.
///
/// It is a secret: registration may be open, and with a hash that anybody can compute, whoever registers
/// ten thousand names of one shard overloads one member.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// A key of 128 random bits.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, for whoever keeps or replicates it.
    pub fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// The bucket of an account, a room, or a domain of this cluster: the hash of its normalised bare JID.
    pub fn bucket(&self, jid: &BareJid) -> Bucket {
        Bucket::of_hash(self.hash(&[jid.as_str().as_bytes()]))
    }

    /// The bucket of the queue to another server's domain: each lane has one of its own.
    pub fn remote_bucket(&self, RemoteId { domain, lane }: &RemoteId) -> Bucket {
        let lane = lane.to_string();
        let parts = [b"s2s:", domain.as_str().as_bytes(), b"#", lane.as_bytes()];
        Bucket::of_hash(self.hash(&parts))
    }

    /// SipHash-2-4 over the parts as one string.
    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for part in parts {
            hasher.write(part);
        }
        hasher.finish()
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn the_hash_is_siphash_2_4() {
        // The first vectors of the function's authors: key 00..0f, input 00..len.
        let key = HashKey::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(key.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key.hash(&[&[0, 1, 2], &[3, 4, 5, 6]]), 0xab02_00f5_8b01_d137);
    }

    #[test]
    fn names_spread_over_buckets_and_another_key_spreads_them_otherwise() {
        let (one, other) = (HashKey::new([1; 16]), HashKey::new([2; 16]));
        let names: Vec<_> = (0..1000).map(|i| jid(&format!("user{i}@x.org"))).collect();
        let mut buckets: Vec<_> = names.iter().map(|name| one.bucket(name)).collect();
        buckets.sort();
        buckets.dedup();
        assert!(buckets.len() > 900, "{}", buckets.len());
        let same = names.iter().filter(|n| one.bucket(n) == other.bucket(n));
        assert!(same.count() < 5);
    }

    #[test]
    fn lanes_to_remote_domains_have_keys_of_their_own() {
        let key = HashKey::new([7; 16]);
        let [one, other] = [0, 1].map(|lane| RemoteId { domain: jid("y.org"), lane });
        assert_ne!(key.remote_bucket(&one), key.bucket(&one.domain));
        assert_ne!(key.remote_bucket(&one), key.remote_bucket(&other));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", HashKey::new([9; 16])), "HashKey(secret)");
    }
}

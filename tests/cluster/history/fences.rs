//! What Redis says of who may write: no bucket under an epoch that the plan has not given its shard.

use super::super::quarters::{shards, until};
use super::{Play, redis};

/// Lists each bucket's key, and the epoch under which it was claimed last.
const CLAIMS: &str = "local claims = {} for _, key in ipairs(redis.call('KEYS', '*:own')) do \
     claims[#claims + 1] = key .. ' ' .. redis.call('GET', key) end return claims";

/// Buckets of one shard.
const BUCKETS: u16 = 4;

impl Play {
    /// A bucket is claimed by whom the plan has named owner of its shard, under the epoch since when it is, and never by
    /// anybody who only means to be: so nobody is refused but for an epoch that has passed.
    pub(super) fn judge_fences(&self, redis: &redis::Server) {
        let at = self.redis_at.to_string();
        let told =
            redis.cli(&["-h", &at, "-a", redis::SECRET, "--no-auth-warning", "EVAL", CLAIMS, "0"]);
        let claims: Vec<(usize, u64)> = told.lines().map(claim).collect();
        assert!(claims.len() > self.names.len() / 2, "few were ever claimed: {told}");
        // The first member may hear of the plan a moment after another.
        until("a plan that has them", || {
            let shards = shards(&self.stages[0]);
            let given = |shard: usize| u64::from_str_radix(&shards[shard].epoch, 16).unwrap();
            claims.iter().all(|(shard, epoch)| *epoch <= given(*shard))
        });
    }
}

/// The shard of a bucket, and the epoch of its claim.
fn claim(line: &str) -> (usize, u64) {
    let (key, epoch) = line.split_once(' ').unwrap_or_else(|| panic!("no claim: {line}"));
    let tag = key.trim_start_matches('{').split('}').next().unwrap();
    (usize::from(slot(tag) / BUCKETS), u64::from_str_radix(epoch, 16).unwrap())
}

/// Where Redis Cluster keeps a key with this tag; buckets are numbered alike.
fn slot(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % 16_384
}

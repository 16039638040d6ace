//! Owns the names of keys. All keys of a bucket begin with its tag in braces, so that they stand in one slot
//! and one script can change them together.
//!
//! | key | shape | what |
//! |---|---|---|
//! | `{tag}:own` | text | the bucket's epoch in 16 hexadecimal digits |
//! | `{tag}:r<kind>:<owner>` | hash | item -> value, by the kind's number |
//! | `{tag}:x<kind>` | zset | owners that have a row of the kind |
//! | `{tag}:i:<owner>` | hash | archive: id -> row |
//! | `{tag}:it:<owner>` | zset | archive: ids in order |
//! | `{tag}:ip:<owner>/<peer>` | zset | archive: ids with a peer |
//! | `{tag}:io:<owner>` | hash | archive: origin -> id, of clients' stanzas |
//! | `{tag}:ia` | zset | owners that have an archive |
//! | `{tag}:beat` | text | what a group writes last, so that WAIT has something to wait for |
//! | `{meta}:store` | text | by what the data set is known |
//! | `{meta}:cluster` | text | by what the cluster is known whose data they are |
//! | `{meta}:bootstrap` | hash | `mark`: generation, cluster, who began it; `key`: the key of its buckets |
//! | `{meta}:alive` | text | there as long as members act |
//!
//! An id is its eight bytes, big-endian; members of zsets have score 0 and stand in the order of bytes. A bare
//! address contains no slash.

use xmpp::{BareJid, Bucket};

use super::tags::tag;
use crate::archive::ArchiveId;
use crate::key::Kind;

/// By what the data set is known.
pub(super) const MARKER: &str = "{meta}:store";

/// To whose addresses the buckets belong.
pub(super) const CLUSTER: &str = "{meta}:cluster";

/// What is remembered of the cluster.
pub(super) const BOOTSTRAP: &str = "{meta}:bootstrap";

/// There as long as members of the cluster act.
pub(super) const ALIVE: &str = "{meta}:alive";

/// The hash tag of [`MARKER`].
pub(super) const MARKER_TAG: &[u8] = b"meta";

pub(super) fn own(bucket: Bucket) -> String {
    format!("{{{}}}:own", tag(bucket))
}

pub(super) fn beat(bucket: Bucket) -> String {
    format!("{{{}}}:beat", tag(bucket))
}

pub(super) fn rows(bucket: Bucket, owner: &BareJid, kind: Kind) -> String {
    format!("{{{}}}:r{}:{owner}", tag(bucket), kind as u8)
}

pub(super) fn index(bucket: Bucket, kind: Kind) -> String {
    format!("{{{}}}:x{}", tag(bucket), kind as u8)
}

pub(super) fn archive(bucket: Bucket, owner: &BareJid) -> String {
    format!("{{{}}}:i:{owner}", tag(bucket))
}

pub(super) fn ids(bucket: Bucket, owner: &BareJid) -> String {
    format!("{{{}}}:it:{owner}", tag(bucket))
}

pub(super) fn ids_with(bucket: Bucket, owner: &BareJid, peer: &BareJid) -> String {
    format!("{{{}}}:ip:{owner}/{peer}", tag(bucket))
}

pub(super) fn archived(bucket: Bucket) -> String {
    format!("{{{}}}:ia", tag(bucket))
}

/// An id as it stands in keys.
pub(super) fn id(id: ArchiveId) -> [u8; 8] {
    id.0.to_be_bytes()
}

/// An epoch as it stands in `own`.
pub(super) fn epoch(epoch: u64) -> String {
    format!("{epoch:016x}")
}

/// The epoch that stands in `own`.
pub(super) fn epoch_of(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

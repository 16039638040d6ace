//! Owns what a member is told from outside: by the operator, and by what its store remembers.

use std::time::Duration;

use crate::hash::HashKey;
use crate::lease::Terms;
use crate::plan::{ClusterUuid, Roles};

/// How this member takes part.
#[derive(Clone, Debug)]
pub struct Config {
    /// The member's name, unique in the cluster. Default: `rookery`.
    pub name: String,
    /// Where other members reach it. Default: nowhere, a member alone.
    pub addr: String,
    /// The failure zone that it runs in. Default: none.
    pub zone: String,
    /// What it may be used for. Default: all.
    pub roles: Roles,
    /// Its share of the shards in proportion to others'. Default: 100.
    pub weight: u32,
    /// The figures of the lease. Default: a second.
    pub lease: Terms,
    /// How long a start may take until the member may act. Default: 30 s.
    pub start_patience: Duration,
    /// What a store that is shared remembers of the cluster that its rows belong to. Used only if the Raft log
    /// is new: the cluster then begins again as the same one, with the next generation. Default: what the
    /// data directory remembers.
    pub remembered: Option<Remembered>,
}

/// What must outlive the Raft log, because the rows of the store depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Which cluster.
    pub cluster: ClusterUuid,
    /// The highest generation that the store has seen.
    pub generation: u32,
    /// The key by which rows are in their buckets.
    pub hash_key: HashKey,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "rookery".to_owned(),
            addr: String::new(),
            zone: String::new(),
            roles: Roles::ALL,
            weight: 100,
            lease: Terms::default(),
            start_patience: Duration::from_secs(30),
            remembered: None,
        }
    }
}

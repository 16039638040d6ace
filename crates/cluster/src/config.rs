//! Owns what a member is told from outside: by the operator, and by what its store remembers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::control::moves::Moves;
use crate::hash::HashKey;
use crate::lease::Terms;
use crate::lineage::Marker;
use crate::peer::Security;
use crate::plan::{ClusterUuid, Roles};
use crate::progress::Progress;

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
    /// What the store remembers of the cluster, where its rows are not in the data directory. Default: none.
    pub marker: Option<Arc<dyn Marker>>,
    /// Whether the rows of this member's store are its own: then no other member can be home. Default: yes.
    pub private_store: bool,
    /// What all members must have in common, by name; where it differs, that is said. Default: nothing.
    pub common: BTreeMap<String, String>,
    /// Where it says what it waits for while it starts.
    pub progress: Progress,
    /// How it meets other members. Default: it does not, a member alone.
    pub mesh: Option<Mesh>,
}

/// How a member meets others.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// Where it listens for them.
    pub listen: SocketAddr,
    /// How names are proven.
    pub security: Security,
    /// Addresses at which others may be, of the form `host:port`.
    pub seeds: Vec<String>,
    /// A name of the form `host:port` whose addresses are all members, such as a headless service's.
    pub dns: Option<String>,
    /// Who is asked for it; empty: the system's name servers.
    pub name_servers: Vec<SocketAddr>,
    /// How many members begin the cluster together: 1, 3 or 5. With 1, the first of the seeds begins it.
    pub bootstrap_expect: usize,
    /// How shards let go of. Default: at once.
    pub moves: Arc<dyn Moves>,
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
            marker: None,
            private_store: true,
            common: BTreeMap::new(),
            progress: Progress::default(),
            mesh: None,
        }
    }
}

//! Owns what a member is told from outside: by the operator, and by what its store remembers.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::control::moves::Moves;
use crate::hash::HashKey;
use crate::lease::Terms;
use crate::peer::Security;
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
    /// Whether the rows of this member's store are its own: then no other member can be home. Default: yes.
    pub private_store: bool,
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
    /// A member that had no lease for so long ends. Default: 10 s.
    pub isolation_grace: Duration,
    /// What the store that members share remembers. Default: none, a store that nobody shares.
    pub marker: Option<Arc<dyn Marker>>,
    /// How shards let go of. Default: at once.
    pub moves: Arc<dyn Moves>,
}

/// What a store that members share remembers of the cluster that its rows belong to. Two halves that begin
/// at the same time can so never become two clusters on the same rows. Both calls may block.
pub trait Marker: fmt::Debug + Send + Sync {
    /// What it remembers; none where its rows belong to no cluster yet.
    ///
    /// # Errors
    ///
    /// The store failed.
    fn recall(&self) -> io::Result<Option<Remembered>>;

    /// Remembers `next` if it remembers `before`, as one step; says whether it did.
    ///
    /// # Errors
    ///
    /// The store failed; nobody knows what it remembers.
    fn replace(&self, before: Option<Remembered>, next: Remembered) -> io::Result<bool>;
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
            private_store: true,
            mesh: None,
        }
    }
}

//! The cluster: who is a member, who leads, who owns which shard, and who may act. Raft replicates the
//! [`plan`] and nothing else: no session, no user, no room, no presence ever writes to its log.
//!
//! A member alone is a cluster of one: the same plan, the same Raft, the same lease, with nobody to send to.
//!
//! | module | owns |
//! |---|---|
//! | [`member`] | this process as a member: start here |
//! | [`config`] | what it is told from outside |
//! | [`hash`] | the keyed hash that places addresses in buckets |
//! | [`plan`] | members and shards as a replicated state machine |
//! | [`watch`] | how actors read the plan |
//! | [`lineage`] | which generation begins, and who was left behind |
//! | [`lease`] | the rule by which no two members act for one shard |
//! | [`raft`] | how the plan is replicated and kept |
//! | [`control`] | what members say to each other about the cluster |
//! | `ask` | what one asks the leader for |
//! | [`bulk`] | what lives in a shard on its way to another member |
//! | [`peer`] | the way to other members, and who they are |
//! | [`status`] | what an operator sees |
//! | [`operator`] | what an operator may do |
//! | `coordinator` | what a leader does on its own account |
//! | [`clock`] | the clock that leases count on |
//! | `progress` | what a member that starts waits for |
//! | `remembered` | what must outlive the Raft log |
//! | `small_file` | small files that are replaced whole |
//! | `threads` | the control threads |

mod ask;
pub mod bulk;
pub mod clock;
pub mod config;
pub mod control;
mod coordinator;
pub mod hash;
pub mod lease;
pub mod lineage;
pub mod member;
pub mod operator;
pub mod peer;
pub mod plan;
mod progress;
pub mod raft;
mod remembered;
#[cfg(test)]
mod simulation;
mod small_file;
pub mod status;
#[cfg(test)]
mod tests;
mod threads;
pub mod watch;

use std::sync::Arc;

use plan::Refusal;

pub use config::{Config, Mesh, Remembered};
pub use control::moves::{LetGo, Moves};
pub use hash::HashKey;
pub use lease::Terms;
pub use lease::handle::{Lease, LeaseOver};
pub use lineage::{Mark, Marker, Recalled};
pub use member::{Cluster, RAFT_DIRECTORY};
pub use operator::Operator;
pub use peer::{PeerError, Peers};
pub use plan::{ClusterUuid, Plan};
pub use progress::Progress;
pub use raft::transport::{Inbox, Transport};
pub use raft::{GroupError, LogError};
pub use status::Status;
pub use watch::{PlanHandle, Stopped};

/// The messages of proto/cluster.proto, proto/control.proto and proto/bulk.proto.
#[expect(
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code has its own style"
)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/rookery.cluster.rs"));
}

/// Why this process cannot be a member.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its Raft log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It cannot take part with its log.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// It has stopped to take part.
    #[error("the member stopped to take part")]
    Stopped(#[source] Arc<GroupError>),
    /// The cluster does not want it so.
    #[error("the cluster refuses this member: {0}")]
    Refused(Refusal),
    /// It cannot meet others.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The leader refused it.
    #[error("the cluster refuses this member: {0}")]
    RefusedBy(String),
    /// The members that it found are of another cluster than its data.
    #[error(
        "the data directory belongs to cluster {0}, and the members that were found are of another"
    )]
    Foreign(ClusterUuid),
    /// The store belongs to another cluster than the data directory.
    #[error(
        "the data of the store belong to another cluster than the data directory, which is of {0}; a member needs \
         the data directory that it had, or an empty one"
    )]
    ForeignStore(ClusterUuid),
    /// Members of the cluster act on the store.
    #[error(
        "members of this cluster use its store, or did so within the last minute: stop them first, and wait until it \
         is over"
    )]
    Acting,
    /// There is a later generation of the cluster than this member's log knows.
    #[error(
        "this member was left behind when the cluster was recovered by force: remove its directory `raft`, and it joins anew"
    )]
    LeftBehind,
    /// There is no generation left.
    #[error("the cluster cannot begin once more")]
    Generations,
    /// There is nothing to recover.
    #[error("there is no cluster to recover: the data directory has no plan")]
    NothingToRecover,
    /// Nobody leads, or the leader was too slow.
    #[error("no leader answered in time")]
    NoLeader,
    /// What must outlive the Raft log cannot be read or kept.
    #[error("the file `cluster` of the data directory cannot be used")]
    Remembered(#[source] std::io::Error),
    /// The store that members share does not say whose its data are.
    #[error("it is not known to which cluster the data of the store belong")]
    Marker(#[source] std::io::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The system gives no thread.
    #[error("a control thread cannot be started")]
    Thread(#[from] std::io::Error),
}

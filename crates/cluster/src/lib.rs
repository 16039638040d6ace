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
//! | [`lease`] | the rule by which no two members act for one shard |
//! | [`raft`] | how the plan is replicated and kept |
//! | [`peer`] | the way to other members, and who they are |
//! | [`status`] | what an operator sees |
//! | [`clock`] | the clock that leases count on |
//! | `remembered` | what must outlive the Raft log |
//! | `small_file` | small files that are replaced whole |
//! | `threads` | the control threads |

pub mod clock;
pub mod config;
pub mod hash;
pub mod lease;
pub mod member;
pub mod peer;
pub mod plan;
pub mod raft;
mod remembered;
mod small_file;
pub mod status;
#[cfg(test)]
mod tests;
mod threads;
pub mod watch;

use std::sync::Arc;

use plan::Refusal;

pub use config::{Config, Remembered};
pub use hash::HashKey;
pub use lease::Terms;
pub use lease::handle::{Lease, LeaseOver};
pub use member::Cluster;
pub use peer::{PeerError, Peers};
pub use plan::{ClusterUuid, Plan};
pub use raft::transport::{Inbox, Transport};
pub use raft::{GroupError, LogError};
pub use status::Status;
pub use watch::{PlanHandle, Stopped};

/// The messages of proto/cluster.proto.
#[expect(unreachable_pub, unnameable_types, reason = "generated code is public throughout")]
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
    /// Nobody leads, or the leader was too slow.
    #[error("no leader answered in time")]
    NoLeader,
    /// What must outlive the Raft log cannot be read or kept.
    #[error("the file `cluster` of the data directory cannot be used")]
    Remembered(#[source] std::io::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The system gives no thread.
    #[error("a control thread cannot be started")]
    Thread(#[from] std::io::Error),
}

//! Owns what members say to each other about the cluster itself: who they are, Raft's messages, leases, and
//! what one asks the leader for (proto/control.proto). Runs on the runtime of [`crate::peer`]; the control
//! threads never wait for it.
//!
//! | module | owns |
//! |---|---|
//! | `net` | what its parts share; the client's side of each call |
//! | `service` | the server's side |
//! | `transport` | Raft messages and heartbeats on their way out |
//! | `common` | what all members must have in common |
//! | `founding` | how members that have no cluster agree to begin one; pure |
//! | `discovery` | how a member finds its cluster, or begins one |
//! | `names` | the name of which every address is a member's |
//! | `membership` | a member that comes up, and comes back |
//! | `reach` | whom a member reaches |
//! | `skew` | by how much wall clocks differ |
//! | `follow` | the plan of a member that Raft does not speak to |
//! | [`moves`] | shards on their way to another member |
//! | [`staying`] | shards that do not move though they are to |

pub(crate) mod common;
pub(crate) mod discovery;
pub(crate) mod follow;
pub(crate) mod founding;
pub(crate) mod membership;
pub mod moves;
pub(crate) mod names;
pub(crate) mod net;
pub(crate) mod reach;
pub(crate) mod service;
pub(crate) mod skew;
pub mod staying;
#[cfg(test)]
mod tests;
pub(crate) mod transport;

/// The oldest and the newest form of these words that this program knows.
pub(crate) const PROTOCOL: (u32, u32) = (1, 1);

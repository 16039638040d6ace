//! From an address to the actor that answers for it: address -> route -> shard -> member -> arbiter.
//!
//! The router never reads a payload, knows no extension and no store. With one member every route
//! ends here; the plan is asked all the same.
//!
//! | module | owns |
//! |---|---|
//! | [`router`] | where a route leads, and the way from any thread to an arbiter |
//! | [`local`] | one arbiter's turn: what leaves it, and when |
//! | [`directory`] | who has a connection on this member, for administration |
//! | [`link`] | lanes to and from other members |
//! | `held` | what waits until its way is free |
//! | [`leaving`] | what holds for stanzas that leave the cluster |
//! | `repeats` | whether one of them has come before (pure) |
//! | [`inbox`] | the bounded queue in front of an arbiter |
//! | [`trace`] | the spans of a sampled stanza |

pub mod directory;
mod held;
pub mod inbox;
pub mod leaving;
pub mod link;
pub mod local;
mod repeats;
pub mod router;
pub mod trace;

pub use inbox::Inbox;
pub use local::{Edge, LocalHost, Refusal};
pub use repeats::Repeats;
pub use router::{Place, RemoteGate, Router};

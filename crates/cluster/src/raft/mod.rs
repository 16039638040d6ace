//! Owns the replication of the plan: one Raft group of the members that vote, with a log of its own.
//!
//! | module | owns |
//! |---|---|
//! | `log` | the log on disk |
//! | `witness` | a file beside it by which a damaged log is told from a new one |
//! | `stored` | what it holds, and the check that it fits together |
//! | `proposals` | entries on their way into the log |
//! | `group` | this member's part in the group: raft, plan and leases, without threads and clocks |
//! | `leading` | what it does while it leads |
//! | `check` | what a message must be like before raft sees it |
//! | `driver` | the thread that drives it |
//! | [`transport`] | what carries words to other members |
//! | `logger` | what raft itself has to say |

mod check;
pub(crate) mod driver;
pub(crate) mod group;
mod leading;
pub(crate) mod log;
mod logger;
mod proposals;
mod stored;
#[cfg(test)]
mod tests;
pub mod transport;
mod witness;

pub(crate) use check::MAX_MESSAGE;
pub use group::GroupError;
pub use log::LogError;

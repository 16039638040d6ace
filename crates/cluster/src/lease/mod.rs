//! Owns the member lease: the rule by which no two members ever act for one shard at the same time. The
//! rules are pure functions of points in time that are handed in; only [`handle::Lease`] reads the clock.
//!
//! Every member sends the leader a heartbeat that names its own time of sending. The leader answers only
//! after a majority of voters, asked after the heartbeat came, confirmed that it still leads. The member
//! may act for a set time from its *sending*; the leader expels it only when longer than that has passed
//! since it *received* the last heartbeat that it answered. So no clocks are compared, only their rates
//! are trusted, to [`Terms::rate_error_percent`].
//!
//! | module | owns |
//! |---|---|
//! | [`handle`] | the question "may this member act now", for every turn of every actor |
//! | `renewal` | the member's side |
//! | `keeper` | the member's side as a task |
//! | `granter` | the leader's side |
//! | [`vitals`] | how a member finds itself, which goes with each heartbeat |

pub(crate) mod granter;
pub mod handle;
pub(crate) mod keeper;
pub(crate) mod renewal;
#[cfg(test)]
mod tests;
pub mod vitals;

use std::time::Duration;

use proto::MemberId;

use crate::clock::BootTime;
use vitals::Vitals;

/// The figures that all members of a cluster share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a grant lasts from the sending of its heartbeat.
    pub ttl: Duration,
    /// How much earlier the member stops acting, for what is already on its way out.
    pub guard: Duration,
    /// How often a member asks.
    pub heartbeat: Duration,
    /// By how much a clock's rate may be wrong, in percent.
    pub rate_error_percent: u32,
}

/// A member asks for its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who.
    pub member: MemberId,
    /// Which start of it.
    pub incarnation: u64,
    /// By its own clock.
    pub sent: BootTime,
    /// How much of the log its plan has.
    pub applied: u64,
    /// How it is.
    pub vitals: Vitals,
}

/// The leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The heartbeat's time of sending, given back.
    pub sent: BootTime,
    /// How long from then.
    pub ttl: Duration,
    /// The grant counts once the member's plan has this entry: the last one that changed its own shards.
    /// What changed for others freezes nobody.
    pub min_index: u64,
}

impl Terms {
    /// The end of a grant: the member acts strictly before it (rule A).
    pub fn end(&self, grant: &Grant) -> BootTime {
        grant.sent + grant.ttl.saturating_sub(self.guard)
    }

    /// How long the leader must have heard nothing before it expels (rule B): the time to live, stretched
    /// by a slow clock here and a fast one there.
    pub fn silence(&self) -> Duration {
        let percent = self.rate_error_percent.min(99);
        self.ttl * (100 + percent) / (100 - percent)
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            ttl: Duration::from_millis(1000),
            guard: Duration::from_millis(50),
            heartbeat: Duration::from_millis(200),
            rate_error_percent: 1,
        }
    }
}

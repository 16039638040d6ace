//! The node engine of publish-subscribe (XEP-0060): nodes, their configuration, people and items; who may do
//! what with them, and which error it is else. One engine for services and for accounts (XEP-0163).
//! Pure: a request in, rows, an answer and notices out; the time and new ids are handed in. Knows no session,
//! no presence and no roster: what it must know of people it asks [`People`].
//!
//! | module | owns |
//! |---|---|
//! | [`collection`] | all nodes of one address, out of their rows; what a turn may know and what comes of it |
//! | [`node`] | one node: its people and the index of its items |
//! | [`config`] | the configuration of a node |
//! | `fixed` | nodes by which the server speaks |
//! | [`form`] | the same as a data form: offered, submitted, demanded, kept |
//! | [`affiliation`] | what an affiliation allows |
//! | [`access`] | who may read, subscribe and publish |
//! | [`errors`] | errors with a condition of pubsub |
//! | [`request`] | which request is meant |
//! | [`publish`] | publishing (§7.1) |
//! | [`retract`] | retracting (§7.2), purging (§8.5) |
//! | [`items`] | items read (§6.5) |
//! | [`owner`] | nodes made, configured and deleted (§8.1 to §8.4) |
//! | [`subscribe`] | subscriptions made, ended and configured (§6.1 to §6.4) |
//! | [`approve`] | subscriptions that wait for an owner (§8.6) |
//! | [`manage`] | lists of people, read and changed (§5.6, §5.7, §8.8, §8.9) |
//! | `standing` | subscriptions that follow what somebody may |
//! | [`notice`] | what is told, and to whom |
//! | [`disco`] | nodes and items discovered (§5.2 to §5.5) |
//! | [`portable`] | nodes in files of XEP-0227 |
//! | [`rows`] | the shape of rows |

pub mod access;
mod affiliation;
mod approve;
pub mod collection;
pub mod config;
pub mod disco;
mod errors;
mod fixed;
mod form;
mod items;
mod manage;
mod node;
pub mod notice;
mod owner;
pub mod portable;
mod publish;
mod request;
mod retract;
mod rows;
mod standing;
mod subscribe;
#[cfg(test)]
mod tests;

pub use access::{Asker, People};
pub use affiliation::Affiliation;
pub use collection::{Answer, Collection, Limits, Outcome, Place, Turn};
pub use config::Config;
pub use node::{Head, Node, Subscription};
pub use notice::Notice;

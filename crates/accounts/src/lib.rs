//! What may be done to accounts, whoever asks for it: operators, strangers who register, people who invite.
//! Knows no stream and no actor: it writes rows, and tells the account that something has changed.
//!
//! | module | owns |
//! |---|---|
//! | [`accounts`] | adding, removing, listing, passwords |
//! | [`claim`] | taking one of few places, whoever else tries at the same time |
//! | [`administration`] | all of it for whoever runs a server, and sessions |
//! | [`policy`] | who may register, under which names, with which passwords |
//! | [`directory`] | people who want to be found |
//! | [`notice`] | what a domain tells each of its people once |
//! | [`invitation`] | invitations and their tokens |
//! | [`form`] | the words of XEP-0077 |
//! | [`registrar`] | registration before log-in |
//! | [`rate`] | how often an address may try |

pub mod accounts;
pub mod administration;
pub mod claim;
pub mod directory;
pub mod form;
pub mod invitation;
pub mod notice;
pub mod policy;
pub mod rate;
pub mod registrar;

pub use accounts::{AccountError, Accounts};
pub use administration::Administration;
pub use invitation::Invitation;
pub use policy::{Admission, Policy};
pub use registrar::Registrar;

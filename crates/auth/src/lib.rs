//! Proof of identity: the server side of SASL (RFC 6120 §6, RFC 5802, RFC 7677, RFC 4616), the
//! credentials it checks against, and the throttle that makes guessing slow.
//!
//! Everything here is synchronous and pure: no I/O, no clock, no randomness of its own. Nonces,
//! salts and the time are handed in. This crate does not know XML, sockets, stores or JIDs; user
//! names leave it as the client wrote them (after decoding and SASLprep), and the caller makes
//! JIDs of them.
//!
//! In reading order:
//! - [`server`]: the negotiation, the one thing a gate needs
//! - [`mechanism`] and [`offer`]: what exists, what is offered on a given stream
//! - [`failure`]: the failure conditions of RFC 6120 §6.5
//! - [`encoding`]: base64 as the XMPP profile of SASL wants it
//! - `identity`: who asks to be whom
//! - [`plain`]: the PLAIN message
//! - [`scram`]: SCRAM, server and client, and the arithmetic under both
//! - [`binding`]: channel bindings
//! - [`credentials`]: what is stored in place of a password
//! - [`stored`]: their stored form
//! - [`account`]: what is stored of an account
//! - [`saslprep`]: RFC 4013
//! - [`token`]: what clients log in with instead of a password
//! - [`guest`]: names of people without an account
//! - [`portable`], [`upgrade`]: verifiers that come from elsewhere
//! - [`sealed`]: words that strangers hand back
//! - [`throttle`]: how often one may try

pub mod account;
pub mod binding;
pub mod credentials;
pub mod encoding;
pub mod failure;
pub mod guest;
mod identity;
pub mod mechanism;
pub mod offer;
pub mod plain;
pub mod portable;
pub mod saslprep;
pub mod scram;
pub mod sealed;
pub mod server;
pub mod stored;
pub mod throttle;
pub mod token;
pub mod upgrade;

pub use account::Account;
pub use binding::ChannelBinding;
pub use credentials::Credentials;
pub use failure::Failure;
pub use mechanism::Mechanism;
pub use offer::{Offer, Terms};
pub use plain::Password;
pub use scram::Hash;
pub use sealed::Seal;
pub use server::{Context, Negotiation, PasswordCheck, Step};
pub use throttle::{Throttle, Verdict};

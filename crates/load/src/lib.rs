//! A load generator that speaks plain XMPP to any server, and a floor to measure servers against.
//!
//! In reading order: [`scan`] finds stanzas in bytes, [`signin`] (with [`keys`]) says what a client
//! says until it is online, [`tls`] and [`connection`] are its socket, [`fleet`] drives thousands of
//! [`sessions`] on one thread. [`chat`], [`rooms`], [`storm`] and [`idle`] are the loads, [`relay`] is the floor.
//! [`stats`], [`tracker`] and [`process`] measure; [`command`] is the command line.
//!
//! It knows nothing of the server it drives but RFC 6120 and 6121; of this project it
//! shares the SCRAM client and the TLS of scripted clients alone.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures by the clock; it is no pure core"
)]

pub mod accounts;
pub mod chat;
pub mod command;
pub mod connection;
pub mod fleet;
pub mod idle;
pub mod keys;
pub mod measure;
pub mod message;
pub mod pace;
pub mod process;
pub mod relay;
pub mod rooms;
pub mod scan;
mod session;
pub mod sessions;
pub mod signin;
pub mod stats;
pub mod storm;
pub mod tls;
pub mod tracker;

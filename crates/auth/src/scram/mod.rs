//! SCRAM (RFC 5802, RFC 7677): the arithmetic, the messages, the server and a client. The server
//! is driven by `crate::server`; the client serves tests and the load generator.

pub mod client;
pub mod hash;
pub(crate) mod keys;
mod message;
pub(crate) mod server;

#[cfg(test)]
mod tests;

pub use client::{ClientBinding, ClientKeys, ScramClient, ScramError};
pub use hash::Hash;

//! Tests of the gate as a whole: real sockets on loopback, real TLS, and a stand-in for the sessions
//! behind it.

pub(crate) mod client;
mod copies;
mod ending;
mod limits;
mod login;
mod session;
pub(crate) mod stage;
mod travel;

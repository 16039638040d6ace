//! An XML stream as a machine: bytes in, events out (RFC 6120 §4).
//!
//! Pure: no I/O, no clock, no randomness. Knows neither sockets nor accounts.
//!
//! | module | owns |
//! |---|---|
//! | [`limits`] | how much of anything a peer may send |
//! | [`parser`] | bytes in; stream header, stanzas with their canonical bytes, other elements, the end |

pub mod limits;
pub mod parser;

pub use limits::Limits;
pub use parser::{Event, Parser, StreamHeader};

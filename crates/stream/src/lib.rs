//! An XML stream as a machine: bytes in, events out (RFC 6120 §4).
//!
//! Pure: no I/O, no clock, no randomness. Knows neither sockets nor accounts.
//!
//! | module | owns |
//! |---|---|
//! | [`limits`] | how much of anything a peer may send |
//! | [`parser`] | bytes in; stream header, stanzas with their canonical bytes, other elements, the end |
//! | [`machine`] | the server's side of a client's stream until a resource is bound |
//! | [`features`] | what is offered on the way there |
//! | [`framing`] | how a stream's own elements are laid down |
//! | [`documents`] | the same events, where each element is a document of its own |
//! | [`websocket`] | the frames that such documents travel in |
//! | [`bosh`] | what they travel in over plain HTTP |
//! | [`sm`] | stream management: counters, the queue of what is unacknowledged, its elements |

pub mod bosh;
pub mod documents;
pub mod features;
pub mod framing;
pub mod limits;
pub mod machine;
pub mod parser;
pub mod sm;
pub mod websocket;

pub use documents::Documents;
pub use features::{Features, SaslOffer};
pub use framing::Framing;
pub use limits::Limits;
pub use machine::{Effect, Machine, SaslOutcome, Tokens};
pub use parser::{Event, Parser, StreamHeader};

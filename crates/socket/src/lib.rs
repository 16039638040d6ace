//! What gates share: bytes between a socket and a parser, how many connections
//! are taken, how fast they may send, what waits for them.
//!
//! Knows nothing of what is said on a stream.
//!
//! | module | owns |
//! |---|---|
//! | [`admission`] | how many connections are taken, and how many from one address |
//! | [`io`] | reading into a parser, writing with an end to patience |
//! | [`listen`] | addresses that are bound, connections that are accepted |
//! | [`queue`] | what waits to be written: its order and bounds (pure) |
//! | [`rate`] | how fast a peer or a client may send (pure) |
//! | `upgraded` | a socket that one gate hands to another |

pub mod admission;
pub mod io;
pub mod listen;
pub mod queue;
pub mod rate;
mod upgraded;

pub use admission::{Admission, Most, Permit};
pub use io::{Read, ReadError};
pub use listen::{Acceptor, bind};
pub use queue::{Bounds, Queue, Waiting};
pub use rate::{Allowance, Rate};
pub use upgraded::Upgraded;

//! The gate to other servers: `client a - server A - server B - client b` (RFC 6120 §10.4).
//!
//! Pure machines decide; thin shells have the sockets. What an entity could decide is not decided here: a stanza whose
//! sender is proved is handed to the router, and nothing of it is looked at but its addresses.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | settings; which servers may be spoken with |
//! | [`gate`] | the gate as a whole |
//! | `pairs` | what waits for other servers, and what is said of it |
//! | `send` | the way out of one pair |
//! | `pace` | how soon a server is tried again (pure) |
//! | `outbox` | what is to be written to a stream, and may not have arrived |
//! | `recent` | what was written lately to a server that does not count (pure) |
//! | `overdue` | for how long it has not |
//! | `ways`, `borrow` | pairs on streams that are not their own |
//! | `share` | several pairs on one stream of ours |
//! | `dial` | how a stream to another server comes about |
//! | [`resolve`] | where a domain's servers are |
//! | `outgoing` | our side of a stream that we open (pure) |
//! | `accept` | streams of other servers |
//! | `incoming` | our side of one of them (pure) |
//! | `inflow` | what comes on a stream, whichever end has opened it |
//! | `budgets` | how fast a domain may send |
//! | [`dialback`] | keys (pure) |
//! | `trust` | what a certificate proves (pure) |
//! | `proofs` | what is looked for beyond that |
//! | `posh` | fingerprints that a domain publishes by HTTPS |
//! | `https` | documents of HTTPS |
//! | [`probe`] | what is shown at a port, for operators |
//! | [`tls`] | TLS at both ends |
//! | [`tlsa`] | records that say which certificate a server has |
//! | `words`, `wire` | elements and bytes |
//! | [`failure`] | why it does not work |
//! | `guests`, `past`, [`status`] | what operators see |
//! | [`metrics`] | figures |

mod accept;
mod borrow;
mod budgets;
pub mod config;
mod dial;
pub mod dialback;
pub mod failure;
pub mod gate;
mod guests;
mod https;
mod incoming;
mod inflow;
pub mod metrics;
mod outbox;
mod outgoing;
mod overdue;
mod pace;
mod pairs;
mod past;
mod posh;
pub mod probe;
mod proofs;
mod recent;
pub mod resolve;
mod send;
mod share;
pub mod status;
pub mod tls;
pub mod tlsa;
mod trust;
mod ways;
mod wire;
mod words;

pub use config::{Config, Dane, Policy, Rules};
pub use gate::{Gate, GateError, Services};
pub use metrics::Metrics;

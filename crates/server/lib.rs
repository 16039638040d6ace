//! The server as a whole: configuration, wiring, telemetry, command line, drain. The only crate that knows
//! all others; nothing is decided here that an entity or a gate could decide.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the configuration file, its defaults and its errors |
//! | [`extensions`] | the published table of extensions, and what the server announces |
//! | [`foundation`] | what stands before any gate opens: store, cluster, router |
//! | `starting` | what is said while that waits for other members |
//! | `common` | what all members of a cluster must have in common |
//! | `bytestreams` | the proxy that carries bytes between clients |
//! | `certificates` | which certificates are shown in whose name |
//! | `claims` | the right to write for what comes to this member |
//! | `clients` | the way of clients from the gate that speaks HTTP to the one that speaks XMPP |
//! | `marker` | what the cluster says of itself in Redis |
//! | `handoff` | what lives in shards that move |
//! | `draining` | the end of a member's part in a cluster |
//! | [`wiring`] | the parts put together in order, and taken down in reverse |
//! | `administration` | what carries out operators' commands |
//! | `canary` | how late arbiters are |
//! | `readiness` | whether clients should come here, and why not |
//! | `metrics` | the page of metrics |
//! | `retention` | the end of old archived messages |
//! | `uploads` | where files are that people bring |
//! | `waiting` | sessions that wait to be resumed over a restart |
//! | `transfer` | accounts as files of XEP-0227 |
//! | [`telemetry`] | logs, traces, and what is said of panics |
//! | [`signal`] | signals of the operating system |
//! | [`command`] | the command line, one file per subcommand |

mod administration;
mod bytestreams;
mod canary;
pub mod certificates;
mod claims;
mod clients;
pub mod command;
mod common;
pub mod config;
mod draining;
pub mod extensions;
mod federation;
pub mod foundation;
mod handoff;
mod marker;
mod memory;
mod metrics;
mod readiness;
mod retention;
mod rooms;
pub mod signal;
mod starting;
pub mod telemetry;
mod transfer;
mod uploads;
mod waiting;
pub mod wiring;

//! The server as a whole: configuration, wiring, telemetry, command line, drain. The only crate that knows
//! all others; nothing is decided here that an entity or a gate could decide.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the configuration file, its defaults and its errors |
//! | [`extensions`] | the published table of extensions, and what the server announces |
//! | [`foundation`] | what stands before any gate opens: store, cluster, router |
//! | `bytestreams` | the proxy that carries bytes between clients |
//! | `claims` | the right to write for what comes to this member |
//! | `clients` | the way of clients from the gate that speaks HTTP to the one that speaks XMPP |
//! | `handoff` | what lives in shards that move |
//! | `draining` | the end of a member's part in a cluster |
//! | [`wiring`] | the parts put together in order, and taken down in reverse |
//! | `administration` | what operators' words are done with |
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
mod claims;
mod clients;
pub mod command;
pub mod config;
mod draining;
pub mod extensions;
mod federation;
pub mod foundation;
mod handoff;
mod memory;
mod metrics;
mod readiness;
mod retention;
mod rooms;
pub mod signal;
pub mod telemetry;
mod transfer;
mod uploads;
mod waiting;
pub mod wiring;

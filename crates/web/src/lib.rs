//! The gate for HTTP: health and metrics for operators, the administration interface on a Unix socket, and what
//! clients find over HTTP. Knows no XMPP stream: sockets of those are handed over.
//!
//! | module | owns |
//! |---|---|
//! | [`administration`] | accounts and sessions, for operators, over HTTP on a Unix socket |
//! | [`clients`] | what clients find, and where they go from there |
//! | [`cluster`] | what operators see of the cluster and do to it |
//! | `converse` | the web client |
//! | `cpim` | mapping between XMPP and CPIM, for gateways |
//! | `listener` | HTTP/1.1 for clients, with or without TLS; sockets that are handed over |
//! | `forward` | requests whose session lives on another member |
//! | [`federation`] | what operators see of other servers |
//! | `handshake` | of WebSockets |
//! | [`health`] | `/healthz/live`, `/healthz/ready`, `/metrics` |
//! | [`invitations`] | invitations: their page, and their making |
//! | `links` | where clients are told to go |
//! | [`members`] | what all members know together |
//! | [`metrics`] | the text form of Prometheus |
//! | [`posh`] | how certificates of servers are known, for other servers and clients |
//! | [`rooms`] | what may be done to rooms |
//! | [`serve`] | listeners, started and stopped |
//! | [`transfer`] | accounts as files |
//! | [`upload`] | files that clients bring and have |

pub mod administration;
pub mod clients;
pub mod cluster;
mod converse;
mod cpim;
pub mod federation;
mod forward;
mod handshake;
pub mod health;
pub mod invitations;
mod links;
mod listener;
pub mod members;
pub mod metrics;
pub mod posh;
pub mod rooms;
pub mod serve;
pub mod transfer;
pub mod upload;

pub use health::Unmet;
pub use members::Members;
pub use metrics::Text;
pub use serve::{Handle, Listen, Services, WebError, start};

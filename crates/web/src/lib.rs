//! The gate for HTTP: health and metrics for operators, and the administration interface on a Unix socket.
//! Knows no XMPP stream.
//!
//! | module | owns |
//! |---|---|
//! | [`accounts`] | what may be done to accounts, with or without a running server |
//! | [`administration`] | the same over HTTP on a Unix socket, and sessions |
//! | [`cluster`] | what operators see of the cluster and do to it |
//! | [`health`] | `/healthz/live`, `/healthz/ready`, `/metrics` |
//! | [`members`] | what all members know together |
//! | [`metrics`] | the text form of Prometheus |
//! | [`rooms`] | what may be done to rooms |
//! | [`serve`] | listeners, started and stopped |

pub mod accounts;
pub mod administration;
pub mod cluster;
pub mod health;
pub mod members;
pub mod metrics;
pub mod rooms;
pub mod serve;

pub use accounts::{AccountError, Accounts};
pub use health::Unmet;
pub use members::Members;
pub use metrics::Text;
pub use serve::{Handle, Services, WebError, start};

//! The gate of clients: listeners, TLS, sign-in, binding, and one actor per connection (RFC 6120 §3 to §7,
//! RFC 7590, XEP-0368). Knows no extension but those of streams, no entity, and nothing of what stanzas
//! say.
//!
//! In the order in which a connection meets them:
//!
//! | module | owns |
//! |---|---|
//! | [`gate`] | the gate as a whole: started, drained, stopped |
//! | [`config`] | its settings |
//! | `isolation` | what clients hear while the member may not act |
//! | `listener` | taking connections in |
//! | `admission` | how many there may be |
//! | `proxy` | what a load balancer says about them |
//! | `connection` | the Connection actor |
//! | `socket` | TCP, with TLS on top, or requests of HTTP |
//! | [`bosh`] | sessions of BOSH, and the way of a request to its own |
//! | [`handover`] | clients that come by way of HTTP |
//! | [`tls`] | certificates and the TLS of streams |
//! | `signin` | SASL with accounts, throttle and clock |
//! | [`accounts`] | who may sign in |
//! | `tokens` | what clients sign in with instead of a password |
//! | `upgrades` | verifiers that clients bring to their accounts |
//! | `budgets` | how much all clients of one account may send together |
//! | `outbox` | bytes that the socket has not taken |
//! | [`metrics`] | what is counted |

pub mod accounts;
mod admission;
pub mod bosh;
mod budgets;
pub mod config;
mod connection;
pub mod gate;
pub mod handover;
mod isolation;
mod listener;
pub mod metrics;
mod outbox;
mod proxy;
mod signin;
mod socket;
#[cfg(test)]
mod tests;
pub mod tls;
mod tokens;
mod upgrades;

pub use accounts::{Accounts, LookupError, StoredAccounts, TokenRow};
pub use config::Config;
pub use gate::{Gate, GateError, Services};
pub use handover::Handover;
pub use metrics::Metrics;
pub use tls::Tls;

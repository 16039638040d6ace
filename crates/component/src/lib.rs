//! The gate to components: programs beside the server that have a domain of their own (XEP-0114).
//!
//! A component may have several streams, to any members. What is for its domain goes to the member that owns the
//! domain (`Route::Component`), which knows all streams and picks one by the two addresses (`Route::Line`), so that what
//! one says to another stays in order. Where there is none, it waits for a while.
//!
//! Pure parts decide; thin shells have the sockets. What an entity could decide is not decided here: a stanza whose
//! sender is the component's is handed to the router.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | settings |
//! | [`gate`] | the gate as a whole |
//! | `hall` | what its streams share; the way of stanzas to them |
//! | `desk` | which streams a component has, and what waits for one (pure) |
//! | `line` | one stream |
//! | `connect` | streams to components that listen |
//! | `machine` | our side of it (pure) |
//! | `privilege` | what a component may do in the names of others (pure) |
//! | `turnstile` | how fast secrets may be tried (pure) |
//! | [`status`] | what operators see |
//! | [`metrics`] | figures |

pub mod config;
mod connect;
mod desk;
pub mod gate;
mod hall;
mod line;
mod machine;
pub mod metrics;
mod privilege;
pub mod status;
mod turnstile;

pub use config::{Component, Config, Secret, Settings};
pub use gate::{Gate, GateError};
pub use metrics::Metrics;
pub use status::Status;

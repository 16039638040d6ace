//! The gate to components: programs beside the server that have a domain of their own (XEP-0114).
//!
//! A component may have several streams, to any members. What is for its domain goes to the member that owns the
//! domain (`Route::Component`), which knows all streams and picks one by the two addresses (`Route::Stream`), so that what
//! one says to another stays in order. Where there is none, it waits for a while.
//!
//! Pure parts decide; thin shells have the sockets. What an entity could decide is not decided here: a stanza whose
//! sender is the component's is handed to the router.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | settings |
//! | [`gate`] | the gate as a whole |
//! | `inbox` | what other threads have for components |
//! | `registry` | what its streams share; the way of stanzas to them |
//! | `stream_table` | which streams a component has, and what waits for one (pure) |
//! | `connection` | one stream |
//! | `connect` | streams to components that listen |
//! | `machine` | our side of it (pure) |
//! | `contacts` | how people's contacts elsewhere are asked for a component |
//! | `disclosure` | what a component can do in the server's place (pure) |
//! | `privilege` | what a component may do in the names of others (pure) |
//! | `attempts` | how fast secrets may be tried (pure) |
//! | [`status`] | what operators see |
//! | [`metrics`] | figures |

mod attempts;
pub mod config;
mod connect;
mod connection;
mod contacts;
mod disclosure;
pub mod gate;
mod inbox;
mod machine;
pub mod metrics;
mod privilege;
mod registry;
pub mod status;
mod stream_table;

pub use config::{Component, Config, Secret, Settings};
pub use gate::{Gate, GateError};
pub use metrics::Metrics;
pub use status::Status;

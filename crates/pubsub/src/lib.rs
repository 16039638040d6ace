//! Publish-subscribe services (XEP-0060): one entity at the service's address has all its nodes. Knows no account and
//! no socket; what may be done with a node is the engine's.
//!
//! A service lives in one shard, by its address. Many nodes with many items are rows and an index in memory, not load;
//! who needs more than one thread for events runs several services.
//!
//! | module | owns |
//! |---|---|
//! | [`service`] | the Service entity: its nodes, loaded, changed, kept |
//! | [`people`] | what the engine must know of people |
//! | [`tell`] | events and last items on their way |
//! | [`extensions`] | the ordered list of extensions, and answers to requests |
//! | [`server_information`] | what the server says of itself |
//! | [`config`] | settings of the operator |

pub mod config;
pub mod extensions;
pub mod people;
pub mod server_information;
pub mod service;
pub mod tell;
#[cfg(test)]
mod tests;

pub use config::{Config, Create};
pub use extensions::EXTENSIONS;
pub use service::Service;

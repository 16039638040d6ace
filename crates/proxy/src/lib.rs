//! A proxy for bytestreams (XEP-0065): two clients that cannot reach each other connect to a member, and it carries bytes
//! between them. The service is an entity for each account that asks, placed with the account; so the member whose address
//! it names is also the one that is told to begin.
//!
//! | module | owns |
//! |---|---|
//! | [`service`] | the Proxy entity: what the service answers |
//! | [`extensions`] | the ordered list of extensions |
//! | [`socks`] | what a client says first, by SOCKS5 |
//! | [`hub`] | who waits for whom, and who may begin |
//! | [`gate`] | listeners, and the thread that carries bytes |
//! | `carry` | bytes from one client to another, at a measured rate |
//! | [`config`] | settings of the operator |

mod carry;
pub mod config;
pub mod extensions;
pub mod gate;
pub mod hub;
pub mod service;
pub mod socks;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use extensions::EXTENSIONS;
pub use gate::{Gate, GateError};
pub use hub::{Figures, Hub};
pub use service::{Host, Proxy, Shared};

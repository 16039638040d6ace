//! Attacks on the real binary, on loopback alone, each bounded in count and time. Beside each of them two
//! bystanders chat: one bad peer must not hurt a good one.

#![expect(clippy::disallowed_methods, reason = "tests of a process measure its time")]

mod before_login;
mod bosh;
pub(crate) mod bystander;
mod component;
pub(crate) mod durability;
mod floods;
mod fuzz;
mod hygiene;
mod jids;
mod memory;
mod panics;
mod registration;
mod rooms;
mod sasl;
pub(crate) mod secure;
mod sessions;
pub(crate) mod tls;
mod upload;
mod websocket;
pub(crate) mod wire;
mod xml;

use crate::stage::Stage;

/// A server with its limits on, as in production.
fn guarded() -> Stage {
    Stage::start("[limits]\nenabled = true")
}

//! Services that give slots for files (XEP-0363): one entity for each account that asks, placed with the account, since
//! what it may still bring is a matter of its own rows. Knows no file and no HTTP.
//!
//! | module | owns |
//! |---|---|
//! | [`service`] | the Upload entity: a request, the rows of its account, an answer |
//! | `request` | what a client asks for |
//! | [`quota`] | whether an account may have one more file |
//! | [`extensions`] | the ordered list of extensions |
//! | [`config`] | settings of the operator |

pub mod config;
pub mod extensions;
pub mod quota;
pub mod request;
pub mod service;
#[cfg(test)]
mod tests;

pub use config::{Config, Limits};
pub use extensions::EXTENSIONS;
pub use service::Upload;

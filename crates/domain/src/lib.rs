//! What the server's own address answers, and the addresses of its services (RFC 6120 §10.5.1, §10.5.2).
//! It has no state: every answer follows from the request, the time and what all domains share.
//! Knows no account and no room.
//!
//! | module | owns |
//! |---|---|
//! | [`domain`] | the Domain entity: what becomes of a stanza to the server |
//! | [`shared`] | what the answers are made from |
//! | [`external`] | services outside of XMPP, and credentials for them |
//! | [`extensions`] | the ordered list of extensions, one file each |

pub mod domain;
pub mod extensions;
pub mod external;
pub mod shared;

pub use domain::Domain;
pub use extensions::EXTENSIONS;
pub use extensions::caps::stream_features;
pub use extensions::data_policy::DataPolicy;
pub use shared::{Config, Contact, Service, Shared};

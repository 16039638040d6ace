//! Owns the ordered list of what the server's address answers, one file per XEP.

pub mod caps;
pub mod contact;
pub mod disco;
pub mod external_services;
pub mod last;
pub mod ping;
pub mod time;
pub mod version;

use entity::{Extension, Extensions};

use crate::Domain;

/// The extensions of a domain, in order.
pub static EXTENSIONS: Extensions<Domain> = Extensions::new(LIST);

const LIST: &[Extension<Domain>] = &[
    disco::EXTENSION,
    caps::EXTENSION,
    contact::EXTENSION,
    external_services::EXTENSION,
    last::EXTENSION,
    ping::EXTENSION,
    time::EXTENSION,
    version::EXTENSION,
];

//! Owns the ordered list of what the server's address answers, one file per XEP.

pub mod admin;
pub mod caps;
pub mod commands;
pub mod contact;
pub mod data_policy;
pub mod disco;
pub mod external_services;
pub mod invite;
pub mod last;
pub mod outage;
pub mod search;
pub mod time;
pub mod version;

use entity::{Commanded, Extension, Extensions};

use crate::Domain;

/// The extensions of a domain, in order.
pub static EXTENSIONS: Extensions<Domain> = Extensions::new(LIST);

impl Commanded for Domain {
    fn extensions() -> &'static Extensions<Self> {
        &EXTENSIONS
    }
}

const LIST: &[Extension<Domain>] = &[
    Extension::DISCO,
    caps::EXTENSION,
    contact::EXTENSION,
    outage::EXTENSION,
    data_policy::EXTENSION,
    external_services::EXTENSION,
    Extension::COMMANDS,
    invite::EXTENSION,
    admin::EXTENSION,
    search::EXTENSION,
    last::EXTENSION,
    Extension::PING,
    time::EXTENSION,
    version::EXTENSION,
];

//! Owns the ordered list of a service's extensions.

mod disco;
mod pubsub;

use entity::{Extension, Extensions};

use crate::server_information;
use crate::service::Service;

/// The extensions of a service, in order.
pub static EXTENSIONS: Extensions<Service> = Extensions::new(LIST);

const LIST: &[Extension<Service>] =
    &[pubsub::EXTENSION, server_information::EXTENSION, Extension::DISCO, Extension::PING];

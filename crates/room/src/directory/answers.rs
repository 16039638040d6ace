//! Owns the ordered list of a room service's extensions.

use entity::{Extension, Extensions};

use super::Directory;

/// The extensions of a room service, in order.
pub static EXTENSIONS: Extensions<Directory> = Extensions::new(LIST);

const LIST: &[Extension<Directory>] =
    &[Extension::DISCO, Extension::COMMANDS, Extension::PING, super::subscriptions::EXTENSION];

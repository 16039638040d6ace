//! Owns the documented example configuration. A test reads it: every key there exists, and has the value that
//! the text calls its default.

/// The example, as `rookery config example` prints it.
pub const EXAMPLE: &str = include_str!("example.toml");

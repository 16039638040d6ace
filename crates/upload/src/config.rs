//! Owns the settings of upload services.

use std::collections::HashMap;

use files::Key;
use xmpp::BareJid;

/// What all services share.
#[derive(Clone, Debug)]
pub struct Config {
    /// How much an account may bring.
    pub limits: Limits,
    /// Opens slots.
    pub key: Key,
    /// Where each service's files are brought and found: what URLs begin with, such as
    /// `https://example.org:5443/upload`.
    pub urls: HashMap<BareJid, String>,
}

/// How much an account may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a file.
    pub size: u64,
    /// Most bytes of a file that is kept for a profile, such as a picture (XEP-0363 §5.2).
    pub profile_size: u64,
    /// Most bytes of all its files together.
    pub bytes: u64,
    /// Most bytes of a day.
    pub bytes_a_day: u64,
    /// Most files, those that have not come yet among them.
    pub files: usize,
    /// For so many seconds a file is kept; none: for ever.
    pub keep_seconds: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 100 << 20,
            profile_size: 1 << 20,
            bytes: 1 << 30,
            bytes_a_day: 1 << 30,
            files: 2_000,
            keep_seconds: Some(30 * 86_400),
        }
    }
}

impl Limits {
    /// The most bytes that a file can have at all.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.size.min(self.bytes).min(self.bytes_a_day)
    }
}

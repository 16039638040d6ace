//! The SASL mechanisms of this server: names and order of strength. Which of them a stream is
//! offered is decided in `offer`.

use std::fmt;

use crate::scram::Hash;

/// A SASL mechanism. Ordered from strong to weak: the strongest is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A certificate, shown in the TLS handshake (RFC 4422 appendix A, XEP-0178).
    External,
    /// SCRAM tied to the TLS connection (RFC 5802 §6).
    ScramPlus(Hash),
    /// SCRAM alone (RFC 5802, RFC 7677).
    Scram(Hash),
    /// The password itself (RFC 4616).
    Plain,
    /// Nobody in particular (RFC 4505).
    Anonymous,
}

impl Mechanism {
    /// Every mechanism, the strongest first. Channel binding counts more than the hash
    /// (XEP-0438 §5.1).
    pub const ALL: [Self; 9] = [
        Self::External,
        Self::ScramPlus(Hash::Sha512),
        Self::ScramPlus(Hash::Sha256),
        Self::ScramPlus(Hash::Sha1),
        Self::Scram(Hash::Sha512),
        Self::Scram(Hash::Sha256),
        Self::Scram(Hash::Sha1),
        Self::Plain,
        Self::Anonymous,
    ];

    /// The registered name, as it stands in `<mechanism/>`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramPlus(Hash::Sha512) => "SCRAM-SHA-512-PLUS",
            Self::ScramPlus(Hash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(Hash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Self::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha1) => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of this name. Names are compared exactly: RFC 4422 §3.1 has upper case only.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mechanism_is_found_again_by_its_name() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(&mechanism.to_string()), Some(mechanism));
        }
    }

    #[test]
    fn names_are_exact() {
        let strangers =
            ["", "plain", "PLAIN ", "SCRAM-SHA-1-PLUS-PLUS", "DIGEST-MD5", "CRAM-MD5", "PLAIN\0"];
        for name in strangers {
            assert_eq!(Mechanism::from_name(name), None, "{name:?}");
        }
    }
}

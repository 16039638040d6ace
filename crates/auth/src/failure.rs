//! The failure conditions of a SASL negotiation (RFC 6120 §6.5) and their element names.

use std::fmt;

/// Why a negotiation failed; one element inside `<failure/>` (RFC 6120 §6.5).
///
/// A wrong password and an unknown user are the same condition, [`Failure::NotAuthorized`]
/// (§6.5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The client sent `<abort/>` (§6.5.1).
    Aborted,
    /// The account is temporarily disabled (§6.5.2).
    AccountDisabled,
    /// The credentials have expired (§6.5.3).
    CredentialsExpired,
    /// The mechanism needs TLS first (§6.5.4).
    EncryptionRequired,
    /// The base64 is wrong (§6.5.5).
    IncorrectEncoding,
    /// The authorization identity is malformed or another's (§6.5.6).
    InvalidAuthzid,
    /// No such mechanism here (§6.5.7).
    InvalidMechanism,
    /// The data breaks the syntax or the order of the mechanism (§6.5.8).
    MalformedRequest,
    /// The mechanism is weaker than policy permits (§6.5.9).
    MechanismTooWeak,
    /// The proof is wrong, or the reason is not told (§6.5.10).
    NotAuthorized,
    /// The server cannot check just now (§6.5.11).
    TemporaryAuthFailure,
}

impl Failure {
    /// Every condition, in the order of RFC 6120 §6.5.
    pub const ALL: [Self; 11] = [
        Self::Aborted,
        Self::AccountDisabled,
        Self::CredentialsExpired,
        Self::EncryptionRequired,
        Self::IncorrectEncoding,
        Self::InvalidAuthzid,
        Self::InvalidMechanism,
        Self::MalformedRequest,
        Self::MechanismTooWeak,
        Self::NotAuthorized,
        Self::TemporaryAuthFailure,
    ];

    /// The local name of the element in `urn:ietf:params:xml:ns:xmpp-sasl`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// The condition with this element name. A client treats an unknown one as
    /// [`Failure::NotAuthorized`] (RFC 6120 §6.5).
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|failure| failure.name() == name).unwrap_or(Self::NotAuthorized)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_found_again_by_its_name() {
        for failure in Failure::ALL {
            assert_eq!(Failure::from_name(failure.name()), failure);
        }
    }

    // RFC 6120 §6.5
    #[test]
    fn an_unknown_condition_counts_as_not_authorized() {
        assert_eq!(Failure::from_name("moon-too-full"), Failure::NotAuthorized);
    }
}

//! Owns why a server cannot be spoken with: in words for people, and as the error that senders get.

use xmpp::{ErrorType, StanzaCondition, StanzaError};

/// Why a stream to another server did not come about, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It is not to be spoken with.
    #[error("this server does not speak with it, by its policy")]
    Policy,
    /// DNS says that it is not there.
    #[error("{0}")]
    NotFound(String),
    /// DNS does not answer.
    #[error("{0}")]
    Dns(String),
    /// Nobody takes the connection.
    #[error("cannot connect to {0}")]
    Connect(String),
    /// It has no TLS.
    #[error("it offers no TLS")]
    NoTls,
    /// TLS fails.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// Its certificate does not prove who it is.
    #[error("{0}")]
    Certificate(String),
    /// It says that our dialback key is wrong.
    #[error("it says that our dialback key is wrong")]
    KeyInvalid,
    /// It cannot check our dialback key, or does not want it.
    #[error("it does not believe that we are who we are: {}", .0.unwrap_or("for no reason given"))]
    Dialback(Option<&'static str>),
    /// It ended the stream with an error.
    #[error("it ended the stream: {0}")]
    Stream(String),
    /// It ended the stream before it was ready.
    #[error("it closed the stream")]
    Closed,
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// It did what it may not.
    #[error("it does not keep to the protocol: {0}")]
    Protocol(&'static str),
    /// It says nothing.
    #[error("it did not answer in time")]
    Silent,
}

impl Failure {
    /// One word, for metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::NotFound(_) => "not_found",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::NoTls | Self::Tls(_) => "tls",
            Self::Certificate(_) => "certificate",
            Self::KeyInvalid | Self::Dialback(_) => "dialback",
            Self::Stream(_) | Self::Closed => "closed",
            Self::Lost(_) => "lost",
            Self::Protocol(_) => "protocol",
            Self::Silent => "silent",
        }
    }

    /// Every word of [`Failure::word`].
    pub const WORDS: [&'static str; 11] = [
        "policy",
        "not_found",
        "dns",
        "connect",
        "tls",
        "certificate",
        "dialback",
        "closed",
        "lost",
        "protocol",
        "silent",
    ];

    /// Whether trying again soon is of no use, so that whoever waits is told at once.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Policy
                | Self::NotFound(_)
                | Self::NoTls
                | Self::Certificate(_)
                | Self::KeyInvalid
                | Self::Dialback(_)
        )
    }

    /// What senders of stanzas are told (RFC 6120 §8.3.3.16, §8.3.3.17; XEP-0220 §2.1.1).
    #[must_use]
    pub fn stanza_error(&self) -> StanzaError {
        let condition = match self {
            Self::Policy => StanzaCondition::NotAllowed,
            Self::NotFound(_) => StanzaCondition::RemoteServerNotFound,
            Self::KeyInvalid => StanzaCondition::InternalServerError,
            _ => StanzaCondition::RemoteServerTimeout,
        };
        let error = StanzaError::from(condition).with_text(self.to_string());
        match self {
            // Nobody should wait for what will not change by itself.
            Self::NoTls | Self::Certificate(_) | Self::Dialback(_) => {
                error.with_type(ErrorType::Cancel)
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let condition = |failure: Failure| failure.stanza_error().condition;
        let text = || "x".to_owned();
        assert_eq!(condition(Failure::NotFound(text())), StanzaCondition::RemoteServerNotFound);
        assert_eq!(condition(Failure::Connect(text())), StanzaCondition::RemoteServerTimeout);
        assert_eq!(condition(Failure::Silent), StanzaCondition::RemoteServerTimeout);
        assert_eq!(condition(Failure::KeyInvalid), StanzaCondition::InternalServerError);
    }
}

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
    /// A stanza was written, and nobody knows whether it has arrived: the connection broke, or the other server has not
    /// acknowledged it in time.
    #[error("it has not said whether this has arrived")]
    Unsure,
    /// It does not want to speak with us, and says so instead of opening a stream.
    #[error("it refuses to speak with this server: {0}")]
    Refused(String),
    /// It says nothing.
    #[error("it did not answer in time")]
    Silent,
    /// It says that the domain is at another host (RFC 6120 §4.9.3.19).
    #[error("it says that the domain is at {0}, and that leads no further")]
    Moved(String),
    /// A stanza is larger than the other server takes, in bytes (XEP-0478 §3).
    #[error("it takes no more than {0} bytes at once")]
    TooBig(usize),
    /// It ends the stream whenever it is sent this stanza.
    #[error("it ends the stream for what was sent")]
    Unwanted,
}

impl Failure {
    /// One word, for metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Policy | Self::TooBig(_) | Self::Unwanted => "policy",
            Self::NotFound(_) => "not_found",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::NoTls | Self::Tls(_) => "tls",
            Self::Certificate(_) => "certificate",
            Self::KeyInvalid | Self::Dialback(_) => "dialback",
            Self::Stream(_) | Self::Refused(_) | Self::Closed | Self::Moved(_) => "closed",
            Self::Lost(_) | Self::Unsure => "lost",
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
                | Self::Refused(_)
                | Self::TooBig(_)
                | Self::Unwanted
        )
    }

    /// Whether every server of the domain would say the same, so that none of the others is asked. A certificate, TLS, a
    /// domain that a host does not serve, a key that it cannot have checked, a refusal: all that is said of the one host
    /// that was asked, and the next one may be in order. But a key that our own server has called wrong is wrong wherever
    /// it is shown, and our own policy is about the domain.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self, Self::Policy | Self::KeyInvalid)
    }

    /// How much it says of why a domain cannot be spoken with: the more, the further one has come. That a host is not
    /// there says least, since another one was.
    fn says(&self) -> u8 {
        match self {
            Self::NotFound(_) => 0,
            Self::Dns(_) => 1,
            Self::Connect(_) | Self::Silent => 2,
            Self::Lost(_) | Self::Closed | Self::Moved(_) | Self::Unsure => 3,
            Self::Tls(_) | Self::Stream(_) | Self::Protocol(_) => 4,
            Self::NoTls | Self::Refused(_) | Self::TooBig(_) | Self::Unwanted => 5,
            Self::Certificate(_) => 6,
            Self::Dialback(_) | Self::KeyInvalid | Self::Policy => 7,
        }
    }

    /// What senders of stanzas are told (RFC 6120 §8.3.3.16, §8.3.3.17; XEP-0220 §2.1.1).
    #[must_use]
    pub fn stanza_error(&self) -> StanzaError {
        let condition = match self {
            Self::Policy => StanzaCondition::NotAllowed,
            Self::NotFound(_) => StanzaCondition::RemoteServerNotFound,
            Self::KeyInvalid => StanzaCondition::InternalServerError,
            Self::TooBig(_) | Self::Unwanted => StanzaCondition::PolicyViolation,
            _ => StanzaCondition::RemoteServerTimeout,
        };
        let error = StanzaError::from(condition).with_text(self.told());
        match self {
            // Nobody should wait for what will not change by itself.
            Self::NoTls | Self::Certificate(_) | Self::Dialback(_) | Self::Refused(_) => {
                error.with_type(ErrorType::Cancel)
            }
            _ => error,
        }
    }
}

impl Failure {
    /// The same in words for everybody: where servers are, and what exactly they say, is for operators.
    fn told(&self) -> String {
        let told = match self {
            Self::Policy => "this server does not speak with that one",
            Self::NotFound(_) => "there is no server for this domain",
            Self::Dns(_) => "it cannot be found out where the other server is",
            Self::Connect(_) | Self::Moved(_) => "the other server cannot be reached",
            Self::NoTls | Self::Tls(_) => "the other server cannot be spoken with safely",
            Self::Certificate(_) => "the other server does not prove who it is",
            Self::KeyInvalid | Self::Dialback(_) => "the other server does not believe this one",
            Self::Stream(_) | Self::Closed => "the other server has ended the connection",
            Self::Refused(_) => "the other server refuses to speak with this one",
            Self::Lost(_) => "the connection to the other server was lost",
            Self::Unsure => "the other server has not said whether this has arrived",
            Self::Protocol(_) => "the other server does not keep to the protocol",
            Self::Silent => "the other server did not answer in time",
            Self::TooBig(bytes) => {
                return format!("the other server takes no more than {bytes} bytes at once");
            }
            Self::Unwanted => "the other server does not take this",
        };
        told.to_owned()
    }
}

/// Why the servers of a domain cannot be spoken with, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Failures(Option<Failure>);

impl Failures {
    /// One more. Of those that say as much, the first counts: where the domain would rather be found.
    pub(crate) fn note(&mut self, failure: Failure) {
        if self.0.as_ref().is_none_or(|known| known.says() < failure.says()) {
            self.0 = Some(failure);
        }
    }

    /// The one that says most; that nobody answered, where nobody was there to be asked.
    pub(crate) fn most_telling(self) -> Failure {
        self.0.unwrap_or(Failure::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_failures_the_one_that_came_furthest_is_told_and_of_equals_the_first() {
        let told = |all: &[Failure]| {
            let mut failures = Failures::default();
            all.iter().for_each(|it| failures.note(it.clone()));
            failures.most_telling()
        };
        let text = |text: &str| text.to_owned();
        let [first, second] = ["1", "2"].map(|it| Failure::Connect(text(it)));
        let (expired, unknown) = (Failure::Certificate(text("old")), Failure::NotFound(text("x")));
        assert_eq!(told(&[]), Failure::Silent);
        assert_eq!(told(&[first.clone(), second.clone()]), first);
        assert_eq!(told(&[first, expired.clone(), second.clone()]), expired);
        assert_eq!(told(&[Failure::NoTls, expired.clone(), Failure::Silent]), expired);
        // One of them may be there again soon, so that it is not said that there is none.
        assert_eq!(told(&[unknown.clone(), second.clone()]), second);
        assert_eq!(told(std::slice::from_ref(&unknown)), unknown);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let condition = |failure: Failure| failure.stanza_error().condition;
        let text = || "x".to_owned();
        assert_eq!(condition(Failure::NotFound(text())), StanzaCondition::RemoteServerNotFound);
        assert_eq!(condition(Failure::Connect(text())), StanzaCondition::RemoteServerTimeout);
        assert_eq!(condition(Failure::Silent), StanzaCondition::RemoteServerTimeout);
        assert_eq!(condition(Failure::KeyInvalid), StanzaCondition::InternalServerError);
        assert_eq!(condition(Failure::TooBig(9)), StanzaCondition::PolicyViolation);
    }

    #[test]
    fn people_are_not_told_where_servers_are() {
        let secret = || "10.0.0.7:5269: Connection refused".to_owned();
        let all =
            [Failure::Connect, Failure::NotFound, Failure::Dns, Failure::Tls, Failure::Certificate];
        let more = [Failure::Stream, Failure::Lost, Failure::Moved];
        for failure in all.iter().chain(&more).map(|of| of(secret())) {
            let text = failure.stanza_error().text.unwrap();
            assert!(!text.contains("10.0.0.7") && text.contains(' '), "{text}");
            assert!(failure.to_string().contains("10.0.0.7"), "operators are: {failure}");
        }
    }
}

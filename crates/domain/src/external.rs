//! Owns services outside of XMPP that the server names to its people, and the credentials that it makes for
//! them: a name that ends at a time, and the HMAC of it under a secret that the service shares, as coturn's
//! `use-auth-secret` wants them.

use auth::Hash;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use xmpp::BareJid;

/// A service, such as a TURN relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalService {
    /// A name or an address.
    pub host: String,
    /// The port; none: the one that is usual for the type.
    pub port: Option<u16>,
    /// What it is, such as `turn`.
    pub ty: String,
    /// `udp` or `tcp`; none: not said.
    pub transport: Option<String>,
    /// What it shares with this server; none: it asks for no credentials.
    pub access: Option<Access>,
}

/// How credentials for a service are made.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// What the service shares with this server.
    pub secret: Vec<u8>,
    /// For how long credentials hold, seconds.
    pub lifetime_seconds: u64,
}

/// What somebody shows to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// When they end, seconds since 1970-01-01 UTC; then whose they are, as a pseudonym.
    pub username: String,
    /// The HMAC of the name.
    pub password: String,
    /// When they end, microseconds since 1970-01-01 UTC.
    pub expires_micros: u64,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("lifetime_seconds", &self.lifetime_seconds)
            .finish_non_exhaustive()
    }
}

impl Access {
    /// Credentials for somebody. The service can tell people apart, but does not learn who they are.
    #[must_use]
    pub fn credentials(&self, who: &BareJid, unix_micros: u64) -> Credentials {
        let expires = unix_micros / 1_000_000 + self.lifetime_seconds;
        let alias = self.hmac(who.as_str().as_bytes());
        let username = format!("{expires}:{}", HEXLOWER.encode(&alias[..8]));
        let password = STANDARD.encode(self.hmac(username.as_bytes()));
        Credentials { username, password, expires_micros: expires * 1_000_000 }
    }

    fn hmac(&self, text: &[u8]) -> Vec<u8> {
        Hash::Sha1.hmac(&self.secret, &[text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(lifetime_seconds: u64) -> Access {
        Access { secret: b"north".to_vec(), lifetime_seconds }
    }

    #[test]
    fn the_password_is_the_hmac_of_a_name_that_begins_with_its_end() {
        let romeo = BareJid::parse("romeo@x.org").unwrap();
        let made = access(60).credentials(&romeo, 1_000_000_000_500_000);
        assert!(made.username.starts_with("1000000060:"), "{}", made.username);
        assert!(!made.username.contains("romeo"));
        assert_eq!(made.expires_micros, 1_000_000_060_000_000);
        // RFC 2202 §3, test case 2, by the same code.
        let vector = Access { secret: b"Jefe".to_vec(), lifetime_seconds: 0 };
        let digest = vector.hmac(b"what do ya want for nothing?");
        assert_eq!(STANDARD.encode(digest), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        assert_eq!(made.password, STANDARD.encode(access(0).hmac(made.username.as_bytes())));
    }

    #[test]
    fn people_are_told_apart_and_stay_the_same() {
        let alias = |who: &str| {
            let who = BareJid::parse(who).unwrap();
            access(60).credentials(&who, 7).username.split_once(':').unwrap().1.to_owned()
        };
        assert_eq!(alias("a@x.org"), alias("a@x.org"));
        assert_ne!(alias("a@x.org"), alias("b@x.org"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert!(!format!("{:?}", access(1)).contains("110"), "the bytes of the secret");
    }
}

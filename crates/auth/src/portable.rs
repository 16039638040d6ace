//! Verifiers in words that other servers understand (XEP-0227 §4.3), and from them.

use std::fmt;

use crate::credentials::{Credentials, MAX_ITERATIONS};
use crate::scram::Hash;
use crate::scram::keys::Keys;

/// What one mechanism needs to check a password. Whoever has it may try passwords offline; Debug prints no secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// `SCRAM-SHA-1` and the like.
    pub mechanism: String,
    /// How often the hash was applied.
    pub iterations: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// StoredKey (RFC 5802 §3).
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

/// There is no verifier that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no verifier of a mechanism that is known here")]
pub struct NoVerifier;

const SALT_LONGEST: usize = 64;

impl Credentials {
    /// The verifiers, in the order of [`Hash::ALL`].
    pub fn verifiers(&self) -> impl Iterator<Item = Verifier> + '_ {
        self.all().iter().map(|keys| Verifier {
            mechanism: keys.hash.mechanism().to_owned(),
            iterations: keys.iterations,
            salt: keys.salt.clone(),
            stored_key: keys.stored_key.clone(),
            server_key: keys.server_key.clone(),
        })
    }

    /// Out of verifiers, wherever they were made; those that cannot be used are passed over. Fewer iterations than for
    /// new passwords are taken: the password is not there to do better.
    ///
    /// # Errors
    /// None can be used.
    pub fn of(verifiers: Vec<Verifier>) -> Result<Self, NoVerifier> {
        let usable = |hash: Hash| {
            verifiers.iter().find(|it| {
                it.mechanism == hash.mechanism()
                    && (1..=MAX_ITERATIONS).contains(&it.iterations)
                    && (1..=SALT_LONGEST).contains(&it.salt.len())
                    && it.stored_key.len() == hash.len()
                    && it.server_key.len() == hash.len()
            })
        };
        let keys = Hash::ALL.into_iter().filter_map(|hash| {
            let Verifier { iterations, salt, stored_key, server_key, .. } = usable(hash)?.clone();
            Some(Keys { hash, salt, iterations, stored_key, server_key })
        });
        let keys: Vec<Keys> = keys.collect();
        if keys.is_empty() { Err(NoVerifier) } else { Ok(Self::from_keys(keys)) }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_are_the_credentials() {
        let credentials = Credentials::decoy(b"secret", "romeo", 10_000);
        let verifiers: Vec<Verifier> = credentials.verifiers().collect();
        assert_eq!(verifiers[0].mechanism, "SCRAM-SHA-1");
        assert!(!format!("{verifiers:?}").contains("salt"));
        assert_eq!(Credentials::of(verifiers), Ok(credentials));
    }

    #[test]
    fn what_cannot_be_used_is_passed_over() {
        let mut verifiers: Vec<Verifier> =
            Credentials::decoy(b"secret", "romeo", 4_096).verifiers().collect();
        verifiers[0].mechanism = "SCRAM-MD5".to_owned();
        verifiers[1].stored_key.pop();
        let rest = Credentials::of(verifiers.clone()).unwrap();
        assert_eq!(rest.hashes().collect::<Vec<_>>(), [Hash::Sha512]);
        verifiers[2].salt.clear();
        assert_eq!(Credentials::of(verifiers), Err(NoVerifier));
    }
}

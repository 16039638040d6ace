//! XEP-0480 SASL Upgrade Tasks, version 0.2.0, §3: verifiers that an account lacks, since it came from elsewhere, and how a
//! client that knows the password brings them. Pure.

use zeroize::Zeroizing;

use crate::credentials::Credentials;
use crate::scram::Hash;
use crate::scram::keys::{Keys, SALT_LEN};
use crate::{Failure, encoding};

const PREFIX: &str = "UPGR-";

/// One verifier that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    hash: Hash,
    salt: [u8; SALT_LEN],
    iterations: u32,
}

/// The name of a task (§2.1).
#[must_use]
pub fn task(hash: Hash) -> String {
    format!("{PREFIX}{}", hash.mechanism())
}

/// The hash of the task of this name.
#[must_use]
pub fn hash_of(task: &str) -> Option<Hash> {
    let mechanism = task.strip_prefix(PREFIX)?;
    Hash::ALL.into_iter().find(|hash| hash.mechanism() == mechanism)
}

impl Upgrade {
    /// A verifier with a fresh salt.
    #[must_use]
    pub fn new(hash: Hash, salt: [u8; SALT_LEN], iterations: u32) -> Self {
        Self { hash, salt, iterations }
    }

    /// What the client must know (§3): the salt, in base64, and the iterations.
    #[must_use]
    pub fn question(&self) -> (String, u32) {
        (encoding::encode(&self.salt), self.iterations)
    }

    /// The credentials with this verifier too, out of the SaltedPassword (RFC 5802 §3) that the client sends, in base64.
    ///
    /// # Errors
    /// [`Failure::MalformedRequest`] for what is no hash.
    pub fn take(&self, before: &Credentials, answer: &str) -> Result<Credentials, Failure> {
        let salted = Zeroizing::new(encoding::decode(answer.trim())?);
        if salted.len() != self.hash.len() {
            return Err(Failure::MalformedRequest);
        }
        let keys = Keys::of_salted(self.hash, &salted, &self.salt, self.iterations);
        let others = before.all().iter().filter(|known| known.hash != self.hash).cloned();
        let all: Vec<Keys> = others.chain([keys]).collect();
        let in_order = Hash::ALL.into_iter();
        let in_order = in_order.filter_map(|hash| all.iter().find(|it| it.hash == hash).cloned());
        Ok(Credentials::from_keys(in_order.collect()))
    }
}

impl Credentials {
    /// Whether a client may bring a verifier of this hash: one that is there stays as it is.
    #[must_use]
    pub fn lacks(&self, hash: Hash) -> bool {
        self.keys(hash).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_have_names_of_mechanisms_without_binding() {
        assert_eq!(task(Hash::Sha256), "UPGR-SCRAM-SHA-256");
        for hash in Hash::ALL {
            assert_eq!(hash_of(&task(hash)), Some(hash));
        }
        for other in ["SCRAM-SHA-256", "UPGR-SCRAM-SHA-256-PLUS", "UPGR-", ""] {
            assert_eq!(hash_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_the_client_sends_is_the_verifier_of_its_password() {
        let all = Credentials::derive("pencil", 10_000, [[1; SALT_LEN]; 3]).unwrap();
        let one = Credentials::from_keys(vec![all.all()[0].clone()]);
        assert!(one.lacks(Hash::Sha512) && !one.lacks(Hash::Sha1));
        let upgrade = Upgrade::new(Hash::Sha512, [1; SALT_LEN], 10_000);
        let salted = Hash::Sha512.salted_password("pencil", &[1; SALT_LEN], 10_000);
        let upgraded = upgrade.take(&one, &encoding::encode(&salted)).unwrap();
        assert_eq!(upgraded.keys(Hash::Sha512), all.keys(Hash::Sha512));
        assert_eq!(upgraded.keys(Hash::Sha1), all.keys(Hash::Sha1));
        for (broken, failure) in [
            ("", Failure::MalformedRequest),
            ("!", Failure::IncorrectEncoding),
            ("AAAA", Failure::MalformedRequest),
        ] {
            assert_eq!(upgrade.take(&one, broken).map(drop), Err(failure), "{broken}");
        }
    }
}

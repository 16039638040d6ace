//! What is kept of a password: SCRAM verifiers for each hash (RFC 5802 §2.2, RFC 6120 §13.8.1,
//! XEP-0438 §6.2), and their stored form. The password itself is never held.

use std::fmt;

use crate::saslprep;
use crate::scram::Hash;
use crate::scram::keys::{Keys, SALT_LEN};

/// The iterations for new credentials, and the fewest accepted for them (XEP-0438 §7).
pub const DEFAULT_ITERATIONS: u32 = 10_000;

/// The most iterations accepted; more would let one log-in hold a thread for seconds.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// Random salts for new credentials, one for each of [`Hash::ALL`]: each fresh, none used twice.
pub type Salts = [[u8; SALT_LEN]; 3];

/// The verifiers of one account, at most one for each hash. Debug prints no secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    keys: Vec<Keys>,
}

/// Why a password cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nothing is left of it after SASLprep.
    #[error("password is empty")]
    Empty,
    /// SASLprep prohibits it (RFC 4013 §2.3).
    #[error("password holds prohibited characters")]
    Prohibited,
    /// The iterations are not between [`DEFAULT_ITERATIONS`] and [`MAX_ITERATIONS`].
    #[error("{0} iterations are too few or too many")]
    Iterations(u32),
}

impl Credentials {
    /// The credentials of a new password, for every hash. Takes some milliseconds for each ten
    /// thousand iterations: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn derive(password: &str, iterations: u32, salts: Salts) -> Result<Self, PasswordError> {
        if !(DEFAULT_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(PasswordError::Iterations(iterations));
        }
        let password = saslprep::stored(password).map_err(|_| PasswordError::Prohibited)?;
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        let keys = Hash::ALL.into_iter().zip(salts);
        let keys = keys.map(|(hash, salt)| Keys::derive(hash, &password, &salt, iterations));
        Ok(Self { keys: keys.collect() })
    }

    /// Credentials for an account that does not exist: of the same shape, at the same cost, the
    /// same each time, and matched by no password. Spellings of one account must be made one by
    /// the caller, as they are for accounts that exist.
    #[must_use]
    pub fn decoy(secret: &[u8], account: &str, iterations: u32) -> Self {
        let keys = Hash::ALL.map(|hash| Keys::decoy(hash, secret, account, iterations));
        Self { keys: keys.into() }
    }

    /// Whether this is the password; as slow as one derivation, so call it where blocking is
    /// allowed. A password that breaks SASLprep costs the same and does not match (RFC 4616 §2).
    #[must_use]
    pub fn verify_password(&self, password: &str) -> bool {
        let prepared = saslprep::query(password);
        let usable = prepared.as_ref().is_ok_and(|password| !password.is_empty());
        let preferred = self.keys(Hash::Sha256).or_else(|| self.keys.first());
        let matches = preferred
            .is_some_and(|keys| keys.matches_password(prepared.as_deref().unwrap_or(password)));
        matches && usable
    }

    /// The iterations of the weakest verifier: below the configured number the credentials should
    /// be made anew when the password is next at hand (XEP-0438 §6.3).
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.keys.iter().map(|keys| keys.iterations).min().unwrap_or(0)
    }

    /// The hashes that there is a verifier for, in the order of [`Hash::ALL`].
    pub fn hashes(&self) -> impl Iterator<Item = Hash> + '_ {
        self.keys.iter().map(|keys| keys.hash)
    }

    /// Takes verifiers in the order of their hashes.
    pub(crate) fn from_keys(keys: Vec<Keys>) -> Self {
        Self { keys }
    }

    pub(crate) fn all(&self) -> &[Keys] {
        &self.keys
    }

    pub(crate) fn keys(&self, hash: Hash) -> Option<&Keys> {
        self.keys.iter().find(|keys| keys.hash == hash)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALTS: Salts = [[1; SALT_LEN], [2; SALT_LEN], [3; SALT_LEN]];

    fn derive(password: &str) -> Result<Credentials, PasswordError> {
        Credentials::derive(password, DEFAULT_ITERATIONS, SALTS)
    }

    #[test]
    fn only_the_password_is_the_password() {
        let credentials = derive("r0m30myr0m30").expect("a good password");
        assert!(credentials.verify_password("r0m30myr0m30"));
        assert!(credentials.verify_password("r0m30\u{ad}myr0m30"));
        for wrong in ["", "R0m30myr0m30", "r0m30myr0m30 ", "r0m30myr0m3", "\u{7}", "\u{ad}"] {
            assert!(!credentials.verify_password(wrong), "{wrong:?}");
        }
    }

    // RFC 4616 §2: what prepares to nothing fails, whatever is stored.
    #[test]
    fn an_empty_password_matches_not_even_its_own_keys() {
        let credentials = Credentials::from_keys(vec![Keys::derive(Hash::Sha256, "", b"salt", 1)]);
        assert!(!credentials.verify_password(""));
        assert!(!credentials.verify_password("\u{ad}"));
    }

    #[test]
    fn a_password_that_cannot_be_prepared_is_refused_when_set() {
        assert_eq!(derive(""), Err(PasswordError::Empty));
        assert_eq!(derive("\u{ad}"), Err(PasswordError::Empty));
        assert_eq!(derive("a\nb"), Err(PasswordError::Prohibited));
    }

    // XEP-0438 §7
    #[test]
    fn iterations_out_of_range_are_refused() {
        for iterations in [0, 4096, DEFAULT_ITERATIONS - 1, MAX_ITERATIONS + 1, u32::MAX] {
            let refused = Credentials::derive("secret", iterations, SALTS);
            assert_eq!(refused, Err(PasswordError::Iterations(iterations)));
        }
    }

    #[test]
    fn each_hash_has_its_own_salt() {
        let credentials = derive("secret").expect("a good password");
        assert_eq!(credentials.hashes().collect::<Vec<_>>(), Hash::ALL);
        for (keys, salt) in credentials.all().iter().zip(SALTS) {
            assert_eq!((keys.salt.as_slice(), keys.iterations), (&salt[..], DEFAULT_ITERATIONS));
        }
    }

    #[test]
    fn a_decoy_has_the_shape_of_the_real_and_matches_nothing() {
        let real = derive("secret").expect("a good password");
        let decoy = Credentials::decoy(b"server secret", "nobody", DEFAULT_ITERATIONS);
        assert_eq!(decoy.encode().len(), real.encode().len());
        assert_eq!(decoy.iterations(), real.iterations());
        assert!(!decoy.verify_password("secret"));
    }

    #[test]
    fn a_decoy_is_stable_for_one_account_and_differs_for_others() {
        let decoy = |secret: &[u8], account| Credentials::decoy(secret, account, 10_000);
        assert_eq!(decoy(b"one", "nobody"), decoy(b"one", "nobody"));
        assert_ne!(decoy(b"one", "nobody"), decoy(b"one", "noone"));
        assert_ne!(decoy(b"one", "nobody"), decoy(b"two", "nobody"));
        let salts: Vec<_> =
            decoy(b"one", "nobody").keys.into_iter().map(|keys| keys.salt).collect();
        assert!(salts[0] != salts[1] && salts[1] != salts[2] && salts[0] != salts[2]);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let printed = format!("{:?}", derive("secret").expect("a good password"));
        assert_eq!(
            printed,
            "Credentials([Keys(Sha1, 10000 iterations), Keys(Sha256, 10000 iterations), \
             Keys(Sha512, 10000 iterations)])"
        );
    }
}

//! The stored form of credentials: a version octet, a count, then for each verifier the hash, the
//! iterations (32 bits, big end first), the salt behind its length, StoredKey and ServerKey. About
//! 300 octets for all three hashes. Whoever can read it may try passwords offline.

use crate::credentials::{Credentials, MAX_ITERATIONS};
use crate::scram::Hash;
use crate::scram::keys::Keys;

const VERSION: u8 = 1;
const MAX_SALT_LEN: usize = 64;

/// Why stored octets are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The octets end too early.
    #[error("credentials are cut off")]
    Truncated,
    /// The octets go on after the last verifier.
    #[error("credentials are followed by {0} octets")]
    Trailing(usize),
    /// They were written by a later version, or are no credentials.
    #[error("version {0} of credentials is unknown")]
    Version(u8),
    /// No such hash, or the hashes are out of order.
    #[error("hash {0} is unknown or out of order")]
    Hash(u8),
    /// The iterations are 0 or beyond [`MAX_ITERATIONS`].
    #[error("{0} iterations are out of range")]
    Iterations(u32),
    /// The salt has no octets or more than 64.
    #[error("salt of {0} octets is out of range")]
    Salt(usize),
    /// There is no verifier at all.
    #[error("credentials are empty")]
    Empty,
}

impl Credentials {
    /// The octets to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count = octet(self.all().len());
        let mut octets = vec![VERSION, count];
        for keys in self.all() {
            octets.push(hash_octet(keys.hash));
            octets.extend_from_slice(&keys.iterations.to_be_bytes());
            octets.push(octet(keys.salt.len()));
            octets.extend_from_slice(&keys.salt);
            octets.extend_from_slice(&keys.stored_key);
            octets.extend_from_slice(&keys.server_key);
        }
        octets
    }

    /// Reads what [`Credentials::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] for anything else.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = octets;
        let version = take_octet(&mut rest)?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let mut all: Vec<Keys> = Vec::new();
        for _ in 0..take_octet(&mut rest)? {
            let keys = decode_keys(&mut rest)?;
            if all.last().is_some_and(|last| last.hash >= keys.hash) {
                return Err(DecodeError::Hash(hash_octet(keys.hash)));
            }
            all.push(keys);
        }
        match (all.is_empty(), rest.len()) {
            (true, _) => Err(DecodeError::Empty),
            (false, 0) => Ok(Self::from_keys(all)),
            (false, trailing) => Err(DecodeError::Trailing(trailing)),
        }
    }
}

fn decode_keys(rest: &mut &[u8]) -> Result<Keys, DecodeError> {
    let hash = match take_octet(rest)? {
        1 => Hash::Sha1,
        2 => Hash::Sha256,
        3 => Hash::Sha512,
        other => return Err(DecodeError::Hash(other)),
    };
    let (iterations, after) = rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
    *rest = after;
    let iterations = u32::from_be_bytes(*iterations);
    if iterations == 0 || iterations > MAX_ITERATIONS {
        return Err(DecodeError::Iterations(iterations));
    }
    let salt_len = usize::from(take_octet(rest)?);
    if salt_len == 0 || salt_len > MAX_SALT_LEN {
        return Err(DecodeError::Salt(salt_len));
    }
    Ok(Keys {
        hash,
        iterations,
        salt: take(rest, salt_len)?,
        stored_key: take(rest, hash.len())?,
        server_key: take(rest, hash.len())?,
    })
}

fn hash_octet(hash: Hash) -> u8 {
    match hash {
        Hash::Sha1 => 1,
        Hash::Sha256 => 2,
        Hash::Sha512 => 3,
    }
}

fn octet(length: usize) -> u8 {
    u8::try_from(length).expect("credentials have at most 3 verifiers, each salt at most 64 octets")
}

fn take_octet(rest: &mut &[u8]) -> Result<u8, DecodeError> {
    let (octet, after) = rest.split_first().ok_or(DecodeError::Truncated)?;
    *rest = after;
    Ok(*octet)
}

fn take(rest: &mut &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
    let (taken, after) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
    *rest = after;
    Ok(taken.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Credentials {
        Credentials::decoy(b"secret", "romeo", 12_345)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let octets = sample().encode();
        assert_eq!(octets.len(), 2 + 3 * 22 + 2 * (20 + 32 + 64));
        assert_eq!(Credentials::decode(&octets), Ok(sample()));
    }

    #[test]
    fn one_hash_alone_is_enough() {
        let octets = sample().encode();
        let mut one = octets[..2 + 22 + 2 * 20].to_vec();
        one[1] = 1;
        let credentials = Credentials::decode(&one).expect("whole credentials");
        assert_eq!(credentials.hashes().collect::<Vec<_>>(), [Hash::Sha1]);
        assert_eq!(credentials.encode(), one);
    }

    #[test]
    fn every_shorter_or_longer_form_is_refused() {
        let octets = sample().encode();
        for len in 0..octets.len() {
            assert_eq!(Credentials::decode(&octets[..len]), Err(DecodeError::Truncated), "{len}");
        }
        let longer = [&octets[..], &[0]].concat();
        assert_eq!(Credentials::decode(&longer), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let altered = |changes: &[(usize, u8)]| {
            let mut octets = sample().encode();
            for &(at, octet) in changes {
                octets[at] = octet;
            }
            Credentials::decode(&octets)
        };
        assert_eq!(altered(&[(0, 2)]), Err(DecodeError::Version(2)));
        assert_eq!(altered(&[(1, 4)]), Err(DecodeError::Truncated));
        assert_eq!(altered(&[(2, 9)]), Err(DecodeError::Hash(9)));
        assert_eq!(altered(&[(2 + 22 + 40, 1)]), Err(DecodeError::Hash(1)));
        assert_eq!(altered(&[(5, 0), (6, 0)]), Err(DecodeError::Iterations(0)));
        assert_eq!(altered(&[(3, 1)]), Err(DecodeError::Iterations(0x0100_3039)));
        assert_eq!(altered(&[(7, 0)]), Err(DecodeError::Salt(0)));
        assert_eq!(altered(&[(7, 65)]), Err(DecodeError::Salt(65)));
        assert_eq!(Credentials::decode(&[1, 0]), Err(DecodeError::Empty));
    }
}

//! The client's side of SCRAM (RFC 5802, RFC 7677), with derived keys kept.
//!
//! A storm of log-ins must not measure its own key derivation: all accounts share one password, and
//! a key is derived once for each hash, salt and iteration count.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The highest iteration count that a server may ask of us.
const MOST_ITERATIONS: u32 = 1_000_000;

/// The hash under a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

/// Keys derived from the one password, for every salt that was met.
#[derive(Debug, Default)]
pub struct Keys {
    password: String,
    derived: HashMap<(ScramHash, Vec<u8>, u32), Derived>,
}

#[derive(Clone, Debug)]
struct Derived {
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// One exchange under way; made by [`Exchange::start`].
#[derive(Debug)]
pub struct Exchange {
    hash: ScramHash,
    first_bare: String,
    nonce: String,
    expected: Option<String>,
}

/// Why an exchange cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// A message of the server lacks an attribute or carries a bad one.
    #[error("the server's SCRAM message is malformed")]
    Malformed,
    /// The server's nonce does not extend ours, or its signature is wrong.
    #[error("the server does not prove itself")]
    NotProved,
}

impl Keys {
    /// A cache for accounts that all have this password (ASCII, so that SASLprep changes nothing).
    pub fn new(password: &str) -> Keys {
        Keys {
            password: password.to_owned(),
            derived: HashMap::new(),
        }
    }

    /// The password itself, for PLAIN.
    pub fn password(&self) -> &str {
        &self.password
    }

    fn derive(&mut self, hash: ScramHash, salt: Vec<u8>, iterations: u32) -> &Derived {
        let password = self.password.as_bytes();
        let key = (hash, salt, iterations);
        self.derived.entry(key).or_insert_with_key(|(_, salt, _)| {
            let mut salted = vec![0; hash.len()];
            match hash {
                ScramHash::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut salted),
                ScramHash::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut salted),
            }
            Derived {
                client_key: hash.hmac(&salted, b"Client Key"),
                server_key: hash.hmac(&salted, b"Server Key"),
            }
        })
    }
}

impl ScramHash {
    fn len(self) -> usize {
        match self {
            ScramHash::Sha1 => 20,
            ScramHash::Sha256 => 32,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            ScramHash::Sha1 => Sha1::digest(bytes).to_vec(),
            ScramHash::Sha256 => Sha256::digest(bytes).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        const ANY: &str = "HMAC takes keys of any length";
        match self {
            ScramHash::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY);
                mac.chain_update(bytes).finalize().into_bytes().to_vec()
            }
            ScramHash::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY);
                mac.chain_update(bytes).finalize().into_bytes().to_vec()
            }
        }
    }
}

impl Exchange {
    /// Begins for `user` (a localpart, which needs no escaping) and gives the first message in base64.
    ///
    /// The client claims no channel binding (gs2 header `n,,`, RFC 5802 §6).
    pub fn start(hash: ScramHash, user: &str, nonce: String) -> (Exchange, String) {
        let first_bare = format!("n={user},r={nonce}");
        let message = BASE64.encode(format!("n,,{first_bare}"));
        let exchange = Exchange {
            hash,
            first_bare,
            nonce,
            expected: None,
        };
        (exchange, message)
    }

    /// Answers the server's first message; both in base64.
    pub fn answer(&mut self, challenge: &[u8], keys: &mut Keys) -> Result<String, ScramError> {
        let server_first = decode(challenge)?;
        let nonce = field(&server_first, "r=")?;
        if !nonce.starts_with(&self.nonce) {
            return Err(ScramError::NotProved);
        }
        let salt = field(&server_first, "s=")?;
        let salt = BASE64.decode(salt).map_err(|_| ScramError::Malformed)?;
        let iterations = field(&server_first, "i=")?.parse().ok();
        let iterations = iterations
            .filter(|count| (1..=MOST_ITERATIONS).contains(count))
            .ok_or(ScramError::Malformed)?;
        let derived = keys.derive(self.hash, salt, iterations);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let stored_key = self.hash.digest(&derived.client_key);
        let mut proof = self.hash.hmac(&stored_key, signed.as_bytes());
        for (byte, key) in proof.iter_mut().zip(&derived.client_key) {
            *byte ^= key;
        }
        let signature = self.hash.hmac(&derived.server_key, signed.as_bytes());
        self.expected = Some(format!("v={}", BASE64.encode(signature)));
        Ok(BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof))))
    }

    /// Checks the server's last message, in base64.
    pub fn finish(&self, last: &[u8]) -> Result<(), ScramError> {
        let last = decode(last)?;
        match &self.expected {
            Some(expected) if last.split(',').any(|part| part == expected) => Ok(()),
            _ => Err(ScramError::NotProved),
        }
    }
}

/// A nonce of 96 random bits.
pub fn nonce() -> String {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    BASE64.encode(bytes)
}

/// The initial response of PLAIN (RFC 4616), in base64.
pub fn plain(user: &str, password: &str) -> String {
    BASE64.encode(format!("\0{user}\0{password}"))
}

fn decode(message: &[u8]) -> Result<String, ScramError> {
    let bytes = BASE64.decode(message.trim_ascii());
    let bytes = bytes.map_err(|_| ScramError::Malformed)?;
    String::from_utf8(bytes).map_err(|_| ScramError::Malformed)
}

fn field<'a>(message: &'a str, name: &str) -> Result<&'a str, ScramError> {
    let value = message.split(',').find_map(|part| part.strip_prefix(name));
    value.ok_or(ScramError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(hash: ScramHash, nonce: &str, first: &str, keys: &mut Keys) -> (Exchange, String) {
        let (mut exchange, _) = Exchange::start(hash, "user", nonce.to_owned());
        let answer = exchange
            .answer(BASE64.encode(first).as_bytes(), keys)
            .unwrap();
        (
            exchange,
            String::from_utf8(BASE64.decode(answer).unwrap()).unwrap(),
        )
    }

    #[test]
    fn the_example_of_rfc_5802_comes_out() {
        let mut keys = Keys::new("pencil");
        let (exchange, answer) = exchange(
            ScramHash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            &mut keys,
        );
        assert!(answer.ends_with(",p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="));
        let last = |v: &str| BASE64.encode(format!("v={v}")).into_bytes();
        assert_eq!(
            exchange.finish(&last("rmF9pqV8S7suAoZWja4dJRkFsKQ=")),
            Ok(())
        );
        assert_eq!(exchange.finish(&last("AAAA")), Err(ScramError::NotProved));
        assert_eq!(keys.derived.len(), 1);
    }

    #[test]
    fn the_example_of_rfc_7677_comes_out() {
        let (exchange, answer) = exchange(
            ScramHash::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            &mut Keys::new("pencil"),
        );
        assert!(answer.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        let last = BASE64.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(exchange.finish(last.as_bytes()), Ok(()));
    }

    #[test]
    fn a_foreign_nonce_and_an_absurd_count_are_refused() {
        let mut keys = Keys::new("pencil");
        let (mut exchange, _) = Exchange::start(ScramHash::Sha1, "user", "abc".to_owned());
        let mut answer = |text: &str| exchange.answer(BASE64.encode(text).as_bytes(), &mut keys);
        assert_eq!(answer("r=xyz,s=QSXC,i=4096"), Err(ScramError::NotProved));
        assert_eq!(
            answer("r=abcd,s=QSXC,i=99999999"),
            Err(ScramError::Malformed)
        );
        assert_eq!(answer("r=abcd,i=4096"), Err(ScramError::Malformed));
        assert!(keys.derived.is_empty());
    }
}

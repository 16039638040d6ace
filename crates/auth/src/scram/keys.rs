//! What a server keeps for one user and one hash: salt, iteration count, StoredKey, ServerKey
//! (RFC 5802 §3), and the check of a proof against it.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hash::{Hash, xor};

/// The octets of a salt that this server makes (XEP-0438 §6.2).
pub(crate) const SALT_LEN: usize = 16;

/// The verifier of one password under one hash. It does not reveal the password, but whoever has
/// it may try passwords offline, and may pose as the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) hash: Hash,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
}

impl Keys {
    /// The keys of a prepared password. Slow on purpose.
    pub(crate) fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        Self::of_salted(hash, &salted, salt, iterations)
    }

    /// The keys of a SaltedPassword (RFC 5802 §3).
    pub(crate) fn of_salted(hash: Hash, salted: &[u8], salt: &[u8], iterations: u32) -> Self {
        let client_key = client_key(hash, salted);
        Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&client_key),
            server_key: server_key(hash, salted),
        }
    }

    /// Keys for a user who does not exist: the same salt each time, and a StoredKey of which
    /// nobody knows a ClientKey, as it is no hash but an HMAC under the server's secret.
    pub(crate) fn decoy(hash: Hash, secret: &[u8], username: &str, iterations: u32) -> Self {
        let made_up =
            |what: &str| hash.hmac(secret, &[what.as_bytes(), b"\0", username.as_bytes()]);
        let mut salt = made_up("salt");
        salt.truncate(SALT_LEN);
        let (stored_key, server_key) = (made_up("stored key"), made_up("server key"));
        Self { hash, salt, iterations, stored_key, server_key }
    }

    /// Whether the prepared password is the one of these keys. Slow on purpose.
    pub(crate) fn matches_password(&self, password: &str) -> bool {
        let presented = Self::derive(self.hash, password, &self.salt, self.iterations);
        presented.stored_key.ct_eq(&self.stored_key).into()
    }

    /// Whether the proof was made by one who knows the ClientKey (RFC 5802 §3):
    /// H(proof XOR HMAC(StoredKey, AuthMessage)) = StoredKey. In constant time.
    pub(crate) fn accepts_proof(&self, proof: &[u8], auth_message: &[&[u8]]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        let stored_key = self.hash.digest(&xor(proof, &signature));
        proof.len() == signature.len() && stored_key.ct_eq(&self.stored_key).into()
    }

    /// The ServerSignature: HMAC(ServerKey, AuthMessage).
    pub(crate) fn server_signature(&self, auth_message: &[&[u8]]) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?}, {} iterations)", self.hash, self.iterations)
    }
}

/// ClientKey = HMAC(SaltedPassword, "Client Key").
pub(super) fn client_key(hash: Hash, salted_password: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(hash.hmac(salted_password, &[b"Client Key"]))
}

/// ServerKey = HMAC(SaltedPassword, "Server Key").
pub(super) fn server_key(hash: Hash, salted_password: &[u8]) -> Vec<u8> {
    hash.hmac(salted_password, &[b"Server Key"])
}

//! XEP-0185 Dialback Key Generation and Validation, version 1.0: the key that only the servers of one domain can
//! make, and the comparison of keys. The secret is the cluster's, so that any member knows any key.

use auth::Hash;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

/// What a key proves, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The domain of who is to believe it.
    pub receiving: &'a str,
    /// The domain of who proves that it is itself.
    pub originating: &'a str,
    /// The id of the stream on which it does.
    pub id: &'a str,
}

/// Makes and checks keys.
#[derive(Clone)]
pub struct Keys {
    /// The hexadecimal SHA-256 of the secret (XEP-0185 §2, note 4).
    hashed: String,
}

impl Keys {
    /// Keys of this secret: at least 32 octets that nobody outside the cluster knows.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { hashed: HEXLOWER.encode(&Sha256::digest(secret)) }
    }

    /// The key that proves this.
    #[must_use]
    pub fn key(&self, Claim { receiving, originating, id }: Claim<'_>) -> String {
        let text = [receiving, " ", originating, " ", id].map(str::as_bytes);
        HEXLOWER.encode(&Hash::Sha256.hmac(self.hashed.as_bytes(), &text))
    }

    /// Whether `key` is the one that proves this. Compares in constant time.
    #[must_use]
    pub fn is_valid(&self, claim: Claim<'_>, key: &str) -> bool {
        let right = self.key(claim);
        right.as_bytes().ct_eq(key.trim().as_bytes()).into()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_holds() {
        let keys = Keys::new(b"s3cr3tf0rd14lb4ck");
        let claim =
            Claim { receiving: "xmpp.example.com", originating: "example.org", id: "D60000229F" };
        let key = keys.key(claim);
        assert_eq!(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
        assert!(keys.is_valid(claim, &format!("\n {key}\n")));
        assert!(!keys.is_valid(Claim { id: "D60000229E", ..claim }, &key));
        assert!(!keys.is_valid(claim, ""));
    }
}

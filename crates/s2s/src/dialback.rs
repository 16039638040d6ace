//! XEP-0185 Dialback Key Generation and Validation, version 1.0: the key that only the servers of one domain can
//! make, and the comparison of keys. The secret is the cluster's, so that any member knows any key.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

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
        Self { hashed: hex(&Sha256::digest(secret)) }
    }

    /// The key by which `originating` proves to `receiving` that it is itself, on the stream with this id.
    #[must_use]
    pub fn key(&self, receiving: &str, originating: &str, id: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.hashed.as_bytes())
            .expect("HMAC takes keys of any length");
        for part in [receiving, " ", originating, " ", id] {
            mac.update(part.as_bytes());
        }
        hex(&mac.finalize().into_bytes())
    }

    /// Whether a key is the right one. Takes as long for a wrong one.
    #[must_use]
    pub fn is_valid(&self, (receiving, originating, id): (&str, &str, &str), key: &str) -> bool {
        let right = self.key(receiving, originating, id);
        right.as_bytes().ct_eq(key.trim().as_bytes()).into()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_holds() {
        let keys = Keys::new(b"s3cr3tf0rd14lb4ck");
        let key = keys.key("xmpp.example.com", "example.org", "D60000229F");
        assert_eq!(key, "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643");
        let about = ("xmpp.example.com", "example.org", "D60000229F");
        assert!(keys.is_valid(about, &format!("\n {key}\n")));
        assert!(!keys.is_valid(("xmpp.example.com", "example.org", "D60000229E"), &key));
        assert!(!keys.is_valid(about, ""));
    }
}

//! Owns words that strangers hand back: what only this cluster can have written, so that nobody needs to remember it
//! meanwhile. Not hidden, only sealed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::scram::Hash;

/// Bytes of the mark: 128 bits.
const MARK: usize = 16;

/// Makes and reads sealed words.
#[derive(Clone)]
pub struct Seal {
    key: Vec<u8>,
}

impl Seal {
    /// With a secret of the cluster.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self { key: secret.to_vec() }
    }

    /// Some words, none of which has a NUL in it, as one that fits into an attribute. `what` says what they are, so that
    /// words sealed for one purpose mean nothing for another.
    #[must_use]
    pub fn close(&self, what: &str, words: &[&str]) -> String {
        let words = words.join("\0");
        let mut sealed = self.mark(what, words.as_bytes());
        sealed.extend_from_slice(words.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The words again; none where this cluster has not sealed them for this purpose.
    #[must_use]
    pub fn open(&self, what: &str, text: &str) -> Option<Vec<String>> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (mark, words) = sealed.split_at_checked(MARK)?;
        if !bool::from(self.mark(what, words).ct_eq(mark)) {
            return None;
        }
        Some(str::from_utf8(words).ok()?.split('\0').map(str::to_owned).collect())
    }

    fn mark(&self, what: &str, words: &[u8]) -> Vec<u8> {
        let mut mark = Hash::Sha256.hmac(&self.key, &[what.as_bytes(), b"\0", words]);
        mark.truncate(MARK);
        mark
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_for_this_purpose_can_be_opened() {
        let seal = Seal::new(b"secret");
        let text = seal.close("a", &["ü", "", "<&>"]);
        assert_eq!(seal.open("a", &text).unwrap(), ["ü", "", "<&>"]);
        assert_eq!(seal.open("b", &text), None);
        assert_eq!(Seal::new(b"other").open("a", &text), None);
        for wrong in ["", "abc", "ü", &text[1..], &format!("{text}AAAA")] {
            assert_eq!(seal.open("a", wrong), None, "{wrong}");
        }
        // A word cannot slip into its neighbour.
        assert_ne!(seal.close("a", &["b", "c"]), seal.close("ab", &["", "c"]));
    }
}

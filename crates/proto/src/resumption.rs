//! Owns the id of a resumable session (XEP-0198 §5, "SM-ID"): which session, and the secret that proves it.
//!
//! The id names no account. Whoever presents it asks the session of that number among the sessions of
//! the account it has signed in to, so the id of another account leads nowhere.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The id of a resumable session; 32 characters that are opaque to the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResumptionId {
    /// [`crate::SessionId::uid`].
    pub uid: u64,
    /// 128 random bits. To be compared in constant time.
    pub secret: [u8; 16],
}

impl ResumptionId {
    /// Reads what was written by [`fmt::Display`]; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 24];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (uid, secret) = bytes.split_first_chunk()?;
        let secret = secret.try_into().ok()?;
        (length == bytes.len()).then_some(Self { uid: u64::from_be_bytes(*uid), secret })
    }
}

impl fmt::Display for ResumptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.uid.to_be_bytes());
        bytes[8..].copy_from_slice(&self.secret);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Without the secret, so that it cannot end up in a log.
impl fmt::Debug for ResumptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResumptionId({:016x})", self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = ResumptionId { uid: 0x0123_4567_89ab_cdef, secret: *b"0123456789abcdef" };
        let text = id.to_string();
        assert_eq!((text.len(), ResumptionId::parse(&text)), (32, Some(id)));
        for wrong in ["", "x", &text[1..], &format!("{text}A"), &text.replace('A', "+")] {
            assert_eq!(ResumptionId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_secret_is_not_in_the_debug_form() {
        let id = ResumptionId { uid: 1, secret: [0xab; 16] };
        assert_eq!(format!("{id:?}"), "ResumptionId(0000000000000001)");
    }
}

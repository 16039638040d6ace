//! Owns a slot: the row by which it is known until its file ends, and the key by which a client shows that it may bring
//! the file (XEP-0363 §4). Pure.

use auth::Hash;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use prost::Message as _;
use store::{Kind, Write};
use subtle::ConstantTimeEq as _;
use xmpp::BareJid;

use crate::FileId;

/// For so long after it was given, a slot may be used (XEP-0363 §8). Seconds.
pub const BEGIN_WITHIN: u64 = 300;
/// A file comes at least at this rate, in bytes a second, over the whole of it.
const LEAST_RATE: u64 = 16 << 10;
/// What any file may take beside that, seconds.
const GRACE: u64 = 60;

/// What is kept of a slot in the rows of the account that asked for it, under the name of the file.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct SlotRow {
    /// Bytes of the file.
    #[prost(uint64, tag = "1")]
    pub size: u64,
    /// When the slot was given, seconds since 1970-01-01 UTC.
    #[prost(uint64, tag = "2")]
    pub given: u64,
    /// The file is there.
    #[prost(bool, tag = "3")]
    pub kept: bool,
    /// What the file is said to be; empty: nothing was said.
    #[prost(string, tag = "4")]
    pub content_type: String,
}

impl SlotRow {
    /// Reads a row.
    ///
    /// # Errors
    /// It is none.
    pub fn read(value: Bytes) -> Result<Self, prost::DecodeError> {
        Self::decode(value)
    }

    /// Its name among the rows of an account.
    #[must_use]
    pub fn key(account: &BareJid, id: FileId) -> store::Key {
        store::Key::new(account.clone(), Kind::Upload, id.to_string())
    }

    /// Keeps it.
    #[must_use]
    pub fn put(&self, account: &BareJid, id: FileId) -> Write {
        Write::Put(Self::key(account, id), self.encode_to_vec().into())
    }

    /// Whether its file may begin to come.
    #[must_use]
    pub fn may_begin(&self, now: u64) -> bool {
        now <= self.given + BEGIN_WITHIN
    }

    /// The file is there, or may still come.
    #[must_use]
    pub fn counts(&self, now: u64) -> bool {
        self.kept || now <= self.given + BEGIN_WITHIN + take_within(self.size)
    }
}

/// In how many seconds a file of so many bytes must have come once it has begun to.
#[must_use]
pub fn take_within(size: u64) -> u64 {
    GRACE + size / LEAST_RATE
}

/// Opens slots: a secret of the cluster, so that any member knows the keys that another one gave.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// With this secret.
    #[must_use]
    pub fn new(secret: Vec<u8>) -> Self {
        Self(secret)
    }

    /// What a client must show to bring a file under this name, in its URL.
    #[must_use]
    pub fn of(&self, id: FileId, name: &str, account: &str) -> String {
        let mut text = id.to_string().into_bytes();
        for part in [name, account] {
            text.extend((part.len() as u64).to_be_bytes());
            text.extend(part.as_bytes());
        }
        URL_SAFE_NO_PAD.encode(Hash::Sha256.hmac(&self.0, &[&text]))
    }

    /// Whether `shown` is the key of this slot. Compares in constant time.
    #[must_use]
    pub fn fits(&self, shown: &str, (id, name, account): (FileId, &str, &str)) -> bool {
        self.of(id, name, account).as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_one_slot_alone() {
        let key = Key::new(b"secret".to_vec());
        let (id, other) = (FileId::new(Some(9), [1; 16]), FileId::new(Some(10), [1; 16]));
        let shown = key.of(id, "a.png", "romeo@x.org");
        assert!(key.fits(&shown, (id, "a.png", "romeo@x.org")));
        for wrong in [
            (other, "a.png", "romeo@x.org"),
            (id, "b.png", "romeo@x.org"),
            (id, "a.png", "juliet@x.org"),
            (id, "a.pngr", "omeo@x.org"),
        ] {
            assert!(!key.fits(&shown, wrong), "{wrong:?}");
        }
        assert!(!key.fits("", (id, "a.png", "romeo@x.org")));
        let another = Key::new(b"other".to_vec());
        assert!(!another.fits(&shown, (id, "a.png", "romeo@x.org")));
    }

    #[test]
    fn a_slot_lapses_unless_its_file_has_come() {
        let row = SlotRow { size: 16 << 10, given: 1_000, ..SlotRow::default() };
        assert!(row.may_begin(1_300) && !row.may_begin(1_301));
        assert!(row.counts(1_361) && !row.counts(1_362));
        let kept = SlotRow { kept: true, ..row.clone() };
        assert!(kept.counts(u64::MAX));
        assert_eq!(SlotRow::read(row.encode_to_vec().into()).unwrap(), row);
    }
}

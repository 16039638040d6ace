//! Owns how much an account has in store, as one row beside the messages, so that nobody has to count them.

use bytes::Bytes;
use store::{ArchiveId, Key, Kind, Row, Write};
use xmpp::BareJid;

use crate::config::Accounts;

/// The row's name among the settings of the account.
const ITEM: &[u8] = b"offline";

/// How much an account has in store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meter {
    /// Messages.
    pub(super) count: usize,
    /// Bytes of them.
    pub(super) bytes: usize,
    /// The id of the last one.
    pub(super) last: ArchiveId,
}

impl Default for Meter {
    fn default() -> Self {
        Self { count: 0, bytes: 0, last: ArchiveId(0) }
    }
}

impl Meter {
    /// From the account's rows; empty where there is none that can be read.
    pub(super) fn load(rows: &[Row]) -> Self {
        let row = rows.iter().find(|row| row.kind == Kind::Setting && row.item == ITEM);
        row.and_then(|row| Self::read(&row.value)).unwrap_or_default()
    }

    /// Count, bytes, last id; each of eight bytes, the big end first.
    fn read(value: &[u8]) -> Option<Self> {
        let (count, rest) = value.split_first_chunk()?;
        let (bytes, rest) = rest.split_first_chunk()?;
        let number = |bytes: &[u8; 8]| usize::try_from(u64::from_be_bytes(*bytes)).ok();
        let last = ArchiveId(u64::from_be_bytes(rest.try_into().ok()?));
        Some(Self { count: number(count)?, bytes: number(bytes)?, last })
    }

    /// The row that says so.
    pub(super) fn write(&self, owner: &BareJid) -> Write {
        let numbers = [self.count as u64, self.bytes as u64, self.last.0];
        let value: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        Write::Put(Key::new(owner.clone(), Kind::Setting, Bytes::from_static(ITEM)), value.into())
    }

    /// Whether another message of this size has no room in so many times the limits.
    pub(super) fn is_full_for(&self, size: usize, times: usize, limits: &Accounts) -> bool {
        let messages = limits.offline_messages.saturating_mul(times);
        let bytes = limits.offline_bytes.saturating_mul(times);
        self.count >= messages || self.bytes + size > bytes
    }

    pub(super) fn add(&mut self, id: ArchiveId, size: usize) {
        (self.count, self.bytes, self.last) = (self.count + 1, self.bytes + size, id);
    }

    pub(super) fn put_back(&mut self, count: usize, bytes: usize) {
        (self.count, self.bytes) = (self.count + count, self.bytes + bytes);
    }

    pub(super) fn remove(&mut self, count: usize, bytes: usize) {
        self.count = self.count.saturating_sub(count);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_reads_back_as_it_was_written() {
        let meter = Meter { count: 3, bytes: 700, last: ArchiveId(9) };
        let Write::Put(key, value) = meter.write(&BareJid::parse("a@x").unwrap()) else {
            panic!("a meter is put");
        };
        let row = Row { kind: key.kind, item: key.item, value };
        assert_eq!(Meter::load(std::slice::from_ref(&row)), meter);
        let torn = Row { value: row.value.slice(1..), ..row };
        assert_eq!(Meter::load(&[torn]), Meter::default());
    }
}

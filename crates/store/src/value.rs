//! Owns how an archive row stands in bytes, the same in every engine: the origin in 19 bytes, the peer with
//! its length, the stanza; and origins in other rows. Numbers are big-endian.

use bytes::Bytes;
use xmpp::{BareJid, Epoch, Origin, Shard};

use crate::archive::{ArchiveId, ArchiveRow};

/// How many bytes an origin takes.
pub(crate) const ORIGIN_BYTES: usize = 19;

/// The value of an archive row: the origin in 19 bytes, the peer with its length, the stanza.
pub(crate) fn archive_value(row: &ArchiveRow) -> Vec<u8> {
    let peer = row.peer.as_str().as_bytes();
    let mut value = Vec::with_capacity(ORIGIN_BYTES + 2 + peer.len() + row.stanza.len());
    value.extend_from_slice(&write_origin(row.origin));
    let length = u16::try_from(peer.len()).expect("an address is shorter than 3072 bytes");
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(peer);
    value.extend_from_slice(&row.stanza);
    value
}

/// An archive row out of its value; none where it is not one.
pub(crate) fn archive_row(id: ArchiveId, value: &[u8]) -> Option<ArchiveRow> {
    let (origin, rest) = split_origin(value)?;
    let (peer, stanza) = split_peer(rest)?;
    Some(ArchiveRow {
        id,
        peer: BareJid::parse(peer).ok()?,
        origin,
        stanza: Bytes::copy_from_slice(stanza),
    })
}

/// The peer of an archive row, as it stands in the index.
pub(crate) fn archive_peer(value: &[u8]) -> Option<BareJid> {
    let (peer, _) = split_peer(value.get(ORIGIN_BYTES..)?)?;
    BareJid::parse(peer).ok()
}

fn split_peer(rest: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (peer, stanza) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(peer).ok()?, stanza))
}

/// An origin as it stands in rows. It never begins with the byte of a printable character.
#[must_use]
pub fn write_origin(origin: Origin) -> [u8; ORIGIN_BYTES] {
    let mut value = [0; ORIGIN_BYTES];
    let (tag, long, other, short) = match origin {
        Origin::Client { session, seq, part } => (1, session, seq, part),
        Origin::Shard { shard, epoch, counter } => (2, epoch.0, counter, shard.number()),
    };
    value[0] = tag;
    value[1..9].copy_from_slice(&long.to_be_bytes());
    value[9..17].copy_from_slice(&other.to_be_bytes());
    value[17..].copy_from_slice(&short.to_be_bytes());
    value
}

/// The origin at the head of a row, and what stands behind it; none where there is no origin.
#[must_use]
pub fn split_origin(value: &[u8]) -> Option<(Origin, &[u8])> {
    let (origin, rest) = value.split_at_checked(ORIGIN_BYTES)?;
    Some((origin_of(origin)?, rest))
}

fn origin_of(value: &[u8]) -> Option<Origin> {
    let (tag, rest) = value.split_first()?;
    let (long, rest) = rest.split_first_chunk::<8>()?;
    let (other, short) = rest.split_first_chunk::<8>()?;
    let long = u64::from_be_bytes(*long);
    let other = u64::from_be_bytes(*other);
    let short = u16::from_be_bytes(short.try_into().ok()?);
    match tag {
        1 => Some(Origin::Client { session: long, seq: other, part: short }),
        2 => Some(Origin::Shard { shard: Shard::new(short)?, epoch: Epoch(long), counter: other }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{archive_row as row_of, romeo};

    #[test]
    fn a_value_that_was_cut_short_is_no_archive_row() {
        let whole = archive_value(&row_of(7, &romeo()));
        assert_eq!(archive_row(ArchiveId(7), &whole), Some(row_of(7, &romeo())));
        let peer_end = ORIGIN_BYTES + 2 + romeo().as_str().len();
        for length in 0..peer_end {
            assert_eq!(archive_row(ArchiveId(7), &whole[..length]), None, "{length}");
        }
        let mut other_tag = whole;
        other_tag[0] = 9;
        assert_eq!(archive_row(ArchiveId(7), &other_tag), None);
    }
}

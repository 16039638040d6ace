//! Owns how names and rows stand in bytes. An owner ends with a zero byte, which no address contains, so
//! that one owner's names never begin another's, and byte order is the order of addresses.
//!
//! | table | name | value |
//! |---|---|---|
//! | rows | owner 0 kind item | what it says |
//! | rows | 0 "fence" bucket | epoch |
//! | rows | 0 "format", 0 "group" | a number |
//! | archive | owner 0 id | origin, peer, stanza |
//! | peers | owner 0 peer 0 id | nothing |
//!
//! Numbers are big-endian.

use xmpp::{BareJid, Bucket};

use crate::archive::ArchiveId;
use crate::key::Kind;
pub(super) use crate::value::{archive_peer, archive_row, archive_value};

/// The version of this encoding; what a newer server wrote is not opened.
pub(super) const FORMAT: u64 = 1;
/// Where the version stands.
pub(super) const FORMAT_NAME: &[u8] = b"\0format";
/// Where the number of the last durable group stands. Also found in journals by this name.
pub(super) const GROUP_NAME: &[u8] = b"\0group";
/// Before the bucket whose epoch stands there.
pub(super) const FENCE_NAME: &[u8] = b"\0fence";

const ID_BYTES: usize = 8;

/// What every name of an owner begins with.
pub(super) fn owner(owner: &BareJid) -> Vec<u8> {
    name(owner, &[])
}

/// Behind every name of an owner, and before any other owner's.
pub(super) fn behind_owner(owner: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(owner.len() + 1);
    name.extend_from_slice(owner.as_bytes());
    name.push(1);
    name
}

/// The name of a row, or what the names of a kind begin with.
pub(super) fn row(owner: &BareJid, kind: Kind, item: &[u8]) -> Vec<u8> {
    name(owner, &[&[kind as u8], item])
}

/// Behind every name of a kind.
pub(super) fn behind_kind(owner: &BareJid, kind: Kind) -> Vec<u8> {
    name(owner, &[&[kind as u8 + 1]])
}

/// The name of an archive row.
pub(super) fn archive(owner: &BareJid, id: ArchiveId) -> Vec<u8> {
    name(owner, &[&id.0.to_be_bytes()])
}

/// The name of an archive row in the index by peer.
pub(super) fn peer(owner: &BareJid, peer: &BareJid, id: ArchiveId) -> Vec<u8> {
    name(owner, &[peer.as_str().as_bytes(), &[0], &id.0.to_be_bytes()])
}

/// Where a bucket's epoch stands.
pub(super) fn fence(bucket: Bucket) -> Vec<u8> {
    [FENCE_NAME, &bucket.number().to_be_bytes()].concat()
}

fn name(owner: &BareJid, rest: &[&[u8]]) -> Vec<u8> {
    let length = owner.as_str().len() + 1 + rest.iter().map(|part| part.len()).sum::<usize>();
    let mut name = Vec::with_capacity(length);
    name.extend_from_slice(owner.as_str().as_bytes());
    name.push(0);
    rest.iter().for_each(|part| name.extend_from_slice(part));
    name
}

/// The bucket of a fence's name.
pub(super) fn bucket_of(name: &[u8]) -> Option<Bucket> {
    let number = name.strip_prefix(FENCE_NAME)?.try_into().ok()?;
    Bucket::new(u16::from_be_bytes(number))
}

/// The owner of any name, and the rest behind the zero.
pub(super) fn split(name: &[u8]) -> Option<(&str, &[u8])> {
    let end = name.iter().position(|byte| *byte == 0)?;
    let (owner, rest) = name.split_at(end);
    Some((std::str::from_utf8(owner).ok()?, &rest[1..]))
}

/// The id at the end of a name in the archive or in the index.
pub(super) fn id_of(name: &[u8]) -> Option<ArchiveId> {
    let id = name.last_chunk::<ID_BYTES>()?;
    Some(ArchiveId(u64::from_be_bytes(*id)))
}

/// A number as a value.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(value.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::jid;

    #[test]
    fn names_stand_in_the_order_of_owners() {
        let mut owners = ["a@b.c", "a@b", "b", "a@b.cc", "a@b-c"].map(jid).to_vec();
        owners.sort();
        let names: Vec<_> = owners.iter().map(owner).collect();
        assert!(names.is_sorted());
        for (at, jid) in owners.iter().enumerate() {
            let behind = behind_owner(jid.as_str());
            assert!(names[..=at].iter().all(|name| *name < behind));
            assert!(names[at + 1..].iter().all(|name| *name > behind));
        }
    }
}

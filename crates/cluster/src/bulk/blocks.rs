//! Owns entities as blocks: of what was brought before a shard stood still only the name of each block goes again. Pure.
//!
//! A block's name is a digest by the cluster's key, which nobody outside knows: no client can make two that are taken for
//! one another. What has changed since has another name, and goes as it is.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher as _;

use bytes::{Bytes, BytesMut};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::hash::HashKey;
use crate::wire;
use crate::wire::piece::What;

/// So long is a block but the last one of an entity. An entity of less than two goes whole.
const BLOCK: usize = 16 << 10;

/// What a block is called.
type Name = [u8; 16];

/// Names of the blocks that the other member has.
#[derive(Debug, Default)]
pub struct Brought {
    names: HashSet<Name>,
}

/// Blocks that another member has brought.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    by_name: HashMap<Name, Bytes>,
    bytes: usize,
}

fn name(key: &HashKey, block: &[u8]) -> Name {
    let mut hasher = SipHasher24::new_with_key(&key.bytes());
    hasher.write(block);
    hasher.finish128().as_bytes()
}

/// Whether an entity goes in blocks.
fn has_blocks(entity: &Bytes) -> bool {
    entity.len() >= 2 * BLOCK
}

fn blocks(entity: &Bytes) -> impl Iterator<Item = Bytes> {
    let begins = (0..entity.len()).step_by(BLOCK);
    begins.map(|begin| entity.slice(begin..entity.len().min(begin + BLOCK)))
}

impl Brought {
    /// The blocks of an entity that were not brought yet; they count as brought from now on.
    pub(super) fn new_of(&mut self, key: &HashKey, entity: &Bytes) -> Vec<Bytes> {
        let is_new = |block: &Bytes| self.names.insert(name(key, block));
        let blocks = Some(entity).filter(|entity| has_blocks(entity)).into_iter().flat_map(blocks);
        blocks.filter(is_new).collect()
    }

    /// An entity as it goes now; none where it goes whole.
    pub(super) fn pieces_of(&self, key: &HashKey, entity: &Bytes) -> Option<wire::Pieces> {
        if self.names.is_empty() || !has_blocks(entity) {
            return None;
        }
        let piece = |block: Bytes| match name(key, &block) {
            name if self.names.contains(&name) => What::Known(Bytes::copy_from_slice(&name)),
            _ => What::Block(block),
        };
        let pieces = blocks(entity).map(|block| wire::Piece { what: Some(piece(block)) });
        Some(wire::Pieces { pieces: pieces.collect() })
    }
}

impl Blocks {
    /// Keeps what came.
    pub(super) fn keep(&mut self, key: &HashKey, blocks: Vec<Bytes>) {
        self.bytes += blocks.iter().map(Bytes::len).sum::<usize>();
        self.by_name.extend(blocks.into_iter().map(|block| (name(key, &block), block)));
    }

    /// How many bytes have come.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// An entity of its pieces; none where one is not here.
    pub(super) fn join(&self, pieces: &wire::Pieces) -> Option<Bytes> {
        let block = |piece: &wire::Piece| match piece.what.clone()? {
            What::Block(block) => Some(block),
            What::Known(name) => self.by_name.get(&name[..]).cloned(),
        };
        let blocks: Vec<Bytes> = pieces.pieces.iter().map(block).collect::<Option<_>>()?;
        let mut whole = BytesMut::with_capacity(blocks.iter().map(Bytes::len).sum());
        blocks.iter().for_each(|block| whole.extend_from_slice(block));
        Some(whole.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey::new([7; 16]);

    /// No two blocks of it are alike.
    fn entity(bytes: u32) -> Vec<u8> {
        (0..bytes / 4).flat_map(u32::to_le_bytes).collect()
    }

    /// So many bytes of an entity travel.
    fn weight(pieces: &wire::Pieces) -> usize {
        let bytes = |piece: &wire::Piece| match piece.what.as_ref().unwrap() {
            What::Block(bytes) | What::Known(bytes) => bytes.len(),
        };
        pieces.pieces.iter().map(bytes).sum()
    }

    #[test]
    fn of_what_was_brought_only_what_has_changed_goes_again() {
        let (mut brought, mut blocks) = (Brought::default(), Blocks::default());
        let mut bytes = entity(1 << 20);
        let before = Bytes::from(bytes.clone());
        assert_eq!(brought.pieces_of(&KEY, &before), None, "nothing was brought");
        let new = brought.new_of(&KEY, &before);
        assert_eq!(new.len(), 64);
        assert!(brought.new_of(&KEY, &before).is_empty(), "once");
        blocks.keep(&KEY, new);
        // A byte within it, and what came to it.
        bytes[9] = 1;
        bytes.extend([5; 100]);
        let now = Bytes::from(bytes);
        let pieces = brought.pieces_of(&KEY, &now).unwrap();
        assert_eq!(weight(&pieces), 63 * 16 + BLOCK + 100);
        assert_eq!(blocks.join(&pieces), Some(now));
        assert_eq!(Blocks::default().join(&pieces), None, "whoever has not kept it says so");
    }

    #[test]
    fn what_is_small_goes_whole() {
        let (mut brought, small) = (Brought::default(), Bytes::from(entity(30_000)));
        assert!(brought.new_of(&KEY, &small).is_empty());
        brought.new_of(&KEY, &Bytes::from(entity(1 << 20)));
        assert_eq!(brought.pieces_of(&KEY, &small), None);
    }
}

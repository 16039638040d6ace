//! Owns how what lives in a shard is laid into parts. Pure.

use bytes::Bytes;

use crate::plan::MoveId;
use crate::wire;

/// A part closes at this many bytes; the last entity in it may pass it.
const PART_BYTES: usize = 256 << 10;

/// What lives in a shard, part by part: the first one says which shard, the last one how many entities there were.
pub(super) struct Parts<I> {
    entities: I,
    first: Option<wire::Moving>,
    /// How many there are to be; none: as many as there were.
    count: Option<usize>,
    gone: usize,
    is_over: bool,
}

/// An entity, or a block, as it travels.
pub(super) enum Entity {
    Whole(Bytes),
    Pieced(wire::Pieces),
}

impl<I: Iterator<Item = (usize, Entity)>> Parts<I> {
    /// Entities with their lengths.
    pub(super) fn new(moved: MoveId, count: Option<usize>, entities: I) -> Self {
        let moving = wire::Moving { shard: moved.shard.number().into(), since: moved.since };
        Self { entities, first: Some(moving), count, gone: 0, is_over: false }
    }
}

impl<I: Iterator<Item = (usize, Entity)>> Iterator for Parts<I> {
    type Item = wire::Part;

    fn next(&mut self) -> Option<wire::Part> {
        if self.is_over {
            return None;
        }
        let mut part = wire::Part { moving: self.first.take(), ..wire::Part::default() };
        let (mut bytes, before) = (0, self.gone);
        while bytes < PART_BYTES
            && let Some((length, entity)) = self.entities.next()
        {
            (bytes, self.gone) = (bytes + length, self.gone + 1);
            match entity {
                Entity::Whole(entity) => part.entities.push(entity),
                Entity::Pieced(pieces) => part.pieced.push(pieces),
            }
        }
        if self.gone == before && part.moving.is_none() {
            part.total = Some(self.count.unwrap_or(self.gone) as u64);
            self.is_over = true;
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use xmpp::Shard;

    use super::*;

    #[test]
    fn a_shard_goes_in_parts_of_which_the_last_counts_all() {
        let moved = MoveId { shard: Shard::new(7).unwrap(), since: 9 };
        let entity = || (100 << 10, Entity::Whole(Bytes::from(vec![1; 100 << 10])));
        let entities = std::iter::repeat_with(entity).take(7);
        let parts: Vec<_> = Parts::new(moved, Some(7), entities).collect();
        assert_eq!(parts.first().unwrap().moving.unwrap().shard, 7);
        assert_eq!(parts.iter().map(|part| part.entities.len()).collect::<Vec<_>>(), [3, 3, 1, 0]);
        let totals: Vec<_> = parts.iter().map(|part| part.total).collect();
        assert_eq!(totals, [None, None, None, Some(7)]);
    }
}

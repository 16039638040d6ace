//! Owns a shard of which part after part comes, until it is whole. Pure.

use bytes::Bytes;
use tonic::Status;
use xmpp::Shard;

use super::blocks::Blocks;
use super::space::Space;
use crate::hash::HashKey;
use crate::plan::MoveId;
use crate::wire;

/// What comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What lives in the shard.
    Entities,
    /// Blocks of what will come.
    Blocks,
}

/// What has come.
#[derive(Debug)]
pub(super) struct Arriving {
    kind: Kind,
    key: HashKey,
    moved: Option<MoveId>,
    entities: Vec<Bytes>,
    blocks: Blocks,
    /// How many have come.
    count: u64,
    space: Space,
    /// What has come before.
    brought: Option<Box<Self>>,
}

impl Arriving {
    /// Nothing has come but what was brought before.
    pub(super) fn new(kind: Kind, key: HashKey, space: Space, brought: Option<Self>) -> Self {
        let (entities, blocks, brought) = (Vec::new(), Blocks::default(), brought.map(Box::new));
        Self { kind, key, moved: None, entities, blocks, count: 0, space, brought }
    }

    /// Which shard it is, once that was said.
    pub(super) fn moved(&self) -> Option<MoveId> {
        self.moved
    }

    /// How many bytes of it are here.
    pub(super) fn bytes(&self) -> usize {
        self.space.bytes()
    }

    /// Takes the next part; says whether it was the last.
    pub(super) fn take(&mut self, part: wire::Part) -> Result<bool, Status> {
        if let Some(moving) = part.moving {
            self.is_of(moving)?;
        }
        self.count += (part.entities.len() + part.pieced.len()) as u64;
        self.grow(part.entities.iter().map(Bytes::len).sum())?;
        match self.kind {
            Kind::Entities => self.entities.extend(part.entities),
            Kind::Blocks => self.blocks.keep(&self.key, part.entities),
        }
        for pieces in &part.pieced {
            let entity = self.blocks.join(pieces);
            let entity = entity.ok_or_else(|| invalid("a block was not brought"))?;
            self.grow(entity.len())?;
            self.entities.push(entity);
        }
        match part.total {
            Some(total) if total != self.count => Err(invalid("a part is missing")),
            total => Ok(total.is_some()),
        }
    }

    /// All that lives in the shard, and the space that it takes.
    pub(super) fn whole(self) -> Result<(MoveId, Vec<Bytes>, Space), Status> {
        let Self { moved, entities, blocks, mut space, .. } = self;
        let moved = moved.ok_or_else(|| invalid("no move was named"))?;
        space.shrink(blocks.bytes());
        Ok((moved, entities, space))
    }

    fn is_of(&mut self, moving: wire::Moving) -> Result<(), Status> {
        let shard = u16::try_from(moving.shard).ok().and_then(Shard::new);
        let shard = shard.ok_or_else(|| invalid("there is no such shard"))?;
        let moved = MoveId { shard, since: moving.since };
        self.moved = Some(moved);
        let brought = self.brought.take().filter(|brought| brought.moved == self.moved);
        if let Some(brought) = brought.filter(|_| self.kind == Kind::Entities) {
            (self.blocks, self.space) = (brought.blocks, brought.space);
        }
        Ok(())
    }

    fn grow(&mut self, more: usize) -> Result<(), Status> {
        let full = |why: super::space::NoSpace| Status::resource_exhausted(why.to_string());
        self.space.grow(more).map_err(full)
    }
}

fn invalid(what: &'static str) -> Status {
    Status::invalid_argument(what)
}

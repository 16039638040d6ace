//! Owns the count of what the entities of each shard have sent and nobody has taken yet. A shard moves when it is
//! none: what its entities send from elsewhere must not arrive before what they sent from here. Shared by all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use xmpp::Shard;

/// For each shard, what is under way.
pub(crate) struct Outputs {
    shards: Box<[AtomicU32]>,
}

/// One envelope that an entity of a shard has sent; counted until it is dropped.
pub struct Sent {
    outputs: Arc<Outputs>,
    shard: Shard,
}

impl Outputs {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: Shard::all().map(|_| AtomicU32::new(0)).collect() })
    }

    /// Counts an envelope of this shard's.
    pub(crate) fn count(self: &Arc<Self>, shard: Shard) -> Sent {
        self.cell(shard).fetch_add(1, Ordering::AcqRel);
        Sent { outputs: Arc::clone(self), shard }
    }

    /// Whether nothing of a shard's is under way.
    pub(crate) fn is_none(&self, shard: Shard) -> bool {
        self.cell(shard).load(Ordering::Acquire) == 0
    }

    fn cell(&self, shard: Shard) -> &AtomicU32 {
        &self.shards[usize::from(shard.number())]
    }
}

/// One more.
impl Clone for Sent {
    fn clone(&self) -> Self {
        self.outputs.count(self.shard)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.outputs.cell(self.shard).fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sent").field(&self.shard).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_has_sent_all_when_the_last_envelope_is_dropped() {
        let (outputs, shard) = (Outputs::new(), Shard::new(7).unwrap());
        let (one, other) = (outputs.count(shard), outputs.count(shard));
        assert!(!outputs.is_none(shard) && outputs.is_none(Shard::new(8).unwrap()));
        drop(one);
        assert!(!outputs.is_none(shard));
        drop(other);
        assert!(outputs.is_none(shard));
    }
}

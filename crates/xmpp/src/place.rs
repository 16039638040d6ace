//! Owns the words for places: to which bucket of storage and shard of ownership an address belongs, and
//! since which epoch its owner owns it.

/// The unit of storage placement: one of [`Bucket::COUNT`], by a keyed hash of the bare JID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(u16);

/// The unit of ownership: one of [`Shard::COUNT`] runs of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u16);

/// Since when an owner owns: generation of the cluster and a counter within it. Only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

/// What every call to a store carries: for which bucket, and by which epoch the caller acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The bucket of the rows.
    pub bucket: Bucket,
    /// The epoch by which the caller owns the bucket's shard.
    pub epoch: Epoch,
}

impl Bucket {
    /// How many buckets there are: as many as a Redis Cluster has slots.
    pub const COUNT: u16 = 16_384;

    /// The bucket of a 64-bit keyed hash.
    pub fn of_hash(hash: u64) -> Self {
        Self(u16::try_from(hash % u64::from(Self::COUNT)).unwrap_or(0))
    }

    /// A bucket by its number; none from [`Bucket::COUNT`] on.
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The shard that the bucket belongs to.
    pub fn shard(self) -> Shard {
        Shard(self.0 / (Self::COUNT / Shard::COUNT))
    }
}

impl Shard {
    /// How many shards there are.
    pub const COUNT: u16 = 4_096;

    /// A shard by its number; none from [`Shard::COUNT`] on.
    pub fn new(number: u16) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Every shard in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

impl Epoch {
    /// The first epoch of a generation.
    pub fn first(generation: u32) -> Self {
        Self(u64::from(generation) << 32)
    }

    /// The next epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_spread_evenly_over_shards() {
        let mut counts = vec![0; usize::from(Shard::COUNT)];
        for number in 0..Bucket::COUNT {
            counts[usize::from(Bucket::new(number).unwrap().shard().number())] += 1;
        }
        assert!(counts.iter().all(|&count| count == 4));
        assert_eq!(Bucket::new(Bucket::COUNT), None);
    }

    #[test]
    fn a_later_generation_outranks_every_epoch_of_an_earlier_one() {
        assert!(Epoch::first(2) > Epoch(Epoch::first(1).0 + u64::from(u32::MAX)));
    }
}

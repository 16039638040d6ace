//! Owns how much a member holds of shards that are on their way to it, for all that come at a time. Pure.
//!
//! Bounds: [`MOST_BYTES`] of all. One that is alone may be larger, up to [`LARGEST`]: it could never move otherwise.

use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes of all shards that come at a time.
pub const MOST_BYTES: usize = 512 << 20;

/// The most bytes of one that is alone.
pub const LARGEST: usize = 4 << 30;

/// Who holds how much. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Spaces {
    all: Arc<Mutex<usize>>,
}

/// What is held of one shard; given back when this is dropped.
#[derive(Debug)]
pub struct Space {
    spaces: Spaces,
    bytes: usize,
}

/// Why there is no room for more of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSpace {
    /// Others are on their way as well.
    #[error("too much is on its way there at a time")]
    Others,
    /// It is more than any member takes.
    #[error("it is more than {} MiB", LARGEST >> 20)]
    TooLarge,
}

impl Spaces {
    /// For one shard, of which nothing is here yet.
    pub(super) fn begin(&self) -> Space {
        Space { spaces: self.clone(), bytes: 0 }
    }
}

impl Space {
    /// One that counts for itself, for tests of whoever takes shards.
    #[must_use]
    pub fn alone() -> Self {
        Spaces::default().begin()
    }

    /// How many bytes there are of it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes so many more.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), NoSpace> {
        let mut all = self.spaces.all.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.bytes() + more;
        if own > LARGEST {
            return Err(NoSpace::TooLarge);
        }
        let is_alone = *all == self.bytes();
        if !is_alone && *all + more > MOST_BYTES {
            return Err(NoSpace::Others);
        }
        *all += more;
        self.bytes = own;
        Ok(())
    }

    /// So many are not held any more.
    pub(super) fn shrink(&mut self, less: usize) {
        let mut all = self.spaces.all.lock().unwrap_or_else(PoisonError::into_inner);
        let less = less.min(self.bytes);
        *all = all.saturating_sub(less);
        self.bytes -= less;
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut all = self.spaces.all.lock().unwrap_or_else(PoisonError::into_inner);
        *all = all.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_have_a_bound_and_one_that_is_alone_a_larger_one() {
        let spaces = Spaces::default();
        let (mut one, mut other) = (spaces.begin(), spaces.begin());
        assert_eq!(one.grow(MOST_BYTES - 1), Ok(()));
        assert_eq!(other.grow(1), Ok(()));
        assert_eq!((one.grow(1), other.grow(1)), (Err(NoSpace::Others), Err(NoSpace::Others)));
        drop(other);
        assert_eq!(one.grow(LARGEST - MOST_BYTES + 1), Ok(()), "it is alone");
        assert_eq!(one.grow(1), Err(NoSpace::TooLarge));
        assert_eq!(one.bytes(), LARGEST);
        assert_eq!(spaces.begin().grow(1), Err(NoSpace::Others));
        one.shrink(LARGEST - 1);
        assert_eq!(spaces.begin().grow(1), Ok(()));
        drop(one);
        assert_eq!(spaces.begin().grow(1), Ok(()));
    }
}

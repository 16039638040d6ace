//! Owns the share: what one owner contributes to a figure that goes up and down. Dropping it takes the
//! contribution back, also when the owner ends by a panic.

use std::sync::Arc;

use crate::Counter;

/// One owner's contribution to a counter.
#[derive(Debug, Default)]
pub struct Share {
    of: Option<Arc<Counter>>,
    held: u64,
}

impl Share {
    /// Nothing yet, of this counter.
    pub fn of(counter: &Arc<Counter>) -> Self {
        Self { of: Some(Arc::clone(counter)), held: 0 }
    }

    /// From now on it contributes so much.
    pub fn set(&mut self, count: usize) {
        let (count, held) = (count as u64, self.held);
        let Some(of) = &self.of else { return };
        if count > held {
            of.add(count - held);
        } else if count < held {
            of.take(held - count);
        }
        self.held = count;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_taken_back_when_its_owner_is_gone() {
        let counter = Arc::new(Counter::default());
        let (mut first, mut second) = (Share::of(&counter), Share::of(&counter));
        first.set(5);
        second.set(2);
        first.set(3);
        assert_eq!(counter.get(), 5);
        drop(first);
        assert_eq!(counter.get(), 2);
        drop(second);
        assert_eq!(counter.get(), 0);
    }
}

//! Owns the taking of one of few places under a name, where others, on any member, may try at the same
//! time, and the store compares nothing.
//!
//! Each writes a row of its own and looks then: whoever sees more rows than there are places gives theirs up. Of
//! those who try at once the last one to write sees all the others, so that never more win than there are
//! places; it may be that nobody does, and each is told to try again.

use store::{Batch, Fence, Key, Kind, SharedStore, Write};
use xmpp::BareJid;

/// A row that was not spent for so long belongs to a process that is gone.
const STALE_SECONDS: u64 = 120;

/// Rows of a name that are looked at, beside those of its places.
const ROWS: usize = 100;

const RANDOM: usize = 8;

/// Where places are taken.
#[derive(Clone, Debug)]
pub struct Name {
    /// Whose rows they are.
    pub owner: BareJid,
    /// Of which kind.
    pub kind: Kind,
    /// How their items begin.
    pub prefix: Vec<u8>,
}

/// A place that is taken.
#[derive(Clone, Debug)]
pub struct Claim {
    key: Key,
    now: u64,
}

impl Name {
    /// Takes one of `places`; none: they are taken, or others try as well. `now` in seconds since 1970.
    ///
    /// # Errors
    /// The store fails; the place may be taken for a while then.
    pub async fn take(
        &self,
        store: &SharedStore,
        fence: Fence,
        places: usize,
        now: u64,
    ) -> Result<Option<Claim>, store::Error> {
        let mut random = [0; RANDOM];
        getrandom::fill(&mut random).map_err(|error| store::Error::Engine {
            doing: "took a place",
            cause: error.to_string().into(),
        })?;
        let key = self.key(&random);
        let own = Write::Put(key.clone(), value(now, false));
        commit(store, Batch::new(fence).with(own)).await?;
        let taken = self.taken(store, fence, places, now).await?;
        if taken > places {
            commit(store, Batch::new(fence).with(Write::Delete(key))).await?;
            return Ok(None);
        }
        Ok(Some(Claim { key, now }))
    }

    /// How many places are taken, as far as that matters where there are so many.
    ///
    /// # Errors
    /// The store fails.
    pub async fn taken(
        &self,
        store: &SharedStore,
        fence: Fence,
        places: usize,
        now: u64,
    ) -> Result<usize, store::Error> {
        let after = Some(self.prefix.clone().into());
        let rows = store.scan(fence, self.owner.clone(), self.kind, after, places + ROWS).await?;
        let own = rows.iter().filter(|row| {
            row.item.len() == self.prefix.len() + RANDOM && row.item.starts_with(&self.prefix)
        });
        Ok(own.filter(|row| holds(&row.value, now)).count())
    }

    fn key(&self, random: &[u8]) -> Key {
        let item = [&self.prefix[..], random].concat();
        Key::new(self.owner.clone(), self.kind, item)
    }
}

impl Claim {
    /// Gives the place back.
    #[must_use]
    pub fn release(&self) -> Write {
        Write::Delete(self.key.clone())
    }

    /// Keeps it for ever.
    #[must_use]
    pub fn spend(&self) -> Write {
        Write::Put(self.key.clone(), value(self.now, true))
    }
}

fn value(now: u64, spent: bool) -> bytes::Bytes {
    [&now.to_be_bytes()[..], &[u8::from(spent)]].concat().into()
}

/// Whether a row still holds its place.
fn holds(value: &[u8], now: u64) -> bool {
    let Some((time, rest)) = value.split_first_chunk() else { return false };
    rest == [1] || now.saturating_sub(u64::from_be_bytes(*time)) < STALE_SECONDS
}

pub(crate) async fn commit(store: &SharedStore, batch: Batch) -> Result<(), store::Error> {
    store.commit(vec![batch]).await.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::contract::block_on;
    use store::{Bucket, Epoch, Memory};

    use super::*;

    fn name() -> Name {
        let owner = BareJid::parse("juliet@capulet.example").unwrap();
        Name { owner, kind: Kind::Claim, prefix: b"name".to_vec() }
    }

    fn place() -> (SharedStore, Fence) {
        (Arc::new(Memory::new()), Fence { bucket: Bucket::new(0).unwrap(), epoch: Epoch(1) })
    }

    #[test]
    fn no_more_win_than_there_are_places() {
        let (store, fence) = place();
        let take = |now| block_on(name().take(&store, fence, 2, now)).unwrap();
        let first = take(1).expect("nobody else is there");
        assert!(take(1).is_some());
        assert!(take(1).is_none(), "both places are taken");
        block_on(commit(&store, Batch::new(fence).with(first.release()))).unwrap();
        assert!(take(1).is_some(), "one was given back");
    }

    #[test]
    fn a_place_of_a_process_that_is_gone_is_free_after_a_while_and_a_spent_one_never() {
        let (store, fence) = place();
        let take = |now| block_on(name().take(&store, fence, 1, now)).unwrap();
        take(1).expect("nobody else is there");
        assert!(take(STALE_SECONDS).is_none());
        let claim = take(1 + STALE_SECONDS).expect("the first one is stale");
        block_on(commit(&store, Batch::new(fence).with(claim.spend()))).unwrap();
        assert!(take(u64::MAX).is_none());
    }

    #[test]
    fn names_that_begin_alike_have_places_of_their_own() {
        let (store, fence) = place();
        let other = Name { prefix: b"names".to_vec(), ..name() };
        assert!(block_on(other.take(&store, fence, 1, 1)).unwrap().is_some());
        assert!(block_on(name().take(&store, fence, 1, 1)).unwrap().is_some());
    }
}

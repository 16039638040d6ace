//! Owns the end of archived messages that are older than configured.

use std::time::Duration;

use meter::clock;
use store::SharedStore;

/// How often old messages are looked for.
const EVERY: Duration = Duration::from_secs(3_600);

/// Most messages that are removed in one step, so that others' writes get their turn.
const STEP: usize = 1_000;

/// Removes what is older than this many days, for ever; to be spawned.
pub(crate) async fn keep(store: SharedStore, days: u32) {
    let age = Duration::from_secs(u64::from(days) * 86_400);
    loop {
        match remove_older(&store, age).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::info!("{removed} archived messages older than {days} days were removed");
            }
            Err(error) => tracing::warn!(%error, "old archived messages could not be removed"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn remove_older(store: &SharedStore, age: Duration) -> Result<usize, store::Error> {
    let before = u64::try_from(clock::since_epoch().saturating_sub(age).as_micros()).unwrap_or(0);
    let mut removed = 0;
    loop {
        let step = store.expire(before, STEP).await?;
        removed += step;
        if step < STEP {
            return Ok(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{ArchiveId, ArchiveQuery, ArchiveRow, Batch, Memory, Write};
    use xmpp::{BareJid, Bucket, Epoch, Fence, Origin};

    use super::*;

    #[test]
    fn only_what_is_older_than_configured_goes() {
        actix_rt::System::new().block_on(old_goes());
    }

    async fn old_goes() {
        let store: SharedStore = Arc::new(Memory::new());
        let fence = Fence { bucket: Bucket::of_hash(0), epoch: Epoch(1) };
        let owner = BareJid::parse("romeo@localhost").unwrap();
        let hour = Duration::from_secs(3_600);
        for age in [hour * 25, hour * 23] {
            let id = ArchiveId(u64::try_from((clock::since_epoch() - age).as_micros()).unwrap());
            let origin = Origin::Client { session: 1, seq: id.0, part: 0 };
            let row = ArchiveRow { id, peer: owner.clone(), origin, stanza: "<message/>".into() };
            let batch = Batch::new(fence).with(Write::Append(owner.clone(), row));
            store.commit(vec![batch]).await.remove(0).unwrap();
        }
        assert_eq!(remove_older(&store, hour * 24).await.unwrap(), 1);
        let query = ArchiveQuery { limit: 10, ..ArchiveQuery::default() };
        assert_eq!(store.query(fence, owner, query).await.unwrap().rows.len(), 1);
    }
}

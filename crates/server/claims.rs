//! Owns the right to write for shards that come to this member while it runs: their buckets are claimed, so
//! that no earlier owner can write any more, whatever it still has on its way.

use std::collections::BTreeMap;

use cluster::{Plan, PlanHandle};
use futures_util::future::join_all;
use proto::MemberId;
use store::SharedStore;
use xmpp::{Bucket, Epoch, Fence, Shard};

/// Claims what comes, until the plan does not change any more.
pub(crate) async fn follow(mut plan: PlanHandle, member: MemberId, store: SharedStore) {
    let mut known = owned(plan.get(), member);
    while let Ok(plan) = plan.changed().await {
        let now = owned(plan, member);
        let new = now.iter().filter(|(shard, epoch)| known.get(shard) != Some(epoch));
        let claims = fences(new).map(|fence| store.claim(fence));
        let faults: Vec<_> = join_all(claims).await.into_iter().filter_map(Result::err).collect();
        if let Some(fault) = faults.first() {
            // The first write to each raises its fence as well.
            tracing::warn!(error = %fault, "could not claim {} buckets", faults.len());
        }
        known = now;
    }
}

fn owned(plan: &Plan, member: MemberId) -> BTreeMap<Shard, Epoch> {
    let owned = plan.ownerships().filter(|(_, held)| held.owner == member);
    owned.map(|(shard, held)| (shard, held.epoch)).collect()
}

fn fences<'a>(shards: impl Iterator<Item = (&'a Shard, &'a Epoch)>) -> impl Iterator<Item = Fence> {
    let shards: BTreeMap<Shard, Epoch> = shards.map(|(shard, epoch)| (*shard, *epoch)).collect();
    let buckets = (0..Bucket::COUNT).filter_map(Bucket::new);
    buckets.filter_map(move |bucket| {
        shards.get(&bucket.shard()).map(|epoch| Fence { bucket, epoch: *epoch })
    })
}

//! A stand-in until the replicated plan lands: the surface that the router needs.
#![expect(missing_docs, reason = "a stand-in")]
use proto::MemberId;
use std::sync::Arc;
use xmpp::{BareJid, Bucket, Epoch, Shard};
#[derive(Clone)]
pub struct Lease;
impl Lease {
    pub async fn until_valid(&self) {}
    pub fn holds(&self) -> bool {
        true
    }
}
#[derive(Clone)]
pub struct PlanHandle(Arc<Plan>);
impl PlanHandle {
    pub fn load(&self) -> Arc<Plan> {
        self.0.clone()
    }
}
pub struct Plan;
impl Plan {
    pub fn bucket(&self, _: &BareJid) -> Bucket {
        Bucket::of_hash(0)
    }
    pub fn owner(&self, _: Shard) -> Option<(MemberId, Epoch)> {
        None
    }
}

//! A stand-in until the replicated plan lands: the surface that the router needs.
#![expect(missing_docs, reason = "a stand-in")]
use std::sync::Arc;

use proto::MemberId;
use xmpp::{BareJid, Bucket, Epoch, Fence, Shard};

#[derive(Clone)]
pub struct Lease;
impl Lease {
    pub async fn until_valid(&self) -> Result<(), ()> {
        Ok(())
    }
    pub fn holds(&self) -> bool {
        true
    }
    pub fn always() -> Self {
        Self
    }
}
#[derive(Clone)]
pub struct PlanHandle(Arc<Plan>);
impl PlanHandle {
    pub fn fixed(plan: Plan) -> Self {
        Self(Arc::new(plan))
    }
    pub fn get(&mut self) -> &Arc<Plan> {
        &self.0
    }
}
pub struct HashKey;
impl HashKey {
    pub fn new(_: [u8; 16]) -> Self {
        Self
    }
    pub fn bucket(&self, _: &BareJid) -> Bucket {
        Bucket::of_hash(0)
    }
}
pub struct Plan(MemberId, HashKey);
impl Plan {
    pub fn single(member: MemberId, key: HashKey) -> Self {
        Self(member, key)
    }
    pub fn hash_key(&self) -> &HashKey {
        &self.1
    }
    pub fn owner(&self, _: Shard) -> Option<(MemberId, Epoch)> {
        Some((self.0, Epoch(1)))
    }
    pub fn fence(&self, member: MemberId, jid: &BareJid) -> Option<Fence> {
        (member == self.0).then(|| Fence { bucket: self.1.bucket(jid), epoch: Epoch(1) })
    }
}

//! Owns the plan: who is a member, and which member owns which shard since which epoch. A pure state
//! machine that every member replays from the Raft log; reads no clock, no disk, and nothing of clients.
//!
//! | module | owns |
//! |---|---|
//! | [`entry`] | the changes, and why one is refused |
//! | [`member`] | what the plan says of a member |
//! | `apply` | what each change does |
//! | `placement` | which member a shard without owner is given to |
//! | `codec` | entries and the whole plan as bytes |

mod apply;
pub(crate) mod codec;
pub mod entry;
pub mod member;
mod placement;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use proto::MemberId;
use xmpp::{BareJid, Epoch, Fence, Shard};

use crate::hash::HashKey;
pub use codec::CodecError;
pub use entry::{Applied, Assignment, Bootstrap, Entry, MoveId, Refusal};
pub use member::{Member, MemberInfo, Roles, Status};
pub use placement::heirs;

/// The newest behaviour that this program knows. Raised with each release that changes what members do
/// to each other.
pub const FEATURE_LEVEL: u32 = 1;

/// Which cluster it is: a member's certificate, data and log belong to one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ClusterUuid(pub u128);

/// The plan as of one entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    index: u64,
    cluster: ClusterUuid,
    generation: u32,
    hash_key: HashKey,
    feature_level: u32,
    members: BTreeMap<MemberId, Member>,
    /// One for each shard; empty before the cluster begins.
    shards: Vec<Ownership>,
}

/// Who has one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The one member that may act for it.
    pub owner: MemberId,
    /// The member that keeps a second copy of its sessions and takes over if the owner dies.
    pub standby: Option<MemberId>,
    /// Since when the owner owns it. Never falls, never comes twice.
    pub epoch: Epoch,
    /// Whether it is to move.
    pub phase: Phase,
}

/// Whether a shard is to move. Its owner acts in both phases until it lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It stays.
    Active,
    /// It is to move.
    Moving {
        /// To this member.
        to: MemberId,
        /// The index of the entry that said so: tells this move from an earlier, aborted one.
        since: u64,
    },
}

impl Plan {
    /// A plan before the cluster begins: no members, no owners.
    pub fn new() -> Self {
        Self {
            index: 0,
            cluster: ClusterUuid::default(),
            generation: 0,
            hash_key: HashKey::new([0; 16]),
            feature_level: 0,
            members: BTreeMap::new(),
            shards: Vec::new(),
        }
    }

    /// A plan in which one member owns everything, for tests that need no Raft.
    pub fn single(member: MemberId, hash_key: HashKey) -> Self {
        Self::shared_by(hash_key, [MemberInfo::new(member, "single")])
    }

    /// A plan in which these members own everything in equal shares, for tests that need no Raft.
    ///
    /// # Panics
    /// Without a member that may own shards.
    pub fn shared_by(hash_key: HashKey, members: impl IntoIterator<Item = MemberInfo>) -> Self {
        let mut plan = Self::new();
        let bootstrap = Entry::Bootstrap(Bootstrap {
            cluster: ClusterUuid(1),
            generation: 1,
            hash_key,
            feature_level: FEATURE_LEVEL,
            members: members.into_iter().collect(),
        });
        plan.apply(1, bootstrap).expect("a first entry with members that may own shards is valid");
        plan
    }

    /// Whether the cluster has begun.
    pub fn is_bootstrapped(&self) -> bool {
        !self.shards.is_empty()
    }

    /// The index of the last entry in it.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Which cluster it is of.
    pub fn cluster(&self) -> ClusterUuid {
        self.cluster
    }

    /// How often the cluster was begun or recovered by force.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The key that places addresses.
    pub fn hash_key(&self) -> &HashKey {
        &self.hash_key
    }

    /// The behaviour that all members have agreed on.
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// A member, also an expelled one.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// All members, also expelled ones, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Whether this move, away from this owner, is under way.
    pub(crate) fn is_under_way(&self, MoveId { shard, since }: MoveId, owner: MemberId) -> bool {
        let held = self.ownership(shard).filter(|held| held.owner == owner);
        held.is_some_and(
            |held| matches!(held.phase, Phase::Moving { since: at, .. } if at == since),
        )
    }

    /// All about one shard; none before the cluster begins.
    pub fn ownership(&self, shard: Shard) -> Option<&Ownership> {
        self.shards.get(usize::from(shard.number()))
    }

    /// Every shard with all about it; empty before the cluster begins.
    pub fn ownerships(&self) -> impl Iterator<Item = (Shard, &Ownership)> {
        Shard::all().zip(&self.shards)
    }

    /// Who owns a shard and since when; none before the cluster begins.
    pub fn owner(&self, shard: Shard) -> Option<(MemberId, Epoch)> {
        self.ownership(shard).map(|held| (held.owner, held.epoch))
    }

    /// Since when a shard's owner owns it.
    pub fn epoch_of(&self, shard: Shard) -> Option<Epoch> {
        self.ownership(shard).map(|held| held.epoch)
    }

    /// By what right its owner acts for a bare JID, whichever member that is.
    pub fn owners_fence(&self, jid: &BareJid) -> Option<Fence> {
        let bucket = self.hash_key().bucket(jid);
        Some(Fence { bucket, epoch: self.epoch_of(bucket.shard())? })
    }

    /// The fence of an address's rows if `member` owns its shard; none if another does. The first half of
    /// the question whether it may act for the address; [`crate::Lease::holds`] is the second.
    pub fn fence(&self, member: MemberId, jid: &BareJid) -> Option<Fence> {
        let bucket = self.hash_key.bucket(jid);
        let (owner, epoch) = self.owner(bucket.shard())?;
        (owner == member).then_some(Fence { bucket, epoch })
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ClusterUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        f.write_str(&parts.join("-"))
    }
}

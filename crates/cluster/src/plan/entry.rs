//! Owns the changes of the plan, and the reasons why one is refused. There is none for a session, a user,
//! a room or a presence: what clients do never writes to the Raft log.

use proto::MemberId;
use xmpp::Shard;

use super::ClusterUuid;
use super::member::MemberInfo;
use crate::hash::HashKey;

/// One change of the plan. Each says what must be so for it to apply, so that one that is proposed twice
/// (its first answer was lost) does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The cluster begins: the first entry. All shards are spread over the members at the generation's
    /// first epoch.
    Bootstrap(Bootstrap),
    /// A new member, or an expelled one with a new incarnation, is let in.
    Join(MemberInfo),
    /// A member has started. With a new incarnation, the epochs of its shards rise: whatever its earlier
    /// process left on the way (a write in a store's queue, an envelope on a link) bears an epoch that
    /// store and members then refuse.
    Up(MemberInfo),
    /// A member is to lose its shards.
    Drain(MemberId),
    /// A member that was to lose its shards is to have its share again.
    Restore(MemberId),
    /// A member is out and `heirs` get all that it owned. Proposed only when its lease has ended.
    Expel {
        /// Who.
        member: MemberId,
        /// Which start of it; a later one is not meant.
        incarnation: u64,
        /// One for each shard of it.
        heirs: Vec<Assignment>,
    },
    /// Shards are to move to these members; the owners still act.
    Prepare(Vec<Assignment>),
    /// The owners of these shards have let go of them for good, each for the move named. One that has moved to its standby
    /// has its former owner for a standby.
    Release(Vec<MoveId>),
    /// These moves are called off.
    Abort(Vec<MoveId>),
    /// Second copies of these shards are to be kept there.
    SetStandby(Vec<(Shard, Option<MemberId>)>),
    /// A member's share changes, until its next start.
    SetWeight {
        /// Whose.
        member: MemberId,
        /// The share.
        weight: u32,
    },
    /// The behaviour of all members changes.
    SetFeature(u32),
    /// A member that is out does not come back: nothing of it is remembered, and its place among the voters
    /// is free.
    Forget(MemberId),
}

/// With what a cluster begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Random, or what the store remembers of an earlier generation.
    pub cluster: ClusterUuid,
    /// One more than the store has seen.
    pub generation: u32,
    /// Random, or what the store remembers.
    pub hash_key: HashKey,
    /// The behaviour to begin with.
    pub feature_level: u32,
    /// The first members; all are up.
    pub members: Vec<MemberInfo>,
}

/// A shard and the member that is to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Which.
    pub shard: Shard,
    /// Whom to.
    pub member: MemberId,
}

/// One move of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MoveId {
    /// Which.
    pub shard: Shard,
    /// The index of the entry that prepared it.
    pub since: u64,
}

/// What became of an entry. A refused one leaves no trace but its index.
pub type Applied = Result<(), Refusal>;

/// Why an entry was refused: the plan had moved on since it was proposed, or it never was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing but the first entry may come before it.
    #[error("the cluster has not begun")]
    NotBootstrapped,
    /// The first entry comes once.
    #[error("the cluster has begun already")]
    AlreadyBootstrapped,
    /// A first entry without a cluster, without members, or with the same one twice.
    #[error("the first entry is malformed")]
    BadBootstrap,
    /// None of the members may own shards.
    #[error("no member may own shards")]
    NoHome,
    /// No such member, or it is expelled.
    #[error("member {0} is unknown or expelled")]
    UnknownMember(MemberId),
    /// Another member has the name and is not expelled.
    #[error("the name of member {0} belongs to another member")]
    NameTaken(MemberId),
    /// A name, address or zone is too long, or the name is empty.
    #[error("what member {0} says of itself is too long or has no name")]
    BadInfo(MemberId),
    /// Two members would own shards, and one of them keeps its rows to itself.
    #[error(
        "a cluster of several homes needs a store that they share: with an embedded store one member is home, others may be edges"
    )]
    PrivateStore,
    /// The member takes part.
    #[error("member {0} takes part")]
    TakesPart(MemberId),
    /// It is to lose its shards, which no other member takes.
    #[error("nobody but member {0} takes shards: another one must be up before it is drained")]
    LastHome(MemberId),
    /// There are [`super::Plan::MAX_MEMBERS`] members.
    #[error("the cluster is full")]
    ClusterFull,
    /// A later process of the member is known.
    #[error("member {member} is at incarnation {known}")]
    StaleIncarnation {
        /// Who.
        member: MemberId,
        /// Its incarnation in the plan.
        known: u64,
    },
    /// Its program cannot do what the cluster agreed on.
    #[error("member {0} does not know the cluster's feature level")]
    FeatureLevel(MemberId),
    /// The level is not above the present one, or a member does not know it.
    #[error("the feature level cannot change to {0}")]
    BadFeatureLevel(u32),
    /// The heirs are not exactly one for each shard of the expelled member.
    #[error("the heirs of member {0} are not one for each of its shards")]
    BadHeirs(MemberId),
    /// A shard cannot go to a member: it does not take any, or has it already.
    #[error("shard {} cannot go to member {member}", .shard.number())]
    BadTarget {
        /// Which.
        shard: Shard,
        /// Whom to.
        member: MemberId,
    },
    /// The shard moves already.
    #[error("shard {} is moving", .0.number())]
    Moving(Shard),
    /// The shard does not make this move (any more).
    #[error("shard {} is not on this move", .0.number())]
    NotMoving(Shard),
}

//! Owns what a member asks the leader for: changes of the plan that concern it, or that an operator wants.

use proto::MemberId;

use crate::plan::{MemberInfo, MoveId};

/// What is asked for. Asked twice, it does no harm: the second finds it done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Let a member in, or a member's new process where it is in.
    Join(MemberInfo),
    /// A member has started, and has the plan.
    Up(MemberInfo),
    /// A member is to lose its shards.
    Drain(MemberId),
    /// A member that was to lose its shards is to keep them.
    Restore(MemberId),
    /// A member that is out does not come back.
    Remove(MemberId),
    /// A process has stopped to act for good; its lease has ended by its own word.
    Leave {
        /// Whose.
        member: MemberId,
        /// Which.
        incarnation: u64,
    },
    /// An owner has let go of shards.
    Release {
        /// Who.
        owner: MemberId,
        /// For which moves.
        moves: Vec<MoveId>,
    },
    /// An owner cannot let go of shards now.
    CallOff {
        /// Who.
        owner: MemberId,
        /// Which moves.
        moves: Vec<MoveId>,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is so now.
    Done,
    /// It may not be, with the reason.
    Refused(String),
    /// This member does not lead; that one does, if any is known.
    Elsewhere(Option<MemberId>),
}

/// Where a verdict goes; dropped where it is unknown.
pub(crate) type Answered = Box<dyn FnOnce(Verdict) + Send>;

//! Owns what is said of the second copy of an entity: what it must learn turn by turn, and what a new owner goes on
//! from when the one before is gone without a word.
//!
//! ```text
//! owner    --Mirror--> standby of its shard        while both live
//! standby  --Copy----> new owner                   when the owner is gone (the standby may be the new owner)
//! others   --claim---> new owner                   what they have with the entity
//! ```
//!
//! Nothing is asked and nothing kept where there is no other member. A new owner lets nothing reach the entities of
//! a shard before every member has said what it holds of them.

use bytes::Bytes;
use proto::MemberId;
use xmpp::{BareJid, Epoch};

/// What the second copy must learn at the end of a turn ([`crate::Entity::mirror`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Nothing of it has changed.
    Same,
    /// All of it, in place of what the copy has. After some [`Mirror::Change`]s it is asked for again, so that a
    /// copy does not grow for ever.
    Whole(Bytes),
    /// What has changed since what was given last, of a shape that is the entity's own.
    Change(Bytes),
    /// Nothing has to outlive the owner, but what is in rows: the copy is forgotten.
    Nothing,
}

/// A second copy, as it was when the owner was last heard of ([`crate::Entity::take_over`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The owner's epoch when it gave `whole`.
    pub epoch: Epoch,
    /// The last [`Mirror::Whole`].
    pub whole: Bytes,
    /// Every [`Mirror::Change`] since, oldest first.
    pub changes: Vec<Bytes>,
    /// A socket that the entity speaks to says so itself, by the name that it has now. Otherwise a member has kept it,
    /// and what it says of sockets is past.
    pub of_socket: bool,
}

/// Addresses whose shards have new owners, since the owners before are gone.
pub struct Taken<'a> {
    pub(crate) owner: &'a dyn Fn(&BareJid) -> Option<MemberId>,
}

impl Taken<'_> {
    /// The new owner of an address, if it has one.
    #[must_use]
    pub fn owner(&self, jid: &BareJid) -> Option<MemberId> {
        (self.owner)(jid)
    }
}

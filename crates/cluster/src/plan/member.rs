//! Owns what the plan says of a member.

use std::time::Duration;

use proto::MemberId;

use super::FEATURE_LEVEL;

/// A member as the plan knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it said of itself.
    pub info: MemberInfo,
    /// What the cluster says of it.
    pub status: Status,
    /// The index of the last entry that changed its shards or ended its membership. It may act only with a
    /// plan at least as new.
    pub shards_changed: u64,
}

/// What a member says of itself when it joins and whenever it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Minted on its first start.
    pub id: MemberId,
    /// Counts its starts: tells a process from an earlier one with the same id.
    pub incarnation: u64,
    /// The name that its certificate proves. One member at a time has it.
    pub name: String,
    /// Where other members reach it; empty for a member alone.
    pub addr: String,
    /// The failure zone that it runs in; empty where there are none.
    pub zone: String,
    /// What it may be used for.
    pub roles: Roles,
    /// Its share of the shards in proportion to others'. 0 is no share.
    pub weight: u32,
    /// The oldest and the newest feature level that its program knows.
    pub features: (u32, u32),
    /// Whether its rows are its own, so that nobody else can take its shards over.
    pub private_store: bool,
    /// The longest that its lease may last, whoever grants it. Zero where it does not say: as its leader's.
    pub lease: Duration,
}

/// What a member may be used for; a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Roles(u32);

/// What the cluster says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is let in and has not started to take part.
    Joining,
    /// It takes part.
    Up,
    /// It takes part and is given nothing more.
    Draining,
    /// It is out. It may come back with a new incarnation.
    Expelled,
}

impl MemberInfo {
    /// The longest name, address or zone in bytes.
    pub const MAX_TEXT: usize = 255;

    /// A member with all roles, weight 100, no address and no zone.
    pub fn new(id: MemberId, name: impl Into<String>) -> Self {
        Self {
            id,
            incarnation: 1,
            name: name.into(),
            addr: String::new(),
            zone: String::new(),
            roles: Roles::ALL,
            weight: 100,
            features: (FEATURE_LEVEL, FEATURE_LEVEL),
            private_store: false,
            lease: Duration::ZERO,
        }
    }

    /// The host in its address; what runs there dies together.
    pub fn host(&self) -> &str {
        self.addr.rsplit_once(':').map_or(self.addr.as_str(), |(host, _)| host)
    }

    /// Whether its program can do what the level asks for.
    pub(crate) fn knows(&self, level: u32) -> bool {
        (self.features.0..=self.features.1).contains(&level)
    }
}

impl Member {
    /// Whether it may be given shards.
    pub fn takes_shards(&self) -> bool {
        self.status == Status::Up && self.info.roles.contains(Roles::HOME) && self.info.weight > 0
    }

    /// Whether it may own shards: takes part and has the role, if need be with no share.
    pub(crate) fn can_own(&self) -> bool {
        matches!(self.status, Status::Up | Status::Draining)
            && self.info.roles.contains(Roles::HOME)
    }
}

impl Roles {
    /// Listens for clients.
    pub const EDGE: Self = Self(1);
    /// Owns shards.
    pub const HOME: Self = Self(2);
    /// May vote in Raft. The bit below is not used again: members of former versions have it.
    pub const VOTER: Self = Self(8);
    /// All of them: what a member has that nobody told otherwise.
    pub const ALL: Self = Self(11);

    /// A set from its bits; unknown ones are kept.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The set as bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are in it.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

//! Owns entries and the whole plan as bytes: what Raft replicates and the log keeps (proto/cluster.proto).
//! What comes back from bytes is checked in full, wherever it was.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use proto::MemberId;
use xmpp::{Epoch, Shard};

use super::entry::{Assignment, Bootstrap, Entry, MoveId};
use super::member::{Member, MemberInfo, Roles, Status};
use super::{ClusterUuid, FEATURE_LEVEL, Ownership, Phase, Plan};
use crate::hash::HashKey;
use crate::wire;

/// Why bytes are no entry or no plan for this program. Whoever meets it must stop: to skip an entry is to
/// act by another plan than the other members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Not the bytes of the message at all.
    #[error("the bytes are not a message: {0}")]
    Bytes(#[from] prost::DecodeError),
    /// An entry of a kind that this program does not know.
    #[error("an entry of a kind that this program does not know; a newer program is needed")]
    UnknownEntry,
    /// A feature level beyond this program.
    #[error("feature level {0} is beyond this program; a newer one is needed")]
    UnknownLevel(u32),
    /// A field has a value that makes no sense.
    #[error("the value of {0} makes no sense")]
    Field(&'static str),
}

type Result<T> = std::result::Result<T, CodecError>;

impl Entry {
    /// The entry as the data of a log entry.
    pub fn encode(&self) -> Vec<u8> {
        let change = Some(to_wire(self));
        wire::Entry { change }.encode_to_vec()
    }

    /// An entry from the data of a log entry.
    ///
    /// # Errors
    ///
    /// [`CodecError`]; the member must stop.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let entry = wire::Entry::decode(bytes)?;
        from_wire(entry.change.ok_or(CodecError::UnknownEntry)?)
    }
}

impl Plan {
    /// The plan as the data of a Raft snapshot.
    pub fn encode(&self) -> Vec<u8> {
        let place: BTreeMap<_, u32> = self.members.keys().copied().zip(0..).collect();
        let place = |id: &MemberId| place.get(id).copied().unwrap_or(u32::MAX);
        let standby = |held: &Ownership| held.standby.as_ref().map_or(0, |id| place(id) + 1);
        wire::Plan {
            index: self.index,
            cluster_uuid: self.cluster.0.to_be_bytes().to_vec().into(),
            generation: self.generation,
            hash_key: self.hash_key.bytes().to_vec().into(),
            feature_level: self.feature_level,
            members: self.members.values().map(member_to_wire).collect(),
            owners: self.shards.iter().map(|held| place(&held.owner)).collect(),
            standbys: self.shards.iter().map(standby).collect(),
            epochs: self.shards.iter().map(|held| held.epoch.0).collect(),
            moves: self.ownerships().filter_map(move_to_wire).collect(),
        }
        .encode_to_vec()
    }

    /// A plan from the data of a Raft snapshot.
    ///
    /// # Errors
    ///
    /// [`CodecError`]; the member must stop.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let plan = wire::Plan::decode(bytes)?;
        known_level(plan.feature_level)?;
        let members: Vec<_> =
            plan.members.into_iter().map(member_from_wire).collect::<Result<_>>()?;
        let mut shards = shards_from_wire(&members, &plan.owners, &plan.standbys, &plan.epochs)?;
        for wire::Move { shard, to, since } in plan.moves {
            let held = shards.get_mut(usize::try_from(shard).unwrap_or(usize::MAX));
            let to = MemberId(to);
            held.ok_or(CodecError::Field("move"))?.phase = Phase::Moving { to, since };
        }
        let count = members.len();
        let members: BTreeMap<_, _> = members.into_iter().map(|m| (m.info.id, m)).collect();
        if members.len() != count || members.is_empty() != shards.is_empty() {
            return Err(CodecError::Field("members"));
        }
        Ok(Self {
            index: plan.index,
            cluster: cluster_from_wire(&plan.cluster_uuid)?,
            generation: plan.generation,
            hash_key: HashKey::new(bytes16(&plan.hash_key, "hash_key")?),
            feature_level: plan.feature_level,
            members,
            shards,
        })
    }
}

fn shards_from_wire(
    members: &[Member],
    owners: &[u32],
    standbys: &[u32],
    epochs: &[u64],
) -> Result<Vec<Ownership>> {
    let count = usize::from(Shard::COUNT);
    let sound = (owners.is_empty() || owners.len() == count)
        && standbys.len() == owners.len()
        && epochs.len() == owners.len();
    if !sound {
        return Err(CodecError::Field("shards"));
    }
    let at = |place: u32| {
        let member = usize::try_from(place).ok().and_then(|at| members.get(at));
        member.map(|m| m.info.id).ok_or(CodecError::Field("owner"))
    };
    let rows = owners.iter().zip(standbys).zip(epochs);
    rows.map(|((&owner, &standby), &epoch)| {
        Ok(Ownership {
            owner: at(owner)?,
            standby: standby.checked_sub(1).map(at).transpose()?,
            epoch: Epoch(epoch),
            phase: Phase::Active,
        })
    })
    .collect()
}

fn move_to_wire((shard, held): (Shard, &Ownership)) -> Option<wire::Move> {
    let Phase::Moving { to, since } = held.phase else {
        return None;
    };
    Some(wire::Move { shard: shard.number().into(), to: to.0, since })
}

fn member_to_wire(member: &Member) -> wire::Member {
    let status = match member.status {
        Status::Joining => wire::Status::Joining,
        Status::Up => wire::Status::Up,
        Status::Draining => wire::Status::Draining,
        Status::Expelled => wire::Status::Expelled,
    };
    wire::Member {
        info: Some(info_to_wire(&member.info)),
        status: status.into(),
        shards_changed: member.shards_changed,
    }
}

fn member_from_wire(member: wire::Member) -> Result<Member> {
    let status = match member.status() {
        wire::Status::Unspecified => return Err(CodecError::Field("status")),
        wire::Status::Joining => Status::Joining,
        wire::Status::Up => Status::Up,
        wire::Status::Draining => Status::Draining,
        wire::Status::Expelled => Status::Expelled,
    };
    Ok(Member { info: info_from_wire(member.info)?, status, shards_changed: member.shards_changed })
}

pub(crate) fn info_to_wire(info: &MemberInfo) -> wire::MemberInfo {
    wire::MemberInfo {
        id: info.id.0,
        incarnation: info.incarnation,
        name: info.name.clone(),
        addr: info.addr.clone(),
        zone: info.zone.clone(),
        roles: info.roles.bits(),
        weight: info.weight,
        feature_min: info.features.0,
        feature_max: info.features.1,
        private_store: info.private_store,
        lease_millis: u64::try_from(info.lease.as_millis()).unwrap_or(u64::MAX),
    }
}

pub(crate) fn info_from_wire(info: Option<wire::MemberInfo>) -> Result<MemberInfo> {
    let info = info.ok_or(CodecError::Field("member"))?;
    Ok(MemberInfo {
        id: MemberId(info.id),
        incarnation: info.incarnation,
        name: info.name,
        addr: info.addr,
        zone: info.zone,
        roles: Roles::from_bits(info.roles),
        weight: info.weight,
        features: (info.feature_min, info.feature_max),
        private_store: info.private_store,
        lease: Duration::from_millis(info.lease_millis),
    })
}

fn to_wire(entry: &Entry) -> wire::entry::Change {
    use wire::entry::Change;
    match entry {
        Entry::Bootstrap(first) => Change::Bootstrap(wire::Bootstrap {
            cluster_uuid: first.cluster.0.to_be_bytes().to_vec().into(),
            generation: first.generation,
            hash_key: first.hash_key.bytes().to_vec().into(),
            feature_level: first.feature_level,
            members: first.members.iter().map(info_to_wire).collect(),
        }),
        Entry::Join(info) => Change::Join(wire::Join { member: Some(info_to_wire(info)) }),
        Entry::Up(info) => Change::Up(wire::Up { member: Some(info_to_wire(info)) }),
        Entry::Drain(member) => Change::Drain(wire::Drain { member: member.0 }),
        Entry::Expel { member, incarnation, heirs } => Change::Expel(wire::Expel {
            member: member.0,
            incarnation: *incarnation,
            heirs: assignments_to_wire(heirs),
        }),
        Entry::Prepare(moves) => {
            Change::Prepare(wire::Prepare { moves: assignments_to_wire(moves) })
        }
        Entry::Release(moves) => Change::Release(wire::Release { moves: moves_to_wire(moves) }),
        Entry::Abort(moves) => Change::Abort(wire::Abort { moves: moves_to_wire(moves) }),
        Entry::SetStandby(standbys) => Change::SetStandby(wire::SetStandby {
            standbys: standbys.iter().map(standby_to_wire).collect(),
        }),
        Entry::SetWeight { member, weight } => {
            Change::SetWeight(wire::SetWeight { member: member.0, weight: *weight })
        }
        Entry::SetFeature(level) => Change::SetFeature(wire::SetFeature { level: *level }),
        Entry::Restore(member) => Change::Restore(wire::Restore { member: member.0 }),
        Entry::Forget(member) => Change::Forget(wire::Forget { member: member.0 }),
    }
}

fn from_wire(change: wire::entry::Change) -> Result<Entry> {
    use wire::entry::Change;
    Ok(match change {
        Change::Bootstrap(first) => Entry::Bootstrap(Bootstrap {
            cluster: cluster_from_wire(&first.cluster_uuid)?,
            generation: first.generation,
            hash_key: HashKey::new(bytes16(&first.hash_key, "hash_key")?),
            feature_level: known_level(first.feature_level)?,
            members: first
                .members
                .into_iter()
                .map(|info| info_from_wire(Some(info)))
                .collect::<Result<_>>()?,
        }),
        Change::Join(join) => Entry::Join(info_from_wire(join.member)?),
        Change::Up(up) => Entry::Up(info_from_wire(up.member)?),
        Change::Drain(drain) => Entry::Drain(MemberId(drain.member)),
        Change::Expel(expel) => Entry::Expel {
            member: MemberId(expel.member),
            incarnation: expel.incarnation,
            heirs: assignments_from_wire(&expel.heirs)?,
        },
        Change::Prepare(prepare) => Entry::Prepare(assignments_from_wire(&prepare.moves)?),
        Change::Release(release) => Entry::Release(moves_from_wire(&release.moves)?),
        Change::Abort(abort) => Entry::Abort(moves_from_wire(&abort.moves)?),
        Change::SetStandby(set) => {
            let standbys = set.standbys.iter().map(standby_from_wire);
            Entry::SetStandby(standbys.collect::<Result<_>>()?)
        }
        Change::SetWeight(set) => {
            Entry::SetWeight { member: MemberId(set.member), weight: set.weight }
        }
        Change::SetFeature(set) => Entry::SetFeature(known_level(set.level)?),
        Change::Restore(restore) => Entry::Restore(MemberId(restore.member)),
        Change::Forget(forget) => Entry::Forget(MemberId(forget.member)),
    })
}

fn assignments_to_wire(assignments: &[Assignment]) -> Vec<wire::Assignment> {
    let to_wire = |assignment: &Assignment| wire::Assignment {
        shard: assignment.shard.number().into(),
        member: assignment.member.0,
    };
    assignments.iter().map(to_wire).collect()
}

fn assignments_from_wire(assignments: &[wire::Assignment]) -> Result<Vec<Assignment>> {
    let from_wire = |assignment: &wire::Assignment| {
        Ok(Assignment { shard: shard(assignment.shard)?, member: MemberId(assignment.member) })
    };
    assignments.iter().map(from_wire).collect()
}

pub(crate) fn moves_to_wire(moves: &[MoveId]) -> Vec<wire::MoveId> {
    let to_wire =
        |moved: &MoveId| wire::MoveId { shard: moved.shard.number().into(), since: moved.since };
    moves.iter().map(to_wire).collect()
}

pub(crate) fn moves_from_wire(moves: &[wire::MoveId]) -> Result<Vec<MoveId>> {
    let from_wire =
        |moved: &wire::MoveId| Ok(MoveId { shard: shard(moved.shard)?, since: moved.since });
    moves.iter().map(from_wire).collect()
}

fn standby_to_wire((shard, member): &(Shard, Option<MemberId>)) -> wire::Standby {
    wire::Standby { shard: shard.number().into(), member: member.map(|id| id.0) }
}

fn standby_from_wire(standby: &wire::Standby) -> Result<(Shard, Option<MemberId>)> {
    Ok((shard(standby.shard)?, standby.member.map(MemberId)))
}

fn shard(number: u32) -> Result<Shard> {
    let number = u16::try_from(number).ok().and_then(Shard::new);
    number.ok_or(CodecError::Field("shard"))
}

fn cluster_from_wire(bytes: &[u8]) -> Result<ClusterUuid> {
    bytes16(bytes, "cluster_uuid").map(|bytes| ClusterUuid(u128::from_be_bytes(bytes)))
}

fn bytes16(bytes: &[u8], field: &'static str) -> Result<[u8; 16]> {
    bytes.try_into().map_err(|_| CodecError::Field(field))
}

fn known_level(level: u32) -> Result<u32> {
    match level {
        0..=FEATURE_LEVEL => Ok(level),
        _ => Err(CodecError::UnknownLevel(level)),
    }
}

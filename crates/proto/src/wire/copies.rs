//! Owns what members say about second copies of entities, and of what each holds, on the wire.

use xmpp::Epoch;

use super::address::{decode_bare, encode_text};
use super::pb::copy_update::Kind;
use super::{WireError, pb};
use crate::envelope::{Announced, CopyUpdate, HeldStreams};
use crate::member::{ArbiterId, MemberId};

pub(super) fn encode(update: &CopyUpdate) -> pb::CopyUpdate {
    let kind = match update {
        CopyUpdate::Whole(state) => Kind::Whole(state.clone()),
        CopyUpdate::Change(change) => Kind::Change(change.clone()),
        CopyUpdate::Forget => Kind::Forget(pb::Forget {}),
        CopyUpdate::Kept { epoch, whole, changes, by } => Kind::Kept(pb::KeptCopy {
            epoch: epoch.0,
            whole: whole.clone(),
            changes: changes.clone(),
            by: by.map(|by| by.0),
        }),
        CopyUpdate::Claim(what) => Kind::Claim(what.clone()),
    };
    pb::CopyUpdate { kind: Some(kind) }
}

pub(super) fn decode(message: pb::CopyUpdate) -> Result<CopyUpdate, WireError> {
    Ok(match message.kind.ok_or(WireError::Missing("update of a copy"))? {
        Kind::Whole(state) => CopyUpdate::Whole(state),
        Kind::Change(change) => CopyUpdate::Change(change),
        Kind::Forget(pb::Forget {}) => CopyUpdate::Forget,
        Kind::Kept(pb::KeptCopy { epoch, whole, changes, by }) => {
            CopyUpdate::Kept { epoch: Epoch(epoch), whole, changes, by: by.map(MemberId) }
        }
        Kind::Claim(what) => CopyUpdate::Claim(what),
    })
}

pub(super) fn encode_announced(announced: Announced) -> pb::Announced {
    pb::Announced {
        by: announced.by.0,
        plan: announced.plan,
        arbiter: announced.arbiter.0.into(),
        arbiters: announced.arbiters.into(),
    }
}

pub(super) fn decode_announced(message: &pb::Announced) -> Result<Announced, WireError> {
    let number = |number: u32| u16::try_from(number).map_err(|_| WireError::Invalid("arbiter"));
    Ok(Announced {
        by: MemberId(message.by),
        plan: message.plan,
        arbiter: ArbiterId(number(message.arbiter)?),
        arbiters: number(message.arbiters)?,
    })
}

pub(super) fn encode_held_streams(
    HeldStreams { member, numbers, local, spare }: &HeldStreams,
) -> pb::HeldStreams {
    let local = local.as_ref().map(|local| encode_text(local.as_str()));
    pb::HeldStreams { member: member.0, numbers: numbers.clone(), local, spare: spare.clone() }
}

pub(super) fn decode_held_streams(held: pb::HeldStreams) -> Result<HeldStreams, WireError> {
    let pb::HeldStreams { member, numbers, local, spare } = held;
    let local = local.as_deref().map(decode_bare).transpose()?;
    Ok(HeldStreams { member: MemberId(member), numbers, local, spare })
}

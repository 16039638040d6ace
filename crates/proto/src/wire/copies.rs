//! Owns what members say about second copies of entities, and of what each holds, on the wire.

use xmpp::Epoch;

use super::address::{decode_bare, encode_text};
use super::pb::copy_word::Word;
use super::{WireError, pb};
use crate::envelope::{Announced, CopyWord, Lines};
use crate::member::{ArbiterId, MemberId};

pub(super) fn encode(word: &CopyWord) -> pb::CopyWord {
    let word = match word {
        CopyWord::Whole(state) => Word::Whole(state.clone()),
        CopyWord::Change(change) => Word::Change(change.clone()),
        CopyWord::Forget => Word::Forget(pb::Forget {}),
        CopyWord::Kept { epoch, whole, changes, by } => Word::Kept(pb::KeptCopy {
            epoch: epoch.0,
            whole: whole.clone(),
            changes: changes.clone(),
            by: by.map(|by| by.0),
        }),
        CopyWord::Claim(what) => Word::Claim(what.clone()),
    };
    pb::CopyWord { word: Some(word) }
}

pub(super) fn decode(message: pb::CopyWord) -> Result<CopyWord, WireError> {
    Ok(match message.word.ok_or(WireError::Missing("word about a copy"))? {
        Word::Whole(state) => CopyWord::Whole(state),
        Word::Change(change) => CopyWord::Change(change),
        Word::Forget(pb::Forget {}) => CopyWord::Forget,
        Word::Kept(pb::KeptCopy { epoch, whole, changes, by }) => {
            CopyWord::Kept { epoch: Epoch(epoch), whole, changes, by: by.map(MemberId) }
        }
        Word::Claim(what) => CopyWord::Claim(what),
    })
}

pub(super) fn encode_announced(word: Announced) -> pb::Announced {
    pb::Announced {
        by: word.by.0,
        plan: word.plan,
        arbiter: word.arbiter.0.into(),
        arbiters: word.arbiters.into(),
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

pub(super) fn encode_lines(Lines { member, numbers, local, spare }: &Lines) -> pb::Lines {
    let local = local.as_ref().map(|local| encode_text(local.as_str()));
    pb::Lines { member: member.0, numbers: numbers.clone(), local, spare: spare.clone() }
}

pub(super) fn decode_lines(word: pb::Lines) -> Result<Lines, WireError> {
    let pb::Lines { member, numbers, local, spare } = word;
    let local = local.as_deref().map(decode_bare).transpose()?;
    Ok(Lines { member: MemberId(member), numbers, local, spare })
}

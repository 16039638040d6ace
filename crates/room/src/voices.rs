//! Owns who was given voice, or lost it, in a moderated room: that lasts over visits, since such a room is of no use
//! otherwise (XEP-0045 §5.1). It ends with an affiliation that says something else, and with the room's life in
//! memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use entity::{Slot, SlotKind};
use prost::Message;
use xmpp::BareJid;

use crate::affiliation::{Affiliation, Role};
use crate::deeds::{self, Deed};
use crate::room::Room;
use crate::snapshot::{self, pb};

/// So many are remembered.
const REMEMBERED: usize = 1_000;

/// Whose role is not the usual one, and whether they have voice.
#[derive(Debug, Default)]
struct Voices(BTreeMap<BareJid, bool>);

/// The slot of voices.
pub(crate) const SLOT: SlotKind = SlotKind::of::<Voices>();

impl Slot for Voices {
    const NAME: &'static str = "voices";

    fn encode(&self) -> Option<Bytes> {
        let voice = |(who, has): (&BareJid, &bool)| pb::Voice { who: who.to_string(), has: *has };
        let voices: Vec<pb::Voice> = self.0.iter().map(voice).collect();
        (!voices.is_empty()).then(|| pb::Voices { voices }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let voice = |it: pb::Voice| Some((snapshot::bare(&it.who).ok()?, it.has));
        let pb::Voices { voices } = pb::Voices::decode(value).ok()?;
        voices.into_iter().map(voice).collect::<Option<_>>().map(Self)
    }
}

/// Somebody is given a role.
pub(crate) fn given(room: &mut Room, who: &BareJid, role: Role) {
    let affiliation = room.affiliation_of(who);
    if !room.settings.moderated || affiliation > Affiliation::Member {
        return;
    }
    let has = match role {
        Role::Visitor => false,
        Role::Participant => true,
        // Being removed is for now, and who moderates does so for this visit.
        Role::None | Role::Moderator => return,
    };
    match affiliation.role_on_entering(true) == role {
        true => affiliated(room, who),
        false => deeds::act(room, Deed::Voice(pb::Voice { who: who.to_string(), has })),
    }
}

/// Somebody's affiliation is another one now, which says what they may do.
pub(crate) fn affiliated(room: &mut Room, who: &BareJid) {
    if room.slots.get::<Voices>().is_some_and(|Voices(voices)| voices.contains_key(who)) {
        deeds::act(room, Deed::Usual(who.to_string()));
    }
}

/// Somebody's role is not the usual one from now on.
pub(crate) fn set(room: &mut Room, pb::Voice { who, has }: pb::Voice) {
    let Ok(who) = snapshot::bare(&who) else { return };
    let Voices(voices) = room.slots.get_or_make(Voices::default);
    if voices.len() < REMEMBERED || voices.contains_key(&who) {
        voices.insert(who, has);
    }
}

/// Somebody's role is the usual one from now on.
pub(crate) fn unset(room: &mut Room, who: &str) {
    let Voices(voices) = room.slots.get_or_make(Voices::default);
    voices.retain(|known, _| known.as_str() != who);
}

/// The role of somebody who enters.
pub(crate) fn role_on_entering(room: &Room, who: &BareJid) -> Role {
    let affiliation = room.affiliation_of(who);
    let usual = affiliation.role_on_entering(room.settings.moderated);
    if !room.settings.moderated || usual == Role::None || affiliation > Affiliation::Member {
        return usual;
    }
    let known = room.slots.get::<Voices>().and_then(|Voices(voices)| voices.get(who));
    match known {
        Some(true) => Role::Participant,
        Some(false) => Role::Visitor,
        None => usual,
    }
}

//! XEP-0500 MUC Slow Mode, version 0.1.1: how long somebody must wait between two messages.

use std::collections::HashMap;

use bytes::Bytes;
use entity::{Context, Extension, Passage, Slot, SlotKind, Verdict};
use prost::Message;
use proto::Now;
use xmpp::{BareJid, ErrorType, Features, StanzaCondition, StanzaError};

use crate::Room;
use crate::affiliation::Affiliation;
use crate::deeds::{self, Deed};
use crate::snapshot::{self, pb};
use crate::speaker::Speaker;

/// Slow mode.
pub(crate) const EXTENSION: Extension<Room> = Extension {
    number: "0500",
    title: "MUC Slow Mode",
    version: "0.1.1",
    inbound: Some(wait),
    slots: &[SlotKind::of::<Spoke>()],
    ..Extension::NONE
};

/// When each has spoken last, whatever their nick (§8), in microseconds since 1970-01-01 UTC.
#[derive(Default)]
struct Spoke(HashMap<BareJid, u64>);

impl Slot for Spoke {
    const NAME: &'static str = "slow-mode";

    fn encode(&self) -> Option<Bytes> {
        let speaker = |(who, at): (&BareJid, &u64)| pb::Speaker { who: who.to_string(), at: *at };
        let speakers: Vec<pb::Speaker> = self.0.iter().map(speaker).collect();
        (!speakers.is_empty()).then(|| pb::Spoke { speakers }.encode_to_vec().into())
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let speaker = |it: pb::Speaker| Some((snapshot::bare(&it.who).ok()?, it.at));
        let pb::Spoke { speakers } = pb::Spoke::decode(value).ok()?;
        speakers.into_iter().map(speaker).collect::<Option<_>>().map(Self)
    }
}

/// So many are remembered before those whose time is over are forgotten.
const REMEMBERED: usize = 1_000;

/// §6: messages with a body count; admins and owners need not wait.
fn wait(room: &mut Room, passage: &mut Passage, cx: &mut Context<'_, Room>) -> Verdict {
    let seconds = room.settings.slow_seconds;
    let speaker = Speaker::of_passage(room, passage);
    let Some(who) = speaker.map(|speaker| speaker.who().clone()) else { return Verdict::Pass };
    let counts = passage.stanza.features().any(Features::BODY);
    if seconds == 0 || !counts || room.affiliation_of(&who) >= Affiliation::Admin {
        return Verdict::Pass;
    }
    let last = room.slots.get::<Spoke>().and_then(|Spoke(spoke)| spoke.get(&who).copied());
    // What comes again was refused by nobody, if it is not known that it was said.
    if !cx.is_again() && last.is_some_and(|last| waits(last, seconds, cx.now.unix_micros)) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation).with_type(ErrorType::Wait);
        let text = format!("wait {seconds} seconds between messages in this room");
        return Verdict::Refuse(error.with_text(text));
    }
    let speaker = pb::Speaker { who: who.to_string(), at: cx.now.unix_micros };
    deeds::act(room, Deed::Spoke(speaker));
    Verdict::Pass
}

/// Whether who has spoken then must wait still. A clock that was set back makes nobody wait for longer.
fn waits(last: u64, seconds: u32, unix_micros: u64) -> bool {
    let pause = u64::from(seconds) * 1_000_000;
    (last..last.saturating_add(pause)).contains(&unix_micros)
}

/// Somebody has spoken.
pub(crate) fn spoke(room: &mut Room, pb::Speaker { who, at }: pb::Speaker) {
    let Ok(who) = snapshot::bare(&who) else { return };
    let seconds = room.settings.slow_seconds;
    let Spoke(spoke) = room.slots.get_or_make(Spoke::default);
    if spoke.len() >= REMEMBERED {
        spoke.retain(|_, last| waits(*last, seconds, at));
    }
    spoke.insert(who, at);
}

/// Whether somebody must wait before they speak again.
pub(crate) fn makes_wait(room: &Room, now: Now) -> bool {
    let spoke = room.slots.get::<Spoke>();
    let mut all = spoke.into_iter().flat_map(|Spoke(spoke)| spoke.values());
    all.any(|last| waits(*last, room.settings.slow_seconds, now.unix_micros))
}

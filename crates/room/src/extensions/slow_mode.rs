//! XEP-0500 MUC Slow Mode, version 0.1.1: how long somebody must wait between two messages.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use entity::{Context, Extension, Passage, Slot, Verdict};
use xmpp::{BareJid, ErrorType, Features, StanzaCondition, StanzaError};

use crate::Room;
use crate::affiliation::Affiliation;

/// Slow mode.
pub const EXTENSION: Extension<Room> = Extension {
    number: "0500",
    title: "MUC Slow Mode",
    version: "0.1.1",
    inbound: Some(wait),
    ..Extension::NONE
};

/// When each has spoken last, whatever his nick (§8).
#[derive(Default)]
struct Spoke(HashMap<BareJid, Duration>);

/// A room stays on its member as long as anybody is inside; this goes with it.
impl Slot for Spoke {
    const NAME: &'static str = "slow-mode";

    fn encode(&self) -> Option<Bytes> {
        None
    }

    fn decode(_: &[u8]) -> Option<Self> {
        None
    }
}

/// So many are remembered before those whose time is over are forgotten.
const REMEMBERED: usize = 1_000;

/// §6: messages with a body count; admins and owners need not wait.
fn wait(room: &mut Room, passage: &mut Passage, cx: &mut Context<'_, Room>) -> Verdict {
    let seconds = room.settings.slow_seconds;
    let speaker = passage.session.and_then(|number| room.occupants.get(number));
    let Some(who) = speaker.map(|speaker| speaker.who.clone()) else { return Verdict::Pass };
    let counts = passage.stanza.features().any(Features::BODY);
    if seconds == 0 || !counts || room.affiliation_of(&who) >= Affiliation::Admin {
        return Verdict::Pass;
    }
    let (now, pause) = (cx.now.elapsed, Duration::from_secs(seconds.into()));
    let Spoke(spoke) = room.slots.get_or_make(Spoke::default);
    if spoke.get(&who).is_some_and(|last| now < *last + pause) {
        let error = StanzaError::from(StanzaCondition::PolicyViolation).with_type(ErrorType::Wait);
        let text = format!("wait {seconds} seconds between messages in this room");
        return Verdict::Refuse(error.with_text(text));
    }
    if spoke.len() >= REMEMBERED {
        spoke.retain(|_, last| now < *last + pause);
    }
    spoke.insert(who, now);
    Verdict::Pass
}

//! Owns what a room does not say before its second copy knows what it is about: who has come, gone, or has another nick.
//!
//! Otherwise an owner could tell some that somebody is inside, and be gone before anybody else knows of him. If he does not
//! ask once more, since his account's home was on the same member and his client does not come back, those would see him
//! for ever (XEP-0045 §7.14). So what a turn sends that the copy must learn something of waits for that, and whatever is
//! sent later goes behind it. The room itself goes on meanwhile: any number of people come in within one way to the
//! standby and back. A message of an archive waits for nothing but these.
//!
//! Bound: [`MOST`] turns. With so many, whatever comes waits in the room's queue, which has a bound of its own.

use std::collections::VecDeque;

use entity::{Context, Mirror};
use proto::Envelope;

use crate::fan_out::Copied;
use crate::mirror::News;
use crate::room::Room;

/// So many turns may wait for the second copy; with them, nothing more is done.
pub(crate) const MOST: usize = 1_024;

/// What waits for the second copy, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Held {
    turns: VecDeque<Turn>,
    /// The turn has only turned something away.
    passes: bool,
}

/// What one turn has sent.
#[derive(Debug)]
struct Turn {
    sent: Vec<Envelope>,
    /// Whether the copy has learned what it had to; none: it goes when it is the first.
    copied: Option<Copied>,
}

impl Held {
    /// Whether nothing is held.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// What this turn sends waits for nothing: it has only turned something away for which there is no room.
    pub(crate) fn pass(&mut self) {
        self.passes = true;
    }

    /// Whether so much waits, beside what is about to go.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.turns.len() >= MOST
            && self.turns.iter().skip_while(|turn| turn.is_due()).count() >= MOST
    }

    fn next_due(&mut self) -> Option<Turn> {
        self.turns.pop_front_if(|turn| turn.is_due())
    }
}

impl Turn {
    fn is_due(&self) -> bool {
        self.copied.as_ref().is_none_or(Copied::is_so)
    }
}

/// At the end of a turn of which the copy learns this.
pub(crate) fn after_turn(room: &mut Room, news: &News, cx: &mut Context<'_, Room>) {
    let is_kept = cx.has_standby && !matches!(news.mirror, Mirror::Nothing);
    let passes = std::mem::take(&mut room.held.passes) && !news.is_told_of;
    let sent = match !passes && is_kept && (news.is_told_of || !room.held.is_empty()) {
        true => cx.hold_sent(),
        false => Vec::new(),
    };
    if !sent.is_empty() {
        let copied = if news.is_told_of { room.fan_outs.copy(cx.waker()) } else { None };
        room.held.turns.push_back(Turn { sent, copied });
    }
    match is_kept {
        true => let_out(room, cx),
        // Nobody is to learn of it any more.
        false => let_all_out(room, cx),
    }
    if room.queue.clog(room.held.is_full()) {
        (cx.waker())();
    }
}

/// What was held until the copy had learned something that it knows now.
fn let_out(room: &mut Room, cx: &mut Context<'_, Room>) {
    while let Some(Turn { sent, .. }) = room.held.next_due() {
        cx.send_held(sent);
    }
}

/// All of it, before what this turn has sent.
pub(crate) fn let_all_out(room: &mut Room, cx: &mut Context<'_, Room>) {
    if room.held.is_empty() {
        return;
    }
    let last = cx.hold_sent();
    let held = std::mem::take(&mut room.held.turns).into_iter().flat_map(|turn| turn.sent);
    cx.send_held(held.chain(last).collect());
}

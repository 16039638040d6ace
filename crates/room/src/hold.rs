//! Owns what a room does not say before its second copy knows what it is about: who has come, gone, or has another nick.
//!
//! Otherwise an owner could tell some that somebody is inside, and be gone before anybody else knows of him. If he does not
//! ask once more, since his account's home was on the same member and his client does not come back, those would see him
//! for ever (XEP-0045 §7.14). So what a turn sends that the copy must learn something of waits for that, and whatever is
//! sent later goes behind it. The room itself goes on meanwhile: any number of people come in within one way to the
//! standby and back. A message of an archive waits for nothing but these.
//!
//! Bounds: what is held has senders that wait for it, and those bounds of their own.

use std::collections::VecDeque;

use entity::{Context, Mirror};
use proto::Envelope;

use crate::fan_out::Copied;
use crate::mirror::News;
use crate::room::Room;

/// What waits for the second copy, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Held(VecDeque<Turn>);

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
        self.0.is_empty()
    }

    fn next_due(&mut self) -> Option<Turn> {
        let is_due = |turn: &mut Turn| turn.copied.as_ref().is_none_or(Copied::is_so);
        self.0.pop_front_if(is_due)
    }
}

/// At the end of a turn of which the copy learns this.
pub(crate) fn after_turn(room: &mut Room, news: &News, cx: &mut Context<'_, Room>) {
    let is_kept = cx.has_standby && !matches!(news.mirror, Mirror::Nothing);
    let sent = match is_kept && (news.is_told_of || !room.held.is_empty()) {
        true => cx.hold_sent(),
        false => Vec::new(),
    };
    if !sent.is_empty() {
        let copied = if news.is_told_of { room.fan_outs.copy(cx.waker()) } else { None };
        room.held.0.push_back(Turn { sent, copied });
    }
    match is_kept {
        true => let_out(room, cx),
        // Nobody is to learn of it any more.
        false => let_all_out(room, cx),
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
    let held = std::mem::take(&mut room.held.0).into_iter().flat_map(|turn| turn.sent);
    cx.send_held(held.chain(last).collect());
}

//! Owns changes that are rows first: while the store keeps them the room waits, and where it does not, whoever asked is
//! told why and nothing has changed.

use entity::Context;
use entity::refuse::store_error;
use store::Write;
use xmpp::Stanza;

use crate::iq::reply;
use crate::room::{Phase, Room};

/// Keeps this, then goes on.
pub(crate) fn keep(
    room: &mut Room,
    writes: Vec<Write>,
    request: Stanza,
    cx: &mut Context<'_, Room>,
    then: impl FnOnce(&mut Room, &mut Context<'_, Room>) + 'static,
) {
    room.queue.block();
    cx.commit_then(writes, move |room, cx, kept| {
        match kept {
            Ok(()) => then(room, cx),
            Err(error) => reply(room, &request, Err(store_error(&error)), cx),
        }
        go_on(room, cx);
    });
}

/// What has waited for the store goes on; a room that has ended by it goes on by itself.
pub(crate) fn go_on(room: &mut Room, cx: &mut Context<'_, Room>) {
    if !matches!(room.phase, Phase::Ending) {
        room.queue.unblock();
        room.drain(cx);
    }
}

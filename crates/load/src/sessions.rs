//! All sessions of a run as its script sees them: write to one, close one, count them.

use crate::session::{Counted, Phase, Session, answer_request};
use std::time::Instant;

/// What happens to the sessions, told to whoever drives them. Whatever a script writes is sent at the end of the turn.
pub trait Script {
    /// Session `id` is online.
    fn online(&mut self, _sessions: &mut Sessions, _id: usize, _now: Instant) {}
    /// A stanza came; `now` is when its bytes were read.
    fn stanza(&mut self, _sessions: &mut Sessions, _id: usize, _stanza: &[u8], _now: Instant) {}
    /// The server has handled `count` stanzas of session `id` (XEP-0198 §4).
    fn acknowledged(&mut self, _sessions: &mut Sessions, _id: usize, _count: u32, _now: Instant) {}
    /// Session `id` ended: by the server, by an error, or because the script closed its stream.
    fn gone(&mut self, _id: usize, _reason: &str) {}
    /// The end of a wake-up, before anything is sent.
    fn turn(&mut self, _sessions: &mut Sessions, _now: Instant) {}
}

/// A script that does nothing.
#[derive(Debug)]
pub struct Silent;

impl Script for Silent {}

/// All sessions, and which of them have something to send.
#[derive(Debug, Default)]
pub struct Sessions {
    pub(crate) list: Vec<Session>,
    pub(crate) dirty: Vec<usize>,
    pub(crate) online: usize,
    pub(crate) lost: usize,
    /// Why the last of them was lost.
    pub(crate) last_reason: String,
}

impl Sessions {
    /// Appends to what session `id` sends at the end of the turn.
    pub fn send(&mut self, id: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(session) = self.list.get_mut(id) {
            write(session.connection.outbound());
            mark(&mut self.dirty, session, id);
        }
    }

    /// Like [`Sessions::send`], for exactly one stanza, which stream management counts.
    pub fn send_stanza(&mut self, id: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.send(id, write);
        if let Some(management) = self.list.get_mut(id).and_then(|s| s.management.as_mut()) {
            management.sent = management.sent.wrapping_add(1);
        }
    }

    /// How many stanzas session `id` sent since stream management began.
    pub fn managed_sent(&self, id: usize) -> u32 {
        let management = self.list.get(id).and_then(|s| s.management.as_ref());
        management.map_or(0, |management| management.sent)
    }

    /// Whether session `id` has so much unsent that nothing more should be written.
    pub fn is_stuck(&self, id: usize) -> bool {
        self.list.get(id).is_none_or(|s| s.connection.is_stuck())
    }

    /// How many sessions are online now.
    pub fn online(&self) -> usize {
        self.online
    }

    /// How many sessions ended that nobody closed.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Tells the script of an item that came to a session that is online.
    pub(crate) fn take(
        &mut self,
        id: usize,
        (stanza, now): (&[u8], Instant),
        script: &mut dyn Script,
    ) {
        let Some(session) = self.list.get_mut(id) else {
            return;
        };
        match session.count_handled(stanza) {
            Counted::Stanza => script.stanza(self, id, stanza, now),
            Counted::Request(handled) => self.send(id, |out| answer_request(handled, out)),
            Counted::Answer(count) => script.acknowledged(self, id, count, now),
        }
    }

    /// Closes the stream of session `id`; [`Script::gone`] follows when the server has closed it too.
    pub fn close(&mut self, id: usize) {
        self.send(id, |out| out.extend_from_slice(b"</stream:stream>"));
        if let Some(session) = self.list.get_mut(id) {
            if session.phase.is_online() {
                self.online -= 1;
            }
            session.phase = Phase::Closing;
        }
    }
}

/// Puts a session on the list of those that have something to send.
pub(crate) fn mark(dirty: &mut Vec<usize>, session: &mut Session, id: usize) {
    if !session.dirty {
        session.dirty = true;
        dirty.push(id);
    }
}

//! Owns who waits for what a room answers to its own service: operators ask rooms by the requests of XEP-0045, in the name of
//! the service, on the member that acts for the room.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use xmpp::{Kind, Stanza};

use crate::Room;

/// Most requests that wait for an answer at once, on a member.
const WAITING_MOST: usize = 1_000;

/// Who hears an answer: a result or an error.
pub type Hears = Box<dyn FnOnce(Stanza) + Send>;

/// Those who wait, by the ids of their requests.
#[derive(Default)]
pub(crate) struct Asked(Mutex<HashMap<Box<str>, Hears>>);

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Asked")
    }
}

impl Asked {
    /// Somebody is about to ask; false where too many wait.
    pub(crate) fn wait(&self, id: &str, hears: Hears) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_place = waiting.len() < WAITING_MOST;
        if has_place {
            waiting.insert(id.into(), hears);
        }
        has_place
    }

    /// They do not wait any more.
    pub(crate) fn give_up(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Gives back what nobody waits for here.
    fn answered(&self, answer: Stanza) -> Option<Stanza> {
        let id = answer.head().id.as_deref()?;
        let hears = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        match hears {
            Some(hears) => {
                hears(answer);
                None
            }
            None => Some(answer),
        }
    }
}

/// Takes the answer to a request of the room's own service where somebody waits for it here. Gives back any other: it goes
/// to whom it is for, the service itself, which may have asked because of a command.
pub(crate) fn take(room: &Room, answer: Stanza) -> Option<Stanza> {
    let is_for_service = answer.head().to.as_ref().is_some_and(|to| *to == *room.jid.domain());
    if !is_for_service || !matches!(answer.kind(), Kind::Iq(_)) {
        return Some(answer);
    }
    room.shared.asked.answered(answer)
}

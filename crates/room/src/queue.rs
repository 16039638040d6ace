//! Owns what waits for a room, so that it has one order of events: a message is reflected only when it is
//! kept, and what comes behind it - who leaves, who is kicked - happens behind it.
//!
//! Bound: [`MOST`] stanzas; what is more is refused with `resource-constraint`. The actor's own mailbox
//! stands before it with bounds of its own.

use std::collections::VecDeque;

use entity::Context;
use proto::Receipt;
use store::ArchiveId;
use xmpp::{Kind, MessageType, Origin, Stanza, ns};

use crate::Room;
use crate::fan_out::Copied;

/// Most stanzas that wait in a room.
pub(crate) const MOST: usize = 2_048;

/// What waits, and why.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    /// Messages on their way to the store, in order.
    appends: VecDeque<Append>,
    /// The room is being loaded, made or ended.
    blocked: bool,
    /// Too much of what the room has done waits for its second copy.
    clogged: bool,
}

/// A message on its way to the store.
#[derive(Debug)]
struct Append {
    id: ArchiveId,
    kept: Option<Kept>,
}

/// A message that the store has answered for.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: ArchiveId,
    /// As its sender sent it.
    pub(crate) asked: Waiting,
    /// As everybody gets it.
    pub(crate) stanza: Stanza,
    pub(crate) result: Result<(), store::Error>,
    /// Where no archive has it: whether the second copy of the room does.
    pub(crate) copied: Option<Copied>,
    /// The message that it takes back, where a tombstone was kept with it.
    pub(crate) buried: Option<ArchiveId>,
}

/// A stanza with its cause.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) stanza: Stanza,
    pub(crate) origin: Origin,
    pub(crate) receipt: Option<Receipt>,
}

impl Waiting {
    /// The stanza of this turn, to be acted upon later.
    pub(crate) fn of_turn(stanza: Stanza, cx: &Context<'_, Room>) -> Self {
        Self { stanza, origin: cx.origin(), receipt: cx.receipt() }
    }
}

impl Queue {
    /// Whether a stanza that comes now has to wait.
    #[must_use]
    pub(crate) fn holds(&self, stanza: &Stanza) -> bool {
        !self.waiting.is_empty() || self.stops(stanza)
    }

    /// Messages to all pass each other's way to the store; everything else waits behind them, and so does what takes
    /// one of them back: it looks for it in the archive.
    fn stops(&self, stanza: &Stanza) -> bool {
        self.blocked || self.clogged || (!self.appends.is_empty() && !passes(stanza))
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.appends.is_empty() && !self.blocked
    }

    /// Lets a stanza wait; gives it back where there is no room.
    pub(crate) fn push(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        if self.waiting.len() >= MOST {
            return Err(waiting);
        }
        self.waiting.push_back(waiting);
        Ok(())
    }

    /// The next stanza whose turn it is.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let stops = self.waiting.front().is_none_or(|next| self.stops(&next.stanza));
        if stops { None } else { self.waiting.pop_front() }
    }

    /// Nothing happens until [`Queue::unblock`].
    pub(crate) fn block(&mut self) {
        self.blocked = true;
    }

    /// What waits goes on.
    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Too much of what the room has done waits for its second copy, until which nothing happens, or not; true where
    /// something that has waited for that may go on.
    pub(crate) fn clog(&mut self, clogged: bool) -> bool {
        let before = std::mem::replace(&mut self.clogged, clogged);
        before && !clogged && !self.waiting.is_empty()
    }

    /// A message is on its way to the store.
    pub(crate) fn append(&mut self, id: ArchiveId) {
        self.appends.push_back(Append { id, kept: None });
    }

    /// The store has answered for a message. Answers that come together may come in any order.
    pub(crate) fn answered(&mut self, kept: Kept) {
        if let Some(append) = self.appends.iter_mut().find(|append| append.id == kept.id) {
            append.kept = Some(kept);
        }
    }

    /// The next message whose turn it is to be heard: the order is that of the archive.
    pub(crate) fn next_kept(&mut self) -> Option<Kept> {
        let is_due = |kept: &mut Kept| kept.copied.as_ref().is_none_or(Copied::is_so);
        let kept = self.appends.front_mut()?.kept.take_if(is_due)?;
        self.appends.pop_front();
        Some(kept)
    }
}

fn passes(stanza: &Stanza) -> bool {
    let to_room = stanza.head().to.as_ref().is_some_and(|to| to.is_bare());
    to_room
        && stanza.kind() == Kind::Message(MessageType::Groupchat)
        && stanza.find("retract", ns::RETRACT).is_none()
}

#[cfg(test)]
mod tests {
    use xmpp::{Epoch, Head, Jid, PresenceType, Shard};

    use super::*;

    fn stanza(kind: Kind) -> Stanza {
        let to = Some(Jid::parse("coven@chat.x.org").unwrap());
        Stanza::new(Head { kind, id: None, from: None, to, lang: None }, "")
    }

    fn waiting(kind: Kind) -> Waiting {
        let origin = Origin::Shard { shard: Shard::new(0).unwrap(), epoch: Epoch(1), counter: 0 };
        Waiting { stanza: stanza(kind), origin, receipt: None }
    }

    fn kept(id: u64) -> Kept {
        let groupchat = Kind::Message(MessageType::Groupchat);
        let (asked, stanza) = (waiting(groupchat), stanza(groupchat));
        let id = ArchiveId(id);
        Kept { id, asked, stanza, result: Ok(()), copied: None, buried: None }
    }

    #[test]
    fn messages_are_heard_in_the_order_of_the_archive_however_the_store_answers() {
        let mut queue = Queue::default();
        (1..=3).for_each(|id| queue.append(ArchiveId(id)));
        queue.answered(kept(2));
        assert!(queue.next_kept().is_none());
        queue.answered(kept(1));
        queue.answered(kept(3));
        let heard: Vec<u64> =
            std::iter::from_fn(|| queue.next_kept()).map(|kept| kept.id.0).collect();
        assert_eq!(heard, [1, 2, 3]);
        assert!(queue.is_idle());
    }

    #[test]
    fn what_is_no_message_to_all_waits_behind_those_under_way_and_so_does_what_follows_it() {
        let groupchat = Kind::Message(MessageType::Groupchat);
        let leaves = Kind::Presence(PresenceType::Unavailable);
        let mut queue = Queue::default();
        assert!(!queue.holds(&stanza(leaves)));
        queue.append(ArchiveId(1));
        assert!(!queue.holds(&stanza(groupchat)) && queue.holds(&stanza(leaves)));
        queue.push(waiting(leaves)).unwrap();
        assert!(queue.holds(&stanza(groupchat)));
        queue.push(waiting(groupchat)).unwrap();
        assert!(queue.next().is_none());
        queue.answered(kept(1));
        assert!(queue.next_kept().is_some());
        assert_eq!(queue.next().map(|next| next.stanza.kind()), Some(leaves));
        assert_eq!(queue.next().map(|next| next.stanza.kind()), Some(groupchat));
    }
}

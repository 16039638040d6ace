//! Owns which messages are on their way to the occupants: while there is a second copy of the room, it learns up to
//! which message all have reached all.
//!
//! Each message goes out under a receipt of the room's own beside its sender's; when the last copy of it is safe
//! with its recipient's home, it counts. Bound: what is unfinished has senders that wait for it, and those bounds
//! of their own.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use entity::context::Waker;
use proto::receipt::Settle;
use proto::{Ledger, Receipt};
use store::ArchiveId;
use xmpp::{Origin, Stanza, kept};

use crate::mirror::{Inheritance, write_origin};
use crate::snapshot::pb;

/// Stands for the session in the origins of copies: no session has it.
const NO_SESSION: u64 = 0;

/// Messages on their way.
#[derive(Debug, Default)]
pub struct FanOuts {
    /// None: nobody has a copy of the room.
    ledger: Option<Arc<Ledger>>,
    watched: bool,
    /// Not known to have reached all, oldest first.
    open: VecDeque<ArchiveId>,
    /// How many of the ledger's are not in `open` any more.
    counted: u64,
    /// The id of a message, as a number.
    finished: u64,
    /// `finished` is greater than the copy knows.
    news: bool,
    /// Behind `finished`, what no archive has, oldest first.
    said: VecDeque<pb::Said>,
    /// How many of these the copy has.
    told: usize,
    inherited: Option<(ArchiveId, Inheritance)>,
    known: HashSet<Origin>,
}

impl FanOuts {
    /// There is a copy from now on.
    pub(crate) fn watch(&mut self) {
        self.watched = true;
    }

    /// Whether somebody has a copy.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// A message goes out: the origin of its copies, and the receipt under which it goes.
    pub(crate) fn begin(
        &mut self,
        id: ArchiveId,
        cause: Option<Receipt>,
        waker: &Waker,
    ) -> (Origin, Option<Receipt>) {
        let origin = Origin::Client { session: NO_SESSION, seq: id.0, part: 0 };
        if !self.watched {
            self.finished = self.finished.max(id.0);
            return (origin, cause);
        }
        let ledger = self.ledger.get_or_insert_with(|| {
            let waker = Arc::clone(waker);
            Ledger::new(0, move || waker())
        });
        self.open.push_back(id);
        let both = Both { own: Mutex::new(Some((ledger.open(), cause))) };
        (origin, Some(Receipt::new(0, Arc::new(both))))
    }

    /// A message that no archive has: the copy must have it.
    pub(crate) fn say(&mut self, id: ArchiveId, stanza: &Stanza, cause: Origin) {
        if self.watched {
            let (stanza, cause) = (kept::write(stanza), Some(write_origin(cause)));
            self.said.push_back(pb::Said { id: id.0, stanza, cause });
        }
    }

    /// Something has reached all.
    pub(crate) fn look(&mut self) {
        let Some(ledger) = &self.ledger else { return };
        let handled = ledger.standing().handled;
        while self.counted < handled {
            self.counted += 1;
            if let Some(id) = self.open.pop_front() {
                self.finished = self.finished.max(id.0);
                self.news = true;
            }
        }
        while self.said.pop_front_if(|it| it.id <= self.finished).is_some() {
            self.told = self.told.saturating_sub(1);
        }
    }

    /// Every message up to this one has reached all.
    pub(crate) fn finished(&self) -> ArchiveId {
        ArchiveId(self.finished)
    }

    /// As a snapshot says.
    pub(crate) fn go_on_from(&mut self, finished: ArchiveId) {
        self.finished = self.finished.max(finished.0);
    }

    /// Whether there is news of that since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What no archive has and the copy does not know; `anew`: all of it.
    pub(crate) fn tell_said(&mut self, anew: bool) -> Vec<pb::Said> {
        let known = if anew { 0 } else { self.told };
        self.told = self.said.len();
        self.said.iter().skip(known).cloned().collect()
    }

    pub(crate) fn inherit(&mut self, finished: ArchiveId, inheritance: Inheritance) {
        self.inherited = Some((finished, inheritance));
    }

    /// Whether the archive must be read for what a former owner has left.
    pub(crate) fn has_inherited(&self) -> bool {
        self.inherited.is_some()
    }

    pub(crate) fn take_inheritance(&mut self) -> Option<(ArchiveId, Inheritance)> {
        self.inherited.take()
    }

    pub(crate) fn knows(&mut self, causes: HashSet<Origin>) {
        self.known = causes;
    }

    /// Whether a former owner has acted on a message with this cause.
    pub(crate) fn has_known(&mut self, cause: Origin) -> bool {
        self.known.remove(&cause)
    }
}

/// Two receipts as one. What is a fault for the sender, who says it again, is over for the room.
struct Both {
    own: Mutex<Option<(Receipt, Option<Receipt>)>>,
}

impl Settle for Both {
    fn settle(&self, _: u64, faulty: bool) {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((own, cause)) = own else { return };
        own.release();
        match cause {
            Some(cause) if faulty => drop(cause),
            Some(cause) => cause.release(),
            None => {}
        }
    }
}

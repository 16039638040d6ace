//! Owns the second copy of a session (proto/session.proto): where it is, what it must learn, and how the session goes
//! on from it.
//!
//! Where the connection is on another member, that connection keeps it: it sees itself what the client is given and
//! acknowledges, so that little more has to be said ([`ConnectionCommand::Keep`]). The standby then has a stub. Otherwise the
//! standby has all of it, and the client hears of an h only when the standby knows it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use entity::{Copy, Mirror};
use proto::session::{ConnectionCommand, UserEvent};
use proto::snapshot::{
    EntrySnapshot, SessionSnapshot, SessionState, SnapshotError, StreamSnapshot, Term,
};
use proto::{Body, ConnectionId, Ledger, Receipt, Route, SessionId};
use xmpp::StreamCondition;

use super::queue::Item;
use super::snapshot::queued;
use super::{Attachment, Live, Turn, sm};

/// More stanzas than a connection reads before the first of them is confirmed.
const UNHEARD: u64 = 4_096;

/// What a session knows of its second copy.
#[derive(Default)]
pub(super) struct Copied {
    at: Option<(Place, Term)>,
    /// What the user keeps of the session.
    entry: Option<EntrySnapshot>,
    entry_is_new: bool,
    /// The copy knows whether the client counts.
    counts: bool,
    acked: u64,
    /// Held back since the copy last heard.
    held: Vec<Item>,
    let_out: bool,
    /// Stanzas of the client that are handled, as the standby was told last.
    handled: u64,
    /// It is to be told more.
    owes: bool,
    /// Each time that the standby was told, and how much.
    told: VecDeque<Told>,
    /// Stanzas for the client that the standby was told of last, and that it has confirmed.
    places: (u64, u64),
    /// Stanzas of the client that it has heard are handled.
    heard: u64,
    ledger: Option<Arc<Ledger>>,
    /// How often it has confirmed.
    confirmed: u64,
    /// The connection has been told all and has not confirmed it: what the standby has stays as it is until then.
    begun: Option<Arc<Ledger>>,
    /// A connection that has lost the session, and has its only copy until there is another one.
    leaves: Option<ConnectionId>,
}

/// How much a standby was told.
#[derive(Clone, Copy)]
struct Told {
    /// Stanzas of the client that are handled.
    handled: u64,
    /// Stanzas for the client, as the queue counts them.
    place: u64,
}

/// Where a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Connection(ConnectionId),
    Standby,
}

impl Copied {
    /// Of a session that goes on from a snapshot, of which the user keeps this: it has no copy here yet.
    pub(super) fn of(entry: EntrySnapshot) -> Self {
        Self { entry: Some(entry), ..Self::default() }
    }

    /// The user says what it keeps.
    pub(super) fn take_entry(&mut self, entry: Option<EntrySnapshot>) {
        (self.entry, self.entry_is_new) = (entry, true);
    }

    /// Something is held back.
    pub(super) fn hold(&mut self, item: &Item) {
        self.held.push(item.clone());
    }

    /// That was not held back after all.
    pub(super) fn take_back(&mut self) {
        self.held.pop();
    }

    /// What was held back goes on.
    pub(super) fn let_out(&mut self) {
        self.held.clear();
        self.let_out = true;
    }

    /// So many stanzas of the client are handled: how many the client may hear of, once the standby knows.
    pub(super) fn owe(&mut self, handled: u64) -> Option<u64> {
        if handled > self.handled {
            (self.handled, self.owes) = (handled, true);
        }
        let standing = self.ledger.as_ref().map(|ledger| ledger.standing());
        if standing.is_some_and(|standing| standing.faulty) {
            // What it was told is lost: it is told all once more.
            (self.ledger, self.confirmed, self.at) = (None, 0, None);
            self.told.clear();
            (self.owes, self.places.0) = (true, 0);
            return None;
        }
        let confirmed = standing.map_or(0, |standing| standing.handled);
        let mut safe = None;
        while self.confirmed < confirmed {
            self.confirmed += 1;
            safe = self.told.pop_front().or(safe);
        }
        self.places.1 = safe.map_or(self.places.1, |told| told.place.max(self.places.1));
        let safe = safe.map(|told| told.handled).filter(|handled| *handled > self.heard)?;
        self.heard = safe;
        Some(safe)
    }

    /// What the user keeps of the session.
    pub(super) fn entry(&self) -> Option<EntrySnapshot> {
        self.entry.clone()
    }

    /// Since when it is where it is.
    pub(super) fn term(&self) -> Option<Term> {
        self.at.map(|(_, term)| term)
    }

    /// The copy is to be given all once more.
    pub(super) fn begin_anew(&mut self) {
        self.at = None;
    }

    /// Nobody is to be told any more.
    pub(super) fn owe_nothing(&mut self) {
        self.owes = false;
        self.told.clear();
        (self.ledger, self.confirmed) = (None, 0);
    }

    /// Whether the standby knows all that is handled.
    pub(super) fn is_settled(&self) -> bool {
        !self.owes && self.told.is_empty()
    }
}

impl Live {
    /// What the copies must learn after this turn.
    pub(super) fn mirror(&mut self, anew: bool, cx: &mut Turn<'_>) -> Mirror {
        if !cx.has_standby && self.queue.waits() {
            // What was to be known to a standby first waits for nobody now.
            self.hand_over(cx);
        }
        let mut copied = self.copied.take().unwrap_or_default();
        let place = match self.attachment {
            Attachment::Attached(connection) if connection.member != cx.member => {
                Place::Connection(connection)
            }
            _ => Place::Standby,
        };
        let epoch = cx.fence.epoch;
        let known = copied.at.filter(|(at, term)| *at == place && term.epoch == epoch);
        // What a former standby may have left is older than what another one is given.
        let known = known.filter(|(at, _)| *at != Place::Standby || !anew);
        let term =
            known.map_or_else(|| Term { epoch, since: micros(cx.now.elapsed) }, |(_, term)| term);
        copied.at = Some((place, term));
        let begins = known.is_none();
        let of_all = begins
            || copied.entry_is_new
            || copied.counts != self.sm.is_some()
            || std::mem::take(&mut self.has_repeats);
        let mirror = match place {
            Place::Connection(connection) => {
                if of_all || self.has_news(&copied, |item, waits| waits || item.mark.is_some()) {
                    let change = self.for_connection(&copied, begins, term, cx);
                    copied.tell_connection(connection, change, begins, cx);
                }
                let is_due = anew || copied.entry_is_new;
                match copied.may_stub(is_due) {
                    true => Mirror::Whole(live(self.for_standby(&copied, term, cx).stub())),
                    false => Mirror::Same,
                }
            }
            Place::Standby if begins => {
                // Nobody knows anything of it yet.
                (copied.places.0, copied.begun) = (0, None);
                copied.owes |= cx.has_standby && self.sm.is_some();
                copied.expect_confirmation(self, cx);
                Mirror::Whole(live(self.for_standby(&copied, term, cx)))
            }
            Place::Standby => {
                copied.owes |= cx.has_standby && self.sm.is_some() && !copied.counts;
                let acked = copied.acked != self.queue.acknowledged();
                if of_all || copied.owes || acked || self.has_news(&copied, |_, _| true) {
                    copied.expect_confirmation(self, cx);
                    Mirror::Change(self.change(&copied, term, cx).encode())
                } else {
                    Mirror::Same
                }
            }
        };
        copied.acked = self.queue.acknowledged();
        (copied.counts, copied.entry_is_new, copied.let_out) = (self.sm.is_some(), false, false);
        copied.held.clear();
        if copied.is_elsewhere()
            && let Some(former) = copied.leaves.take()
        {
            close(former, StreamCondition::Conflict, cx);
        }
        self.queue.copied();
        self.copied = Some(copied);
        mirror
    }

    /// A connection loses the session to another one. If it has the only copy it is told when there is another.
    pub(super) fn supersede(&mut self, other: ConnectionId, cx: &mut Turn<'_>) {
        match &mut self.copied {
            Some(copied) if copied.leaves.is_none() && copied.is_with(other) => {
                copied.leaves = Some(other);
            }
            _ => close(other, StreamCondition::Conflict, cx),
        }
    }

    /// Whether what the client is told when it resumes must be known to a standby first: the connection that it comes from
    /// has the only copy, and may not have heard of all.
    pub(super) fn must_be_copied(&self, cx: &Turn<'_>) -> bool {
        let is_away = |copied: &Copied| matches!(copied.at, Some((Place::Connection(_), _)));
        cx.has_standby && self.copied.as_deref().is_some_and(is_away)
    }

    /// The session is over: whoever has a copy of it still need not keep it.
    pub(super) fn forget_copy(&mut self, cx: &mut Turn<'_>) {
        if let Some(former) = self.copied.as_mut().and_then(|copied| copied.leaves.take()) {
            close(former, StreamCondition::Conflict, cx);
        }
    }

    fn has_news(&self, copied: &Copied, counts: impl Fn(&Item, bool) -> bool) -> bool {
        !copied.held.is_empty()
            || copied.let_out
            || self.queue.uncopied().any(|(item, waits)| counts(item, waits))
    }

    /// All that there is, for a standby: nobody holds the session when it is needed.
    fn for_standby(&self, copied: &Copied, term: Term, cx: &Turn<'_>) -> SessionSnapshot {
        let whole = self.snapshot(cx.now);
        SessionSnapshot { entry: copied.entry.clone(), ..at_nobody(whole, term) }
    }

    /// What is new, for a standby.
    fn change(&self, copied: &Copied, term: Term, cx: &Turn<'_>) -> SessionSnapshot {
        let mut change = at_nobody(self.frame(cx.now), term);
        change.entry = copied.entry.clone().filter(|_| copied.entry_is_new);
        if let Some(stream) = &mut change.stream {
            stream.queue = self.queue.uncopied().map(|(item, _)| queued(item)).collect();
            stream.held = copied.held.iter().map(queued).collect();
            stream.let_out = copied.let_out;
        }
        change
    }

    /// What a connection must know beside what it sees: all of that where it begins, or what is new.
    fn for_connection(
        &self,
        copied: &Copied,
        begins: bool,
        term: Term,
        cx: &Turn<'_>,
    ) -> SessionSnapshot {
        let mut change = SessionSnapshot { term: Some(term), ..self.frame(cx.now) };
        change.entry = copied.entry.clone().filter(|_| begins || copied.entry_is_new);
        let Some(stream) = &mut change.stream else { return change };
        if begins {
            stream.seen = self.seen.clone();
        }
        if begins && !self.is_followed {
            stream.queue = self.queue.items().map(queued).collect();
            stream.handed = u32::try_from(self.queue.unacknowledged()).unwrap_or(u32::MAX);
            stream.held = self.held.items().map(queued).collect();
            return change;
        }
        let handed = self.queue.unacknowledged();
        let places = (self.queue.acknowledged() + 1..).zip(self.queue.items().enumerate());
        let known = if begins { 0 } else { self.queue.len_copied() };
        for (place, (index, item)) in places.skip(known) {
            match item.mark {
                _ if index >= handed => stream.queue.push(queued(item)),
                Some(mark) => stream.marks.push((place, mark)),
                None => {}
            }
        }
        stream.let_out = copied.let_out;
        stream.held = match begins {
            true => self.held.items().map(queued).collect(),
            false => copied.held.iter().map(queued).collect(),
        };
        change
    }

    /// Up to which place the connection may be given what is queued. Where the standby has the only copy, and the client
    /// may resume out of it, no more than that knows: what the client was given and nobody knows of would come again.
    pub(super) fn safe_to_give(&self, connection: ConnectionId, cx: &Turn<'_>) -> u64 {
        let is_here = connection.member == cx.member;
        let resumes = self.sm.as_ref().is_some_and(|sm| sm.may_resume());
        match &self.copied {
            Some(copied) if is_here && resumes && cx.has_standby => copied.places.1,
            None if is_here && resumes && cx.has_standby => 0,
            _ => u64::MAX,
        }
    }

    /// The session goes on from the best of its copies; what its user kept of it is told the user. Of a session of
    /// which only a stub is left nobody can resume anything; it is there until its time is over, so that whoever saw
    /// it hears of its end then, and not before.
    pub(super) fn taken_over(
        id: &SessionId,
        copies: Vec<Copy>,
        cx: &mut Turn<'_>,
    ) -> Result<Self, SnapshotError> {
        let mut copies: Vec<_> = copies.into_iter().filter_map(|copy| read(copy).ok()).collect();
        copies.sort_by_key(|copy| {
            (copy.term, copy.stream.as_ref().map(progress), copy.connection.is_some())
        });
        let mut session = copies.pop().ok_or(SnapshotError("form"))?;
        for connection in copies.iter().filter_map(|copy| copy.connection) {
            // What its client has is not known by it: the client is to come again, and to say so.
            close(connection, StreamCondition::ResourceConstraint, cx);
        }
        let is_stub = session.stream.is_none();
        let stream = session.stream.get_or_insert_default();
        for item in stream.queue.iter_mut().chain(&mut stream.held).filter(|item| item.at == 0) {
            item.at = cx.now.unix_micros;
        }
        let max = session.resumption.map(|resumption| resumption.max);
        if session.connection.is_none() {
            // Whoever resumes it says what it has of all that.
            stream.handed = u32::try_from(stream.queue.len()).unwrap_or(u32::MAX);
            if let Some(resumption) = &mut session.resumption {
                resumption.deadline =
                    Some(cx.now.unix_micros.saturating_add(micros(resumption.max)));
            }
        }
        session.resumption.take_if(|_| is_stub);
        if let Some(counts) = &mut stream.counts {
            // What was asked last, and whether that was answered, nobody knows.
            (counts.asked, counts.unasked, counts.listening) = (None, (stream.handed, 0), false);
            // The client, or its connection, says again what it has not heard of, and nobody knows how far it had come.
            stream.again_until = stream.seq.saturating_add(UNHEARD);
        }
        let attached = session.connection.is_some();
        let entry = EntrySnapshot { attached, ..session.entry.take().unwrap_or_default() };
        session.entry = Some(entry.clone());
        let told = SessionSnapshot { entry: Some(entry), ..session.stub() };
        let mut live = Self::restored(id, session, cx)?;
        (live.is_followed, live.is_from_copy) = (attached, true);
        if is_stub {
            cx.set_timer(sm::EXPIRE, max.unwrap_or_default());
        }
        live.tell_user(UserEvent::Kept(Box::new(told)), cx);
        live.hand_over(cx);
        live.ask((0, 0), cx);
        Ok(live)
    }
}

fn close(connection: ConnectionId, why: StreamCondition, cx: &mut Turn<'_>) {
    let command = ConnectionCommand::Close(Some(why.into()));
    cx.tell(Route::Connection(connection), Body::ToConnection(command));
}

impl Copied {
    /// Whether this connection has the copy, or is to have it.
    fn is_with(&self, connection: ConnectionId) -> bool {
        self.at.is_some_and(|(at, _)| at == Place::Connection(connection))
    }

    /// Whether whoever is to have the copy has it.
    fn is_elsewhere(&self) -> bool {
        self.at.is_some() && self.begun.is_none() && self.is_settled()
    }

    /// Tells the connection what it must know, which is all where it `begins`.
    fn tell_connection(
        &mut self,
        connection: ConnectionId,
        change: SessionSnapshot,
        begins: bool,
        cx: &mut Turn<'_>,
    ) {
        let own = begins.then(|| {
            let wake = cx.waker();
            self.begun.insert(Ledger::new(0, move || wake())).open()
        });
        let receipt = match (cx.receipt(), own) {
            (Some(cause), Some(own)) => Some(Receipt::both(cause, own)),
            (cause, own) => own.or(cause),
        };
        let command = ConnectionCommand::Keep(Box::new(change));
        cx.caused_by(cx.origin(), receipt, |cx| {
            cx.tell(Route::Connection(connection), Body::ToConnection(command));
        });
    }

    /// Whether the standby may forget all but a stub: only when the connection has the rest, since the owner may be
    /// gone before it has.
    fn may_stub(&mut self, is_due: bool) -> bool {
        let Some(standing) = self.begun.as_ref().map(|begun| begun.standing()) else {
            return is_due;
        };
        if standing.faulty {
            // It is told all once more.
            (self.at, self.begun) = (None, None);
            return false;
        }
        if standing.handled > 0 {
            self.begun = None;
        }
        self.begun.is_none()
    }

    /// The standby is told now; the client hears of what is handled when the standby has confirmed.
    fn expect_confirmation(&mut self, live: &Live, cx: &mut Turn<'_>) {
        let (place, Some(sm)) = (live.queue.place(), &live.sm) else { return };
        let gives = sm.may_resume() && place > self.places.0;
        if !cx.has_standby || !(std::mem::take(&mut self.owes) || gives) {
            return;
        }
        self.handled = sm.handled();
        self.places.0 = place;
        self.told.push_back(Told { handled: self.handled, place });
        let ledger = self.ledger.get_or_insert_with(|| {
            let wake = cx.waker();
            Ledger::new(0, move || wake())
        });
        let own = ledger.open();
        // Whatever has caused the turn waits for the same.
        let receipt = match cx.receipt() {
            Some(cause) => Receipt::both(cause, own),
            None => own,
        };
        cx.set_cause(cx.origin(), Some(receipt));
    }
}

/// Of two copies of one term: what was handed over stands still, and a connection has seen what came later.
fn progress(stream: &StreamSnapshot) -> (u64, u64) {
    (stream.acked + stream.queue.len() as u64, stream.acked)
}

fn live(session: SessionSnapshot) -> bytes::Bytes {
    SessionState::Live(Box::new(session)).encode()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As whoever goes on with it finds it: whoever holds the session now is gone then.
fn at_nobody(session: SessionSnapshot, term: Term) -> SessionSnapshot {
    let stream = session.stream.map(|mut stream| {
        (stream.clogged, stream.resuming) = (false, None);
        if let Some(counts) = &mut stream.counts {
            (counts.asked, counts.unasked, counts.listening) = (None, (0, 0), false);
        }
        stream
    });
    let resumption = session.resumption.map(|mut resumption| {
        resumption.deadline = None;
        resumption
    });
    SessionSnapshot { connection: None, term: Some(term), stream, resumption, ..session }
}

fn read(copy: Copy) -> Result<SessionSnapshot, SnapshotError> {
    let SessionState::Live(session) = SessionState::decode(&copy.whole)? else {
        return Err(SnapshotError("form"));
    };
    let mut session = *session;
    for change in &copy.changes {
        session.absorb(SessionSnapshot::decode(change)?);
    }
    session.connection.take_if(|_| !copy.of_socket);
    Ok(session)
}

//! Owns the Session entity: a bound resource, which connection holds it, and what is on its way to the
//! client. The user decides, the session keeps and sends. Knows no roster and no other session.
//!
//! | module | owns |
//! |---|---|
//! | [`sm`] | counting, resumption and its end (XEP-0198) |
//! | [`csi`] | what waits while nobody looks (XEP-0352) |
//! | [`queue`] | stanzas that the client does not have yet |
//! | [`snapshot`] | the session as data |
//! | [`keep`] | its second copy |
//!
//! A stanza is safe with a session as soon as the session has it: it reaches the client, or goes back to
//! the user when the session ends ([`UserEvent::Ended`]).

mod csi;
mod keep;
mod queue;
mod sm;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use entity::{Context, Copy, Entity, Extensions, LoadError, Mirror, Timer};
use meter::Share;
use proto::session::{ClientState, ConnectionCommand, ConnectionEvent, Gone, PLACED, UserEvent};
use proto::snapshot::{NOBODY, SessionState, SnapshotError, WINDOWS, identity};
use proto::{Body, ConnectionId, Envelope, Mark, MemberId, Now, Route, Seen, SessionId};
use store::{Kind, Row};
use xmpp::{FullJid, Kind as StanzaKind, Origin, Stanza, StreamCondition, StreamError, delay};

use crate::config::Config;
use crate::waiting::{Detached, Entered};
use csi::Held;
use keep::Copied;
use queue::{Item, Limits, Queue};
use sm::{Expired, Management};

/// The extensions of a session. Its stages are its own files; the list is for whoever publishes it.
pub static EXTENSIONS: Extensions<Session> = Extensions::new(&[sm::EXTENSION, csi::EXTENSION]);

/// A bound resource. One that nobody has started knows nothing and says so to whoever asks.
pub struct Session {
    id: SessionId,
    live: Option<Box<Live>>,
    over: bool,
    /// What is left of one that nobody resumed in time.
    expired: Option<Expired>,
}

/// A session that was started and is not over.
struct Live {
    id: SessionId,
    jid: FullJid,
    attachment: Attachment,
    /// The connection takes no more for now.
    clogged: bool,
    /// The client's stanzas so far; the last one's place in [`Origin::Client`].
    seq: u64,
    state: ClientState,
    held: Held,
    queue: Queue,
    sm: Option<Management>,
    counted: Counted,
    /// None while there is no other member.
    copied: Option<Box<Copied>>,
    /// The connection has kept what it was given, from when it got the session.
    is_followed: bool,
    /// It has gone on from its second copy, and its client may have been given more than that knew.
    is_from_copy: bool,
    /// What was ever queued or held back, as far as it may come again.
    seen: Seen,
    /// The client's stanzas up to this one may have been acted on by a process that is gone, or in vain.
    again_until: u64,
    /// Something has come again in this turn: whoever waits for it waits until the copy knows what it is a repeat of.
    has_repeats: bool,
}

/// What the session contributes to [`crate::Figures`].
struct Counted {
    detached: Share,
    unacknowledged: Share,
    /// While it waits, for whoever looks after the server.
    listed: Option<Entered>,
}

impl Counted {
    fn of(cx: &Turn<'_>) -> Self {
        Self {
            detached: Share::of(&cx.shared.figures.detached),
            unacknowledged: Share::of(&cx.shared.figures.unacknowledged),
            listed: None,
        }
    }
}

/// Who holds the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attachment {
    /// This connection.
    Attached(ConnectionId),
    /// Nobody; it waits to be resumed.
    Detached,
    /// This connection has proved that it may, and waits until the client's former stanzas are safe.
    Resuming {
        connection: ConnectionId,
        /// The client's h.
        h: u32,
    },
}

/// A session ends; its connection, if there is one, is told this.
struct Ending(Option<StreamError>);

type Turn<'a> = Context<'a, Session>;

impl Entity for Session {
    type Shared = Config;

    const KINDS: &'static [Kind] = &[];
    const NAME: &'static str = "session";
    const TIMERS: &'static [&'static str] = sm::TIMERS;

    fn load(route: &Route, _: Vec<Row>, _: &Arc<Config>) -> Result<Self, LoadError> {
        match route {
            Route::Session(id) => {
                Ok(Self { id: id.clone(), live: None, over: false, expired: None })
            }
            _ => Err(LoadError { kind: Kind::Account }),
        }
    }

    fn receive(&mut self, envelope: Envelope, cx: &mut Turn<'_>) {
        if let Body::User(UserEvent::Start { connection, jid, iq_id }) = envelope.body {
            return self.start(connection, jid, iq_id, cx);
        }
        let Some(live) = &mut self.live else {
            if !matches!(envelope.body, Body::MemberGone(_)) {
                self.answer_for_nobody(envelope.body, cx);
            }
            return;
        };
        let done = live.receive(envelope.body, cx);
        live.publish(cx);
        self.finish(done, cx);
    }

    fn wake(&mut self, timer: Timer, cx: &mut Turn<'_>) {
        let Some(live) = &mut self.live else {
            if timer == sm::FORGET {
                cx.close();
            }
            return;
        };
        self.expired = live.expires(timer);
        let done = live.ring(timer, cx);
        live.publish(cx);
        self.finish(done, cx);
    }

    fn may_sleep(&self, _: Now) -> bool {
        self.live.is_none() && self.expired.is_none()
    }

    fn snapshot(&self, now: Now) -> Option<Bytes> {
        let live = self.live.as_ref();
        let state = live.map(|live| SessionState::Live(Box::new(live.snapshot(now))));
        state.or_else(|| self.expired.as_ref().map(Expired::state)).map(|state| state.encode())
    }

    fn restore(&mut self, snapshot: &[u8], cx: &mut Turn<'_>) -> Result<(), SnapshotError> {
        match SessionState::decode(snapshot)? {
            SessionState::Live(session) => {
                self.live = Some(Box::new(Live::restored(&self.id, *session, cx)?));
            }
            SessionState::Expired { secret, h } => {
                (self.over, self.expired) = (true, Some(Expired::restored(secret, h)));
            }
        }
        Ok(())
    }

    fn mirror(&mut self, anew: bool, cx: &mut Turn<'_>) -> Mirror {
        match &mut self.live {
            Some(live) => live.mirror(anew, cx),
            None => Mirror::Nothing,
        }
    }

    fn take_over(
        &mut self,
        copies: Vec<Copy>,
        _: Vec<Bytes>,
        cx: &mut Turn<'_>,
    ) -> Result<(), SnapshotError> {
        self.live = Some(Box::new(Live::taken_over(&self.id, copies, cx)?));
        Ok(())
    }

    fn is_settled(&self) -> bool {
        self.live.as_ref().is_none_or(|live| live.is_settled() && live.has_told())
    }
}

impl Session {
    fn start(
        &mut self,
        connection: ConnectionId,
        jid: FullJid,
        iq_id: Arc<str>,
        cx: &mut Turn<'_>,
    ) {
        if self.live.is_some() || self.over {
            debug_assert!(false, "a session was started twice");
            return;
        }
        tracing::debug!(%jid, session = self.id.uid, "a session begins");
        let command =
            ConnectionCommand::Bound { session: self.id.clone(), jid: jid.clone(), iq_id };
        cx.tell(Route::Connection(connection), Body::ToConnection(command));
        self.live = Some(Box::new(Live {
            id: self.id.clone(),
            jid,
            attachment: Attachment::Attached(connection),
            clogged: false,
            seq: 0,
            state: ClientState::Active,
            held: Held::default(),
            queue: Queue::default(),
            sm: None,
            counted: Counted::of(cx),
            copied: None,
            is_followed: true,
            is_from_copy: false,
            seen: Seen::default(),
            again_until: 0,
            has_repeats: false,
        }));
    }

    fn finish(&mut self, done: Result<(), Ending>, cx: &mut Turn<'_>) {
        if let Err(ending) = done
            && let Some(live) = self.live.take()
        {
            self.over = true;
            live.end(ending, cx);
            match self.expired {
                Some(_) => cx.set_timer(sm::FORGET, cx.shared.resume),
                None => cx.close(),
            }
        }
    }

    /// Something came for a session that is over, or that was lost with its memory.
    fn answer_for_nobody(&mut self, body: Body, cx: &mut Turn<'_>) {
        let mut unacknowledged = Vec::new();
        match body {
            Body::Stanza(stanza) => unacknowledged.push(stanza),
            Body::FromConnection(connection, ConnectionEvent::Resume { secret, .. }) => {
                let h = self.expired.as_ref().and_then(|expired| expired.h_for(&secret));
                let result = h.map_or("no_session", |_| "expired");
                cx.shared.figures.resumes.of(result).add_one();
                let command = ConnectionCommand::ResumeFailed { h };
                cx.tell(Route::Connection(connection), Body::ToConnection(command));
            }
            // A connection that was told of the end may have spoken before it heard.
            Body::FromConnection(connection, event)
                if !self.over && !matches!(event, ConnectionEvent::Gone(_)) =>
            {
                let error = StreamCondition::InternalServerError.into();
                cx.tell(
                    Route::Connection(connection),
                    Body::ToConnection(ConnectionCommand::Close(Some(error))),
                );
            }
            _ => {}
        }
        if !self.over || !unacknowledged.is_empty() {
            let event = UserEvent::Ended { session: self.id.uid, unacknowledged };
            cx.tell(Route::User(self.id.account.clone()), Body::User(event));
        }
        self.over = true;
        if self.expired.is_none() {
            cx.close();
        }
    }
}

impl Live {
    fn receive(&mut self, body: Body, cx: &mut Turn<'_>) -> Result<(), Ending> {
        match body {
            Body::Stanza(stanza) => self.take_for_client(stanza, None, cx),
            Body::FromConnection(connection, ConnectionEvent::Resume { secret, h }) => {
                self.resume(connection, &secret, h, cx)
            }
            Body::FromConnection(connection, event) if self.is_held_by(connection) => {
                self.handle_event(event, cx)
            }
            // Of a connection that has lost the session to another one; it may have missed that.
            Body::FromConnection(connection, event) => {
                cx.shared.figures.drops.of("superseded").add_one();
                if !matches!(event, ConnectionEvent::Gone(_)) {
                    let error = StreamCondition::Conflict.into();
                    let command = ConnectionCommand::Close(Some(error));
                    cx.tell(Route::Connection(connection), Body::ToConnection(command));
                }
                Ok(())
            }
            Body::MemberGone(member) if self.is_at(member) => self.lose(cx),
            Body::MemberGone(_) => Ok(()),
            Body::User(UserEvent::Stored { mark, stanza }) => {
                self.take_for_client(stanza, Some(mark), cx)
            }
            Body::User(UserEvent::Kept(session)) => {
                self.copied.get_or_insert_default().take_entry(session.entry);
                Ok(())
            }
            Body::User(UserEvent::End(error)) => Err(Ending(Some(error))),
            Body::Woken => self.settle(cx),
            Body::User(_)
            | Body::ToConnection(_)
            | Body::Copy(_)
            | Body::Announced(_)
            | Body::HeldStreams(_)
            | Body::ComponentConnected(_)
            | Body::AskContacts(_)
            | Body::Disclosed(_) => {
                debug_assert!(false, "an event for somebody else came to a session");
                Ok(())
            }
        }
    }

    fn publish(&mut self, cx: &Turn<'_>) {
        let is_listed = !matches!(self.attachment, Attachment::Attached(_));
        if is_listed != self.counted.listed.is_some() {
            let detached = self.sm.as_ref().filter(|_| is_listed).and_then(|sm| {
                let (since, until) = sm.waits(cx.now)?;
                Some(Detached { id: self.id.clone(), jid: self.jid.clone(), since, until })
            });
            self.counted.listed = detached.map(|detached| cx.shared.waiting.enter(detached));
        }
        let waiting = self.sm.as_ref().map_or(0, |_| self.queue.unacknowledged());
        self.counted.unacknowledged.set(waiting);
        self.counted.detached.set(usize::from(self.attachment == Attachment::Detached));
    }

    fn is_held_by(&self, connection: ConnectionId) -> bool {
        match self.attachment {
            Attachment::Attached(by) | Attachment::Resuming { connection: by, .. } => {
                by == connection
            }
            Attachment::Detached => false,
        }
    }

    fn is_at(&self, member: MemberId) -> bool {
        match self.attachment {
            Attachment::Attached(by) | Attachment::Resuming { connection: by, .. } => {
                by.member == member
            }
            Attachment::Detached => false,
        }
    }

    /// The member that has the socket is gone, or hears nothing any more: then the socket must not go on either.
    fn lose(&mut self, cx: &mut Turn<'_>) -> Result<(), Ending> {
        if let Attachment::Attached(connection) | Attachment::Resuming { connection, .. } =
            self.attachment
        {
            let error = StreamCondition::ResourceConstraint.into();
            cx.tell(
                Route::Connection(connection),
                Body::ToConnection(ConnectionCommand::Close(Some(error))),
            );
        }
        self.attachment = Attachment::Detached;
        self.detach(None, cx)
    }

    fn handle_event(&mut self, event: ConnectionEvent, cx: &mut Turn<'_>) -> Result<(), Ending> {
        match event {
            ConnectionEvent::Stanza(stanza) => self.take_from_client(stanza, cx),
            ConnectionEvent::Answered(answer) => {
                self.count(cx);
                return answer.map_or(Ok(()), |answer| self.take_for_client(answer, None, cx));
            }
            ConnectionEvent::Enable { resume, max } => return self.enable(resume, max, cx),
            ConnectionEvent::Ack { h } => return self.acknowledge(h, cx),
            ConnectionEvent::ClientState(state) => return self.turn_to(state, cx),
            ConnectionEvent::Clogged => self.clogged = true,
            ConnectionEvent::Drained => {
                self.clogged = false;
                self.hand_over(cx);
            }
            ConnectionEvent::Gone(Gone::Closed) => {
                self.attachment = Attachment::Detached;
                return Err(Ending(None));
            }
            ConnectionEvent::Gone(Gone::Lost) => return self.detach(None, cx),
            ConnectionEvent::Bind { .. } | ConnectionEvent::Resume { .. } => {
                debug_assert!(false, "an event for somebody else came to a session");
            }
        }
        Ok(())
    }

    /// A stanza of the client goes to its user, with its identity and, where the client counts, with the
    /// responsibility for it.
    fn take_from_client(&mut self, stanza: Stanza, cx: &mut Turn<'_>) {
        self.count(cx);
        self.tell_user(UserEvent::Outbound { session: self.id.uid, stanza }, cx);
    }

    fn count(&mut self, cx: &mut Turn<'_>) {
        self.seq = match (cx.origin(), &self.sm) {
            (Origin::Client { seq, part: PLACED, .. }, None) => seq,
            _ => self.seq + 1,
        };
        let origin = Origin::Client { session: self.id.uid, seq: self.seq, part: 0 };
        cx.set_cause(origin, self.sm.as_ref().map(Management::open));
        if self.seq <= self.again_until {
            cx.set_again();
        }
    }

    /// A stanza for the client, unless it is one that comes again and the client has been given it, or will be. One
    /// that the user has in store, with this mark, may also come by itself: where its sender says it once more.
    fn take_for_client(
        &mut self,
        stanza: Stanza,
        mark: Option<u64>,
        cx: &mut Turn<'_>,
    ) -> Result<(), Ending> {
        let origin = identity(&stanza, cx.origin());
        if let Some(origin) = origin {
            let known = self.seen.see(Mark::of(origin, &stanza), cx.is_again(), WINDOWS);
            if known && (cx.is_again() || mark.is_some()) {
                cx.shared.figures.drops.of("given_before").add_one();
                self.has_repeats = true;
                let mark = mark.filter(|mark| !self.queue.mark_last(*mark));
                self.taken(mark, cx);
                return Ok(());
            }
        }
        let (at, again) = (cx.now.unix_micros, cx.is_again());
        self.deliver(Item { stanza, at, mark, origin, again }, cx)
    }

    fn deliver(&mut self, mut item: Item, cx: &mut Turn<'_>) -> Result<(), Ending> {
        if self.is_quiet() && item.mark.is_none() && csi::may_wait(&item.stanza) {
            item.stanza = item.stanza.detached();
            if let Some(copied) = &mut self.copied {
                copied.hold(&item);
            }
            match self.held.hold(item) {
                None => return Ok(()),
                Some(back) => item = back,
            }
            if let Some(copied) = &mut self.copied {
                copied.take_back();
            }
        }
        if !self.held.is_empty() {
            self.let_out(cx)?;
        }
        self.enqueue(item, cx)
    }

    /// Nobody looks at the client, or nobody is there.
    fn is_quiet(&self) -> bool {
        self.state == ClientState::Inactive || !matches!(self.attachment, Attachment::Attached(_))
    }

    fn let_out(&mut self, cx: &mut Turn<'_>) -> Result<(), Ending> {
        if let Some(copied) = &mut self.copied {
            copied.let_out();
        }
        let mut held = self.held.take().into_iter();
        while let Some(item) = held.next() {
            if let Err(ending) = self.enqueue(item, cx) {
                held.for_each(|item| self.queue.push(item));
                return Err(ending);
            }
        }
        Ok(())
    }

    fn enqueue(&mut self, mut item: Item, cx: &mut Turn<'_>) -> Result<(), Ending> {
        let taken = matches!(self.attachment, Attachment::Attached(_)) && !self.clogged;
        if self.sm.is_some() || !taken {
            item.stanza = item.stanza.detached();
        }
        let limits = Limits { stanzas: cx.shared.queue_stanzas, bytes: cx.shared.queue_bytes };
        let full = self.queue.is_full_for(&item, limits, taken);
        self.queue.push(item);
        if full {
            cx.shared.figures.drops.of("session_queue_full").add_one();
            let error = StreamError::from(StreamCondition::ResourceConstraint);
            return Err(Ending(Some(error.with_text("too much is waiting for this client"))));
        }
        self.hand_over(cx);
        Ok(())
    }

    /// Gives the connection what it takes.
    fn hand_over(&mut self, cx: &mut Turn<'_>) {
        let Attachment::Attached(connection) = self.attachment else { return };
        if self.clogged {
            return;
        }
        let (mut stanzas, mut bytes) = (0, 0);
        let safe = self.safe_to_give(connection, cx);
        while self.queue.given() < safe
            && let Some(item) = self.queue.hand()
        {
            (stanzas, bytes) = (stanzas + 1, bytes + item.stanza.len());
            let command = ConnectionCommand::Stanza(item.stanza.clone());
            // By its origin the connection knows it again, if that becomes necessary.
            let (origin, receipt) = (item.origin.unwrap_or(NOBODY), cx.receipt());
            cx.caused_by(origin, receipt, |cx| {
                cx.tell(Route::Connection(connection), Body::ToConnection(command))
            });
        }
        if self.sm.is_some() {
            self.ask((stanzas, bytes), cx);
        } else if let Some(mark) = self.queue.forget_handed() {
            self.tell_user(UserEvent::Taken { session: self.id.uid, mark }, cx);
        }
    }

    /// XEP-0352 §5.1: what the new state causes happens before anything else of the client does.
    fn turn_to(&mut self, state: ClientState, cx: &mut Turn<'_>) -> Result<(), Ending> {
        if self.state != state {
            self.state = state;
            self.tell_user(UserEvent::ClientState { session: self.id.uid, state }, cx);
        }
        match state {
            ClientState::Active => self.let_out(cx),
            ClientState::Inactive => Ok(()),
        }
    }

    fn end(mut self, ending: Ending, cx: &mut Turn<'_>) {
        self.forget_copy(cx);
        if let Attachment::Attached(connection) | Attachment::Resuming { connection, .. } =
            self.attachment
        {
            cx.tell(
                Route::Connection(connection),
                Body::ToConnection(ConnectionCommand::Close(ending.0)),
            );
        }
        tracing::debug!(jid = %self.jid, session = self.id.uid, "a session is over");
        sm::cancel_timers(cx);
        // XEP-0198 §4: with the time when they were to be delivered, whatever others say of it. What the user
        // has in store is there.
        let domain = self.jid.domain().into();
        let late = |Item { stanza, at, .. }: Item| match stanza.kind() {
            StanzaKind::Message(_) if delay::of(&stanza, &domain).is_none() => {
                stanza.with_child(&delay::element(Some(&domain), at))
            }
            _ => stanza,
        };
        let items = self.queue.into_items().filter(|item| item.mark.is_none());
        let event =
            UserEvent::Ended { session: self.id.uid, unacknowledged: items.map(late).collect() };
        cx.tell(Route::User(self.id.account), Body::User(event));
    }

    fn tell_user(&self, event: UserEvent, cx: &mut Turn<'_>) {
        cx.tell(Route::User(self.id.account.clone()), Body::User(event));
    }
}

/// A count modulo 2^32, as it stands on the wire (XEP-0198 §4).
fn wrapped(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).expect("32 bits fit")
}

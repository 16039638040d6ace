//! XEP-0198 Stream Management, version 1.6.3. Counting, resumption, and its end, as the session does
//! them. The elements themselves are the connection's business.
//!
//! h rises when receipts are released ([`proto::receipt`]), never when a stanza is merely read. A client
//! that resumes while former stanzas of it are not safe yet waits for them, at most [`PATIENCE`], so
//! that it does not send them twice; what is not safe then keeps its place in the count and in the
//! archive's origins when the client sends it again. And it waits, for as long as that takes, until the second
//! copy knows as much as it is told: else the next h, of whoever goes on from that copy, might be lower.

mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use entity::{Extension, Timer};
use proto::receipt::Standing;
use proto::session::{ClientState, ConnectionCommand, UserEvent};
use proto::{Body, ConnectionId, Ledger, Now, Receipt, ResumptionId, Route};
use subtle::ConstantTimeEq;
use xmpp::{Element, StreamCondition, StreamError, ns};

use super::queue::AckError;
use super::{Attachment, Ending, Live, Session, Turn, wrapped};
use crate::extensions::push;

pub(super) const EXTENSION: Extension<Session> =
    Extension { number: "0198", title: "Stream Management", version: "1.6.3", ..Extension::NONE };

/// The client is asked again after this many stanzas.
pub(super) const ASK_STANZAS: usize = 10;

/// The client is asked again after this many bytes.
pub(super) const ASK_BYTES: usize = 64 << 10;

/// A client that does not answer `<r/>` for so long is taken for lost.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// A resumption waits at most so long until the client's former stanzas are safe.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// And after that looks so often whether a standby knows what the client is to be told.
const GLANCE: Duration = Duration::from_millis(250);

pub(super) const EXPIRE: Timer = Timer("expire", 0);
const LISTEN: Timer = Timer("listen", 0);
pub(super) const SETTLE: Timer = Timer("settle", 0);

/// Ends what is left of a session that has expired.
pub(super) const FORGET: Timer = Timer("forget", 0);

/// The names of a session's timers.
pub(super) const TIMERS: &[&str] = &[EXPIRE.0, LISTEN.0, SETTLE.0, FORGET.0];

const R: Bytes = Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>");

/// What a session keeps once its client counts.
pub(super) struct Management {
    secret: [u8; 16],
    /// How long it waits to be resumed; none: it does not.
    resume: Option<Duration>,
    /// While it waits: until when, by the clock of [`proto::Now::elapsed`].
    deadline: Option<Duration>,
    ledger: Arc<Ledger>,
    /// So many of the client's stanzas were handled when it was looked last, and its connection was told.
    looked: u64,
    /// The client's stanzas before it began to count.
    base: u64,
    /// Since when an `<r/>` is unanswered.
    asked: Option<Duration>,
    /// Given to the connection since the last `<r/>`.
    unasked: (usize, usize),
    listening: bool,
}

impl Management {
    /// The receipt of the client's next stanza.
    pub(super) fn open(&self) -> Receipt {
        self.ledger.open()
    }

    /// Since when and until when it waits, in seconds since 1970-01-01 UTC; none where it does not.
    pub(super) fn waits(&self, now: Now) -> Option<(u64, u64)> {
        let (deadline, whole) = (self.deadline?, self.resume?);
        let until = now.unix_seconds() + deadline.saturating_sub(now.elapsed).as_secs();
        Some((until.saturating_sub(whole.as_secs()), until))
    }

    /// Of the client's stanzas since it counts those that are handled.
    pub(super) fn handled(&self) -> u64 {
        self.ledger.standing().handled
    }
}

/// What is known of a session after its time to be resumed: enough to tell its client how much of what it
/// sent has arrived (§5, `h` of `<failed/>`). Kept as long again as a session waits.
pub(super) struct Expired {
    secret: [u8; 16],
    h: u32,
}

impl Expired {
    /// The session's h, for whoever has the secret.
    pub(super) fn h_for(&self, secret: &[u8; 16]) -> Option<u32> {
        bool::from(self.secret[..].ct_eq(&secret[..])).then_some(self.h)
    }
}

pub(super) fn cancel_timers(cx: &mut Turn<'_>) {
    for timer in [EXPIRE, LISTEN, SETTLE] {
        cx.cancel_timer(timer);
    }
}

fn ledger(handled: u64, cx: &Turn<'_>) -> Arc<Ledger> {
    let wake = cx.waker();
    Ledger::new(handled, move || wake())
}

impl Live {
    /// What will be left when this timer rings, if it is the one that ends the wait.
    pub(super) fn expires(&self, timer: Timer) -> Option<Expired> {
        let sm = self
            .sm
            .as_ref()
            .filter(|_| timer == EXPIRE && self.attachment == Attachment::Detached)?;
        Some(Expired { secret: sm.secret, h: wrapped(sm.ledger.standing().handled) })
    }

    pub(super) fn ring(&mut self, timer: Timer, cx: &mut Turn<'_>) -> Result<(), Ending> {
        match timer {
            EXPIRE if self.attachment == Attachment::Detached => Err(Ending(None)),
            SETTLE => self.finish_resuming(cx),
            LISTEN => self.listen(cx),
            _ => Ok(()),
        }
    }

    /// `<enable/>` (§3). A second one ends the stream, and with it the session, whose counters the two
    /// sides no longer agree about.
    pub(super) fn enable(
        &mut self,
        resume: bool,
        max: Option<Duration>,
        cx: &mut Turn<'_>,
    ) -> Result<(), Ending> {
        let Attachment::Attached(connection) = self.attachment else { return Ok(()) };
        if self.sm.is_some() {
            let error = StreamError::from(StreamCondition::PolicyViolation);
            return Err(Ending(Some(error.with_text("stream management is enabled already"))));
        }
        let max = max.map_or(cx.shared.resume, |max| max.min(cx.shared.resume));
        let resume = (resume && !max.is_zero()).then_some(max);
        let mut secret = [0; 16];
        cx.random(&mut secret);
        let id = resume.map(|_| ResumptionId { uid: self.id.uid, secret }.to_string().into());
        cx.tell(
            Route::Connection(connection),
            Body::ToConnection(ConnectionCommand::Enabled { id, max }),
        );
        self.sm = Some(Management {
            secret,
            resume,
            deadline: None,
            ledger: ledger(0, cx),
            looked: 0,
            base: self.seq,
            asked: None,
            unasked: (0, 0),
            listening: false,
        });
        Ok(())
    }

    /// `<a/>` (§4).
    pub(super) fn acknowledge(&mut self, h: u32, cx: &mut Turn<'_>) -> Result<(), Ending> {
        let Some(sm) = &mut self.sm else { return Ok(()) };
        sm.asked = None;
        match self.queue.acknowledge(h) {
            Ok(mark) => self.taken(mark, cx),
            // It takes nothing back: what was acknowledged is no longer kept.
            Err(AckError::Stale) => {}
            Err(AckError::TooHigh { sent }) => return Err(Ending(Some(too_high(h, sent)))),
        }
        self.ask((0, 0), cx);
        Ok(())
    }

    /// The client has what the user has in store, up to this mark.
    pub(super) fn taken(&self, mark: Option<u64>, cx: &mut Turn<'_>) {
        if let Some(mark) = mark {
            self.tell_user(UserEvent::Taken { session: self.id.uid, mark }, cx);
        }
    }

    /// Asks for an acknowledgement when the last question is answered and something has gone out since, or
    /// when much has. `given`: stanzas and bytes that the connection was given just now.
    pub(super) fn ask(&mut self, given: (usize, usize), cx: &mut Turn<'_>) {
        let (Attachment::Attached(connection), Some(sm)) = (self.attachment, &mut self.sm) else {
            return;
        };
        sm.unasked = (sm.unasked.0 + given.0, sm.unasked.1 + given.1);
        let waiting = sm.unasked.0 > 0 && self.queue.unacknowledged() > 0;
        let much = sm.unasked.0 >= ASK_STANZAS || sm.unasked.1 >= ASK_BYTES;
        if !waiting || (sm.asked.is_some() && !much) {
            return;
        }
        sm.unasked = (0, 0);
        sm.asked = sm.asked.or(Some(cx.now.elapsed));
        cx.tell(Route::Connection(connection), Body::ToConnection(ConnectionCommand::Nonza(R)));
        if !sm.listening {
            sm.listening = true;
            cx.set_timer(LISTEN, SILENCE);
        }
    }

    /// One timer at a time listens for answers; it is set again only while questions are open, so that
    /// a lively session does not set one for each.
    fn listen(&mut self, cx: &mut Turn<'_>) -> Result<(), Ending> {
        let Some(sm) = &mut self.sm else { return Ok(()) };
        sm.listening = false;
        let (Attachment::Attached(_), Some(asked)) = (self.attachment, sm.asked) else {
            return Ok(());
        };
        let left = (asked + SILENCE).saturating_sub(cx.now.elapsed);
        if left.is_zero() {
            return self.detach(Some(StreamCondition::ConnectionTimeout.into()), cx);
        }
        sm.listening = true;
        cx.set_timer(LISTEN, left);
        Ok(())
    }

    /// The connection is gone, or goes with this error: the session waits, or ends where it may not.
    pub(super) fn detach(
        &mut self,
        error: Option<StreamError>,
        cx: &mut Turn<'_>,
    ) -> Result<(), Ending> {
        if let (Some(_), Attachment::Attached(connection)) = (&error, self.attachment) {
            cx.tell(
                Route::Connection(connection),
                Body::ToConnection(ConnectionCommand::Close(error)),
            );
        }
        self.attachment = Attachment::Detached;
        self.clogged = false;
        let Some(resume) = self.sm.as_ref().and_then(|sm| sm.resume) else {
            return Err(Ending(None));
        };
        if let Some(sm) = &mut self.sm {
            sm.asked = None;
            sm.deadline = Some(cx.now.elapsed + resume);
        }
        tracing::debug!(jid = %self.jid, session = self.id.uid, "a session waits to be resumed");
        cx.cancel_timer(SETTLE);
        cx.set_timer(EXPIRE, resume);
        let unacknowledged = self.queue.handed().filter(|it| push::is_worth(it)).cloned().collect();
        let session = self.id.uid;
        self.tell_user(UserEvent::Attached { session, attached: false, unacknowledged }, cx);
        Ok(())
    }

    /// Receipts were released: h rises. One that was dropped ends the stream, so that the client sends
    /// again.
    pub(super) fn settle(&mut self, cx: &mut Turn<'_>) -> Result<(), Ending> {
        let Some(sm) = &mut self.sm else { return Ok(()) };
        let standing = sm.ledger.standing();
        sm.looked = standing.handled;
        if standing.faulty {
            cx.shared.figures.receipt_faults.add_one();
            tracing::warn!(jid = %self.id.account, session = self.id.uid, "a receipt was dropped; the stream ends");
            self.start_again_from(standing.handled, cx);
            return match self.attachment {
                Attachment::Attached(_) => {
                    self.detach(Some(StreamCondition::InternalServerError.into()), cx)
                }
                Attachment::Resuming { .. } => self.finish_resuming(cx),
                Attachment::Detached => Ok(()),
            };
        }
        let open = standing.open;
        let safe = self.safe_to_tell(standing.handled, cx);
        match self.attachment {
            Attachment::Attached(connection) => {
                if let Some(handled) = safe {
                    let command = ConnectionCommand::Handled { h: wrapped(handled), open };
                    cx.tell(Route::Connection(connection), Body::ToConnection(command));
                }
                self.hand_over(cx);
                Ok(())
            }
            Attachment::Resuming { .. } if self.is_settled() => self.finish_resuming(cx),
            Attachment::Resuming { .. } | Attachment::Detached => Ok(()),
        }
    }

    /// What the client may hear of: with a copy at the standby, what that knows.
    fn safe_to_tell(&mut self, handled: u64, cx: &Turn<'_>) -> Option<u64> {
        let Some(copied) = &mut self.copied else { return Some(handled) };
        match self.attachment {
            Attachment::Attached(connection) if connection.member != cx.member => {
                copied.owe_nothing();
                Some(handled)
            }
            _ if cx.has_standby => copied.owe(handled),
            _ => {
                copied.owe_nothing();
                Some(handled)
            }
        }
    }

    /// Whether all that the client sent is handled, and whoever must know that does.
    pub(super) fn is_settled(&self) -> bool {
        let copied = self.copied.as_ref().is_none_or(|copied| copied.is_settled());
        copied && self.sm.as_ref().is_none_or(Management::is_settled)
    }

    /// Whether the connection was told of all that is handled.
    pub(super) fn has_told(&self) -> bool {
        self.sm.as_ref().is_none_or(Management::has_told)
    }

    /// What is not handled comes again, in the same places of the count.
    fn start_again_from(&mut self, handled: u64, cx: &Turn<'_>) {
        if let Some(sm) = &mut self.sm {
            (sm.ledger, sm.looked) = (ledger(handled, cx), handled);
            self.again_until = self.again_until.max(self.seq);
            self.seq = sm.base + handled;
        }
    }

    /// `<resume/>` (§5). The session was found among those of the account that the connection has signed
    /// in to; the secret is the rest of the proof. Whoever holds the session now loses it.
    pub(super) fn resume(
        &mut self,
        connection: ConnectionId,
        secret: &[u8; 16],
        h: u32,
        cx: &mut Turn<'_>,
    ) -> Result<(), Ending> {
        let proved = self
            .sm
            .as_ref()
            .filter(|sm| sm.resume.is_some() && bool::from(sm.secret[..].ct_eq(&secret[..])));
        let Some(sm) = proved else {
            cx.shared.figures.resumes.of("wrong_secret").add_one();
            let command = ConnectionCommand::ResumeFailed { h: None };
            cx.tell(Route::Connection(connection), Body::ToConnection(command));
            return Ok(());
        };
        if self.queue.is_stale(h) {
            // It asks for what is gone. The session goes on all the same: this has been on its way for long, if its client
            // has come by another connection since, and has heard more.
            cx.shared.figures.resumes.of("stale").add_one();
            let command = ConnectionCommand::ResumeFailed { h: Some(wrapped(sm.handled())) };
            cx.tell(Route::Connection(connection), Body::ToConnection(command));
            return Ok(());
        }
        if let Attachment::Attached(other) | Attachment::Resuming { connection: other, .. } =
            self.attachment
        {
            self.supersede(other, cx);
        }
        cx.cancel_timer(EXPIRE);
        self.clogged = false;
        self.attachment = Attachment::Resuming { connection, h };
        cx.set_timer(SETTLE, PATIENCE);
        if self.is_settled() {
            return self.finish_resuming(cx);
        }
        Ok(())
    }

    /// Whether what the client is to be told when it resumes outlives this member.
    fn is_known_elsewhere(&mut self, cx: &Turn<'_>) -> bool {
        let handled = self.sm.as_ref().map_or(0, Management::handled);
        // Some of it may have become safe since somebody looked: then the standby is told at the end of this turn.
        self.safe_to_tell(handled, cx);
        self.copied.as_ref().is_none_or(|copied| copied.is_settled()) && !self.must_be_copied(cx)
    }

    fn finish_resuming(&mut self, cx: &mut Turn<'_>) -> Result<(), Ending> {
        if !self.is_known_elsewhere(cx) {
            cx.set_timer(SETTLE, GLANCE);
            return Ok(());
        }
        let (Attachment::Resuming { connection, h }, Some(sm)) = (self.attachment, &mut self.sm)
        else {
            return Ok(());
        };
        cx.cancel_timer(SETTLE);
        let mark = match self.queue.acknowledge(h) {
            Ok(mark) => mark,
            // It was looked at when it came, and nobody has acknowledged anything since.
            Err(AckError::Stale) => None,
            Err(AckError::TooHigh { .. }) if self.is_from_copy => {
                self.copied.iter_mut().for_each(|copied| copied.begin_anew());
                self.queue.catch_up(h)
            }
            Err(AckError::TooHigh { sent }) => {
                cx.shared.figures.resumes.of("too_high").add_one();
                return Err(Ending(Some(too_high(h, sent))));
            }
        };
        let Standing { handled, open, .. } = sm.ledger.standing();
        let previd = ResumptionId { uid: self.id.uid, secret: sm.secret }.to_string().into();
        (sm.asked, sm.unasked, sm.deadline) = (None, (0, 0), None);
        sm.looked = handled;
        if open > 0 {
            self.start_again_from(handled, cx);
        }
        let command = ConnectionCommand::Resumed {
            session: self.id.clone(),
            jid: self.jid.clone(),
            h: wrapped(handled),
            previd,
        };
        cx.tell(Route::Connection(connection), Body::ToConnection(command));
        cx.shared.figures.resumes.of("ok").add_one();
        tracing::debug!(jid = %self.jid, session = self.id.uid, "a session is resumed");
        self.attachment = Attachment::Attached(connection);
        (self.is_followed, self.is_from_copy) = (true, false);
        let (session, unacknowledged) = (self.id.uid, Vec::new());
        self.tell_user(UserEvent::Attached { session, attached: true, unacknowledged }, cx);
        self.taken(mark, cx);
        self.queue.rewind();
        self.hand_over(cx);
        // XEP-0352 §5.2: a resumed stream begins active.
        self.turn_to(ClientState::Active, cx)
    }
}

/// §6: the client acknowledges more than it was sent.
fn too_high(h: u32, sent: u32) -> StreamError {
    let detail = Element::new("handled-count-too-high", ns::SM)
        .with_attr("h", h.to_string())
        .with_attr("send-count", sent.to_string());
    let text = format!("{h} stanzas were acknowledged, but only {sent} were sent");
    StreamError { detail: Some(Box::new(detail)), ..StreamCondition::UndefinedCondition.into() }
        .with_text(text)
}

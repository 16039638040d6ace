//! Owns the way of a session's counters into a snapshot and back.

use std::time::Duration;

use proto::Now;
use proto::snapshot::{Counts, Resumption, SessionState};

use super::{EXPIRE, Expired, LISTEN, Management, PATIENCE, SETTLE, SILENCE, ledger};
use crate::session::{Attachment, Live, Turn};

impl Management {
    /// Whether all that the client sent is handled.
    pub(in crate::session) fn is_settled(&self) -> bool {
        self.ledger.open_count() == 0
    }

    /// Whether the connection was told of all that is handled. What has become safe a moment ago wakes the session, and
    /// that word does not follow it to another member: there nobody would say it.
    pub(in crate::session) fn has_told(&self) -> bool {
        self.ledger.standing().handled == self.looked
    }

    /// Whether the session may be resumed.
    pub(in crate::session) fn may_resume(&self) -> bool {
        self.resume.is_some()
    }

    /// The client's stanzas that are handled, from the first one of the session on.
    pub(in crate::session) fn handled_of_all(&self) -> u64 {
        self.base + self.ledger.standing().handled
    }

    /// How the session is resumed, if it can be.
    pub(in crate::session) fn resumption(&self, now: Now) -> Option<Resumption> {
        let deadline = self.deadline.map(|deadline| now.to_unix(deadline));
        self.resume.map(|max| Resumption { secret: self.secret, max, deadline })
    }

    /// The counters.
    pub(in crate::session) fn counts(&self, now: Now) -> Counts {
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Counts {
            handled: self.ledger.standing().handled,
            asked: self.asked.map(|asked| now.to_unix(asked)),
            unasked: (number(self.unasked.0), number(self.unasked.1)),
            listening: self.listening,
        }
    }

    /// As it was; `base` stanzas came before the client began to count.
    pub(in crate::session) fn restored(
        (resumption, counts): (Option<Resumption>, Counts),
        base: u64,
        cx: &Turn<'_>,
    ) -> Self {
        let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            secret: resumption.map(|resumption| resumption.secret).unwrap_or_default(),
            resume: resumption.map(|resumption| resumption.max),
            deadline: resumption.and_then(|it| it.deadline).map(|at| cx.now.from_unix(at)),
            ledger: ledger(counts.handled, cx),
            looked: counts.handled,
            base,
            asked: counts.asked.map(|at| cx.now.from_unix(at)),
            unasked: (number(counts.unasked.0), number(counts.unasked.1)),
            // Without a question there is nothing to listen for.
            listening: counts.listening && counts.asked.is_some(),
        }
    }
}

impl Expired {
    /// As data.
    pub(in crate::session) fn state(&self) -> SessionState {
        SessionState::Expired { secret: self.secret, h: self.h }
    }

    /// As it was.
    pub(in crate::session) fn restored(secret: [u8; 16], h: u32) -> Self {
        Self { secret, h }
    }
}

impl Live {
    /// Sets the timers that follow from what the session knows: whoever announces it need not know them.
    pub(in crate::session) fn set_timers(&self, cx: &mut Turn<'_>) {
        let until = |at: Duration, cx: &Turn<'_>| at.saturating_sub(cx.now.elapsed);
        let (deadline, asked) = self
            .sm
            .as_ref()
            .map(|sm| (sm.deadline, sm.asked.filter(|_| sm.listening)))
            .unwrap_or_default();
        match self.attachment {
            Attachment::Detached => {
                cx.set_timer(EXPIRE, deadline.map(|at| until(at, cx)).unwrap_or_default());
            }
            Attachment::Resuming { .. } => cx.set_timer(SETTLE, PATIENCE),
            Attachment::Attached(_) => {}
        }
        if let Some(asked) = asked {
            cx.set_timer(LISTEN, until(asked + SILENCE, cx));
        }
    }
}

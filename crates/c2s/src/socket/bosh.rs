//! Owns the requests of a client that comes by BOSH: takes them from whoever speaks HTTP, and answers each once. The
//! rules are those of [`stream::bosh::Session`].

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll};
use std::time::Duration;

use stream::Event;
use stream::bosh::{Act, Body, Session};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Written;
use crate::bosh::Entry;
use crate::outbox::Outbox;

/// With so many elements that wait to be handled, no more requests are taken.
const EVENTS_MAX: usize = 256;

/// A request on its way to its session.
pub(crate) struct Posted {
    pub(crate) body: Body,
    /// How long it was.
    pub(crate) bytes: usize,
    /// Where the response goes. Whoever waits for it may be gone.
    pub(crate) reply: oneshot::Sender<Vec<u8>>,
}

/// The requests of one client.
pub(crate) struct Bosh {
    inbox: mpsc::Receiver<Posted>,
    session: Session,
    started: Instant,
    replies: HashMap<u64, oneshot::Sender<Vec<u8>>>,
    tickets: u64,
    events: VecDeque<Event>,
    /// Bytes that came and were not counted yet.
    came: usize,
    /// The most bytes of one request.
    most_bytes: usize,
    acts: Vec<Act>,
    _entry: Entry,
}

/// What requests have led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Something came.
    Some,
    /// Nothing came.
    Nothing,
    /// The client has not been heard of for too long.
    Gone,
}

impl Bosh {
    /// Of a session that was just entered in the list of all.
    pub(crate) fn new(
        inbox: mpsc::Receiver<Posted>,
        session: Session,
        most_bytes: usize,
        entry: Entry,
    ) -> Self {
        Self {
            inbox,
            session,
            started: Instant::now(),
            replies: HashMap::new(),
            tickets: 0,
            events: VecDeque::new(),
            came: 0,
            most_bytes,
            acts: Vec::new(),
            _entry: entry,
        }
    }

    /// Takes the requests that have come, and answers those that have waited for long enough.
    pub(crate) fn poll_requests(&mut self, cx: &mut Context<'_>) -> Asked {
        let mut asked = Asked::Nothing;
        while self.events.len() < EVENTS_MAX {
            let Poll::Ready(Some(posted)) = self.inbox.poll_recv(cx) else { break };
            self.take(posted);
            asked = Asked::Some;
        }
        let now = self.now();
        let is_gone = self.session.is_gone(now, &mut self.acts);
        self.act();
        if is_gone { Asked::Gone } else { asked }
    }

    /// What the client says next.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// How many bytes came since this was last asked.
    pub(crate) fn take_count(&mut self) -> usize {
        std::mem::take(&mut self.came)
    }

    /// The client has proved who it is.
    pub(crate) fn becomes_known(&mut self, most_bytes: usize) {
        self.most_bytes = most_bytes;
    }

    /// Whether a request waits for a response.
    pub(crate) fn can_write(&self) -> bool {
        self.session.can_give()
    }

    /// Whether the client knows that the session has ended.
    pub(crate) fn has_said_all(&self) -> bool {
        self.session.has_said_all()
    }

    pub(super) fn write(&mut self, out: &mut Outbox) -> Written {
        if !out.is_empty() {
            if !self.session.can_give() {
                return Written::Short;
            }
            let now = self.now();
            self.session.give(out.unsent(), now, &mut self.acts);
            out.advance(out.len());
            self.act();
        }
        Written::All
    }

    pub(super) fn end(&mut self, out: &mut Outbox, condition: Option<&str>) {
        let now = self.now();
        self.session.finish(condition, out.unsent(), now, &mut self.acts);
        out.advance(out.len());
        self.act();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.deadline().map(|time| self.started + time)
    }

    fn take(&mut self, posted: Posted) {
        let Posted { body, bytes, reply } = posted;
        self.came += bytes;
        self.tickets += 1;
        self.replies.insert(self.tickets, reply);
        let now = self.now();
        if bytes > self.most_bytes {
            self.session.finish(Some("policy-violation"), b"", now, &mut self.acts);
            self.events.push_back(Event::Close);
        }
        self.session.take(body, self.tickets, now, &mut self.acts);
        self.act();
    }

    fn act(&mut self) {
        for act in self.acts.drain(..) {
            match act {
                Act::Hear(event) => self.events.push_back(event),
                Act::Answer(ticket, response) => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        // Whoever is gone asks again: the session remembers.
                        reply.send(response).unwrap_or_default();
                    }
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

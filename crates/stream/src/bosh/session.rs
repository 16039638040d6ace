//! Owns a session of BOSH: which request is next, which are held and answered by what, and when the client counts
//! as gone (XEP-0124 §8 to §15). Time is handed in, as time since any moment.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};

use super::{Body, XMPP_NS, terminate, wrap};
use crate::Event;

/// The version of BOSH that is spoken here.
const VERSION: (u32, u32) = (1, 11);

/// How long the first request is held at least.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// What is agreed on when a session begins (XEP-0124 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The longest that a request is held.
    pub wait: Duration,
    /// The most requests that are held.
    pub hold: usize,
    /// How long no request may be there.
    pub inactivity: Duration,
    /// The shortest time between two empty requests of a client that polls.
    pub polling: Duration,
    /// The longest pause.
    pub max_pause: Duration,
}

/// What must be done, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The client says this.
    Hear(Event),
    /// The request with this ticket is answered.
    Answer(u64, Vec<u8>),
}

/// A request that is not answered.
#[derive(Clone, Debug)]
struct Held {
    rid: u64,
    ticket: u64,
    since: Duration,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    terms: Terms,
    sid: String,
    domain: String,
    /// Of BOSH: ours, or the client's if that is older.
    version: (u32, u32),
    /// The number that is next.
    next: u64,
    /// Requests that came before their turn.
    early: BTreeMap<u64, (Body, u64)>,
    held: VecDeque<Held>,
    /// The newest responses by their numbers, to be given again.
    answered: VecDeque<(u64, Vec<u8>)>,
    /// What the next key must hash to.
    key: Option<String>,
    /// The first response has not been given, which says on what is agreed.
    is_new: bool,
    /// When the last request was answered.
    quiet_since: Duration,
    /// How long the client may be away now.
    patience: Duration,
    /// When the last request came that had nothing to say and was given nothing.
    idle_at: Option<Duration>,
    /// The end, until a request takes it along.
    end: Option<Vec<u8>>,
    is_over: bool,
}

impl Terms {
    /// How many requests a client may have under way.
    fn requests(&self) -> usize {
        self.hold + 1
    }

    /// Whether requests are answered at once (XEP-0124 §12).
    fn polls(&self) -> bool {
        self.hold == 0 || self.wait.is_zero()
    }
}

impl Session {
    /// A session that begins with this request; take it by [`Session::take`] then. What the client wishes is
    /// granted as far as `most` goes.
    pub fn new(sid: String, first: &Body, most: Terms, now: Duration) -> Self {
        let wait = most.wait.min(Duration::from_secs(first.wait.into()));
        let hold = most.hold.min(usize::try_from(first.hold).unwrap_or(usize::MAX));
        let mut terms = Terms { wait, hold, ..most };
        if terms.polls() {
            terms.inactivity += terms.polling;
        }
        Self {
            patience: terms.inactivity,
            terms,
            sid,
            domain: first.header.to.clone().unwrap_or_default(),
            version: first.version.unwrap_or(VERSION).min(VERSION),
            next: first.rid,
            early: BTreeMap::new(),
            held: VecDeque::new(),
            answered: VecDeque::new(),
            key: None,
            is_new: true,
            quiet_since: now,
            idle_at: None,
            end: None,
            is_over: false,
        }
    }

    /// Takes a request.
    pub fn take(&mut self, body: Body, ticket: u64, now: Duration, acts: &mut Vec<Act>) {
        if self.is_over {
            let end = self.end.take();
            let end = end.unwrap_or_else(|| terminate(Some("item-not-found"), b""));
            return acts.push(Act::Answer(ticket, end));
        }
        let rid = body.rid;
        if rid < self.next {
            return self.repeat(rid, ticket, acts);
        }
        let window = self.terms.requests() as u64;
        if rid - self.next >= window {
            self.early.insert(rid, (body, ticket));
            return self.fail("item-not-found", acts);
        }
        if let Some((_, before)) = self.early.insert(rid, (body, ticket)) {
            acts.push(Act::Answer(before, recoverable()));
        }
        while let Some((body, ticket)) = self.early.remove(&self.next) {
            self.next += 1;
            self.handle(body, ticket, now, acts);
            if self.is_over {
                return;
            }
        }
    }

    /// Whether the client would get what there is for it.
    pub fn can_give(&self) -> bool {
        !self.is_over && !self.held.is_empty()
    }

    /// Gives the client elements: with the oldest request that is held. There must be one
    /// ([`Session::can_give`]).
    pub fn give(&mut self, content: &[u8], now: Duration, acts: &mut Vec<Act>) {
        self.idle_at = None;
        self.answer_oldest(content, now, acts);
    }

    /// Ends the session. What the client has not got yet goes with it, now or with the next request.
    pub fn finish(
        &mut self,
        condition: Option<&str>,
        content: &[u8],
        now: Duration,
        acts: &mut Vec<Act>,
    ) {
        if self.is_over {
            return;
        }
        self.is_over = true;
        self.quiet_since = now;
        let end = terminate(condition, content);
        match self.held.pop_front() {
            Some(oldest) => acts.push(Act::Answer(oldest.ticket, end)),
            None => self.end = Some(end),
        }
        self.drop_others(acts);
    }

    /// When something is due though no request comes; none once it is over.
    pub fn deadline(&self) -> Option<Duration> {
        if self.is_over {
            return None;
        }
        Some(match self.held.front() {
            Some(oldest) => self.due(oldest),
            None => self.quiet_since + self.patience,
        })
    }

    /// Answers requests that were held for long enough. Says whether the client counts as gone (§10).
    #[must_use]
    pub fn is_gone(&mut self, now: Duration, acts: &mut Vec<Act>) -> bool {
        while self.held.front().is_some_and(|oldest| self.due(oldest) <= now) {
            self.answer_oldest(b"", now, acts);
        }
        !self.is_over && self.held.is_empty() && self.quiet_since + self.patience <= now
    }

    /// When a request has been held for long enough. The first one waits for what the session begins with, also
    /// where the client polls.
    fn due(&self, held: &Held) -> Duration {
        let wait = if self.is_new { self.terms.wait.max(FIRST_WAIT) } else { self.terms.wait };
        held.since + wait
    }

    /// Whether nothing is left to be said.
    pub fn has_said_all(&self) -> bool {
        self.is_over && self.end.is_none()
    }

    /// A request that came before (§14.3).
    fn repeat(&mut self, rid: u64, ticket: u64, acts: &mut Vec<Act>) {
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == rid) {
            let before = std::mem::replace(&mut held.ticket, ticket);
            return acts.push(Act::Answer(before, recoverable()));
        }
        match self.answered.iter().find(|(known, _)| *known == rid) {
            Some((_, response)) => acts.push(Act::Answer(ticket, response.clone())),
            None => {
                acts.push(Act::Answer(ticket, terminate(Some("item-not-found"), b"")));
                self.fail("item-not-found", acts);
            }
        }
    }

    /// A request whose turn it is.
    fn handle(&mut self, mut body: Body, ticket: u64, now: Duration, acts: &mut Vec<Act>) {
        let held = Held { rid: body.rid, ticket, since: now };
        let is_idle = body.is_empty() && self.terms.polls() && !self.is_new;
        let polls_too_fast =
            is_idle && self.idle_at.is_some_and(|before| now - before < self.terms.polling);
        self.idle_at = is_idle.then_some(now);
        self.patience = self.terms.inactivity;
        self.held.push_back(held);
        if !self.accepts_key(&mut body) {
            return self.fail("item-not-found", acts);
        }
        let pause = body.pause.map(|seconds| Duration::from_secs(seconds.into()));
        if polls_too_fast || pause.is_some_and(|pause| pause > self.terms.max_pause) {
            return self.fail("policy-violation", acts);
        }
        if self.is_new || body.restarts {
            let to = body.header.to.take().unwrap_or_else(|| self.domain.clone());
            let to = Some(to).filter(|to| !to.is_empty());
            acts.push(Act::Hear(Event::Open(crate::StreamHeader { to, ..body.header })));
        }
        acts.extend(body.payload.into_iter().map(Act::Hear));
        if body.terminates {
            acts.push(Act::Hear(Event::Close));
        } else if let Some(pause) = pause {
            while !self.held.is_empty() {
                self.answer_oldest(b"", now, acts);
            }
            self.patience = pause;
        } else if !self.is_new {
            while self.held.len() > self.terms.hold {
                self.answer_oldest(b"", now, acts);
            }
        }
    }

    /// Whether the key is what it must be; remembers what the next one must be (§15.4).
    fn accepts_key(&mut self, body: &mut Body) -> bool {
        let fits = match (&self.key, &body.key) {
            (None, _) => true,
            (Some(wanted), Some(key)) => hash(key).eq_ignore_ascii_case(wanted),
            (Some(_), None) => false,
        };
        let next = body.newkey.take().or_else(|| body.key.take().filter(|_| self.key.is_some()));
        self.key = next.or_else(|| self.key.take());
        fits
    }

    fn answer_oldest(&mut self, content: &[u8], now: Duration, acts: &mut Vec<Act>) {
        let Some(oldest) = self.held.pop_front() else { return };
        let response = match std::mem::take(&mut self.is_new) {
            true => self.first_response(content),
            false => wrap(&[], content),
        };
        self.answered.push_back((oldest.rid, response.clone()));
        while self.answered.len() > self.terms.requests() {
            self.answered.pop_front();
        }
        self.quiet_since = now;
        acts.push(Act::Answer(oldest.ticket, response));
    }

    fn first_response(&self, content: &[u8]) -> Vec<u8> {
        let seconds = |time: Duration| time.as_secs().to_string();
        let terms = &self.terms;
        let (hold, requests) = (terms.hold.to_string(), terms.requests().to_string());
        let (wait, inactivity) = (seconds(terms.wait), seconds(terms.inactivity));
        let (polling, max_pause) = (seconds(terms.polling), seconds(terms.max_pause));
        let version = format!("{}.{}", self.version.0, self.version.1);
        let mut attributes = vec![
            ("sid", &self.sid[..]),
            ("wait", &wait),
            ("requests", &requests),
            ("hold", &hold),
            ("inactivity", &inactivity),
            ("polling", &polling),
            ("maxpause", &max_pause),
            ("ver", &version),
            ("from", &self.domain),
            ("xmlns:xmpp", XMPP_NS),
            ("xmpp:version", "1.0"),
            ("xmpp:restartlogic", "true"),
        ];
        // A client that named no domain is told none.
        attributes.retain(|(_, value)| !value.is_empty());
        wrap(&attributes, content)
    }

    /// The client broke the rules: all that it has asked is answered with the end.
    fn fail(&mut self, condition: &str, acts: &mut Vec<Act>) {
        self.is_over = true;
        let held = self.held.drain(..).map(|held| held.ticket);
        let early = std::mem::take(&mut self.early).into_values().map(|(_, ticket)| ticket);
        let end = terminate(Some(condition), b"");
        acts.extend(held.chain(early).map(|ticket| Act::Answer(ticket, end.clone())));
    }

    /// The oldest request has taken the end along; the others get nothing (§13).
    fn drop_others(&mut self, acts: &mut Vec<Act>) {
        let held = self.held.drain(..).map(|held| held.ticket);
        let early = std::mem::take(&mut self.early).into_values().map(|(_, ticket)| ticket);
        acts.extend(held.chain(early).map(|ticket| Act::Answer(ticket, wrap(&[], b""))));
    }
}

/// The same request has come again: what will be the answer goes there (§14.3, §17.3).
fn recoverable() -> Vec<u8> {
    wrap(&[("type", "error")], b"")
}

fn hash(key: &str) -> String {
    HEXLOWER.encode(&Sha1::digest(key))
}

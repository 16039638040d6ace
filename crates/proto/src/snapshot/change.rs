//! Owns the second copy of a session: how it follows the session, by what its owner says and by what a connection
//! sees itself.
//!
//! A change is a snapshot as well. Its counts and settings are as they are; its `queue` and `held` have only what is
//! new, its `entry` is there only if it is another one, and `handed` is 0: a connection knows itself what it was
//! given, and whoever goes on without a connection takes everything for given.

use xmpp::{Kind, Origin, Stanza};

use super::{QueuedStanza, SessionSnapshot, StreamSnapshot};
use crate::seen::{Mark, Seen};

/// Windows that a session keeps of what it has seen.
pub const WINDOWS: usize = 64;

/// The identity of a stanza that may come again; none for one of which nobody would know.
#[must_use]
pub fn identity(stanza: &Stanza, origin: Origin) -> Option<Origin> {
    // Of presence only what a room has numbered: of other presence there are too many senders.
    let is_numbered = matches!(origin, Origin::Client { session: 0, .. });
    let is_known = is_numbered || !matches!(stanza.kind(), Kind::Presence(_));
    (is_known && origin != NOBODY).then_some(origin)
}

/// Where a stanza that cannot come again has its identity.
pub const NOBODY: Origin = Origin::Client { session: 0, seq: 0, part: 0 };

impl SessionSnapshot {
    /// Takes a change. One of another term begins anew: it has all that there is, but for what the connection was
    /// given.
    pub fn absorb(&mut self, change: Self) {
        let Self { connection, resumption, stream, entry, term, .. } = change;
        let (begins, is_first) = (self.term != term, self.term.is_none());
        (self.connection, self.resumption, self.term) = (connection, resumption, term);
        if entry.is_some() {
            self.entry = entry;
        }
        let Some(change) = stream else { return };
        let Some(stream) = &mut self.stream else {
            self.stream = Some(change);
            return;
        };
        if begins && change.handed > 0 {
            // The connection may not have kept what it was given.
            (stream.acked, stream.handed) = (change.acked, change.handed);
            stream.queue.clear();
        }
        if begins {
            let handed = usize::try_from(stream.handed).unwrap_or(usize::MAX);
            stream.queue.truncate(handed);
            stream.held.clear();
        }
        if is_first {
            stream.acked = change.acked;
        }
        stream.absorb(change);
    }

    /// The client has been given this stanza: the first of those that wait, or one that never waited. Only a client
    /// that counts will acknowledge it.
    pub fn given(&mut self, (stanza, origin): (&Stanza, Origin), at: u64) {
        let Some(stream) = &mut self.stream else { return };
        let origin = identity(stanza, origin);
        see(&mut stream.seen, stanza, origin);
        let handed = usize::try_from(stream.handed).unwrap_or(usize::MAX);
        if handed >= stream.queue.len() {
            let stanza = stanza.clone();
            stream.queue.push(QueuedStanza { stanza, at, mark: None, origin });
        }
        stream.handed += 1;
        if stream.counts.is_none() {
            stream.forget(1);
        }
    }

    /// The client has handled stanzas up to `h`, modulo 2^32 (XEP-0198 §4).
    pub fn acknowledged(&mut self, h: u32) {
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.counts.is_some()) else {
            return;
        };
        let news = h.wrapping_sub(low(stream.acked));
        // What cannot be is the session's business.
        if news <= stream.handed {
            stream.acked += u64::from(news);
            stream.forget(news);
        }
    }

    /// Of the client's stanzas those up to `h` are handled, modulo 2^32.
    pub fn handled(&mut self, h: u32) {
        let Some(stream) = &mut self.stream else { return };
        let Some(counts) = &mut stream.counts else { return };
        let news = h.wrapping_sub(low(counts.handled));
        if news <= u32::MAX / 2 {
            counts.handled += u64::from(news);
            stream.seq += u64::from(news);
        }
    }
}

impl StreamSnapshot {
    fn absorb(&mut self, change: Self) {
        // A connection may have heard of more than its session when that said so.
        let news = change.acked.saturating_sub(self.acked);
        self.forget(u32::try_from(news).unwrap_or(u32::MAX));
        self.acked = self.acked.max(change.acked);
        self.seen.join(&change.seen, WINDOWS);
        for item in change.queue.iter().chain(&change.held) {
            see(&mut self.seen, &item.stanza, item.origin);
        }
        self.queue.extend(change.queue);
        for (place, mark) in change.marks {
            let index = place.checked_sub(self.acked + 1).and_then(|it| usize::try_from(it).ok());
            if let Some(item) = index.and_then(|index| self.queue.get_mut(index)) {
                item.mark = Some(mark);
            }
        }
        if change.let_out {
            self.held.clear();
        }
        for item in change.held {
            self.hold(item);
        }
        (self.seq, self.counts) = (change.seq, change.counts);
        (self.state, self.clogged) = (change.state, change.clogged);
        self.again_until = change.again_until;
    }

    /// Of each sender the last presence is held (XEP-0352 §3.2).
    fn hold(&mut self, item: QueuedStanza) {
        let is_presence = |it: &QueuedStanza| matches!(it.stanza.kind(), Kind::Presence(_));
        if is_presence(&item) {
            let from = &item.stanza.head().from;
            self.held.retain(|it| !is_presence(it) || it.stanza.head().from != *from);
        }
        self.held.push(item);
    }

    fn forget(&mut self, count: u32) {
        let known = usize::try_from(count).unwrap_or(usize::MAX).min(self.queue.len());
        self.queue.drain(..known);
        self.handed = self.handed.saturating_sub(count);
    }
}

fn see(seen: &mut Seen, stanza: &Stanza, origin: Option<Origin>) {
    if let Some(origin) = origin {
        seen.see(Mark::of(origin, stanza), false, WINDOWS);
    }
}

fn low(count: u64) -> u32 {
    u32::try_from(count & u64::from(u32::MAX)).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use xmpp::{FullJid, Head, Jid, MessageType, PresenceType};

    use super::super::{Counts, Term};
    use super::*;

    fn stanza(kind: Kind, from: &str) -> Stanza {
        let from = Some(Jid::parse(from).unwrap());
        Stanza::new(Head { kind, id: None, from, to: None, lang: None }, "")
    }

    fn message(from: &str) -> QueuedStanza {
        let stanza = stanza(Kind::Message(MessageType::Chat), from);
        QueuedStanza { stanza, at: 0, mark: None, origin: None }
    }

    fn presence(from: &str, at: u64) -> QueuedStanza {
        QueuedStanza {
            stanza: stanza(Kind::Presence(PresenceType::Available), from),
            at,
            mark: None,
            origin: None,
        }
    }

    fn session(stream: StreamSnapshot, since: u64) -> SessionSnapshot {
        SessionSnapshot {
            uid: 1,
            jid: FullJid::parse("a@x/r").unwrap(),
            connection: None,
            resumption: None,
            stream: Some(stream),
            entry: None,
            term: (since > 0).then_some(Term { epoch: xmpp::Epoch(1), since }),
        }
    }

    fn counting() -> StreamSnapshot {
        StreamSnapshot { counts: Some(Counts::default()), ..StreamSnapshot::default() }
    }

    fn senders(items: &[QueuedStanza]) -> Vec<&str> {
        items.iter().map(|it| it.stanza.head().from.as_ref().unwrap().as_str()).collect()
    }

    #[test]
    fn a_copy_keeps_what_its_client_was_given_and_has_not_acknowledged() {
        let mut copy = session(counting(), 1);
        for from in ["1@x", "2@x", "3@x"] {
            copy.given((&message(from).stanza, NOBODY), 0);
        }
        copy.acknowledged(2);
        copy.acknowledged(7);
        let stream = copy.stream.unwrap();
        assert_eq!((senders(&stream.queue), stream.acked, stream.handed), (vec!["3@x"], 2, 1));
    }

    #[test]
    fn a_copy_knows_what_its_client_was_given_when_that_is_acknowledged_and_forgotten() {
        let origin = |seq| Origin::Client { session: 7, seq, part: 0 };
        let mark = |seq| Mark::of(origin(seq), &message("1@x").stanza);
        let mut copy = session(counting(), 1);
        copy.given((&message("1@x").stanza, origin(1)), 0);
        copy.acknowledged(1);
        let waiting = vec![QueuedStanza { origin: Some(origin(2)), ..message("1@x") }];
        copy.absorb(session(StreamSnapshot { queue: waiting, ..counting() }, 1));
        let held = vec![QueuedStanza { origin: Some(origin(3)), ..message("1@x") }];
        copy.absorb(session(StreamSnapshot { held, ..counting() }, 1));
        let mut begun = session(StreamSnapshot { acked: 1, ..counting() }, 2);
        begun.stream.as_mut().unwrap().seen.see(mark(5), false, WINDOWS);
        copy.absorb(begun);
        let mut seen = SessionSnapshot::decode(&copy.encode()).unwrap().stream.unwrap().seen;
        let known = [1, 2, 3, 4, 5].map(|seq| seen.see(mark(seq), false, WINDOWS));
        assert_eq!(known, [true, true, true, false, true]);
    }

    #[test]
    fn what_waits_is_kept_until_the_client_was_given_it() {
        let mut copy = session(counting(), 1);
        copy.given((&message("1@x").stanza, NOBODY), 0);
        let waiting = vec![message("2@x"), message("3@x")];
        copy.absorb(session(StreamSnapshot { queue: waiting, ..counting() }, 1));
        copy.given((&message("2@x").stanza, NOBODY), 0);
        let stream = copy.stream.unwrap();
        assert_eq!((senders(&stream.queue), stream.handed), (vec!["1@x", "2@x", "3@x"], 2));
    }

    #[test]
    fn a_copy_that_begins_counts_from_where_its_session_stands() {
        let mut copy = session(counting(), 0);
        copy.given((&message("8@x").stanza, NOBODY), 0);
        let marks = vec![(8, 80)];
        copy.absorb(session(StreamSnapshot { acked: 7, marks, ..counting() }, 1));
        assert_eq!(copy.stream.as_ref().unwrap().queue[0].mark, Some(80));
        copy.acknowledged(8);
        // What the session said before it heard of that takes nothing back.
        copy.absorb(session(StreamSnapshot { acked: 7, ..counting() }, 1));
        let stream = copy.stream.unwrap();
        assert_eq!((stream.queue.len(), stream.acked, stream.handed), (0, 8, 0));
    }

    #[test]
    fn nothing_is_kept_for_a_client_that_does_not_count_but_what_waits() {
        let mut copy = session(StreamSnapshot::default(), 1);
        copy.given((&message("1@x").stanza, NOBODY), 0);
        assert!(copy.stream.as_ref().unwrap().queue.is_empty());
        let queue = vec![message("2@x"), message("3@x")];
        copy.absorb(session(StreamSnapshot { queue, ..StreamSnapshot::default() }, 1));
        copy.given((&message("2@x").stanza, NOBODY), 0);
        let stream = copy.stream.unwrap();
        assert_eq!((senders(&stream.queue), stream.handed), (vec!["3@x"], 0));
    }

    #[test]
    fn what_is_held_back_is_kept_as_the_session_holds_it() {
        let mut copy = session(counting(), 1);
        let held = vec![presence("1@x/r", 1), message("2@x"), presence("1@x/r", 2)];
        copy.absorb(session(StreamSnapshot { held, ..counting() }, 1));
        assert_eq!(senders(&copy.stream.as_ref().unwrap().held), ["2@x", "1@x/r"]);
        let held = vec![message("3@x")];
        copy.absorb(session(StreamSnapshot { held, let_out: true, ..counting() }, 1));
        assert_eq!(senders(&copy.stream.unwrap().held), ["3@x"]);
    }

    #[test]
    fn what_is_handled_is_counted_beyond_two_to_the_32nd() {
        let counts = Counts { handled: (1 << 32) - 1, ..Counts::default() };
        let seq = (1 << 32) + 4;
        let mut copy = session(StreamSnapshot { counts: Some(counts), seq, ..counting() }, 1);
        copy.handled(1);
        let stream = copy.stream.unwrap();
        assert_eq!((stream.counts.unwrap().handled, stream.seq), ((1 << 32) + 1, seq + 2));
    }
}

//! Owns the way of a session into a snapshot and back (proto/session.proto).

use proto::snapshot::{QueuedStanza, SessionSnapshot, SnapshotError, StreamSnapshot};
use proto::{Now, SessionId};

use super::csi::Held;
use super::keep::Copied;
use super::queue::{Item, Queue};
use super::{Attachment, Counted, Live, Management, Turn};

impl Live {
    /// What the session keeps. Stanzas of the client whose receipts are open are not counted.
    pub(super) fn snapshot(&self, now: Now) -> SessionSnapshot {
        let mut session = self.frame(now);
        if let Some(copied) = &self.copied {
            (session.term, session.entry) = (copied.term(), copied.entry());
        }
        if let Some(stream) = &mut session.stream {
            stream.handed = u32::try_from(self.queue.unacknowledged()).unwrap_or(u32::MAX);
            stream.queue = self.queue.items().map(queued).collect();
            stream.held = self.held.items().map(queued).collect();
            stream.seen = self.seen.clone();
        }
        session
    }

    /// The counts and settings alone.
    pub(super) fn frame(&self, now: Now) -> SessionSnapshot {
        let (connection, resuming) = match self.attachment {
            Attachment::Attached(connection) => (Some(connection), None),
            Attachment::Resuming { connection, h } => (Some(connection), Some(h)),
            Attachment::Detached => (None, None),
        };
        let stream = StreamSnapshot {
            seq: self.sm.as_ref().map_or(self.seq, Management::handled_of_all),
            counts: self.sm.as_ref().map(|sm| sm.counts(now)),
            acked: self.queue.acknowledged(),
            state: self.state,
            clogged: self.clogged,
            resuming,
            again_until: self.again_until,
            ..StreamSnapshot::default()
        };
        SessionSnapshot {
            uid: self.id.uid,
            jid: self.jid.clone(),
            connection,
            resumption: self.sm.as_ref().and_then(|sm| sm.resumption(now)),
            stream: Some(stream),
            entry: None,
            term: None,
        }
    }

    /// The session as it was.
    pub(super) fn restored(
        id: &SessionId,
        snapshot: SessionSnapshot,
        cx: &mut Turn<'_>,
    ) -> Result<Self, SnapshotError> {
        let SessionSnapshot { uid, jid, connection, resumption, stream, entry, .. } = snapshot;
        if uid != id.uid || jid.bare() != id.account {
            return Err(SnapshotError("address"));
        }
        let stream = stream.ok_or(SnapshotError("stream"))?;
        let items = |all: Vec<QueuedStanza>| all.into_iter().map(item).collect();
        let handed = usize::try_from(stream.handed).unwrap_or(usize::MAX);
        let attachment = match (connection, stream.resuming) {
            (Some(connection), None) => Attachment::Attached(connection),
            (Some(connection), Some(h)) => Attachment::Resuming { connection, h },
            (None, _) => Attachment::Detached,
        };
        let base = stream.counts.map(|counts| stream.seq.saturating_sub(counts.handled));
        let sm = stream.counts.zip(base);
        let sm = sm.map(|(counts, base)| Management::restored((resumption, counts), base, cx));
        let mut live = Self {
            id: id.clone(),
            jid,
            attachment,
            clogged: stream.clogged,
            seq: stream.seq,
            state: stream.state,
            held: Held::restored(items(stream.held)),
            queue: Queue::restored(items(stream.queue), handed, stream.acked),
            sm,
            counted: Counted::of(cx),
            // Its first copy has it, whether or not the user has said a word before it must be gone on from.
            copied: entry.map(|entry| Box::new(Copied::of(entry))),
            is_followed: false,
            is_from_copy: false,
            seen: stream.seen,
            again_until: stream.again_until,
            has_repeats: false,
        };
        live.publish(cx);
        live.set_timers(cx);
        Ok(live)
    }
}

pub(super) fn queued(item: &Item) -> QueuedStanza {
    QueuedStanza { stanza: item.stanza.clone(), at: item.at, mark: item.mark, origin: item.origin }
}

fn item(QueuedStanza { stanza, at, mark, origin }: QueuedStanza) -> Item {
    Item { stanza, at, mark, origin, again: false }
}

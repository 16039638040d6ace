//! Owns the sending half of a lane: what is on its way to one process of a peer, until nothing more can become of
//! it. Pure: frames out, replies in, the time handed in.
//!
//! An envelope is kept until the peer has taken it, and where somebody waits for an acknowledgement, until the
//! peer has confirmed that what it caused is safe. After a cut, what was not taken is sent again, in order.
//!
//! Bounds: [`MOST_ENVELOPES`] and [`MOST_BYTES`] kept for stanzas, as much again for control envelopes. Full, or
//! stuck for [`PATIENCE`]: stanzas come back to be refused. Control envelopes come back only beyond their reserve.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proto::session::{ConnectionCommand, ConnectionEvent, UserEvent};
use proto::wire::{self, Crossing};
use proto::{ArbiterId, Body, CopyUpdate, Envelope};

use super::outputs::Sent;
use super::pb::{Frame, Notice, Outcome, Reply};

/// Most envelopes that a lane keeps before it refuses stanzas.
pub const MOST_ENVELOPES: usize = 16_384;
/// Most bytes of them.
pub const MOST_BYTES: u64 = 8 << 20;
/// Control envelopes have this many times as much.
const RESERVE: u32 = 2;
/// A lane that has got nothing out for so long takes no more stanzas. A member that is gone is known to be gone before.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// A frame closes at this many bytes.
const FRAME_BYTES: u64 = 64 << 10;
/// What an envelope costs beside its content.
const OVERHEAD: u64 = 256;

/// An envelope on its way, and what must be known to send it elsewhere.
#[derive(Debug)]
pub struct Departure {
    /// The envelope.
    pub envelope: Envelope,
    /// What it carries between members.
    pub crossing: Crossing,
    /// The thread that sends it, to which it comes back.
    pub from: ArbiterId,
    /// Its place among all that this thread ever sent: it keeps it when it is sent again.
    pub order: u64,
    /// It counts as sent by the shard of the entity that sends it.
    pub sent: Option<Sent>,
}

/// An envelope that comes back to whoever sent it, to find another way.
#[derive(Debug)]
pub struct Returned {
    /// The envelope.
    pub departure: Departure,
    /// It goes by a plan of at least this index.
    pub plan_index: u64,
}

/// What became of an envelope that is kept no longer.
#[derive(Debug)]
pub enum Fate {
    /// The peer has it, and what it causes is safe where somebody waits for that. It is done.
    Done(Departure),
    /// What it caused is not safe: its receipt must be dropped.
    Faulty(Departure),
    /// It is for somebody else now.
    Moved(Returned),
    /// The peer had no room.
    Full(Departure),
    /// The peer could not read it.
    Broken(Departure),
}

struct Slot {
    departure: Departure,
    /// Where its bytes end in the count of all that this lane ever sent.
    end: u64,
}

/// What a lane keeps, against its bounds.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    envelopes: usize,
    bytes: u64,
}

impl Kept {
    fn add(&mut self, bytes: u64) {
        self.envelopes += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: u64) {
        self.envelopes = self.envelopes.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The sending half of a lane.
pub struct Sender {
    /// What the peer has not taken, by number, without a gap; the first one has `acked + 1`.
    slots: VecDeque<Slot>,
    /// The last number that the peer has taken.
    acked: u64,
    /// What the peer has taken and not confirmed.
    unconfirmed: BTreeMap<u64, Departure>,
    /// The last number that the present connection was given; none: there is no connection.
    sent: Option<u64>,
    credit: u64,
    /// Where the bytes of the last slot end.
    end: u64,
    kept: Kept,
    /// The last notice that was heard, and of them the last that the present connection was told of.
    heard: u64,
    told: u64,
    /// Since when something waits that cannot go.
    waiting_since: Option<Duration>,
    /// The peer's process is gone; nothing is taken any more.
    over: bool,
}

/// Why a lane does not take an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is full, or stuck.
    Full,
    /// The peer's process is gone: there is another way, or none.
    Over,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// A lane on which nothing was sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            acked: 0,
            unconfirmed: BTreeMap::new(),
            sent: None,
            credit: 0,
            end: 0,
            kept: Kept::default(),
            heard: 0,
            told: 0,
            waiting_since: None,
            over: false,
        }
    }

    /// Takes an envelope.
    ///
    /// # Errors
    /// It cannot: the envelope comes back.
    #[expect(clippy::result_large_err, reason = "what is refused goes back whole")]
    pub fn push(&mut self, departure: Departure, now: Duration) -> Result<(), (Departure, Why)> {
        if self.over {
            return Err((departure, Why::Over));
        }
        let bytes = weight(&departure.envelope);
        let refusable = departure.envelope.may_be_refused();
        let must =
            matches!(departure.envelope.body, Body::FromConnection(_, ConnectionEvent::Gone(_)));
        if !must && (!self.has_room(refusable) || (refusable && self.is_stuck(now))) {
            return Err((departure, Why::Full));
        }
        self.end += bytes;
        self.kept.add(bytes);
        self.slots.push_back(Slot { departure, end: self.end });
        self.waiting_since.get_or_insert(now);
        Ok(())
    }

    fn has_room(&self, refusable: bool) -> bool {
        let times = if refusable { 1 } else { RESERVE };
        self.kept.envelopes < MOST_ENVELOPES * times as usize
            && self.kept.bytes < MOST_BYTES * u64::from(times)
    }

    /// What was before this time was nobody's waiting: this member might send nothing.
    pub fn excuse(&mut self, before: Duration) {
        self.waiting_since = self.waiting_since.map(|since| since.max(before));
    }

    /// Whether nothing has got out for so long that stanzas are refused.
    pub fn is_stuck(&self, now: Duration) -> bool {
        self.waiting_since.is_some_and(|since| now.saturating_sub(since) >= PATIENCE)
    }

    /// Whether half of what is kept at most is there: whoever can wait should.
    pub fn is_half_full(&self) -> bool {
        self.kept.envelopes >= MOST_ENVELOPES / 2 || self.kept.bytes >= MOST_BYTES / 2
    }

    /// How many envelopes are kept.
    pub fn kept(&self) -> usize {
        self.kept.envelopes
    }

    /// Bytes that may go now beyond all that is kept; none while there is no connection.
    pub fn credit(&self) -> Option<u64> {
        self.sent.map(|_| self.credit.saturating_sub(self.end))
    }

    /// A connection is there, and this is the peer's first reply on it: what it does not have is sent again.
    pub fn connected(&mut self, welcome: Reply, now: Duration) -> Vec<Fate> {
        let fates = self.hear(welcome, now);
        self.sent = Some(self.acked);
        self.told = 0;
        fates
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, now: Duration) {
        self.sent = None;
        if !self.slots.is_empty() {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// The next frame, if anything may go. Call it until it gives none.
    pub fn next_frame(&mut self, plan_index: u64, now: Duration) -> Option<Frame> {
        let sent = self.sent?;
        let mut frame =
            Frame { first: sent + 1, plan_index, heard: self.heard, ..Frame::default() };
        let skip = usize::try_from(sent.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        let mut begun = None;
        for slot in self.slots.iter().skip(skip) {
            let begin = *begun.get_or_insert(slot.end);
            if slot.end > self.credit || slot.end - begin > FRAME_BYTES {
                break;
            }
            let Departure { envelope, crossing, .. } = &slot.departure;
            // What never leaves its actor is not given to a lane.
            frame.envelopes.extend(wire::encode(envelope, *crossing));
            frame.end = slot.end;
        }
        let last = sent + frame.envelopes.len() as u64;
        if last == sent && self.told == self.heard {
            return None;
        }
        self.told = self.heard;
        self.sent = Some(last);
        if last > sent {
            self.waiting_since = (last < self.last()).then_some(now);
        }
        Some(frame)
    }

    /// Takes a reply: what became of what was sent.
    pub fn hear(&mut self, reply: Reply, now: Duration) -> Vec<Fate> {
        let mut fates = Vec::new();
        let before = self.acked;
        self.take_ack(reply.ack, reply.notices.is_empty(), &mut fates);
        let spoken = !reply.notices.is_empty();
        for notice in reply.notices {
            // What was said before a cut is said again.
            if notice.number > self.heard {
                self.heard = notice.number;
                fates.extend(self.resolve(&notice));
            }
        }
        if spoken {
            self.settle_from(before, &mut fates);
        }
        if reply.credit > self.credit {
            self.credit = reply.credit;
            if self.waiting_since.is_some() {
                self.waiting_since = Some(now);
            }
        }
        fates
    }

    /// Everything that is not resolved, in order, for another way. The peer's process is gone.
    pub fn give_up(&mut self) -> Vec<Departure> {
        self.over = true;
        (self.kept, self.sent) = (Kept::default(), None);
        let taken = std::mem::take(&mut self.unconfirmed).into_values();
        taken.chain(self.slots.drain(..).map(|slot| slot.departure)).collect()
    }

    /// What is taken leaves the slots. It is done where nobody waits for it and nothing else is said of it.
    fn take_ack(&mut self, ack: u64, silent: bool, fates: &mut Vec<Fate>) {
        while self.acked < ack {
            let Some(Slot { departure, .. }) = self.slots.pop_front() else { break };
            self.acked += 1;
            if silent && !departure.crossing.receipt {
                fates.push(self.done(departure));
            } else {
                self.unconfirmed.insert(self.acked, departure);
            }
        }
        self.sent = self.sent.map(|sent| sent.max(self.acked));
        if self.slots.is_empty() {
            self.waiting_since = None;
            self.slots.shrink_to(64);
        }
    }

    /// Of what was taken just now, that for which nobody waits is done.
    fn settle_from(&mut self, before: u64, fates: &mut Vec<Fate>) {
        let new = self.unconfirmed.range(before + 1..);
        let done: Vec<u64> =
            new.filter(|(_, it)| !it.crossing.receipt).map(|(number, _)| *number).collect();
        for number in done {
            if let Some(departure) = self.unconfirmed.remove(&number) {
                fates.push(self.done(departure));
            }
        }
    }

    fn resolve(&mut self, notice: &Notice) -> Option<Fate> {
        let departure = self.unconfirmed.remove(&notice.envelope)?;
        self.kept.remove(weight(&departure.envelope));
        Some(match notice.outcome() {
            Outcome::Confirmed => Fate::Done(departure),
            Outcome::Moved => Fate::Moved(Returned { departure, plan_index: notice.plan_index }),
            Outcome::Full => Fate::Full(departure),
            Outcome::Broken => Fate::Broken(departure),
            Outcome::Faulty | Outcome::Unspecified => Fate::Faulty(departure),
        })
    }

    fn done(&mut self, departure: Departure) -> Fate {
        self.kept.remove(weight(&departure.envelope));
        Fate::Done(departure)
    }

    /// The last number that was given.
    fn last(&self) -> u64 {
        self.acked + self.slots.len() as u64
    }
}

/// What an envelope counts against the bounds.
fn weight(envelope: &Envelope) -> u64 {
    let content = match &envelope.body {
        Body::Stanza(stanza)
        | Body::FromConnection(
            _,
            ConnectionEvent::Stanza(stanza) | ConnectionEvent::Answered(Some(stanza)),
        )
        | Body::ToConnection(ConnectionCommand::Stanza(stanza))
        | Body::User(UserEvent::Outbound { stanza, .. } | UserEvent::Stored { stanza, .. }) => {
            stanza.len()
        }
        Body::Copy(
            CopyUpdate::Whole(bytes) | CopyUpdate::Change(bytes) | CopyUpdate::Claim(bytes),
        ) => bytes.len(),
        Body::Copy(CopyUpdate::Kept { whole, changes, .. }) => {
            whole.len() + changes.iter().map(bytes::Bytes::len).sum::<usize>()
        }
        Body::User(UserEvent::Ended { unacknowledged, .. }) => {
            unacknowledged.iter().map(xmpp::Stanza::len).sum()
        }
        _ => 0,
    };
    let targets: usize = envelope.targets.iter().map(|target| target.jid.as_str().len() + 8).sum();
    (content + targets) as u64 + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_not_stuck_because_this_member_might_not_send() {
        let waiting_since = Some(Duration::from_secs(1));
        let mut sender = Sender { waiting_since, ..Sender::new() };
        let now = Duration::from_secs(30);
        assert!(sender.is_stuck(now));
        sender.excuse(now);
        assert!(!sender.is_stuck(now));
        sender.excuse(Duration::ZERO);
        assert!(!sender.is_stuck(now + PATIENCE - Duration::from_nanos(1)));
        assert!(sender.is_stuck(now + PATIENCE));
    }
}

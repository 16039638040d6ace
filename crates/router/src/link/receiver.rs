//! Owns the receiving half of a lane: what a process of a peer has sent, each envelope once and in order, and
//! what the peer must hear of it. Pure: frames in, replies out.
//!
//! A frame whose sender knows a later plan than we do waits until we have that plan. Bound: the sender's credit,
//! [`WINDOW`] bytes, since no more can have been sent. What is said of envelopes is said again after a cut until
//! the sender has heard it; bounded by what the sender keeps.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use proto::wire::{self, Crossing, pb as envelope_pb};
use proto::{Envelope, Receipt};
use xmpp::Bucket;

use super::confirms::{Confirms, Settled};
use super::pb::{Frame, Notice, Outcome, Reply};

/// Bytes that the sender may have on the way.
pub const WINDOW: u64 = 4 << 20;

/// An envelope that came, once.
#[derive(Debug)]
pub struct Arrival {
    /// Its number on the lane.
    pub number: u64,
    /// The envelope, with a receipt of this lane's where the sender waits.
    pub envelope: Envelope,
    /// What came beside it.
    pub crossing: Crossing,
}

/// The peer did what no peer does; the connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Envelopes are missing between two frames.
    #[error("envelopes are missing before number {0}")]
    Gap(u64),
    /// It sent more than it may.
    #[error("more was sent than there is credit for")]
    Overdrawn,
    /// It has opened another connection for the lane since.
    #[error("a later connection took its place")]
    Superseded,
}

/// The receiving half of a lane.
pub struct Receiver {
    /// The last number that was taken.
    taken: u64,
    /// Bytes up to there, as the sender counts.
    end: u64,
    /// Frames whose plan is not here yet, in order.
    waiting: VecDeque<Frame>,
    confirms: Arc<Confirms>,
    /// Buckets of which something was turned away as moved: all that follows is, until it comes anew.
    turned: HashSet<Bucket>,
    notices: VecDeque<Notice>,
    next_notice: u64,
    /// Counts connections: the number of the present one.
    connection: u64,
    /// The last notice that the present connection was given.
    said: u64,
    /// What the present connection was told last.
    told: Option<Standing>,
}

/// How far the sender has come, and how far it may go.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    ack: u64,
    credit: u64,
}

impl Receiver {
    /// A lane on which nothing has come yet. `wake` is called from any thread when there is something to say.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            taken: 0,
            end: 0,
            waiting: VecDeque::new(),
            confirms: Confirms::new(wake),
            turned: HashSet::new(),
            notices: VecDeque::new(),
            next_notice: 1,
            connection: 0,
            said: 0,
            told: None,
        }
    }

    /// A new connection: everything that the sender has not heard is said again. The frames that waited come
    /// again too.
    pub fn connected(&mut self) -> Reply {
        self.waiting.clear();
        self.connection += 1;
        self.said = 0;
        self.told = None;
        self.reply().unwrap_or_default()
    }

    /// The number of the present connection. What another one says is not heard, and it is told nothing: what was said to
    /// it would count as said.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Takes a frame; gives what is to be delivered now.
    ///
    /// # Errors
    /// [`LaneError`]: the connection must end.
    pub fn take(&mut self, frame: Frame, plan_index: u64) -> Result<Vec<Arrival>, LaneError> {
        while self.notices.front().is_some_and(|notice| notice.number <= frame.heard) {
            self.notices.pop_front();
        }
        if frame.end > self.end + WINDOW {
            return Err(LaneError::Overdrawn);
        }
        if !frame.envelopes.is_empty() {
            self.waiting.push_back(frame);
        }
        self.look(plan_index)
    }

    /// The plan has moved on: gives what waited for it.
    ///
    /// # Errors
    /// [`LaneError`]: the connection must end.
    pub fn look(&mut self, plan_index: u64) -> Result<Vec<Arrival>, LaneError> {
        let mut arrivals = Vec::new();
        while let Some(frame) = self.waiting.pop_front_if(|frame| frame.plan_index <= plan_index) {
            self.open(frame, &mut arrivals)?;
        }
        Ok(arrivals)
    }

    /// Whether frames wait for a later plan.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The plan does not come: what waits is delivered by the plan that there is, which says of some of it
    /// that it is for somebody else.
    ///
    /// # Errors
    /// [`LaneError`]: the connection must end.
    pub fn wait_no_longer(&mut self) -> Result<Vec<Arrival>, LaneError> {
        self.look(u64::MAX)
    }

    fn open(&mut self, frame: Frame, arrivals: &mut Vec<Arrival>) -> Result<(), LaneError> {
        if frame.first > self.taken + 1 {
            return Err(LaneError::Gap(frame.first));
        }
        for (number, message) in (frame.first..).zip(frame.envelopes) {
            if number <= self.taken {
                continue;
            }
            self.taken = number;
            match self.read(number, message) {
                Some(arrival) => arrivals.push(arrival),
                None => self.note(number, Outcome::Broken, 0),
            }
        }
        self.end = self.end.max(frame.end);
        Ok(())
    }

    fn read(&self, number: u64, message: envelope_pb::Envelope) -> Option<Arrival> {
        let (mut envelope, crossing) = match wire::decode(message) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, "a member sent an envelope that cannot be read");
                return None;
            }
        };
        envelope.crossed = true;
        envelope.receipt =
            crossing.receipt.then(|| Receipt::new(number, Arc::clone(&self.confirms) as Arc<_>));
        Some(Arrival { number, envelope, crossing })
    }

    /// Whether it must be turned away as moved, because one before it for the same bucket was: the sender will send
    /// both again, in order. To be asked once for each arrival, in order.
    pub fn turns_away(&mut self, arrival: &Arrival) -> bool {
        let Crossing { bucket: Some(bucket), anew, .. } = arrival.crossing else { return false };
        if anew {
            self.turned.remove(&bucket);
        }
        self.turned.contains(&bucket)
    }

    /// Whether one for many must be turned away, because one before it for any of them was.
    pub fn has_turned(&self, buckets: &[Bucket]) -> bool {
        buckets.iter().any(|bucket| self.turned.contains(bucket))
    }

    /// Whatever comes for these is turned away until it comes anew.
    pub fn turn(&mut self, buckets: &[Bucket]) {
        self.turned.extend(buckets);
    }

    /// An arrival could not be delivered: the sender must find another way for it, or answer it. Its receipt is
    /// void.
    pub fn give_back(&mut self, arrival: Arrival, outcome: Outcome, plan_index: u64) {
        if let Some(receipt) = arrival.envelope.receipt {
            self.confirms.withdraw(arrival.number);
            receipt.release();
        }
        if let (Outcome::Moved, Some(bucket)) = (outcome, arrival.crossing.bucket) {
            self.turned.insert(bucket);
        }
        self.note(arrival.number, outcome, plan_index);
    }

    fn note(&mut self, envelope: u64, outcome: Outcome, plan_index: u64) {
        let number = self.next_notice;
        self.next_notice += 1;
        let outcome = outcome.into();
        self.notices.push_back(Notice { number, envelope, outcome, plan_index });
    }

    /// What the sender must hear now; none if there is nothing new.
    pub fn reply(&mut self) -> Option<Reply> {
        for Settled { number, is_faulty } in self.confirms.drain() {
            let outcome = if is_faulty { Outcome::Faulty } else { Outcome::Confirmed };
            self.note(number, outcome, 0);
        }
        let said = self.said;
        let news = self.notices.iter().filter(|notice| notice.number > said).copied();
        let notices: Vec<Notice> = news.collect();
        let standing = Standing { ack: self.taken, credit: self.end + WINDOW };
        if notices.is_empty() && self.told == Some(standing) {
            return None;
        }
        self.said = self.next_notice - 1;
        self.told = Some(standing);
        let Standing { ack, credit } = standing;
        Some(Reply { ack, credit, notices })
    }
}

//! Owns the lanes to and from one process of a peer, as all threads of this member share them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::session::ConnectionCommand;
use proto::{Body, ConnectionId, MemberId, Route};
use tokio::sync::Notify;
use xmpp::{StreamCondition, StreamError};

use super::LANES;
use super::barrier::Way;
use super::pb::Reply;
use super::receiver::{LaneError, Receiver};
use super::sender::{Departure, Sender, Why};

/// One process of a peer.
pub(crate) struct Peer {
    pub(crate) member: MemberId,
    pub(crate) incarnation: u64,
    pub(crate) way: Way,
    pub(crate) lanes: [Lane; LANES],
    /// Sockets of the peer that a word was lost for: they get no more but a close.
    cut: Mutex<Cut>,
    over: AtomicBool,
    /// Wakes whoever works for this peer when it is over.
    pub(crate) ended: Notify,
}

/// Sockets, of which those that were added first are forgotten where there are too many: most of them are never spoken to
/// again, since their sessions hear that they are gone.
#[derive(Debug, Default)]
struct Cut {
    latest: HashSet<ConnectionId>,
    /// What was added before; as many at most.
    earlier: HashSet<ConnectionId>,
}

/// Half of the most sockets that are known to have lost a word. Sessions hear of it within a turn: no more than speak in
/// that time need be known.
const HALF_OF_CUT: usize = 32_768;

impl Cut {
    fn add(&mut self, socket: ConnectionId) {
        if self.latest.len() >= HALF_OF_CUT {
            self.earlier = std::mem::take(&mut self.latest);
        }
        self.latest.insert(socket);
    }

    /// Whether it was there.
    fn remove(&mut self, socket: &ConnectionId) -> bool {
        // It may be in both.
        let latest = self.latest.remove(socket);
        self.earlier.remove(socket) || latest
    }
}

/// One lane, both ways.
pub(crate) struct Lane {
    out: Mutex<Sender>,
    /// There may be something to send.
    pub(crate) out_wake: Notify,
    into: Mutex<Receiver>,
    /// There may be something to answer.
    pub(crate) into_wake: Arc<Notify>,
}

impl Peer {
    pub(crate) fn new(member: MemberId, incarnation: u64, way: Way) -> Self {
        Self {
            member,
            incarnation,
            way,
            lanes: std::array::from_fn(|_| Lane::new()),
            cut: Mutex::default(),
            over: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Whether the process is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The process is gone: what is not resolved comes back, lane by lane, each in order.
    pub(crate) fn end(&self) -> Vec<Departure> {
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
        self.lanes.iter().flat_map(|lane| lane.out().give_up()).collect()
    }

    /// Puts envelopes on a lane; gives back what it does not take. This member has had its lease since `acts_since`.
    pub(crate) fn push(
        &self,
        lane: usize,
        departures: Vec<Departure>,
        now: Duration,
        acts_since: Duration,
    ) -> Vec<(Departure, Why)> {
        let Some(lane) = self.lanes.get(lane) else { return Vec::new() };
        let mut back = Vec::new();
        let mut out = lane.out();
        out.excuse(acts_since);
        for departure in departures {
            if let Err((departure, why)) = out.push(self.unless_cut(departure), now) {
                self.cut_off(&departure, why);
                back.push((departure, why));
            }
        }
        drop(out);
        lane.out_wake.notify_one();
        back
    }

    /// A socket that a word was lost for gets a close instead of the next one: its client must not take what comes
    /// later for all there was. Its session was told, and says no more to it.
    fn unless_cut(&self, mut departure: Departure) -> Departure {
        let Route::Connection(connection) = departure.envelope.to else { return departure };
        if self.cut.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection) {
            let error = StreamError::from(StreamCondition::ResourceConstraint);
            departure.envelope.body = Body::ToConnection(ConnectionCommand::Close(Some(error)));
        }
        departure
    }

    /// A word for a socket that finds no room is lost, and the socket with it.
    fn cut_off(&self, departure: &Departure, why: Why) {
        if let (Route::Connection(connection), Why::Full) = (&departure.envelope.to, why) {
            self.cut.lock().unwrap_or_else(PoisonError::into_inner).add(*connection);
        }
    }
}

impl Lane {
    fn new() -> Self {
        let into_wake = Arc::new(Notify::new());
        let wake = Arc::clone(&into_wake);
        Self {
            out: Mutex::new(Sender::new()),
            out_wake: Notify::new(),
            into: Mutex::new(Receiver::new(move || wake.notify_one())),
            into_wake,
        }
    }

    pub(crate) fn out(&self) -> MutexGuard<'_, Sender> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into(&self) -> MutexGuard<'_, Receiver> {
        self.into.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection that the peer has opened: its number, and what it is told first.
    pub(crate) fn connected(&self) -> (u64, Reply) {
        let mut receiver = self.into();
        let welcome = receiver.connected();
        (receiver.connection(), welcome)
    }

    /// The receiving half for the connection of this number.
    ///
    /// # Errors
    /// [`LaneError::Superseded`]: the peer has opened a later one.
    pub(crate) fn receiver_of(
        &self,
        connection: u64,
    ) -> Result<MutexGuard<'_, Receiver>, LaneError> {
        let receiver = self.into();
        match receiver.connection() == connection {
            true => Ok(receiver),
            false => Err(LaneError::Superseded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sockets_that_lost_a_word_so_many_are_known_and_the_latest_always() {
        let socket =
            |number| ConnectionId { member: MemberId(2), arbiter: proto::ArbiterId(0), number };
        let mut cut = Cut::default();
        let many = 5 * HALF_OF_CUT as u64;
        for number in 0..many {
            cut.add(socket(number));
            assert!(cut.latest.len() + cut.earlier.len() <= 2 * HALF_OF_CUT);
        }
        assert!(!cut.remove(&socket(0)), "the first ones are forgotten");
        for number in many - HALF_OF_CUT as u64..many {
            assert!(cut.remove(&socket(number)) && !cut.remove(&socket(number)), "once");
        }
    }
}

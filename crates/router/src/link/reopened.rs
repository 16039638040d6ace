//! Owns the proof that of the connections that a peer has opened for a lane the latest is heard and told, and no other.

use std::time::Duration;

use proto::session::ConnectionEvent;
use proto::wire::Crossing;
use proto::{Body, Receipt, Route};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Address;
use super::carrier::PIPE_DEPTH;
use super::full::{Linked, ME, NOW, OTHER, SOCKET, Silent, departure, linked, own_account};
use super::pb::{Frame, Hello, Outcome, Reply};
use super::receiver::LaneError;
use super::sender::{Departure, Sender};
use crate::inbox::Post;

const LANE: usize = 0;
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that the other member has opened for the lane.
struct Opened {
    frames: mpsc::Sender<Frame>,
    replies: mpsc::Receiver<Reply>,
}

impl Opened {
    fn next(&mut self, linked: &Linked) -> Reply {
        let next = async { timeout(PATIENCE, self.replies.recv()).await };
        linked.runtime.block_on(next).expect("it comes").expect("the connection is served")
    }
}

/// Opens one, which is welcomed.
fn open(linked: &Linked) -> (Opened, Reply) {
    let (frames, ours) = mpsc::channel(PIPE_DEPTH);
    let (theirs, replies) = mpsc::channel(PIPE_DEPTH);
    let links = linked.links.clone();
    linked.runtime.spawn(async move { links.serve(ours, theirs).await });
    let to = Address { member: ME, incarnation: 1, addr: String::new() };
    let hello = Hello { member: OTHER.0, ..linked.links.hello(&to, LANE) };
    frames.try_send(Frame { hello: Some(hello), ..Frame::default() }).unwrap();
    let mut opened = Opened { frames, replies };
    let welcome = opened.next(linked);
    (opened, welcome)
}

/// An envelope whose sender waits until what it causes is safe.
fn awaited() -> Departure {
    let event = ConnectionEvent::Drained;
    let plain = departure(Route::User(own_account()), Body::FromConnection(SOCKET, event));
    Departure { crossing: Crossing { receipt: true, ..plain.crossing }, ..plain }
}

/// The receipt of the envelope that has come to the arbiter.
fn receipt(linked: &mut Linked) -> Receipt {
    let mut come = Vec::new();
    linked.hears(|post| {
        let Post::LetIn(batch) = post else { return false };
        come.extend(batch.into_iter().filter_map(|it| it.receipt));
        true
    });
    come.pop().expect("it is awaited")
}

#[test]
fn what_is_safe_is_said_to_the_latest_connection_though_an_earlier_one_is_open_still() {
    let (mut linked, mut sender) = (linked(Silent), Sender::new());
    let first = open(&linked);
    let (mut second, welcome) = open(&linked);
    drop(sender.connected(welcome, NOW));
    assert!(sender.push(awaited(), NOW).is_ok());
    second.frames.try_send(sender.next_frame(1, NOW).unwrap()).unwrap();
    let receipt = receipt(&mut linked);
    assert!(second.next(&linked).notices.is_empty(), "it is not safe yet");
    receipt.release();
    let outcomes: Vec<Outcome> =
        second.next(&linked).notices.iter().map(|notice| notice.outcome()).collect();
    assert_eq!(outcomes, [Outcome::Confirmed]);
    drop(first);
}

#[test]
fn an_earlier_connection_is_neither_heard_nor_told() {
    let (linked, mut sender) = (linked(Silent), Sender::new());
    let peer = linked.links.peer(OTHER).unwrap();
    let lane = &peer.lanes[LANE];
    let (first, welcome) = lane.connected();
    let (second, _) = lane.connected();
    drop(sender.connected(welcome, NOW));
    assert!(sender.push(awaited(), NOW).is_ok());
    let frame = sender.next_frame(1, NOW).unwrap();
    assert_eq!(linked.links.take(lane, first, frame.clone()), Err(LaneError::Superseded));
    assert_eq!(lane.receiver_of(first).err(), Some(LaneError::Superseded));
    assert_eq!(linked.links.take(lane, second, frame), Ok(()));
    assert_eq!(lane.receiver_of(second).unwrap().reply().map(|reply| reply.ack), Some(1));
}

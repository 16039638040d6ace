//! Owns the proof that each bound of a lane has its answer: who is told what when there is no room.

use std::sync::Arc;
use std::sync::mpsc as channel;
use std::time::Duration;

use cluster::plan::MemberInfo;
use cluster::{HashKey, Lease, Plan, PlanHandle};
use futures_util::future::BoxFuture;
use proto::session::{ConnectionCommand, ConnectionEvent, Gone};
use proto::wire::Crossing;
use proto::{ArbiterId, Body, ConnectionId, Envelope, Hosts, MemberId, Route};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use xmpp::{BareJid, Epoch, Head, Kind, MessageType, Origin, Stanza, StreamCondition};

use super::barrier::Way;
use super::carrier::PIPE_DEPTH;
use super::pb::{Frame, Outcome, Reply};
use super::peer::Peer;
use super::receiver::{LaneError, Receiver, WINDOW};
use super::sender::{Departure, Fate, MOST_BYTES, MOST_ENVELOPES, PATIENCE, Sender, Why};
use super::{Address, COPIES, Carrier, Cut, Links, Pipe};
use crate::inbox::{self, Inbox, Post};
use crate::local::Refusal;
use crate::router::Router;

pub(super) const ME: MemberId = MemberId(1);
pub(super) const OTHER: MemberId = MemberId(2);
pub(super) const NOW: Duration = Duration::from_secs(1);
pub(super) const SOCKET: ConnectionId =
    ConnectionId { member: OTHER, arbiter: ArbiterId(0), number: 7 };

pub(super) fn departure(to: Route, body: Body) -> Departure {
    let origin = Origin::Client { session: 1, seq: 1, part: 0 };
    let crossing = Crossing { bucket: None, epoch: Epoch(1), receipt: false, anew: false };
    let envelope = Envelope::new(to, body, origin, Epoch(1));
    Departure { envelope, crossing, from: ArbiterId(0), order: 0, sent: None }
}

fn user(name: &str) -> Route {
    Route::User(BareJid::parse(name).unwrap())
}

/// A stanza of about so many bytes.
fn stanza(to: Route, bytes: usize) -> Departure {
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from: None, to: None, lang: None };
    let text = format!("<body>{}</body>", "x".repeat(bytes));
    departure(to, Body::Stanza(Stanza::new(head, text)))
}

/// A control envelope.
fn word() -> Departure {
    departure(user("a@x"), Body::FromConnection(SOCKET, ConnectionEvent::Drained))
}

fn word_for_a_socket() -> Departure {
    departure(Route::Connection(SOCKET), Body::ToConnection(ConnectionCommand::Close(None)))
}

fn times(many: usize, make: impl FnMut() -> Departure) -> Vec<Departure> {
    std::iter::repeat_with(make).take(many).collect()
}

fn fill(sender: &mut Sender, many: usize, make: impl FnMut() -> Departure) {
    for (number, departure) in times(many, make).into_iter().enumerate() {
        assert!(sender.push(departure, NOW).is_ok(), "number {number} has room");
    }
}

fn is_full(sender: &mut Sender, departure: Departure) -> bool {
    sender.push(departure, NOW).is_err_and(|(_, why)| why == Why::Full)
}

#[test]
fn a_lane_full_of_envelopes_refuses_stanzas_then_words_and_never_the_end_of_a_socket() {
    let mut sender = Sender::new();
    let small = || stanza(user("a@x"), 1);
    fill(&mut sender, MOST_ENVELOPES / 2, small);
    assert!(sender.is_half_full(), "copies wait from here on");
    fill(&mut sender, MOST_ENVELOPES / 2, small);
    assert!(is_full(&mut sender, small()));
    fill(&mut sender, MOST_ENVELOPES, word);
    assert!(is_full(&mut sender, word()));
    let gone = Body::FromConnection(SOCKET, ConnectionEvent::Gone(Gone::Lost));
    assert!(!is_full(&mut sender, departure(user("a@x"), gone)));
    assert_eq!(sender.kept(), 2 * MOST_ENVELOPES + 1);
    // What the peer has taken makes room.
    drop(sender.connected(Reply { credit: u64::MAX, ..Reply::default() }, NOW));
    let mut sent = 0;
    while let Some(frame) = sender.next_frame(1, NOW) {
        sent += frame.envelopes.len() as u64;
    }
    assert_eq!(sent, 2 * MOST_ENVELOPES as u64 + 1);
    let done = sender.hear(Reply { ack: sent, credit: u64::MAX, notices: vec![] }, NOW);
    assert!(done.len() as u64 == sent && !is_full(&mut sender, small()));
}

#[test]
fn a_lane_full_of_bytes_refuses_stanzas_and_takes_words() {
    let mut sender = Sender::new();
    let large = || stanza(user("a@x"), 1 << 20);
    let many = usize::try_from(MOST_BYTES >> 20).unwrap();
    fill(&mut sender, many, large);
    assert!(is_full(&mut sender, large()) && is_full(&mut sender, stanza(user("a@x"), 1)));
    assert!(!is_full(&mut sender, word()));
}

#[test]
fn a_lane_that_gets_nothing_out_refuses_stanzas_and_takes_words() {
    let mut sender = Sender::new();
    fill(&mut sender, 1, || stanza(user("a@x"), 1));
    let late = NOW + PATIENCE;
    let refused = sender.push(stanza(user("a@x"), 1), late).err().map(|(_, why)| why);
    assert_eq!(refused, Some(Why::Full));
    assert!(sender.push(word(), late).is_ok());
}

#[test]
fn a_lane_sends_no_more_than_its_credit_and_takes_no_more_than_it_gave() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new(|| {}));
    drop(sender.connected(receiver.connected(), NOW));
    fill(&mut sender, 7, || stanza(user("a@x"), 1 << 20));
    let frames: Vec<Frame> = std::iter::from_fn(|| sender.next_frame(1, NOW)).collect();
    assert_eq!(frames.len(), 3, "each of a megabyte and a little more");
    assert!(frames.iter().all(|frame| frame.end <= WINDOW));
    for frame in frames {
        assert_eq!(receiver.take(frame, 1).unwrap().len(), 1);
    }
    drop(sender.hear(receiver.reply().unwrap(), NOW));
    let next = sender.next_frame(1, NOW).expect("there is credit again");
    let overdrawn = Frame { end: next.end + WINDOW, ..next.clone() };
    assert_eq!(receiver.take(overdrawn, 1).err(), Some(LaneError::Overdrawn));
    assert!(receiver.take(next, 1).is_ok(), "what is refused leaves nothing");
}

#[test]
fn frames_that_wait_for_a_plan_are_bounded_by_the_credit() {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new(|| {}));
    drop(sender.connected(receiver.connected(), NOW));
    fill(&mut sender, 7, || stanza(user("a@x"), 1 << 20));
    while let Some(frame) = sender.next_frame(9, NOW) {
        assert!(receiver.take(frame, 1).unwrap().is_empty(), "it waits for plan 9");
    }
    assert!(receiver.is_waiting() && receiver.reply().is_none(), "no more credit is given");
    assert_eq!(sender.credit(), Some(0));
    assert_eq!(receiver.look(9).unwrap().len(), 3);
    assert!(receiver.reply().is_some_and(|reply| reply.credit > WINDOW));
}

#[test]
fn a_socket_for_which_a_word_was_lost_is_closed_by_the_next_one() {
    let peer = Peer::new(OTHER, 1, Way(1));
    let words = |many| times(many, word_for_a_socket);
    assert!(peer.push(0, words(2 * MOST_ENVELOPES), NOW, NOW).is_empty());
    let lost = peer.push(0, words(1), NOW, NOW);
    assert!(lost.len() == 1 && lost[0].1 == Why::Full);
    peer.lanes[0].out().give_up();
    // Another lane stands for the same one with room.
    assert!(peer.push(1, words(2), NOW, NOW).is_empty());
    let said: Vec<Option<StreamCondition>> =
        peer.lanes[1].out().give_up().into_iter().map(|it| closes_with(&it)).collect();
    assert_eq!(said, [Some(StreamCondition::ResourceConstraint), None]);
}

/// For what reason a word closes a socket.
fn closes_with(departure: &Departure) -> Option<StreamCondition> {
    match &departure.envelope.body {
        Body::ToConnection(ConnectionCommand::Close(error)) => {
            error.as_ref().map(|error| error.condition)
        }
        other => panic!("{other:?}"),
    }
}

/// Links of this member to one other, by this carrier.
pub(super) struct Linked {
    pub(super) links: Arc<Links>,
    inbox: Inbox,
    waiting: inbox::Receiver,
    pub(super) runtime: Runtime,
}

fn plan() -> Plan {
    let members = [ME, OTHER].map(|id| MemberInfo::new(id, format!("m{}", id.0)));
    Plan::shared_by(HashKey::new([1; 16]), members)
}

pub(super) fn linked(carrier: impl Carrier) -> Linked {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let (inbox, waiting) = Inbox::new();
    let plan = PlanHandle::fixed(plan());
    let inboxes = vec![inbox.clone()];
    let router = Router::new(ME, plan.clone(), Lease::always(), Hosts::default(), inboxes);
    let links = Links::start(&router, carrier, plan, runtime.handle().clone());
    Linked { links, inbox, waiting, runtime }
}

/// An account of this member's.
pub(super) fn own_account() -> BareJid {
    let plan = plan();
    let names = (0..100).map(|number| BareJid::parse(&format!("p{number}@x")).unwrap());
    let owner = |jid: &BareJid| plan.owner(plan.hash_key().bucket(jid).shard()).unwrap().0;
    { names }.find(|jid| owner(jid) == ME).unwrap()
}

/// Opens no lane, ever.
pub(super) struct Silent;

impl Carrier for Silent {
    fn open(&self, _: Address, _: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        Box::pin(std::future::pending())
    }
}

impl Linked {
    /// Waits for a word to the arbiter.
    pub(super) fn hears(&mut self, mut is_it: impl FnMut(Post) -> bool) {
        let Self { waiting, runtime, .. } = self;
        let heard = async {
            while let Some(post) = waiting.next().await {
                if is_it(post) {
                    return;
                }
            }
            panic!("it never came");
        };
        let patient = async { tokio::time::timeout(Duration::from_secs(60), heard).await };
        runtime.block_on(patient).expect("it comes");
    }
}

#[test]
fn a_session_hears_that_the_sockets_of_a_peer_are_gone_when_a_word_for_one_was_lost() {
    let mut linked = linked(Silent);
    let peer = linked.links.peer(OTHER).unwrap();
    let words = |many| times(many, word_for_a_socket);
    assert!(linked.links.push(&peer, 0, words(2 * MOST_ENVELOPES)).is_empty());
    assert_eq!(linked.links.push(&peer, 0, words(1)).len(), 1);
    linked.hears(|post| matches!(post, Post::Gone(OTHER)));
}

#[test]
fn copies_wait_when_their_lane_is_half_full() {
    let linked = linked(Silent);
    let peer = linked.links.peer(OTHER).unwrap();
    let words = |many| times(many, word);
    assert!(linked.links.push(&peer, COPIES, words(MOST_ENVELOPES / 2 - 1)).is_empty());
    assert_eq!(linked.links.is_busy_with_copies(OTHER), Some(false));
    assert!(linked.links.push(&peer, COPIES, words(1)).is_empty());
    assert_eq!(linked.links.is_busy_with_copies(OTHER), Some(true));
}

#[test]
fn a_stanza_for_an_arbiter_without_room_comes_back_to_be_refused_and_a_word_is_taken() {
    let mut linked = linked(Silent);
    let (to, mut sender) = (Route::User(own_account()), Sender::new());
    let full = (0..Inbox::CAPACITY).map(|_| stanza(to.clone(), 1).envelope).collect();
    assert!(linked.inbox.push(full).is_empty());
    let peer = linked.links.peer(OTHER).unwrap();
    let lane = &peer.lanes[0];
    let (connection, welcome) = lane.connected();
    drop(sender.connected(welcome, NOW));
    fill(&mut sender, 1, || stanza(to.clone(), 1));
    fill(&mut sender, 1, || {
        departure(to.clone(), Body::FromConnection(SOCKET, ConnectionEvent::Drained))
    });
    linked.links.take(lane, connection, sender.next_frame(1, NOW).unwrap()).unwrap();
    let reply = lane.into().reply().unwrap();
    let outcomes: Vec<Outcome> = reply.notices.iter().map(|notice| notice.outcome()).collect();
    assert_eq!((reply.ack, &outcomes[..]), (2, &[Outcome::Full][..]));
    let fates = sender.hear(reply, NOW);
    assert!(matches!(&fates[..], [Fate::Full(_), Fate::Done(_)]), "{fates:?}");
    linked.links.resolve(&peer, fates);
    linked.hears(|post| matches!(post, Post::Refused(_, Refusal::Full)));
}

/// Opens lanes whose other ends are kept here, with credit and a welcome.
struct Kept(channel::Sender<(u32, mpsc::Receiver<Frame>, mpsc::Sender<Reply>)>);

impl Carrier for Kept {
    fn open(&self, _: Address, lane: u32) -> BoxFuture<'static, Result<Pipe, Cut>> {
        let (frames, theirs) = mpsc::channel(PIPE_DEPTH);
        let (replies, ours) = mpsc::channel(PIPE_DEPTH);
        replies.try_send(Reply { credit: WINDOW, ..Reply::default() }).unwrap();
        // The test may be over.
        self.0.send((lane, theirs, replies)).unwrap_or_default();
        Box::pin(async { Ok(Pipe { frames, replies: ours }) })
    }
}

#[test]
fn a_pipe_that_takes_no_more_is_cut_and_what_was_in_it_goes_by_the_next() {
    const MANY: usize = 3 * PIPE_DEPTH;
    let (opened, opens) = channel::channel();
    let linked = linked(Kept(opened));
    let open = |lane| opens.iter().find(|(it, _, _)| *it == lane).unwrap();
    let peer = linked.links.peer(OTHER).unwrap();
    let large = (0..MANY).map(|_| stanza(user("a@x"), 60 << 10)).collect();
    assert!(linked.links.push(&peer, 0, large).is_empty());
    // Nobody reads from the first one, and nobody closes it.
    let _first = open(0);
    let (_, mut frames, _replies) = open(0);
    let all = async {
        let mut envelopes = 0;
        while envelopes < MANY {
            let frame = frames.recv().await.unwrap();
            assert!(frame.hello.is_some() || frame.first == envelopes as u64 + 1);
            envelopes += frame.envelopes.len();
        }
    };
    let patient = async { tokio::time::timeout(Duration::from_secs(60), all).await };
    linked.runtime.block_on(patient).expect("all of it comes");
}

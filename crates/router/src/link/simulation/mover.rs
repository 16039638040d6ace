//! Owns the simulation of somebody who sends while their own shard moves: two members send by turns to a third, over lanes
//! that chance delays, repeats and cuts. What was sent from the one has been taken before the other sends anything, so
//! that all arrives in order. Deterministic: a seed is a history.

use xmpp::Shard;

use super::super::outputs::Outputs;
use super::*;

/// What one says, over two lines.
struct Moving {
    chance: Chance,
    now: Duration,
    lines: [Line; 2],
    receivers: [Receiver; 2],
    /// What each of the two has sent and nobody has taken.
    outputs: [Arc<Outputs>; 2],
    owner: usize,
    /// The owner says nothing more: it is to be the other one.
    closed: bool,
    said: u64,
    heard: Vec<u64>,
    /// A shard moves when all that it has sent is taken.
    flushes: bool,
    faults: bool,
}

fn shard() -> Shard {
    Shard::new(7).unwrap()
}

impl Moving {
    fn new(seed: u64, flushes: bool) -> Self {
        Self {
            chance: Chance::new(seed),
            now: Duration::ZERO,
            lines: [Line::new(1), Line::new(2)],
            receivers: [Receiver::new(|| {}), Receiver::new(|| {})],
            outputs: [Outputs::new(), Outputs::new()],
            owner: 0,
            closed: false,
            said: 0,
            heard: Vec::new(),
            flushes,
            faults: true,
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_micros(100);
        let at = self.chance.below(2);
        let (line, receiver) = (&mut self.lines[at], &mut self.receivers[at]);
        match self.chance.below(if self.faults { 16 } else { 10 }) {
            0..2 if line.connected => line.frames.extend(line.sender.next_frame(1, self.now)),
            2..4 => {
                let frame = line.frames.pop_front();
                let arrivals = frame.map(|frame| receiver.take(frame, 1).unwrap());
                for Arrival { envelope, .. } in arrivals.into_iter().flatten() {
                    let Origin::Client { seq, .. } = envelope.origin else { panic!("a client's") };
                    self.heard.push(seq);
                }
            }
            4..6 if line.connected => line.replies.extend(receiver.reply()),
            6..8 => {
                let reply = line.replies.pop_front();
                // What is taken is dropped, and counts as sent no longer.
                drop(reply.map(|reply| line.sender.hear(reply, self.now)));
            }
            8 if !line.connected => {
                line.connected = true;
                drop(line.sender.connected(receiver.connected(), self.now));
            }
            9 => self.look(),
            10..13 => self.say(),
            13 => line.frames.extend(line.frames.back().cloned()),
            14 if self.chance.one_in(3) => line.cut(self.now),
            15 if self.chance.one_in(3) => self.closed = true,
            _ => {}
        }
    }

    fn say(&mut self) {
        if self.closed {
            return;
        }
        self.said += 1;
        let origin = Origin::Client { session: 1, seq: self.said, part: 0 };
        let kind = Kind::Message(MessageType::Chat);
        let head = Head { kind, id: None, from: None, to: None, lang: None };
        let body = Body::Stanza(Stanza::new(head, "<body>hi</body>"));
        let envelope = Envelope::new(Route::User(account(0)), body, origin, Epoch(1));
        let crossing =
            Crossing { bucket: Some(bucket(0)), epoch: Epoch(1), receipt: false, anew: false };
        let sent = Some(self.outputs[self.owner].count(shard()));
        let departure =
            Departure { envelope, crossing, from: ArbiterId(0), order: self.said, sent };
        assert!(self.lines[self.owner].sender.push(departure, self.now).is_ok());
    }

    /// Whether the shard may go now.
    fn look(&mut self) {
        if self.closed && (!self.flushes || self.outputs[self.owner].is_none(shard())) {
            (self.owner, self.closed) = (1 - self.owner, false);
        }
    }

    /// Whether all that was said is heard once and in order.
    fn goes_well(mut self) -> bool {
        (0..STEPS).for_each(|_| self.step());
        self.faults = false;
        (0..STEPS).for_each(|_| self.step());
        self.heard == (1..=self.said).collect::<Vec<_>>()
    }
}

#[test]
fn what_one_says_whose_shard_moves_arrives_in_order() {
    for seed in seeded::seeds(200) {
        assert!(Moving::new(seed, true).goes_well(), "ROOKERY_SEED={seed} plays it again");
    }
}

#[test]
fn a_shard_that_moves_before_what_it_has_sent_is_taken_is_missed() {
    assert!((0..50).any(|seed| !Moving::new(seed, false).goes_well()));
}

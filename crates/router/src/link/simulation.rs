//! Owns the simulation of links: one member sends to accounts that two others own by turns, over connections that
//! chance delays, repeats, cuts, and stops in one direction, while processes die, or stand still and go on though they
//! were expelled, shards move, and the store forgets what no replica has. Deterministic: a seed is a history.
//!
//! What must hold: nothing confirmed is lost, nothing is done twice, what one sends another is done in order, and
//! all is confirmed once the faults stop. What does not is a [`Wrong`]; a panic is a fault of the simulation, or of
//! what it plays with, whatever was left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use proto::wire::Crossing;
use proto::{ArbiterId, Body, Envelope, Ledger, Receipt, Route};
use xmpp::{BareJid, Bucket, Epoch, Head, Jid, Kind, MessageType, Origin, Stanza};

use super::barrier::{Barrier, Way};
use super::pb::{Frame, Outcome, Reply};
use super::receiver::{Arrival, Receiver};
use super::sender::{Departure, Fate, Returned, Sender};
use crate::held::{Held, Waiting};

mod judge;
mod mover;
mod store;

use judge::{History, Wrong};
use seeded::{Chance, holds, played};
use store::{Rows, Writing};

/// Accounts, each in a bucket of its own.
const ACCOUNTS: usize = 3;
/// Who sends.
const SENDERS: u32 = 2;
const STEPS: usize = 3_000;

/// Who owns each account, as of an index.
#[derive(Clone, Copy)]
struct Plan {
    index: u64,
    owners: [usize; ACCOUNTS],
    incarnations: [u64; 2],
}

/// What one sends another, as its account keeps it.
type Row = (u64, u64);

/// A process that owns accounts.
struct Home {
    plan: Plan,
    receiver: Receiver,
    /// What its accounts have received and not done yet.
    mail: [VecDeque<(Row, bool, Option<Receipt>)>; ACCOUNTS],
    /// What it knows to have come.
    seen: [Vec<Row>; ACCOUNTS],
    /// What it has written that may be forgotten.
    writing: [Writing; ACCOUNTS],
}

/// The sender's end of what leads to one process.
struct Line {
    sender: Sender,
    way: Way,
    connected: bool,
    frames: VecDeque<Frame>,
    replies: VecDeque<Reply>,
    /// No frame arrives, or no reply.
    stuck: (bool, bool),
}

struct World {
    chance: Chance,
    now: Duration,
    /// What Raft has; members see it later.
    plan: Plan,
    seen_plan: Plan,
    homes: [Home; 2],
    /// Expelled, and acting still: they stood still, and do not know.
    zombies: Vec<Home>,
    lines: [Line; 2],
    barrier: Barrier,
    held: Held,
    ways: u32,
    order: u64,
    ledgers: Vec<Arc<Ledger>>,
    sent: BTreeMap<u64, u64>,
    /// The store: rows of each account.
    rows: [Rows; ACCOUNTS],
    faults: bool,
    mutant: Option<Mutant>,
}

/// What is left out, to see that the simulation misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// Envelopes go another way while others of their bucket are under way.
    Barrier,
    /// What is not resolved with a process that is gone is forgotten.
    Resending,
    /// A repeat is acted on.
    Repeats,
    /// What follows something that was turned away is taken.
    TurningAway,
    /// An envelope counts as confirmed when it is taken.
    Confirming,
    /// The store takes what a former owner writes.
    Fencing,
    /// What is written counts as safe before a replica has it.
    Waiting,
}

impl Mutant {
    /// Each with what goes wrong without it.
    const ALL: [(Self, Wrong); 7] = [
        (Self::Barrier, Wrong::Disordered),
        (Self::Resending, Wrong::Missing),
        (Self::Repeats, Wrong::Twice),
        (Self::TurningAway, Wrong::Disordered),
        (Self::Confirming, Wrong::Lost),
        (Self::Fencing, Wrong::Twice),
        (Self::Waiting, Wrong::Lost),
    ];
}

fn account(index: usize) -> BareJid {
    BareJid::parse(&format!("account{index}@x")).unwrap()
}

fn bucket(index: usize) -> Bucket {
    Bucket::new(u16::try_from(index).unwrap() * 4).unwrap()
}

impl Home {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            receiver: Receiver::new(|| {}),
            mail: Default::default(),
            seen: Default::default(),
            writing: Default::default(),
        }
    }
}

impl Line {
    fn new(way: u32) -> Self {
        Self {
            sender: Sender::new(),
            way: Way(way),
            connected: false,
            frames: VecDeque::new(),
            replies: VecDeque::new(),
            stuck: (false, false),
        }
    }

    fn cut(&mut self, now: Duration) {
        self.connected = false;
        self.frames.clear();
        self.replies.clear();
        self.sender.disconnected(now);
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let plan = Plan { index: 1, owners: [0, 1, 0], incarnations: [1, 1] };
        Self {
            chance: Chance::new(seed),
            now: Duration::ZERO,
            plan,
            seen_plan: plan,
            homes: [Home::new(plan), Home::new(plan)],
            zombies: Vec::new(),
            lines: [Line::new(1), Line::new(2)],
            barrier: Barrier::new(),
            held: Held::default(),
            ways: 2,
            order: 0,
            ledgers: (0..SENDERS).map(|_| Ledger::new(0, || {})).collect(),
            sent: BTreeMap::new(),
            rows: Default::default(),
            faults: true,
            mutant: None,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.faults = false;
        self.lines.iter_mut().for_each(|line| line.stuck = (false, false));
        for _ in 0..STEPS {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_micros(100);
        let home = self.chance.below(2);
        match self.chance.below(if self.faults { 27 } else { 20 }) {
            0..4 if self.faults => self.say(),
            4..8 => self.send_frame(home),
            8..11 => self.take_frame(home),
            11..13 => self.send_reply(home),
            13..15 => self.take_reply(home),
            15..17 => self.act(home),
            17 => self.learn(home),
            18 => self.connect(home),
            19 => self.learn_at_sender(),
            20 if self.chance.one_in(2) => self.lines[home].cut(self.now),
            21 => self.repeat(home),
            22 if self.chance.one_in(6) => self.move_one(),
            23 if self.chance.one_in(20) => self.kill(home),
            24 if self.chance.one_in(10) => {
                let ways = (self.chance.one_in(2), self.chance.one_in(2));
                self.lines[home].stuck = ways;
            }
            25 => self.act_as_a_zombie(),
            26 if self.chance.one_in(4) => self.fail_over(),
            _ => {}
        }
    }

    /// Somebody sends something to somebody.
    fn say(&mut self) {
        let (from, to) = (self.chance.below(SENDERS as usize) as u64, self.chance.below(ACCOUNTS));
        // As many as a client may have unacknowledged.
        if self.ledgers[usize::try_from(from).unwrap()].open_count() >= 200 {
            return;
        }
        let seq = self.sent.entry(from).or_default();
        *seq += 1;
        let origin = Origin::Client { session: from, seq: *seq, part: 0 };
        let head = Head {
            kind: Kind::Message(MessageType::Chat),
            id: None,
            from: Some(Jid::parse("a@x/r").unwrap()),
            to: None,
            lang: None,
        };
        let body = Body::Stanza(Stanza::new(head, "<body>hi</body>"));
        let receipt = self.ledgers[usize::try_from(from).unwrap()].open();
        let envelope = Envelope::new(Route::User(account(to)), body, origin, Epoch(1))
            .with_receipt(Some(receipt));
        if self.held.holds(bucket(to)) {
            assert!(
                self.held
                    .push(Waiting {
                        envelope,
                        bucket: bucket(to),
                        plan: 0,
                        returned: None,
                        sent: None
                    })
                    .is_none()
            );
        } else if let Some(waiting) = self.route(
            Waiting { envelope, bucket: bucket(to), plan: 0, returned: None, sent: None },
            false,
        ) {
            assert!(self.held.push(waiting).is_none());
        }
    }

    fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// As an arbiter does it: gives back what must wait.
    fn route(&mut self, waiting: Waiting, anew: bool) -> Option<Waiting> {
        if waiting.plan > self.seen_plan.index {
            return Some(waiting);
        }
        let index = usize::from(waiting.bucket.number() / 4);
        let lacks_barrier = self.lacks(Mutant::Barrier);
        let line = &mut self.lines[self.seen_plan.owners[index]];
        if !self.barrier.enter(waiting.bucket, line.way) && !lacks_barrier {
            return Some(waiting);
        }
        let Waiting { envelope, bucket, returned, .. } = waiting;
        self.order += 1;
        let order = returned.unwrap_or(self.order);
        let receipt = envelope.receipt.is_some();
        let crossing = Crossing { bucket: Some(bucket), epoch: Epoch(1), receipt, anew };
        let pushed = line.sender.push(
            Departure { envelope, crossing, from: ArbiterId(0), order, sent: None },
            self.now,
        );
        if let Err((departure, _)) = pushed {
            // Stuck or full: its sender is told, and it counts as handled.
            self.barrier.leave(bucket);
            departure.envelope.receipt.unwrap().release();
            self.refused(departure.envelope.origin);
        }
        None
    }

    /// What was answered with an error need not arrive.
    fn refused(&mut self, origin: Origin) {
        let Origin::Client { session, seq, .. } = origin else { return };
        let is_there = self.rows.iter().any(|rows| rows.all().contains(&(session, seq)));
        holds(!is_there, Wrong::AnsweredAndThere, || format!("{origin:?}"));
        self.sent.entry(u64::MAX).and_modify(|count| *count += 1).or_insert(1);
    }

    fn retry(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        let mut running = Vec::new();
        held.retry(|waiting| {
            let (bucket, back) = (waiting.bucket, waiting.returned.is_some());
            let late = waiting.plan > self.seen_plan.index;
            let is_free = self.barrier.is_free(bucket) || self.lacks(Mutant::Barrier);
            if late || (back && !running.contains(&bucket) && !is_free) {
                return Some(waiting);
            }
            let anew = back && !running.contains(&bucket);
            running.extend(anew.then_some(bucket));
            self.route(waiting, anew)
        });
        self.held = held;
    }

    fn send_frame(&mut self, home: usize) {
        let (line, index) = (&mut self.lines[home], self.seen_plan.index);
        if line.connected
            && line.frames.len() < 4
            && let Some(frame) = line.sender.next_frame(index, self.now)
        {
            line.frames.push_back(frame);
        }
    }

    fn take_frame(&mut self, home: usize) {
        let line = &mut self.lines[home];
        let Some(frame) = line.frames.pop_front_if(|_| !line.stuck.0) else { return };
        let index = self.homes[home].plan.index;
        let arrivals = self.homes[home].receiver.take(frame, index).unwrap();
        self.deliver(home, arrivals);
    }

    fn deliver(&mut self, at: usize, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            let home = &mut self.homes[at];
            let index = (0..ACCOUNTS).find(|it| arrival.envelope.to == Route::User(account(*it)));
            let index = index.unwrap();
            let turned =
                home.receiver.turns_away(&arrival) && self.mutant != Some(Mutant::TurningAway);
            if turned || home.plan.owners[index] != at {
                let plan = home.plan.index;
                home.receiver.give_back(arrival, Outcome::Moved, plan);
                continue;
            }
            let Envelope { origin, again, receipt, .. } = arrival.envelope;
            let Origin::Client { session, seq, .. } = origin else { panic!("a client's") };
            let receipt = match self.mutant {
                Some(Mutant::Confirming) => {
                    receipt.into_iter().for_each(Receipt::release);
                    None
                }
                _ => receipt,
            };
            home.mail[index].push_back(((session, seq), again, receipt));
        }
    }

    fn send_reply(&mut self, home: usize) {
        let line = &mut self.lines[home];
        if line.connected
            && let Some(reply) = self.homes[home].receiver.reply()
        {
            line.replies.push_back(reply);
        }
    }

    fn take_reply(&mut self, home: usize) {
        let line = &mut self.lines[home];
        let Some(reply) = line.replies.pop_front_if(|_| !line.stuck.1) else { return };
        let fates = self.lines[home].sender.hear(reply, self.now);
        self.resolve(fates);
    }

    fn resolve(&mut self, fates: Vec<Fate>) {
        let mut earlier = Vec::new();
        for fate in fates {
            match fate {
                Fate::Done(it) => {
                    self.barrier.leave(it.crossing.bucket.unwrap());
                    self.is_durable(it.envelope.origin);
                    it.envelope.receipt.unwrap().release();
                }
                Fate::Moved(Returned { departure: it, plan_index }) => {
                    let bucket = it.crossing.bucket.unwrap();
                    self.barrier.leave(bucket);
                    earlier.push(Waiting {
                        envelope: it.envelope,
                        bucket,
                        plan: plan_index,
                        returned: Some(it.order),
                        sent: None,
                    });
                }
                other => panic!("{other:?}"),
            }
        }
        self.held.take_back(earlier);
        self.retry();
    }

    fn connect(&mut self, home: usize) {
        let same = self.seen_plan.incarnations[home] == self.plan.incarnations[home];
        if self.lines[home].connected || !same {
            return;
        }
        let welcome = self.homes[home].receiver.connected();
        let line = &mut self.lines[home];
        line.connected = true;
        let fates = line.sender.connected(welcome, self.now);
        self.resolve(fates);
    }

    /// The carrier says something twice.
    fn repeat(&mut self, home: usize) {
        let line = &mut self.lines[home];
        if let Some(frame) = line.frames.back().cloned() {
            line.frames.push_back(frame);
        }
        if let Some(reply) = line.replies.back().cloned() {
            line.replies.push_back(reply);
        }
    }

    /// A home hears of the plan.
    fn learn(&mut self, home: usize) {
        self.homes[home].plan = self.plan;
        let arrivals = self.homes[home].receiver.look(self.plan.index).unwrap();
        self.deliver(home, arrivals);
    }

    /// The sender hears of the plan: what is not resolved with a process that is gone finds another way.
    fn learn_at_sender(&mut self) {
        let before = std::mem::replace(&mut self.seen_plan, self.plan);
        for home in 0..2 {
            if before.incarnations[home] == self.plan.incarnations[home] {
                continue;
            }
            self.ways += 1;
            let mut gone = std::mem::replace(&mut self.lines[home], Line::new(self.ways));
            let mut earlier = Vec::new();
            for mut departure in gone.sender.give_up() {
                let bucket = departure.crossing.bucket.unwrap();
                self.barrier.leave(bucket);
                if self.mutant == Some(Mutant::Resending) {
                    departure.envelope.receipt.into_iter().for_each(Receipt::release);
                    continue;
                }
                departure.envelope.again = true;
                let envelope = departure.envelope;
                earlier.push(Waiting {
                    envelope,
                    bucket,
                    plan: 0,
                    returned: Some(departure.order),
                    sent: None,
                });
            }
            self.held.take_back(earlier);
        }
        self.retry();
    }

    /// A shard moves as planned: its owner finishes what it has, and lets go.
    fn move_one(&mut self) {
        let index = self.chance.below(ACCOUNTS);
        let from = self.plan.owners[index];
        self.finish(from, index);
        let seen = std::mem::take(&mut self.homes[from].seen[index]);
        self.homes[1 - from].seen[index] = seen;
        self.plan.owners[index] = 1 - from;
        self.plan.index += 1;
        self.homes[from].plan = self.plan;
    }

    /// A process dies with what it has in memory; the other one owns all, and a new process begins.
    fn kill(&mut self, home: usize) {
        self.lines[home].cut(self.now);
        self.plan.incarnations[home] += 1;
        self.plan.owners = [1 - home; ACCOUNTS];
        self.plan.index += 1;
        // It may only have stood still. What it says finds nobody: its receipts are of a connection that is gone.
        self.zombies.push(std::mem::replace(&mut self.homes[home], Home::new(self.plan)));
    }
}

/// Plays one history.
fn play(seed: u64, mutant: Option<Mutant>) -> History {
    played(seed, || {
        let mut world = World { mutant, ..World::new(seed) };
        world.run();
        world.check();
    })
}

#[test]
fn nothing_confirmed_is_lost_nothing_is_done_twice_and_order_stays() {
    seeded::all_go_well(200, |seed| play(seed, None));
}

#[test]
fn whatever_is_left_out_is_missed_as_what_it_is() {
    for (mutant, wrong) in Mutant::ALL {
        seeded::is_missed(50, mutant, &[wrong], |seed| play(seed, Some(mutant)));
    }
}

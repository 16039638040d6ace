//! Owns time, chance, the network and faults. Everything follows from the seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proto::MemberId;

use super::judge::{Judge, Violation};
use super::member::{BEAT, Member, id};
use super::{Mutant, Trouble};
use crate::ask::Ask;
use crate::control::reach::PACE;
use crate::lease::vitals::Vitals;
use crate::lease::{Grant, Heartbeat, Terms};
use crate::plan::Plan;
use crate::raft::group::TICK;
use crate::raft::transport::Answer;

const MS: u64 = 1_000_000;

/// Faults of all kinds happen until then: many short histories show more than few long ones.
const CALM: u64 = 9_000 * MS;

/// The same where there is one that lasts.
const CALM_OF_ONE: u64 = 16_000 * MS;

/// After so long everything has come to rest: the shards of moves that were called off, too. It is the end when nothing
/// happens for [`REST`] after that.
const SETTLING: u64 = 14_000 * MS;
const REST: u64 = 2_000 * MS;

/// What one member says to another.
pub(super) enum Word {
    Raft(Bytes),
    Heartbeat(Heartbeat),
    Grant(Grant),
    /// Whoever hears it answers.
    Hello,
    Answer,
    Ask(Ask),
    /// Asks for the plan; the answer says who leads, too.
    Watch,
    Plan(Box<Plan>, Option<MemberId>),
}

/// What a member has said in a turn: to whom, and what.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<Vec<(usize, Word)>>>);

impl Outbox {
    pub(super) fn push(&self, to: usize, word: Word) {
        self.0.lock().unwrap().push((to, word));
    }

    /// Where a grant goes.
    pub(super) fn answer(&self, to: usize) -> Answer {
        let outbox = self.clone();
        Box::new(move |grant| outbox.push(to, Word::Grant(grant)))
    }

    fn take(&self) -> Vec<(usize, Word)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

enum Event {
    /// A thread of a process has something to do; of which of the member's lives.
    Tick(usize, u64),
    Beat(usize, u64),
    Greet(usize, u64),
    Word {
        from: usize,
        to: usize,
        word: Word,
    },
    /// The carrier finds out that a word did not arrive.
    Lost {
        from: usize,
        to: usize,
    },
    Fault(Fault),
}

enum Fault {
    Die(usize),
    Start(usize),
    StandStill(usize, u64),
    /// Words from one to the other are lost, or are not any more.
    Cut(usize, usize, bool),
    /// An arbiter does nothing any more, from now or no longer.
    Hang(usize, bool),
    Loss(u64),
}

/// Members, their clocks, and what is under way between them.
pub(super) struct World {
    now: u64,
    chance: u64,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    members: Vec<Member>,
    /// Each member's life, and until when it stands still.
    lives: Vec<u64>,
    still: Vec<u64>,
    cut: Vec<Vec<bool>>,
    /// Of a thousand words.
    loss: u64,
    outboxes: Vec<Outbox>,
    mutant: Option<Mutant>,
    /// Since when an arbiter of each member has done nothing.
    hung: Vec<Option<u64>>,
    /// When each leader heard each member, for a mutant.
    heard: Vec<Vec<u64>>,
    judge: Judge,
    /// Faults happen until then.
    calm: u64,
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>, trouble: Trouble) -> Self {
        let count = [3, 3, 3, 4, 7][usize::try_from(seed % 5).unwrap()];
        let mut world = Self {
            now: 0,
            chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            events: BTreeMap::new(),
            count: 0,
            members: Vec::new(),
            lives: vec![0; count],
            still: vec![0; count],
            cut: vec![vec![false; count]; count],
            loss: 0,
            outboxes: (0..count).map(|_| Outbox::default()).collect(),
            mutant,
            hung: vec![None; count],
            heard: vec![vec![0; count]; count],
            judge: Judge::default(),
            calm: if trouble == Trouble::Everything { CALM } else { CALM_OF_ONE },
        };
        // In some, every other member has a longer lease than the others grant.
        let differ = trouble == Trouble::Everything && seed % 4 == 3;
        let differ = differ || mutant == Some(Mutant::LeasesUnsaid);
        let ttl = |at| if differ && at % 2 == 1 { 3 } else { 1 };
        let ttls: Vec<_> = (0..count).map(|at| Duration::from_secs(ttl(at))).collect();
        let leases = match mutant {
            Some(Mutant::LeasesUnsaid) => vec![Duration::ZERO; count],
            _ => ttls.clone(),
        };
        for at in 0..count {
            let rate = i64::try_from(world.below(20_000)).unwrap() - 10_000;
            let offset = world.below(1_000_000) * MS;
            world.members.push(Member::new(at, &ttls, &leases, rate, offset));
            world.begin(at);
        }
        match trouble {
            Trouble::Everything => world.plan_faults(count),
            Trouble::Severed | Trouble::Hung => world.plan_one(trouble),
        }
        world
    }

    /// Lets time pass, and judges every moment. How long after the faults all was served again.
    pub(super) fn run(mut self) -> Result<Duration, Violation> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            if self.now >= self.calm + SETTLING + REST {
                break;
            }
            if self.now >= self.calm + SETTLING {
                self.judge.rested(&self.members)?;
            }
            let Some(actor) = self.happen(event) else { continue };
            if let Some(after) = self.now.checked_sub(self.calm) {
                self.judge.note_service(&self.members, self.now, after);
            }
            self.judge.look(&self.members, &self.still, actor, self.now)?;
        }
        self.judge.end(&self.members, self.now)
    }

    /// Says whose state may have changed.
    fn happen(&mut self, event: Event) -> Option<usize> {
        let at = match &event {
            Event::Tick(at, life) | Event::Beat(at, life) | Event::Greet(at, life)
                if *life != self.lives[*at] =>
            {
                return None;
            }
            Event::Tick(at, _) | Event::Beat(at, _) | Event::Greet(at, _) => *at,
            Event::Word { to: at, .. } => *at,
            Event::Lost { from: at, .. } => *at,
            Event::Fault(_) => {
                let Event::Fault(fault) = event else { return None };
                return self.suffer(fault);
            }
        };
        if self.still[at] > self.now {
            // What comes meanwhile waits for it.
            let when = self.still[at];
            self.schedule(when, event);
            return None;
        }
        let local = self.members[at].clock(self.now);
        let me = self.members[at].id;
        let outbox = self.outboxes[at].clone();
        let other = self.another(at);
        let lag = self.hung[at].map_or(0, |since| self.now - since);
        let (held, process) = (self.members[at].acts(self.now), self.members[at].process.as_mut()?);
        match event {
            Event::Tick(_, life) => {
                process.group.tick(local);
                process.watch(other, &outbox);
                process.insist(me, &outbox);
                // A member without a lease looks why.
                if !held {
                    let waits = self.mutant != Some(Mutant::ComesInAtOnce);
                    process.see_to_membership(me, waits, &outbox);
                }
                self.schedule(self.now + nanos(TICK), Event::Tick(at, life));
                self.expel_as_a_mutant(at);
            }
            Event::Beat(_, life) => {
                let vitals = process.vitals(Duration::from_nanos(lag));
                let stops = vitals.must_stop(process.plan(), me);
                if !stops || self.mutant == Some(Mutant::BeatsWhileHung) {
                    process.beat(me, vitals, local, &outbox);
                }
                self.schedule(self.now + nanos(BEAT), Event::Beat(at, life));
            }
            Event::Greet(_, life) => {
                process.greet(me, &outbox);
                self.schedule(self.now + nanos(PACE), Event::Greet(at, life));
            }
            Event::Word { from, word, .. } => {
                let word = self.mutate(at, from, word);
                let process = self.members[at].process.as_mut()?;
                process.take(from, word, local, &outbox);
            }
            Event::Lost { to, .. } => process.group.unreachable(id(to)),
            Event::Fault(_) => {}
        }
        self.members[at].process.as_mut()?.work(me, local, &outbox);
        for (to, word) in outbox.take() {
            self.send(at, to, word);
        }
        Some(at)
    }

    fn send(&mut self, from: usize, to: usize, word: Word) {
        if from != to && (self.cut[from][to] || self.below(1_000) < self.loss) {
            if matches!(word, Word::Raft(_)) {
                let found = self.now + self.below(1_000 * MS);
                self.schedule(found, Event::Lost { from, to });
            }
            return;
        }
        // Mostly soon, now and then late, so that words pass each other.
        let late = match self.below(20) {
            0 => self.below(120 * MS),
            _ => self.below(3 * MS),
        };
        self.schedule(self.now + late, Event::Word { from, to, word });
    }

    fn suffer(&mut self, fault: Fault) -> Option<usize> {
        match fault {
            Fault::Die(at) => {
                self.members[at].die();
                self.lives[at] += 1;
                self.outboxes[at].take();
                None
            }
            Fault::Start(at) => {
                if self.members[at].process.is_some() {
                    return None;
                }
                self.members[at].start();
                self.begin(at);
                Some(at)
            }
            Fault::StandStill(at, until) => {
                self.still[at] = self.still[at].max(until);
                None
            }
            Fault::Cut(from, to, cut) => {
                self.cut[from][to] = cut;
                None
            }
            Fault::Loss(loss) => {
                self.loss = loss;
                None
            }
            Fault::Hang(at, hangs) => {
                self.hung[at] = hangs.then_some(self.now);
                None
            }
        }
    }

    fn begin(&mut self, at: usize) {
        self.lives[at] += 1;
        let life = self.lives[at];
        let (tick, beat) = (self.below(50 * MS), self.below(200 * MS));
        self.schedule(self.now + tick, Event::Tick(at, life));
        self.schedule(self.now + beat, Event::Beat(at, life));
        self.schedule(self.now + beat, Event::Greet(at, life));
    }

    /// Two members that do not reach each other for long, or an arbiter that hangs; nothing else happens.
    fn plan_one(&mut self, trouble: Trouble) {
        let at = usize::try_from(self.below(self.members.len() as u64)).unwrap();
        let other = self.another(at);
        let from = 4_000 * MS + self.below(1_000 * MS);
        if trouble == Trouble::Severed {
            self.cut_between(from, self.calm, &[(at, other), (other, at)]);
            self.judge.must_part((at, other), from..self.calm);
        } else {
            self.schedule(from, Event::Fault(Fault::Hang(at, true)));
            self.schedule(self.calm, Event::Fault(Fault::Hang(at, false)));
            self.judge.must_stop(at, from..self.calm);
        }
    }

    /// Faults of all kinds, some at the same time; at [`Self::calm`] all are over.
    fn plan_faults(&mut self, count: usize) {
        let places = count as u64;
        let mut now = 2_000 * MS + self.below(2_500 * MS);
        while now < self.calm {
            let at = usize::try_from(self.below(places)).unwrap();
            let other = self.another(at);
            let until = (now + self.below(4_000 * MS)).min(self.calm);
            match self.below(7) {
                6 => self.flap(now, until, at, other),
                0 => {
                    self.schedule(now, Event::Fault(Fault::Die(at)));
                    self.schedule(until, Event::Fault(Fault::Start(at)));
                }
                1 => self.schedule(now, Event::Fault(Fault::StandStill(at, until))),
                2 => self.cut_between(now, until, &[(at, other)]),
                3 => {
                    let around = (0..count).filter(|it| *it != at);
                    let both: Vec<_> = around.flat_map(|it| [(at, it), (it, at)]).collect();
                    self.cut_between(now, until, &both);
                }
                4 => {
                    // One that is heard by nobody, and hears all.
                    let ways: Vec<_> =
                        (0..count).filter(|it| *it != at).map(|it| (at, it)).collect();
                    self.cut_between(now, until, &ways);
                }
                _ => {
                    let loss = self.below(300);
                    self.schedule(now, Event::Fault(Fault::Loss(loss)));
                    self.schedule(until, Event::Fault(Fault::Loss(0)));
                }
            }
            now += self.below(2_500 * MS);
        }
        for at in 0..count {
            self.schedule(self.calm, Event::Fault(Fault::Start(at)));
        }
    }

    /// A way that comes and goes, sometimes in one direction alone.
    fn flap(&mut self, from: u64, until: u64, one: usize, other: usize) {
        let mut now = from;
        while now < until {
            let end = (now + self.below(400 * MS)).min(until);
            match self.below(3) {
                0 => self.cut_between(now, end, &[(one, other)]),
                _ => self.cut_between(now, end, &[(one, other), (other, one)]),
            }
            now = end + self.below(400 * MS);
        }
    }

    fn cut_between(&mut self, from: u64, until: u64, ways: &[(usize, usize)]) {
        for (one, other) in ways {
            self.schedule(from, Event::Fault(Fault::Cut(*one, *other, true)));
            self.schedule(until, Event::Fault(Fault::Cut(*one, *other, false)));
        }
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn another(&mut self, at: usize) -> usize {
        let count = self.members.len();
        (at + 1 + usize::try_from(self.below(count as u64 - 1)).unwrap()) % count
    }

    /// A number below this.
    fn below(&mut self, bound: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) % bound.max(1)
    }

    /// What a word becomes under a broken rule.
    fn mutate(&mut self, at: usize, from: usize, word: Word) -> Word {
        match (self.mutant, word) {
            (Some(Mutant::LeaseFromArrival), Word::Grant(grant)) => {
                Word::Grant(Grant { sent: self.members[at].clock(self.now), ..grant })
            }
            (Some(Mutant::NobodyParts), Word::Heartbeat(heartbeat)) => {
                let vitals = Vitals { unreached: Vec::new(), ..heartbeat.vitals };
                Word::Heartbeat(Heartbeat { vitals, ..heartbeat })
            }
            (Some(Mutant::PartsAtOnce), Word::Heartbeat(heartbeat)) => {
                let process = self.members[at].process.as_mut();
                let leads = process.filter(|process| process.group.leads().is_some());
                let gone = heartbeat.vitals.unreached.iter().max();
                if let Some((process, gone)) = leads.zip(gone) {
                    process.group.expel(*gone);
                }
                Word::Heartbeat(heartbeat)
            }
            (Some(mutant), Word::Heartbeat(heartbeat)) => {
                self.heard[at][from] = self.now;
                let process = self.members[at].process.as_ref();
                let leads = process.is_some_and(|process| process.group.leads().is_some());
                if mutant == Mutant::GrantWithoutAsking && leads {
                    let ttl = Terms::default().ttl;
                    let grant = Grant { sent: heartbeat.sent, ttl, min_index: 0 };
                    self.outboxes[at].push(from, Word::Grant(grant));
                }
                Word::Heartbeat(heartbeat)
            }
            (_, word) => word,
        }
    }

    /// A leader that counts from whatever it has heard, ever.
    fn expel_as_a_mutant(&mut self, at: usize) {
        if self.mutant != Some(Mutant::NoLeaderWait) {
            return;
        }
        let (now, silence) = (self.now, nanos(Terms::default().silence()));
        let Some(process) = self.members[at].process.as_mut() else { return };
        if process.group.leads().is_none() {
            return;
        }
        for other in (0..self.heard.len()).filter(|other| *other != at) {
            if now.saturating_sub(self.heard[at][other]) > silence {
                process.group.expel(id(other));
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}

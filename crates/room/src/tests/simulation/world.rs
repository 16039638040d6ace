//! Owns the course of the simulation: what happens when, until all is at rest and judged.

use super::*;
use crate::{Config, Rates};

/// Times that people act and things go wrong, each followed by quiet.
const ROUNDS: usize = 3;
/// Steps of one time, of a millisecond each.
const STEPS: usize = 1_200;
/// What may happen within one of them.
const DEEDS: usize = 4;

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut chance = Chance::new(seed);
        let (mut homes, mut clients) = (Vec::new(), Vec::new());
        for (number, (name, resources)) in ACCOUNTS.into_iter().enumerate() {
            let first = clients.len();
            for (place, resource) in resources.iter().enumerate() {
                let (jid, uid) = (format!("{name}@x.org/{resource}"), clients.len() as u64 + 1);
                clients.push(Client::new(&jid, number, place, uid));
            }
            homes.push(Home::new(number, (first..clients.len()).collect()));
        }
        homes[0].begins_inside(occupant("first"));
        clients[0].begins_inside("first");
        let stage = made(chance.one_in(3));
        let mut world = Self {
            chance,
            mutant,
            now: stage.trial.now,
            alive: [true; MEMBERS],
            cut: [Duration::ZERO; MEMBERS],
            refuses: Duration::ZERO,
            owner: 0,
            standby: None,
            epoch: 1,
            stage: Some(stage),
            takeover: None,
            closed: false,
            to_standby: VecDeque::new(),
            kept: Default::default(),
            homes,
            clients,
            speakers: Vec::new(),
            refused: BTreeSet::new(),
            departures: BTreeMap::new(),
        };
        world.choose_standby();
        if world.lacks(Mutant::GivingAnew) {
            world.begin_copy();
        }
        world.recover();
        world
    }

    /// Says what happens to members, for whoever plays one history again.
    pub(super) fn note(&self, what: &str) {
        let kept = self.kept.each_ref().map(|copy| copy.as_ref().map(|copy| copy.epoch.0));
        let homes: Vec<usize> = self.homes.iter().map(|home| home.member).collect();
        println!(
            "{:?} {what}: owner {}, epoch {}, standby {:?}, alive {:?}, kept {kept:?}, homes {homes:?}",
            self.now.elapsed, self.owner, self.epoch, self.standby, self.alive
        );
    }

    pub(super) fn run(mut self) {
        for _ in 0..ROUNDS {
            for _ in 0..STEPS {
                self.step(true);
                match self.chance.below(1_000) {
                    0..4 => self.die(),
                    4 => self.hand_over(),
                    5 => self.change_standby(),
                    6 => self.cut_off(),
                    7 => self.refuse(),
                    8 => self.begin_copy(),
                    _ => {}
                }
            }
            self.come_to_rest();
            self.judge();
        }
    }

    fn come_to_rest(&mut self) {
        let last = self.cut.iter().copied().max().unwrap_or_default();
        let until = last.max(self.refuses).max(self.now.elapsed) + PATIENCE;
        while !self.is_at_rest() && self.now.elapsed < until {
            self.step(false);
        }
        self.note("at rest");
    }

    /// Nothing is under way between anybody.
    pub(super) fn is_at_rest(&self) -> bool {
        let none = self.clients.iter().all(|client| client.unacknowledged.is_empty());
        let homes = self.homes.iter().all(Home::is_at_rest);
        let now = self.now.elapsed;
        let whole = self.cut.iter().chain([&self.refuses]).all(|until| *until <= now);
        none && homes && whole && self.takeover.is_none() && self.is_room_at_rest()
    }

    pub(super) fn step(&mut self, goes_on: bool) {
        let millisecond = Duration::from_millis(1);
        self.now.elapsed += millisecond;
        self.now.unix_micros += 1_000;
        self.accept();
        self.turn(|stage| stage.trial.advance(millisecond));
        self.ask_new_homes();
        for _ in 0..DEEDS {
            let home = self.chance.below(self.homes.len());
            match self.chance.below(14) {
                0 | 1 => self.arrive_at_room(home),
                2..5 => self.arrive_at_home(home),
                5 => self.confirm(home),
                6 => (0..=self.chance.below(16)).for_each(|_| self.homes[home].learns()),
                7 => self.deliver_to_standby(),
                8 if goes_on && self.chance.one_in(4) => self.somebody_acts(),
                9 => self.turn(|stage| stage.trial.answer()),
                10 => self.turn(|stage| stage.trial.look()),
                11 => self.speak(home),
                12 => self.sessions_end(home),
                13 if goes_on && self.chance.one_in(4) => self.somebody_acts(),
                _ => {}
            }
        }
        self.acknowledge();
    }

    fn sessions_end(&mut self, home: usize) {
        if self.homes[home].opens <= self.now.elapsed {
            self.homes[home].sessions_end(self.now.elapsed, &self.clients);
        }
    }
}

/// A room in which the first client is; some have no archive.
fn made(lacks_archive: bool) -> Stage {
    let rates = Rates { enabled: false, ..Config::default().rates };
    let mut stage = Stage::absent(Config { rates, ..Config::default() });
    let value = u8::from(!lacks_archive);
    stage.made(&format!(
        "<field var='muc#roomconfig_persistentroom'><value>1</value></field><field var='muc#roomconfig_enablearchiving'><value>{value}</value></field><field var='muc#maxhistoryfetch'><value>10</value></field>"
    ));
    stage.trial.hold_store();
    stage
}

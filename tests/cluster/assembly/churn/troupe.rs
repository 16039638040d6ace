//! Owns a moderator with the guests that he sends away and lets in again: what they do next is chance, of a seed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::clock::BootTime;

use super::super::counted::{Counted, Members};
use super::super::occupant::{ROOM, Scene};
use super::guest::{Command, Guest, Place, Story};

/// Guests of one moderator.
pub(super) const GUESTS: usize = 4;

/// How long each is listened to in turn, and how long a guest rests between two commands.
const GLANCE: Duration = Duration::from_millis(4);
const REST: Duration = Duration::from_millis(150);

/// A moderator and his guests.
pub(super) struct Troupe {
    scene: Arc<Scene>,
    /// Troupes that have nothing under way after the end.
    idle: Arc<AtomicUsize>,
    moderator: Guest,
    guests: Vec<Guest>,
    /// Requests that are not answered, and whom they are about.
    asked: HashMap<String, usize>,
    /// Those that are: when the owner dies, one may be answered twice.
    answered: HashSet<String>,
    requests: usize,
    chance: u64,
}

/// The account of a guest; the first of each troupe is the moderator.
pub(super) fn name(troupe: usize, guest: usize) -> String {
    format!("guest{troupe}-{guest}")
}

impl Troupe {
    pub(super) fn new(
        number: usize,
        (scene, idle): (&Arc<Scene>, &Arc<AtomicUsize>),
        members: &Members,
    ) -> Self {
        let guest = |it| Guest::new(Counted::new(&name(number, it), number + it, members));
        Self {
            scene: Arc::clone(scene),
            idle: Arc::clone(idle),
            moderator: guest(0),
            guests: (1..=GUESTS).map(guest).collect(),
            asked: HashMap::new(),
            answered: HashSet::new(),
            requests: 0,
            chance: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Plays until it is over: what became of all, the moderator first.
    pub(super) fn play(mut self) -> Vec<Story> {
        let nick = self.moderator.next_nick();
        self.moderator.begin(Command::Enter(nick));
        let is = |flag: &std::sync::atomic::AtomicBool| flag.load(Ordering::Acquire);
        let mut is_idle = false;
        while !is(&self.scene.over) {
            self.hear();
            if !is(&self.scene.ends) {
                self.go_on();
            } else if !is_idle && self.guests.iter().all(Guest::is_idle) {
                is_idle = true;
                self.idle.fetch_add(1, Ordering::AcqRel);
            }
        }
        [self.moderator].into_iter().chain(self.guests).map(Guest::end).collect()
    }

    fn hear(&mut self) {
        for guest in self.guests.iter_mut().chain([&mut self.moderator]) {
            let had_ended = guest.story.has_ended;
            guest.hear(GLANCE);
            if guest.story.has_ended && !had_ended {
                self.scene.done.fetch_add(1, Ordering::AcqRel);
            }
        }
        for answer in std::mem::take(&mut self.moderator.answers) {
            let id = answer.attr("id").unwrap_or_default();
            let about = self.asked.remove(id);
            match about.and_then(|about| self.guests.get_mut(about)) {
                Some(guest) => {
                    self.answered.insert(id.to_owned());
                    guest.granted(&answer);
                }
                None if self.answered.contains(id) && answer.attr("type") == Some("result") => {}
                None => self.moderator.story.faults.push(format!("nobody has asked: {answer:?}")),
            }
        }
    }

    /// Whoever has rested does something, or something is done to him.
    fn go_on(&mut self) {
        if !self.moderator.is_idle() {
            return;
        }
        for at in 0..self.guests.len() {
            let chance = self.draw();
            let guest = &mut self.guests[at];
            if !guest.is_idle() || BootTime::now().since(guest.done) < REST {
                continue;
            }
            let command = match (&guest.place, chance) {
                (Place::Outside, 0) => Command::Ban,
                (Place::Outside, _) => Command::Enter(guest.next_nick()),
                (Place::Inside(_), 0) => Command::Ban,
                (Place::Inside(_), 1 | 2) => Command::Kick,
                (Place::Inside(_), 3 | 4) => Command::Leave,
                (Place::Inside(_), _) => Command::Rename(guest.next_nick()),
                (Place::Banned, 0..4) => Command::Knock,
                (Place::Banned, _) => Command::Pardon,
            };
            self.ask(at, &command);
            self.guests[at].begin(command);
        }
    }

    /// The moderator asks for what only he may do.
    fn ask(&mut self, at: usize, command: &Command) {
        let guest = &self.guests[at];
        let item = match (command, &guest.place) {
            (Command::Kick, Place::Inside(nick)) => format!("nick='{nick}' role='none'"),
            (Command::Ban, _) => {
                format!("jid='{}@localhost' affiliation='outcast'", guest.story.name)
            }
            (Command::Pardon, _) => {
                format!("jid='{}@localhost' affiliation='none'", guest.story.name)
            }
            _ => return,
        };
        self.requests += 1;
        let id = format!("q{}", self.requests);
        self.moderator.stream.say(format!(
            "<iq type='set' id='{id}' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item {item}/></query></iq>"
        ));
        self.asked.insert(id, at);
    }

    /// A number below ten.
    fn draw(&mut self) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 20) % 10
    }
}

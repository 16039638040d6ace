//! The simulation of one room: people speak in it, come in, leave and are kicked, while its owner dies again and again. The
//! room is the real one; the members around it, the homes of its people and its second copy are models. Deterministic: a
//! seed is a history. `ROOKERY_SEEDS=2000` plays more, `ROOKERY_SEED=7` only that one.
//!
//! What must hold (XEP-0045 §7.4): all hear one order, each message once, without a gap from when they come in until they
//! leave, and nothing before or after; what was confirmed is in the archive, once and in the order in which it was said;
//! and who is inside for the room is inside for themselves. What does not is a [`judge::Violation`]; a panic is a fault of
//! the simulation, or of the room, whatever was left out.

mod judge;
mod people;
mod world;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use entity::trial::Played;
use entity::{Copy, Entity, Mirror};
use proto::receipt::Settle;
use proto::{Body, Envelope, Mark, MemberId, Receipt, Route, Seen};
use xmpp::{Epoch, Origin};

use super::stage::{self, Stage};
use crate::{Config, Rates, mirror};
use judge::{History, Wrong, holds, played};
use people::Person;

/// Who is there: the first one owns the room, stays inside, and kicks others.
const PEOPLE: [&str; 5] = ["crone", "hag", "bat", "owl", "rat"];
const STEPS: usize = 1_500;

/// What is left out, to see that the simulation misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// A home acts on what it has had.
    Repeats,
    /// A home gives its client what a room says that the client has left.
    Straying,
    /// What somebody sends is confirmed before the second copy knows what came of it.
    Waiting,
    /// A new owner does not tell again what may not have reached all.
    TellingAgain,
    /// What was not confirmed is not sent again.
    SendingAgain,
}

impl Mutant {
    /// Each with what goes wrong without it.
    const ALL: [(Self, Wrong); 5] = [
        (Self::Repeats, Wrong::Twice),
        (Self::Straying, Wrong::HeardOutside),
        (Self::Waiting, Wrong::Ghost),
        (Self::TellingAgain, Wrong::Lost),
        (Self::SendingAgain, Wrong::Lost),
    ];
}

/// Numbers that look like chance and are the same each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % most as u64).unwrap()
    }
}

/// What was confirmed to people: whose stanza, and which. What an owner that is gone still holds says nothing.
#[derive(Default)]
struct Confirmed {
    stanzas: Mutex<BTreeSet<(usize, u64)>>,
    life: AtomicU64,
    faults: AtomicU64,
}

struct Confirm {
    to: Arc<Confirmed>,
    life: u64,
    stanza: (usize, u64),
}

impl Settle for Confirm {
    fn settle(&self, _: u64, faulty: bool) {
        if self.life != self.to.life.load(Ordering::SeqCst) {
            return;
        }
        match faulty {
            true => drop(self.to.faults.fetch_add(1, Ordering::SeqCst)),
            false => drop(self.to.stanzas.lock().unwrap().insert(self.stanza)),
        }
    }
}

struct World {
    chance: Chance,
    mutant: Option<Mutant>,
    stage: Stage,
    epoch: u64,
    /// The standby has been given a whole copy by this owner.
    is_copied: bool,
    /// On its way to the standby, with what waits for it.
    to_standby: VecDeque<(Mirror, Vec<Receipt>)>,
    kept: Option<Copy>,
    /// What waits for the turns that follow writes.
    writing: Vec<Receipt>,
    people: Vec<Person>,
    confirmed: Arc<Confirmed>,
}

/// Plays one history.
fn play(seed: u64, mutant: Option<Mutant>) -> History {
    played(seed, || World::new(seed, mutant).run())
}

#[test]
fn all_hear_one_order_each_message_once_however_often_the_owner_dies() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(200),
    };
    for seed in seeds {
        assert_eq!(play(seed, None), Ok(()), "ROOKERY_SEED={seed} plays it again");
    }
}

#[test]
fn whatever_is_left_out_is_missed_as_what_it_is() {
    for (mutant, wrong) in Mutant::ALL {
        let is_missed = |seed| play(seed, Some(mutant)).is_err_and(|it| it.wrong == wrong);
        assert!((0..200).any(is_missed), "without {mutant:?} nothing is {wrong:?} here");
    }
}

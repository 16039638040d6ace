//! The simulation of one session: others write to its client, and it to them, while its owner, its standby and the members
//! with its connections die or stand still, while its shard moves, and while its client comes and goes. The session is the
//! real one; the members around it are models. Deterministic: a seed is a history. `ROOKERY_SEEDS=2000` plays more.
//!
//! What must hold while one member dies at a time: what was confirmed to its sender reaches the client; nothing reaches
//! it twice; what one sends arrives in order; what the client was told is handled was acted on, once and in order. What
//! does not is a [`Wrong`]; a panic is a fault of the simulation, or of the session, whatever was left out.

mod client;
mod edge;
mod judge;
mod members;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entity::trial::Played;
use entity::{Copy, Entity, Mirror};
use proto::receipt::Settle;
use proto::snapshot::{Counts, SessionSnapshot, SessionState, StreamSnapshot};
use xmpp::Epoch;

use super::*;
use client::Client;
use edge::Edge;
use judge::{History, Wrong};
use seeded::{Chance, holds, played};

const MEMBERS: usize = 3;
const SENDERS: usize = 3;
const STEPS: usize = 1_000;

/// What is left out, to see that the simulation misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// A new owner does not wait until connections have spoken.
    Barrier,
    /// A connection does not say again what is not confirmed.
    SayingAgain,
    /// What others sent and was not confirmed is not sent again.
    SendingAgain,
    /// What comes again does not say so.
    Again,
    /// The copy of a connection that is lost learns nothing more.
    Orphans,
    /// Somebody waits for a copy no longer than until it is told.
    Waiting,
    /// A standby forgets its copy as soon as a connection is to have one.
    KeepingOn,
    /// A copy that was lost on its way is not given anew.
    GivingAnew,
    /// Whoever hands the session over keeps nothing of it.
    KeepingHanded,
    /// A standby that becomes the owner has none itself.
    ChangingPlaces,
}

impl Mutant {
    /// Each with what goes wrong without it, one or the other.
    const ALL: [(Self, &'static [Wrong]); 10] = [
        (Self::Barrier, &[Wrong::Ended, Wrong::Lost]),
        (Self::SayingAgain, &[Wrong::Lost]),
        (Self::SendingAgain, &[Wrong::Lost]),
        (Self::Again, &[Wrong::Twice]),
        (Self::Orphans, &[Wrong::Lost, Wrong::Twice]),
        (Self::Waiting, &[Wrong::Lost]),
        (Self::KeepingOn, &[Wrong::Ended, Wrong::Lost]),
        (Self::GivingAnew, &[Wrong::Baseless]),
        (Self::KeepingHanded, &[Wrong::Ended, Wrong::Lost]),
        (Self::ChangingPlaces, &[Wrong::Ended, Wrong::Lost, Wrong::Twice]),
    ];
}

/// What was confirmed to senders. What a process that is gone still holds says nothing.
#[derive(Default)]
struct Confirmed {
    messages: Mutex<BTreeSet<(u64, u64)>>,
    life: AtomicU64,
    faults: AtomicU64,
}

struct Confirm {
    to: Arc<Confirmed>,
    life: u64,
    message: (u64, u64),
}

impl Settle for Confirm {
    fn settle(&self, _: u64, faulty: bool) {
        if self.life != self.to.life.load(Ordering::SeqCst) {
            return;
        }
        if faulty {
            self.to.faults.fetch_add(1, Ordering::SeqCst);
        } else {
            self.to.messages.lock().unwrap().insert(self.message);
        }
    }
}

/// Whoever writes to the client.
#[derive(Default)]
struct Sender {
    /// What is not confirmed, and how much of that is on its way.
    waiting: VecDeque<u64>,
    under_way: usize,
    last: u64,
    /// What has been on its way, and up to where it was to an owner that is gone.
    sent: u64,
    again_until: u64,
}

struct World {
    chance: Chance,
    mutant: Option<Mutant>,
    alive: [bool; MEMBERS],
    incarnations: [u64; MEMBERS],
    owner: usize,
    standby: Option<usize>,
    epoch: u64,
    trial: Trial<Session>,
    /// Whom the owner's shell has given a copy: member and incarnation.
    copied: Option<(usize, u64)>,
    to_standby: VecDeque<(Mirror, Option<Receipt>)>,
    kept: [Option<Copy>; MEMBERS],
    edges: Vec<Edge>,
    numbers: u64,
    turns: u64,
    client: Client,
    secret: [u8; 16],
    confirmed: Arc<Confirmed>,
    senders: Vec<Sender>,
    /// What the account has acted on: the client's stanzas, by their place.
    acted: BTreeMap<u64, u64>,
    receipts: Vec<Receipt>,
    /// It has not looked yet since receipts were released.
    is_woken: bool,
}

fn member(index: usize) -> MemberId {
    MemberId(index as u64 + 1)
}

fn account() -> BareJid {
    BareJid::parse("a@x.org").unwrap()
}

fn to_session() -> Route {
    Route::Session(SessionId { account: account(), uid: UID })
}

fn numbered(sender: u64, number: u64) -> Stanza {
    let from = Jid::parse(&format!("s{sender}@y.org/r")).ok();
    let kind = Kind::Message(MessageType::Chat);
    let head = Head { kind, id: None, from, to: None, lang: None };
    Stanza::new(head, format!("<body>{sender} {number}</body>"))
}

fn read(stanza: &Stanza) -> (u64, u64) {
    let text = stanza.child("body", "").unwrap().text();
    let (sender, number) = text.split_once(' ').unwrap();
    (sender.parse().unwrap(), number.parse().unwrap())
}

fn trial() -> Trial<Session> {
    let hosts = Hosts::new([BareJid::parse("x.org").unwrap()], []);
    let store = Arc::new(Memory::new());
    Trial::new(&to_session(), Arc::new(Config::default()), hosts, store).unwrap()
}

/// Plays one history.
fn play(seed: u64, mutant: Option<Mutant>) -> History {
    played(seed, || World::new(seed, mutant).run())
}

#[test]
fn nothing_confirmed_is_lost_or_given_twice_and_order_stays() {
    seeded::all_go_well(200, |seed| play(seed, None));
}

#[test]
fn whatever_is_left_out_is_missed_as_what_it_is() {
    for (mutant, wrong) in Mutant::ALL {
        seeded::is_missed(200, mutant, wrong, |seed| play(seed, Some(mutant)));
    }
}

//! Owns the simulation of one room: people come, go, change their nicks, speak and vanish, while its owner, its standby and the
//! members of their homes die or are cut off, while it moves, and while the store is slow or refuses. Deterministic: a
//! seed is a history. `ROOKERY_SEEDS=2000` plays more, `ROOKERY_SEED` one again.
//!
//! The room is the real one, with its rows, its archive, what its shell knows of repeats (`entity::trial`) and its second
//! copies. Everything around it is a model: clients ([`client`]), the homes of their accounts ([`home`], which says what of
//! them), lanes ([`lane`]), and members ([`members`]).
//!
//! A lane splits what is for many, which real ones do not, and no member dies while it is cut off, nor while another one is dead.
//! What nobody promises about those who come, go or are refused in the moment in which an owner dies is let pass in
//! [`members`] (`owner_dies`) and [`client`] (`Heard::may_repeat`).
//!
//! What must hold while one member dies at a time, 5 seconds after the last fault: inside are those who have come and not
//! gone, and room, homes and clients agree on that; nobody was told that he, or somebody else, has left who has not; all
//! hear one order of messages, each once, without a gap; what was acknowledged to its sender all hear. What does not is a
//! [`Wrong`].

mod client;
mod home;
mod judge;
mod lane;
mod members;
mod owner;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use entity::{Copy, Entity, Mirror};
use proto::{Body, Envelope, Mark, Now, Receipt, Route, Seen};
use seeded::{Chance, holds, played};
use xmpp::{Element, Epoch, FullJid, Head, Jid, Kind, MessageType, Origin, PresenceType, Stanza};
use xmpp::{Shard, ns};

use super::stage::{self, Stage};
use client::Client;
use home::Home;
use judge::{History, Wrong};
use lane::{Fate, Lane};

const MEMBERS: usize = 4;
/// The accounts, each with its clients. The first client has made the room, and stays for ever.
const ACCOUNTS: [(&str, &[&str]); 4] = [
    ("crone", &["desktop"]),
    ("hag", &["pda", "laptop"]),
    ("bat", &["cave", "loft"]),
    ("owl", &["tree"]),
];
/// Nicks, few enough for people to want the same.
const NICKS: usize = 4;
/// After so long all must be as it should.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is left out, to see that the simulation misses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// The standby is given nothing.
    Copying,
    /// Nobody waits until the copy has learned something.
    Waiting,
    /// A message that no archive has is told all before the copy has it.
    Telling,
    /// A copy that is lost with its keeper is not given anew.
    GivingAnew,
    /// Homes do not say who is inside.
    Claiming,
    /// A new owner does not wait until homes have spoken.
    Barrier,
    /// What the room was sent and has not confirmed is not sent again.
    SendingAgain,
    /// Homes do not know what comes again.
    Knowing,
}

impl Mutant {
    /// Each with what goes wrong without it, one or the other.
    const ALL: [(Self, &'static [Wrong]); 8] = [
        (Self::Copying, &[Wrong::Refused, Wrong::Ghost]),
        (Self::Waiting, &[Wrong::Twice, Wrong::Refused]),
        (Self::Telling, &[Wrong::Twice, Wrong::Lost]),
        (Self::GivingAnew, &[Wrong::Baseless]),
        (Self::Claiming, &[Wrong::Twice, Wrong::Missing]),
        (Self::Barrier, &[Wrong::Twice, Wrong::Missing]),
        (Self::SendingAgain, &[Wrong::Lost, Wrong::Unanswered]),
        (Self::Knowing, &[Wrong::Twice]),
    ];
}

struct World {
    chance: Chance,
    mutant: Option<Mutant>,
    now: Now,
    alive: [bool; MEMBERS],
    /// A member is cut off until then.
    cut: [Duration; MEMBERS],
    /// The store refuses to write until then.
    refuses: Duration,
    owner: usize,
    standby: Option<usize>,
    epoch: u64,
    /// The room; none while nobody has it.
    stage: Option<Stage>,
    takeover: Option<Takeover>,
    /// It is about to move: nothing gets in.
    closed: bool,
    to_standby: VecDeque<(Mirror, Option<Receipt>)>,
    kept: [Option<Copy>; MEMBERS],
    homes: Vec<Home>,
    clients: Vec<Client>,
    /// How many messages were said, and who has said each.
    speakers: Vec<usize>,
    /// Came back with an error.
    refused: BTreeSet<usize>,
    /// When somebody went who had this nick.
    departures: BTreeMap<String, Vec<Duration>>,
}

/// The owner is gone.
struct Takeover {
    /// The room as the next one loads it.
    heir: Stage,
    /// Its lease is over then.
    due: Duration,
    spoken: Vec<bool>,
    claims: Vec<Bytes>,
}

fn occupant(nick: &str) -> Jid {
    Jid::parse(&format!("{}/{nick}", stage::room())).unwrap()
}

fn head(kind: Kind, from: &FullJid, to: Jid) -> Head {
    Head { kind, id: None, from: Some(from.clone().into()), to: Some(to), lang: None }
}

/// Plays one history.
fn play(seed: u64, mutant: Option<Mutant>) -> History {
    played(seed, || World::new(seed, mutant).run())
}

#[test]
fn who_is_inside_stays_inside_and_hears_everything_once_and_in_order() {
    seeded::all_go_well(200, |seed| play(seed, None));
}

#[test]
fn whatever_is_left_out_is_missed_as_what_it_is() {
    for (mutant, wrong) in Mutant::ALL {
        seeded::is_missed(200, mutant, wrong, |seed| play(seed, Some(mutant)));
    }
}

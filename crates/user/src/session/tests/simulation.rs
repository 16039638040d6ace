//! The simulation of one session: others write to its client, and it to them, while its owner, its standby and the members
//! with its connections die or stand still, while its shard moves, and while its client comes and goes. The session is the
//! real one; the members around it are models. Deterministic: a seed is a history. `ROOKERY_SEEDS=2000` plays more.
//!
//! What must hold while one member dies at a time: what was confirmed to its sender reaches the client; nothing reaches
//! it twice; what one sends arrives in order; what the client was told is handled was acted on, once and in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use entity::trial::Played;
use entity::{Copy, Mirror};
use proto::receipt::Settle;
use proto::snapshot::{Counts, SessionSnapshot, SessionState, StreamSnapshot};
use xmpp::Epoch;

use super::*;

const MEMBERS: usize = 3;
const SENDERS: usize = 3;
const STEPS: usize = 800;

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
    const ALL: [Self; 10] = [
        Self::Barrier,
        Self::SayingAgain,
        Self::SendingAgain,
        Self::Again,
        Self::Orphans,
        Self::Waiting,
        Self::KeepingOn,
        Self::GivingAnew,
        Self::KeepingHanded,
        Self::ChangingPlaces,
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

/// From a connection to its client.
#[derive(Debug)]
enum Down {
    Message(u64, u64),
    Ask,
    Handled(u32),
    Resumed(u32),
    Close,
}

/// A connection, as `c2s` has it.
struct Edge {
    id: ConnectionId,
    /// A client is there.
    open: bool,
    asks: Option<EdgeWord>,
    bound: bool,
    copy: Option<Box<SessionSnapshot>>,
    orphan: Option<Box<SessionSnapshot>>,
    unconfirmed: VecDeque<Option<EdgeWord>>,
    confirmed: u32,
    up: VecDeque<(EdgeWord, bool)>,
    down: VecDeque<Down>,
    /// On its way from the session, with the turn that has sent it.
    words: VecDeque<(u64, Envelope)>,
}

#[derive(Default)]
struct Client {
    at: Option<usize>,
    /// What it still hears by a connection that is gone.
    left: VecDeque<Down>,
    resumed: bool,
    h: u32,
    said: u64,
    acknowledged: u32,
    unacknowledged: VecDeque<u64>,
    received: Vec<(u64, u64)>,
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

/// As `c2s` begins a copy.
fn begun(counts: Option<Counts>, seq: u64) -> Box<SessionSnapshot> {
    let stream = StreamSnapshot { counts, seq, ..StreamSnapshot::default() };
    let (edge, resumption, entry, term) = Default::default();
    let jid = FullJid::parse("a@x.org/r").unwrap();
    Box::new(SessionSnapshot { uid: UID, jid, edge, resumption, stream: Some(stream), entry, term })
}

impl Edge {
    fn new(member: MemberId, number: u64) -> Self {
        Self {
            id: ConnectionId { member, arbiter: ArbiterId(0), number },
            open: true,
            asks: None,
            bound: false,
            copy: None,
            orphan: None,
            unconfirmed: VecDeque::new(),
            confirmed: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            words: VecDeque::new(),
        }
    }

    fn follow(&mut self, word: &HomeWord, cause: Origin, lacks_orphans: bool) {
        let copy = match (&mut self.copy, &mut self.orphan) {
            (Some(copy), _) => copy,
            _ if lacks_orphans => return,
            (None, Some(orphan)) => orphan,
            // The session was on this member until it moved, and has not heard that the client is gone.
            (None, None) if !self.bound && matches!(word, HomeWord::Keep(_)) => {
                self.orphan.insert(begun(None, 0))
            }
            (None, None) => return,
        };
        match word {
            HomeWord::Stanza(stanza) => copy.given((stanza, cause), 0),
            HomeWord::Handled { h, .. } => copy.handled(*h),
            HomeWord::Keep(change) if !self.bound => {
                copy.absorb((**change).clone());
                copy.edge = None;
            }
            _ => {}
        }
    }

    /// Takes a word of the session. `far`: that is on another member.
    fn obey(&mut self, word: HomeWord, cause: Origin, (far, lacks_orphans): (bool, bool)) {
        self.follow(&word, cause, lacks_orphans);
        match word {
            HomeWord::Stanza(stanza) => {
                let (sender, number) = read(&stanza);
                self.tell(Down::Message(sender, number));
            }
            HomeWord::Nonza(_) => self.tell(Down::Ask),
            HomeWord::Handled { h, .. } => {
                let risen = h.wrapping_sub(self.confirmed) as usize;
                self.unconfirmed.drain(..risen.min(self.unconfirmed.len()));
                self.confirmed = h;
                if self.bound {
                    self.tell(Down::Handled(h));
                }
            }
            HomeWord::Resumed { h, .. } => {
                self.asks = None;
                let counts = Counts { handled: h.into(), ..Counts::default() };
                let copy = far.then(|| begun(Some(counts), h.into()));
                if !self.open {
                    self.orphan = copy;
                    return self.up.push_back((EdgeWord::Gone(Gone::Lost), false));
                }
                (self.bound, self.confirmed, self.copy) = (true, h, copy);
                self.tell(Down::Resumed(h));
            }
            HomeWord::Keep(change) if self.bound => {
                self.copy.get_or_insert_with(|| begun(None, 0)).absorb(*change);
            }
            HomeWord::Keep(_) => {}
            HomeWord::Close(_) => {
                (self.bound, self.asks, self.copy, self.orphan) = (false, None, None, None);
                self.tell(Down::Close);
            }
            HomeWord::ResumeFailed { .. } => {
                self.asks = None;
                assert!(!self.open, "the session is lost");
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    fn tell(&mut self, what: Down) {
        if self.open {
            self.down.push_back(what);
        }
    }

    fn as_data(&self, edge: Option<ConnectionId>) -> Option<SessionSnapshot> {
        let mut session = (**self.copy.as_ref()?).clone();
        session.edge = edge;
        Some(session)
    }

    /// The client is gone.
    fn lose(&mut self) {
        (self.open, self.down) = (false, VecDeque::new());
        if self.bound {
            self.up.push_back((EdgeWord::Gone(Gone::Lost), false));
            self.orphan = self.as_data(None).map(Box::new);
            (self.bound, self.copy) = (false, None);
        }
    }

    /// What it says to a new owner.
    fn announce(&mut self, number: u64, lacks_saying: bool) -> Option<SessionSnapshot> {
        self.up.clear();
        self.words.clear();
        if let Some(orphan) = &self.orphan {
            return Some((**orphan).clone());
        }
        self.id.number = number;
        if let Some(word) = self.asks.clone().filter(|_| self.open) {
            self.up.push_back((word, false));
        }
        if !self.bound {
            return None;
        }
        let unconfirmed: Option<Vec<EdgeWord>> = self.unconfirmed.iter().cloned().collect();
        let (Some(session), Some(unconfirmed)) = (self.as_data(Some(self.id)), unconfirmed) else {
            let copy = self.as_data(None);
            self.lose();
            return copy;
        };
        if !lacks_saying {
            self.up.extend(unconfirmed.into_iter().map(|word| (word, true)));
        }
        Some(session)
    }
}

mod world;

/// Plays one history; whether all was well.
fn plays_well(seed: u64, mutant: Option<Mutant>) -> bool {
    std::panic::catch_unwind(|| World::new(seed, mutant).run()).is_ok()
}

#[test]
fn nothing_confirmed_is_lost_or_given_twice_and_order_stays() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("ROOKERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOKERY_SEEDS").unwrap_or(200),
    };
    for seed in seeds {
        assert!(plays_well(seed, None), "ROOKERY_SEED={seed} plays it again");
    }
}

#[test]
fn whatever_is_left_out_is_missed() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let is_missed = |mutant: &Mutant| (0..200).any(|seed| !plays_well(seed, Some(*mutant)));
    let unmissed: Vec<Mutant> = Mutant::ALL.into_iter().filter(|it| !is_missed(it)).collect();
    std::panic::set_hook(hook);
    assert!(unmissed.is_empty(), "without {unmissed:?} nothing goes wrong here");
}

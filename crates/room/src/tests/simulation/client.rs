//! Owns a client in the simulation: what it does, and what it believes of the room.

mod acts;

use std::sync::Arc;

use super::*;

/// Where a client takes itself to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Outside,
    Entering,
    Inside,
    Leaving,
}

pub(super) struct Client {
    pub(super) jid: FullJid,
    pub(super) home: usize,
    pub(super) place: usize,
    uid: u64,
    seq: u64,
    pub(super) at: At,
    /// It comes in again and has not heard yet that it is out.
    is_hasty: bool,
    /// Nobody is there.
    pub(super) vanished: bool,
    pub(super) nick: String,
    /// The nick that it has asked for, and the id of that.
    wanted: Option<(String, u64)>,
    /// Who is inside, by their nicks.
    pub(super) people: BTreeSet<String>,
    told_gone: BTreeMap<String, usize>,
    entered: Duration,
    /// What it heard, each time that it was inside.
    pub(super) heard: Vec<Heard>,
    seen: Seen,
    /// What is not acknowledged.
    pub(super) unacknowledged: VecDeque<(u64, Stanza, Arc<Fate>)>,
    pub(super) acknowledged: BTreeSet<usize>,
}

/// What a client heard while it was inside.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) numbers: Vec<usize>,
    /// Nobody had confirmed that it had come when the owner died: it may hear again what was said just then.
    pub(super) may_repeat: bool,
}

fn codes(stanza: &Stanza) -> Vec<String> {
    let x = stanza.child("x", ns::MUC_USER);
    let codes = x.iter().flat_map(|x| x.children().filter_map(|it| it.attr("code")));
    codes.map(str::to_owned).collect()
}

pub(super) fn has_code(stanza: &Stanza, code: &str) -> bool {
    codes(stanza).iter().any(|it| it == code)
}

/// The nick from now on, where a presence says that it changes.
pub(super) fn renamed(stanza: &Stanza) -> Option<String> {
    let x = stanza.child("x", ns::MUC_USER).filter(|_| has_code(stanza, "303"))?;
    x.child("item", ns::MUC_USER)?.attr("nick").map(str::to_owned)
}

/// Whether it ends, or changes, how a client is inside: not that of others, nor what answers one that has left.
pub(super) fn is_change(stanza: &Stanza) -> bool {
    has_code(stanza, "110") && codes(stanza).len() > 1
}

/// The number of a message; none: it is a subject.
pub(super) fn number(stanza: &Stanza) -> Option<usize> {
    stanza.child("body", "")?.text().parse().ok()
}

impl Client {
    pub(super) fn new(jid: &str, home: usize, place: usize, uid: u64) -> Self {
        Self {
            jid: FullJid::parse(jid).unwrap(),
            home,
            place,
            uid,
            seq: 0,
            at: At::Outside,
            is_hasty: false,
            vanished: false,
            nick: String::new(),
            wanted: None,
            people: BTreeSet::new(),
            told_gone: BTreeMap::new(),
            entered: Duration::ZERO,
            heard: Vec::new(),
            seen: Seen::default(),
            unacknowledged: VecDeque::new(),
            acknowledged: BTreeSet::new(),
        }
    }

    /// It has made the room.
    pub(super) fn begins_inside(&mut self, nick: &str) {
        (self.at, self.nick) = (At::Inside, nick.to_owned());
        self.people.insert(nick.to_owned());
        self.heard.push(Heard::default());
    }

    fn begins_anew(&mut self) {
        (self.uid, self.seq, self.vanished) = (self.uid + 100, 0, false);
        (self.at, self.seen) = (At::Outside, Seen::default());
    }

    /// Whether it waits to come in again, and did not wait until it was out.
    pub(super) fn is_hasty(&self) -> bool {
        self.is_hasty && self.at == At::Entering
    }

    /// Whether it was refused, and its server does not know that yet.
    pub(super) fn is_refused(&self) -> bool {
        self.at == At::Outside && !self.unacknowledged.is_empty()
    }

    /// The owner dies: what it has asked for is done once more. Where another client of the account has gone meanwhile, it
    /// is counted otherwise who of them got what, and it may hear that again.
    pub(super) fn note_death(&mut self, is_one_of_two: bool) {
        let is_coming = self.asks();
        if let (At::Inside, Some(heard)) = (self.at, self.heard.last_mut()) {
            heard.may_repeat |= is_coming || is_one_of_two;
        }
    }

    /// Whether it has asked to come in, or for another nick, and its server does not know that this is done.
    fn asks(&self) -> bool {
        let asks = |said: &(u64, Stanza, Arc<Fate>)| {
            said.1.kind() == Kind::Presence(PresenceType::Available)
        };
        self.unacknowledged.iter().any(asks)
    }

    /// Whether it has heard this since it came.
    pub(super) fn hears(&self, number: usize) -> bool {
        self.heard.last().is_some_and(|heard| heard.numbers.contains(&number))
    }

    /// Everything that it may be known as.
    fn nicks(&self) -> BTreeSet<String> {
        let wanted = self.wanted.iter().map(|it| it.0.clone());
        wanted.chain([self.nick.clone()]).collect()
    }

    /// What its session was not given before.
    pub(super) fn is_new(&mut self, stanza: &Stanza, origin: Origin, again: bool) -> bool {
        !self.seen.see(Mark::of(origin, stanza), again, 256) || !again
    }

    fn hears_presence(
        &mut self,
        stanza: &Stanza,
        nick: String,
        departures: &BTreeMap<String, Vec<Duration>>,
    ) {
        let (is_self, is_in) =
            (has_code(stanza, "110"), matches!(self.at, At::Inside | At::Entering));
        match stanza.kind() {
            Kind::Presence(PresenceType::Error) => self.hears_refusal(stanza),
            Kind::Presence(PresenceType::Available) if is_in => {
                self.people.insert(nick.clone());
                // What answers it has its id (XEP-0045 §7.2.2); anything else is of a time before.
                if is_self && (self.at == At::Inside || self.answers(stanza)) {
                    if self.at == At::Entering {
                        self.heard.push(Heard::default());
                    }
                    self.wanted.take_if(|wanted| wanted.0 == nick);
                    (self.at, self.nick, self.is_hasty) = (At::Inside, nick, false);
                }
            }
            Kind::Presence(PresenceType::Unavailable) => match renamed(stanza) {
                Some(new) if is_in => {
                    self.people.remove(&nick);
                    self.people.insert(new.clone());
                    if is_self && self.at == At::Inside {
                        self.nick = new;
                    }
                }
                None if is_self => {
                    let about = || format!("{} was told that he is not inside", self.jid);
                    holds(self.at != At::Inside, Wrong::Evicted, about);
                    if self.at == At::Leaving {
                        self.at = At::Outside;
                    }
                    // What it heard before was of the last time.
                    self.people.clear();
                }
                None if is_in && self.people.remove(&nick) => {
                    let told = self.told_gone.entry(nick.clone()).or_default();
                    *told += 1;
                    // Who had gone before may have been inside still.
                    let since = self.entered.saturating_sub(PATIENCE);
                    let all = departures.get(&nick).into_iter().flatten();
                    let real = all.filter(|when| **when >= since).count();
                    let about = || {
                        format!(
                            "{} was told {told} times that {nick} went, who did {real} times",
                            self.jid
                        )
                    };
                    holds(*told <= real, Wrong::Flap, about);
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn hears_refusal(&mut self, stanza: &Stanza) {
        if self.answers(stanza) {
            self.wanted = None;
            if self.at == At::Entering {
                self.at = At::Outside;
            }
        }
    }

    fn answers(&self, stanza: &Stanza) -> bool {
        let id = stanza.head().id.as_deref().and_then(|id| id.parse().ok());
        id.is_some() && id == self.wanted.as_ref().map(|wanted| wanted.1)
    }
}

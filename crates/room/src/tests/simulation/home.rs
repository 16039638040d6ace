//! Owns the home of an account in the simulation. It is a model, since rooms know no accounts: who is inside a room and must
//! say farewell to it (`user/src/presence/directed.rs`, `broadcast.rs`), what comes astray (`user/src/inbound.rs`), what
//! each session was given (`user/src/session`), and that all of it is as its second copy knows when its member dies.

use super::*;

/// How long it takes until a session ends whose client has vanished.
const RESUMPTION: Duration = Duration::from_millis(800);

/// What an account keeps of one session.
#[derive(Clone, Default)]
pub(super) struct Entry {
    directed: Vec<Jid>,
    pub(super) inside: Vec<Jid>,
    pub(super) is_there: bool,
    /// Of what it did shortly before its home may not know.
    is_brought_back: bool,
    /// It ends then, unless its client comes back.
    pub(super) ends: Option<Duration>,
}

pub(super) struct Home {
    pub(super) member: usize,
    /// Whose sessions it has, in the order of `entries`.
    pub(super) clients: Vec<usize>,
    pub(super) entries: Vec<Entry>,
    /// As its second copy knows them, and what that learns next.
    kept: Vec<Entry>,
    pub(super) learning: VecDeque<(Vec<Entry>, Vec<Receipt>)>,
    repeats: Seen,
    pub(super) to_room: Lane,
    pub(super) from_room: Lane,
    turns: u64,
    epoch: u64,
    number: u16,
    /// Its member died, and another one waits until all have spoken.
    pub(super) opens: Duration,
    /// The room has not asked yet who of those that are inside is still there.
    pub(super) is_new_to_room: bool,
}

impl Home {
    pub(super) fn new(number: usize, clients: Vec<usize>) -> Self {
        let entries = vec![Entry { is_there: true, ..Entry::default() }; clients.len()];
        Self {
            member: number % MEMBERS,
            clients,
            kept: entries.clone(),
            entries,
            learning: VecDeque::new(),
            repeats: Seen::default(),
            to_room: Lane::default(),
            from_room: Lane::default(),
            turns: 0,
            epoch: 1,
            number: u16::try_from(number).unwrap(),
            opens: Duration::ZERO,
            is_new_to_room: false,
        }
    }

    /// The first client is inside from the beginning.
    pub(super) fn begins_inside(&mut self, at: Jid) {
        (self.entries[0].directed, self.entries[0].inside) = (vec![at.clone()], vec![at]);
        self.kept = self.entries.clone();
    }

    /// A client comes as a new session.
    pub(super) fn begins(&mut self, place: usize) {
        let entry = Entry { is_there: true, ..Entry::default() };
        (self.entries[place], self.kept[place]) = (entry.clone(), entry);
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let none_ends = self.entries.iter().all(|entry| entry.ends.is_none());
        none_ends
            && self.learning.is_empty()
            && self.to_room.is_empty()
            && self.from_room.is_empty()
    }

    fn remember(&mut self, receipts: Vec<Receipt>) {
        self.learning.push_back((self.entries.clone(), receipts));
    }

    /// The second copy learns of a turn.
    pub(super) fn learns(&mut self) {
        if let Some((entries, receipts)) = self.learning.pop_front() {
            self.kept = entries;
            receipts.into_iter().for_each(Receipt::release);
        }
    }

    /// A client says something.
    pub(super) fn outbound(
        &mut self,
        place: usize,
        stanza: &Stanza,
        origin: Origin,
        again: bool,
        receipt: Receipt,
    ) {
        let (entry, to) = (&mut self.entries[place], stanza.head().to.clone().unwrap());
        match stanza.kind() {
            Kind::Presence(PresenceType::Unavailable) => {
                entry.directed.clear();
                entry.inside.clear();
            }
            Kind::Presence(_) if !entry.directed.contains(&to) => entry.directed.push(to),
            _ => {}
        }
        self.to_room.send(stanza.clone(), origin, again, Some(receipt.clone()));
        self.remember(vec![receipt]);
    }

    /// Sessions end whose clients have not come back. Nobody waits for what is said of it.
    pub(super) fn sessions_end(&mut self, now: Duration, clients: &[Client]) {
        for place in 0..self.entries.len() {
            if self.entries[place].ends.take_if(|ends| *ends <= now).is_none() {
                continue;
            }
            let ended = std::mem::take(&mut self.entries[place]);
            for to in ended.directed {
                let kind = Kind::Presence(PresenceType::Unavailable);
                let stanza = Stanza::new(head(kind, &clients[self.clients[place]].jid, to), "");
                let origin = self.origin();
                self.to_room.send(stanza, origin, false, None);
            }
            self.remember(Vec::new());
        }
    }

    fn origin(&mut self) -> Origin {
        self.turns += 1;
        let shard = Shard::new(self.number + 1).unwrap();
        Origin::Shard { shard, epoch: Epoch(self.epoch), counter: self.turns << 16 }
    }

    /// Something comes from the room; to whom it is given.
    pub(super) fn hear(
        &mut self,
        envelope: Envelope,
        clients: &[Client],
        knows: bool,
    ) -> Option<(usize, Stanza)> {
        let Body::Stanza(stanza) = envelope.body else { panic!("a room sends stanzas alone") };
        let mark = Mark::of(envelope.origin, &stanza);
        let known = self.repeats.see(mark, envelope.again, 256) && knows;
        let to = stanza.head().to.clone().unwrap();
        let whose = |it: &usize| to == Jid::from(clients[*it].jid.clone());
        let place = self.clients.iter().position(whose).filter(|_| !known);
        let mut given = None;
        if let Some(place) = place {
            let is_there = self.entries[place].is_there;
            if stanza.kind() == Kind::Presence(PresenceType::Probe) {
                self.asked(place, &stanza);
            } else if !is_there {
                self.gives_back(&stanza, envelope.receipt.clone());
            } else if self.acts(place, &stanza) {
                given = Some((self.clients[place], stanza));
            }
        }
        self.remember(envelope.receipt.into_iter().collect());
        given
    }

    /// What the account does about it; whether its session gets it.
    fn acts(&mut self, place: usize, stanza: &Stanza) -> bool {
        let (entry, from) = (&mut self.entries[place], stanza.head().from.clone().unwrap());
        match stanza.kind() {
            Kind::Presence(PresenceType::Error) if !entry.inside.contains(&from) => {
                entry.directed.retain(|jid| *jid != from);
            }
            Kind::Presence(PresenceType::Unavailable) if client::is_change(stanza) => {
                let now = client::renamed(stanza).map(|nick| occupant(&nick));
                for known in [&mut entry.directed, &mut entry.inside] {
                    match (&now, known.iter().position(|jid| *jid == from)) {
                        (Some(now), Some(at)) => known[at] = now.clone(),
                        _ => known.retain(|jid| *jid != from),
                    }
                }
            }
            Kind::Presence(PresenceType::Unavailable) if client::has_code(stanza, "110") => {
                entry.inside.retain(|jid| *jid != from);
            }
            Kind::Presence(PresenceType::Available)
                if client::has_code(stanza, "110") && !entry.directed.is_empty() =>
            {
                (entry.directed, entry.inside) = (vec![from.clone()], vec![from]);
            }
            Kind::Message(MessageType::Groupchat) => {
                return !entry.inside.is_empty() || !entry.directed.is_empty();
            }
            _ => {}
        }
        true
    }

    /// The room does not know whether a session is still there that is inside.
    fn asked(&mut self, place: usize, probe: &Stanza) {
        let (entry, from) = (&mut self.entries[place], probe.head().from.clone().unwrap());
        if entry.is_there && entry.is_brought_back && entry.directed.is_empty() {
            entry.directed.push(from.clone());
        }
        if entry.directed.contains(&from) && entry.inside.is_empty() {
            entry.inside.push(from.clone());
        }
        if !entry.is_there || entry.directed.is_empty() {
            let client = probe.head().to.as_ref().and_then(Jid::to_full).unwrap();
            let kind = Kind::Presence(PresenceType::Unavailable);
            let origin = self.origin();
            self.to_room.send(Stanza::new(head(kind, &client, from), ""), origin, false, None);
        }
    }

    /// There is no such session: a message to it comes back.
    fn gives_back(&mut self, stanza: &Stanza, receipt: Option<Receipt>) {
        if stanza.kind() != Kind::Message(MessageType::Groupchat) {
            receipt.into_iter().for_each(Receipt::release);
        } else {
            let condition = xmpp::StanzaCondition::ServiceUnavailable;
            let error = stanza.error(&condition.into()).unwrap();
            let origin = self.origin();
            self.to_room.send(error, origin, false, receipt);
        }
    }

    /// Who is inside, as each would enter.
    pub(super) fn claims(&self, clients: &[Client]) -> Vec<Bytes> {
        let claim = |(place, entry): (usize, &Entry)| {
            let jid = Jid::from(clients[self.clients[place]].jid.clone());
            entry.inside.iter().map(move |at| crate::mirror::claim(&jid, at)).collect::<Vec<_>>()
        };
        self.entries.iter().enumerate().flat_map(claim).collect()
    }

    /// Its member is gone: another one goes on from the second copy.
    pub(super) fn moves(&mut self, to: usize, opens: Duration) {
        (self.member, self.opens) = (to, opens);
        (self.entries, self.repeats) = (self.kept.clone(), Seen::default());
        self.entries.iter_mut().for_each(|entry| entry.is_brought_back = true);
        self.is_new_to_room = true;
        (self.turns, self.epoch) = (0, self.epoch + 1);
        self.learning.clear();
        self.to_room.ends();
        self.from_room.turns();
    }

    /// A client has vanished.
    pub(super) fn loses(&mut self, place: usize, now: Duration) {
        for entry in [&mut self.entries[place], &mut self.kept[place]] {
            entry.ends = Some(now + RESUMPTION);
        }
        self.learning.iter_mut().for_each(|it| it.0[place].ends = Some(now + RESUMPTION));
    }
}

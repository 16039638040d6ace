//! What happens in the simulation: who says what, who dies, what is given away, and the judge.

use super::edge::{Edge, Socket};
use super::*;
use crate::session::sm::SETTLE;

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut chance = Chance::new(seed);
        let volunteers = chance.below(2) == 0;
        let mut world = Self {
            chance,
            mutant,
            alive: [true; MEMBERS],
            incarnations: [1; MEMBERS],
            owner: 0,
            standby: Some(1),
            epoch: 1,
            trial: trial(),
            copied: None,
            to_standby: VecDeque::new(),
            kept: Default::default(),
            edges: vec![Edge::new(member(0), 1)],
            numbers: 1,
            turns: 0,
            client: Client::begins(volunteers),
            secret: [0; 16],
            confirmed: Arc::default(),
            senders: (0..SENDERS).map(|_| Sender::default()).collect(),
            acted: BTreeMap::new(),
            receipts: Vec::new(),
            is_woken: false,
        };
        world.trial.acts_as(member(0), Epoch(1));
        world.begin();
        world.hear(Body::Woken, None);
        world.recover();
        world
    }

    /// The client is bound, counts, and may resume.
    fn begin(&mut self) {
        let (connection, jid) = (self.edges[0].id, FullJid::parse("a@x.org/r").unwrap());
        let start = UserEvent::Start { connection, jid, iq_id: "b".into() };
        let enable =
            Body::FromConnection(connection, ConnectionEvent::Enable { resume: true, max: None });
        for body in [Body::User(start), enable] {
            let envelope = Envelope::new(to_session(), body, self.trial.last_origin(), Epoch(1));
            let played = self.trial.play(None, true, |it, cx| it.receive(envelope, cx));
            for envelope in played.sent {
                if let Body::ToConnection(ConnectionCommand::Enabled { id, .. }) = envelope.body {
                    self.secret = ResumptionId::parse(&id.unwrap()).unwrap().secret;
                }
            }
        }
        self.edges[0].bound = true;
        self.trial.has_standby = true;
    }

    /// Says what happens to members, for whoever plays one history again.
    pub(super) fn note(&self, what: &str) {
        let (owner, standby, alive) = (self.owner, self.standby, self.alive);
        let kept = self.kept.each_ref().map(|copy| copy.as_ref().map(|copy| copy.epoch.0));
        let edges = self.edges.iter().map(|it| {
            (
                it.id.member.0 - 1,
                it.bound,
                it.socket,
                it.copy.is_some(),
                it.orphan.is_some(),
                it.inbox.len(),
            )
        });
        let edges: Vec<_> = edges.filter(|it| it.1 || it.2 != Socket::Closed || it.4).collect();
        println!(
            "{what}: owner {owner}, epoch {}, standby {standby:?}, alive {alive:?}, kept {kept:?}, to standby {}, edges (member, bound, socket, copy, orphan, inbox) {edges:?}",
            self.epoch,
            self.to_standby.len()
        );
    }

    pub(super) fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(super) fn run(mut self) {
        for _ in 0..STEPS {
            self.step(true);
            match self.chance.below(150) {
                0 => self.die(),
                1 => self.hand_over(),
                2 => self.change_standby(),
                _ => {}
            }
        }
        self.come_to_rest();
        self.judge();
    }

    pub(super) fn step(&mut self, goes_on: bool) {
        self.trial.now.elapsed += Duration::from_micros(10);
        self.trial.now.unix_micros += 10;
        match self.chance.below(20) {
            0 | 1 if goes_on => self.somebody_writes(),
            0..4 => self.deliver_message(),
            4 | 5 => self.deliver_to_standby(),
            6 | 7 => self.deliver_to_edge(),
            8 | 9 => self.deliver_from_edge(),
            10 | 11 => self.client_hears(),
            12 | 13 => self.edge_reads(),
            14 if goes_on => self.client_says(),
            15 => self.client_asks(),
            16 => self.client_volunteers(),
            17 => self.account_settles(),
            18 if self.chance.below(4) == 0 => self.patience_ends(),
            18 => self.edge_notices(),
            19 if goes_on && self.chance.below(8) == 0 => self.client_goes(),
            19 => self.client_comes(),
            _ => {}
        }
        self.look();
        let dropped = self.confirmed.faults.load(Ordering::SeqCst);
        holds(dropped == 0, Wrong::Unconfirmed, || format!("{dropped} receipts were dropped"));
    }

    fn somebody_writes(&mut self) {
        let index = self.chance.below(self.senders.len());
        let sender = &mut self.senders[index];
        if sender.waiting.len() < 10 {
            sender.last += 1;
            sender.waiting.push_back(sender.last);
        }
    }

    /// The next message of a sender reaches the session.
    fn deliver_message(&mut self) {
        let index = self.chance.below(self.senders.len());
        let (name, sender) = (index as u64 + 1, &mut self.senders[index]);
        let confirmed = self.confirmed.messages.lock().unwrap();
        while sender.waiting.front().is_some_and(|it| confirmed.contains(&(name, *it))) {
            sender.waiting.pop_front();
            sender.under_way = sender.under_way.saturating_sub(1);
        }
        drop(confirmed);
        let Some(number) = sender.waiting.get(sender.under_way).copied() else { return };
        sender.under_way += 1;
        sender.sent = number.max(sender.sent);
        let again = number <= sender.again_until && !self.lacks(Mutant::Again);
        let message = (name, number);
        let life = self.confirmed.life.load(Ordering::SeqCst);
        let confirm = Confirm { to: Arc::clone(&self.confirmed), life, message };
        let receipt = Receipt::new(0, Arc::new(confirm));
        let origin = Origin::Client { session: 100 + name, seq: number, part: 0 };
        self.hear(Body::Stanza(numbered(name, number)), Some((origin, again, Some(receipt))));
    }

    /// The session takes a turn.
    pub(super) fn hear(&mut self, body: Body, cause: Option<(Origin, bool, Option<Receipt>)>) {
        let origin = cause.as_ref().map_or_else(|| self.trial.last_origin(), |cause| cause.0);
        let mut envelope = Envelope::new(to_session(), body, origin, Epoch(self.epoch));
        envelope.again = cause.as_ref().is_some_and(|cause| cause.1);
        let anew = self.is_anew();
        let played = self.trial.play(cause, anew, |it, cx| it.receive(envelope, cx));
        self.perform(played);
    }

    pub(super) fn keeper(&self) -> Option<(usize, u64)> {
        self.standby.map(|standby| (standby, self.incarnations[standby]))
    }

    pub(super) fn is_anew(&self) -> bool {
        self.keeper().is_some() && self.copied != self.keeper()
    }

    pub(super) fn perform(&mut self, Played { mirror, receipt, sent }: Played) {
        let keeper = self.keeper();
        let told = !matches!(mirror, Mirror::Same | Mirror::Nothing);
        match (keeper, receipt) {
            (Some(_), receipt) if told => {
                self.copied = keeper;
                let receipt = match self.lacks(Mutant::Waiting) {
                    true => {
                        receipt.into_iter().for_each(Receipt::release);
                        None
                    }
                    false => receipt,
                };
                self.to_standby.push_back((mirror, receipt));
            }
            (_, receipt) => {
                if keeper.is_none() {
                    self.copied = None;
                }
                receipt.into_iter().for_each(Receipt::release);
            }
        }
        self.turns += 1;
        for envelope in sent {
            self.send(envelope);
        }
    }

    fn send(&mut self, envelope: Envelope) {
        let (to, body) = (envelope.to.clone(), envelope.body.clone());
        match (to, body) {
            (Route::Connection(id), Body::ToConnection(command)) => {
                let here = member(self.owner);
                let lacks_orphans = self.lacks(Mutant::Orphans);
                if self.lacks(Mutant::KeepingOn)
                    && let (ConnectionCommand::Keep(_), Some(standby)) = (&command, self.standby)
                {
                    self.kept[standby] = None;
                }
                let edge = self.edges.iter_mut().find(|edge| edge.id == id);
                let Some(edge) = edge else {
                    return envelope.receipt.into_iter().for_each(Receipt::release);
                };
                if id.member != here {
                    return edge.inbox.push_back((self.turns, envelope));
                }
                edge.obey(command, envelope.origin, false, lacks_orphans);
                envelope.receipt.into_iter().for_each(Receipt::release);
            }
            (_, Body::User(UserEvent::Outbound { stanza, .. })) => {
                self.act(&stanza, envelope.origin, envelope.again);
                self.receipts.extend(envelope.receipt);
            }
            _ => envelope.receipt.into_iter().for_each(Receipt::release),
        }
    }

    /// The account acts on a stanza of the client, once.
    fn act(&mut self, stanza: &Stanza, origin: Origin, again: bool) {
        let Origin::Client { seq, .. } = origin else { panic!("a client's") };
        let (_, number) = read(stanza);
        match self.acted.get(&seq) {
            Some(known) => {
                holds(*known == number, Wrong::Misplaced, || {
                    format!("{number} is at {seq}, of {known}")
                });
                holds(again, Wrong::Twice, || format!("{number} was acted on"));
            }
            None => drop(self.acted.insert(seq, number)),
        }
    }

    fn account_settles(&mut self) {
        if !self.receipts.is_empty() {
            let count = self.chance.below(self.receipts.len()) + 1;
            self.receipts.drain(..count).for_each(Receipt::release);
        }
    }

    /// Receipts were released: the session looks now, or behind what comes before its turn.
    pub(super) fn look(&mut self) {
        self.is_woken |= self.trial.is_woken();
        while self.is_woken && self.chance.below(2) == 0 {
            self.is_woken = false;
            self.hear(Body::Woken, None);
            self.is_woken = self.trial.is_woken();
        }
    }

    /// A client that resumes has waited long enough for what it said.
    fn patience_ends(&mut self) {
        if self.trial.timers().any(|timer| timer == SETTLE) {
            let anew = self.is_anew();
            let played = self.trial.play(None, anew, |it, cx| it.wake(SETTLE, cx));
            self.perform(played);
        }
    }

    pub(super) fn deliver_to_standby(&mut self) {
        let Some((mirror, receipt)) = self.to_standby.pop_front() else { return };
        let Some(standby) = self.standby else { return };
        let (epoch, forgets) = (Epoch(self.epoch), self.lacks(Mutant::KeepingOn));
        match (mirror, &mut self.kept[standby]) {
            (Mirror::Whole(whole), kept) => {
                *kept = Some(Copy { epoch, whole, changes: vec![], of_socket: false })
            }
            (Mirror::Change(change), Some(kept)) if kept.epoch == epoch => {
                kept.changes.push(change);
            }
            // It has forgotten it.
            (Mirror::Change(_), _) if forgets => {}
            (Mirror::Change(_), _) => holds(false, Wrong::Baseless, String::new),
            (Mirror::Same | Mirror::Nothing, _) => {}
        }
        receipt.into_iter().for_each(Receipt::release);
    }

    pub(super) fn deliver_to_edge(&mut self) {
        let lacks_orphans = self.lacks(Mutant::Orphans);
        let index = self.chance.below(self.edges.len());
        let edge = &mut self.edges[index];
        // What one turn says travels together.
        let Some(turn) = edge.inbox.front().map(|(turn, _)| *turn) else { return };
        while let Some((_, envelope)) = edge.inbox.pop_front_if(|(of, _)| *of == turn) {
            if let Body::ToConnection(command) = envelope.body {
                edge.obey(command, envelope.origin, true, lacks_orphans);
            }
            envelope.receipt.into_iter().for_each(Receipt::release);
        }
    }

    fn deliver_from_edge(&mut self) {
        let index = self.chance.below(self.edges.len());
        let edge = &mut self.edges[index];
        let Some((event, again)) = edge.up.pop_front() else { return };
        let (id, origin) = (edge.id, Origin::Client { session: 9, seq: 0, part: 0 });
        let again = again && !self.lacks(Mutant::Again);
        self.hear(Body::FromConnection(id, event), Some((origin, again, None)));
    }

    fn edge_reads(&mut self) {
        let waits = |edge: &&mut Edge| !edge.unread.is_empty();
        let count = self.edges.iter_mut().filter(waits).count();
        if count > 0 {
            let index = self.chance.below(count);
            self.edges.iter_mut().filter(waits).nth(index).unwrap().read();
        }
    }

    /// A connection notices that its client is gone.
    fn edge_notices(&mut self) {
        let index = self.chance.below(self.edges.len());
        if self.edges[index].socket == Socket::HalfOpen {
            self.edges[index].lose();
        }
    }

    // The end.

    fn come_to_rest(&mut self) {
        for _ in 0..200 {
            (0..100).for_each(|_| self.step(false));
            // A client acknowledges oftener than one connection of many has its turn.
            (0..self.edges.len() * 8).for_each(|_| self.deliver_from_edge());
            let senders = self.senders.iter().all(|it| it.waiting.is_empty());
            let edges = self.edges.iter().all(|it| it.up.is_empty() && it.inbox.is_empty());
            let client = self.client.resumed && self.client.unacknowledged.is_empty();
            let down = self.client.at.is_some_and(|at| self.edges[at].down.is_empty());
            let all = self.to_standby.is_empty() && self.unacknowledged() == 0;
            if senders && edges && client && down && all {
                return;
            }
        }
    }

    /// What the client was given and, as far as the session knows, does not have.
    pub(super) fn unacknowledged(&self) -> usize {
        self.trial.entity.live.as_ref().map_or(0, |live| live.queue.unacknowledged())
    }
}

//! What happens in the simulation: who says what, who dies, what is given away, and the judge.

use entity::Entity;

use super::*;

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let mut world = Self {
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
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
            client: Client { at: Some(0), resumed: true, ..Client::default() },
            secret: [0; 16],
            confirmed: Arc::default(),
            senders: (0..SENDERS).map(|_| Sender::default()).collect(),
            acted: BTreeMap::new(),
            receipts: Vec::new(),
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
        let start = UserWord::Start { connection, jid, iq_id: "b".into() };
        let enable = Body::Edge(connection, EdgeWord::Enable { resume: true, max: None });
        for body in [Body::User(start), enable] {
            let envelope = Envelope::new(to_session(), body, self.trial.last_origin(), Epoch(1));
            let played = self.trial.play(None, true, |it, cx| it.receive(envelope, cx));
            for envelope in played.sent {
                if let Body::Home(HomeWord::Enabled { id, .. }) = envelope.body {
                    self.secret = ResumptionId::parse(&id.unwrap()).unwrap().secret;
                }
            }
        }
        self.edges[0].bound = true;
        self.trial.has_standby = true;
    }

    /// Says what happens to members, for whoever plays one history again.
    fn note(&self, what: &str) {
        let (owner, standby, alive) = (self.owner, self.standby, self.alive);
        let kept = self.kept.each_ref().map(|copy| copy.as_ref().map(|copy| copy.epoch.0));
        let edges = self.edges.iter().map(|it| {
            (
                it.id.member.0 - 1,
                it.bound,
                it.open,
                it.copy.is_some(),
                it.orphan.is_some(),
                it.words.len(),
            )
        });
        let edges: Vec<_> = edges.filter(|it| it.1 || it.2 || it.4).collect();
        println!(
            "{what}: owner {owner}, epoch {}, standby {standby:?}, alive {alive:?}, kept {kept:?}, to standby {}, edges (member, bound, open, copy, orphan, words) {edges:?}",
            self.epoch,
            self.to_standby.len()
        );
    }

    fn lacks(&self, mutant: Mutant) -> bool {
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

    fn step(&mut self, goes_on: bool) {
        self.trial.now.elapsed += Duration::from_micros(10);
        self.trial.now.unix_micros += 10;
        match self.chance.below(16) {
            0 | 1 if goes_on => self.somebody_writes(),
            0..4 => self.deliver_message(),
            4 | 5 => self.deliver_to_standby(),
            6 | 7 => self.deliver_to_edge(),
            8 | 9 => self.deliver_from_edge(),
            10 | 11 => self.client_hears(),
            12 if goes_on => self.client_says(),
            13 => self.client_acknowledges(),
            14 => self.account_settles(),
            15 if goes_on && self.chance.below(12) == 0 => self.client_goes(),
            15 => self.client_comes(),
            _ => {}
        }
        self.look();
        assert_eq!(
            self.confirmed.faults.load(Ordering::SeqCst),
            0,
            "somebody's receipt was dropped"
        );
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
    fn hear(&mut self, body: Body, cause: Option<(Origin, bool, Option<Receipt>)>) {
        let origin = cause.as_ref().map_or_else(|| self.trial.last_origin(), |cause| cause.0);
        let mut envelope = Envelope::new(to_session(), body, origin, Epoch(self.epoch));
        envelope.again = cause.as_ref().is_some_and(|cause| cause.1);
        let anew = self.is_anew();
        let played = self.trial.play(cause, anew, |it, cx| it.receive(envelope, cx));
        self.perform(played);
    }

    fn keeper(&self) -> Option<(usize, u64)> {
        self.standby.map(|standby| (standby, self.incarnations[standby]))
    }

    fn is_anew(&self) -> bool {
        self.keeper().is_some() && self.copied != self.keeper()
    }

    fn perform(&mut self, Played { mirror, receipt, sent }: Played) {
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
            (Route::Connection(id), Body::Home(word)) => {
                let here = member(self.owner);
                let lacks_orphans = self.lacks(Mutant::Orphans);
                if self.lacks(Mutant::KeepingOn)
                    && let (HomeWord::Keep(_), Some(standby)) = (&word, self.standby)
                {
                    self.kept[standby] = None;
                }
                let edge = self.edges.iter_mut().find(|edge| edge.id == id);
                let Some(edge) = edge else {
                    return envelope.receipt.into_iter().for_each(Receipt::release);
                };
                if id.member != here {
                    return edge.words.push_back((self.turns, envelope));
                }
                edge.obey(word, envelope.origin, (false, lacks_orphans));
                envelope.receipt.into_iter().for_each(Receipt::release);
            }
            (_, Body::User(UserWord::Outbound { stanza, .. })) => {
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
                assert_eq!((*known, again), (number, true), "place {seq} is taken by another one");
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

    /// Receipts were released.
    fn look(&mut self) {
        while self.trial.is_woken() {
            self.hear(Body::Woken, None);
        }
    }

    fn deliver_to_standby(&mut self) {
        let Some((mirror, receipt)) = self.to_standby.pop_front() else { return };
        let Some(standby) = self.standby else { return };
        let epoch = Epoch(self.epoch);
        match (mirror, &mut self.kept[standby]) {
            (Mirror::Whole(whole), kept) => *kept = Some(Copy { epoch, whole, changes: vec![] }),
            (Mirror::Change(change), Some(kept)) if kept.epoch == epoch => {
                kept.changes.push(change);
            }
            (Mirror::Change(_), _) => panic!("a change of what is not there"),
            (Mirror::Same | Mirror::Nothing, _) => {}
        }
        receipt.into_iter().for_each(Receipt::release);
    }

    fn deliver_to_edge(&mut self) {
        let lacks_orphans = self.lacks(Mutant::Orphans);
        let index = self.chance.below(self.edges.len());
        let edge = &mut self.edges[index];
        // What one turn says travels together.
        let Some(turn) = edge.words.front().map(|(turn, _)| *turn) else { return };
        while let Some((_, envelope)) = edge.words.pop_front_if(|(of, _)| *of == turn) {
            if let Body::Home(word) = envelope.body {
                edge.obey(word, envelope.origin, (true, lacks_orphans));
            }
            envelope.receipt.into_iter().for_each(Receipt::release);
        }
    }

    fn deliver_from_edge(&mut self) {
        let index = self.chance.below(self.edges.len());
        let edge = &mut self.edges[index];
        let Some((word, again)) = edge.up.pop_front() else { return };
        let (id, origin) = (edge.id, Origin::Client { session: 9, seq: 0, part: 0 });
        let again = again && !self.lacks(Mutant::Again);
        self.hear(Body::Edge(id, word), Some((origin, again, None)));
    }

    // The client.

    fn client_hears(&mut self) {
        let down = match self.client.at {
            Some(at) => &mut self.edges[at].down,
            None => &mut self.client.left,
        };
        let Some(down) = down.pop_front() else { return };
        match down {
            Down::Message(sender, number) => {
                let known = self.client.received.iter().filter(|it| it.0 == sender);
                let last = known.map(|it| it.1).max().unwrap_or(0);
                assert!(number > last, "{sender} said {number}, which comes behind {last}");
                self.client.received.push((sender, number));
                self.client.h = self.client.h.wrapping_add(1);
            }
            Down::Ask => self.client_acknowledges(),
            Down::Handled(h) => self.client_is_told(h),
            Down::Resumed(h) => {
                self.client_is_told(h);
                self.client.resumed = true;
                for number in self.client.unacknowledged.clone() {
                    self.write(number);
                }
            }
            Down::Close => self.client_goes(),
        }
    }

    fn client_is_told(&mut self, h: u32) {
        while self.client.acknowledged < h {
            self.client.acknowledged += 1;
            let number = self.client.unacknowledged.pop_front().expect("it has said that");
            let place = u64::from(self.client.acknowledged);
            assert_eq!(self.acted.get(&place), Some(&number), "it was told that {number} is safe");
        }
    }

    fn client_says(&mut self) {
        if self.client.resumed && self.client.unacknowledged.len() < 8 {
            self.client.said += 1;
            self.client.unacknowledged.push_back(self.client.said);
            self.write(self.client.said);
        }
    }

    fn write(&mut self, number: u64) {
        let Some(at) = self.client.at else { return };
        let edge = &mut self.edges[at];
        if edge.bound {
            let word = EdgeWord::Stanza(numbered(0, number));
            edge.unconfirmed.push_back(edge.copy.as_ref().map(|_| word.clone()));
            edge.up.push_back((word, false));
        }
    }

    fn client_acknowledges(&mut self) {
        let (Some(at), h) = (self.client.at, self.client.h) else { return };
        let edge = &mut self.edges[at];
        if self.client.resumed && edge.bound {
            if let Some(copy) = &mut edge.copy {
                copy.acknowledged(h);
            }
            edge.up.push_back((EdgeWord::Ack { h }, false));
        }
    }

    fn client_goes(&mut self) {
        (self.client.resumed, self.client.left) = (false, VecDeque::new());
        if let Some(at) = self.client.at.take() {
            self.edges[at].lose();
        }
    }

    fn client_comes(&mut self) {
        if let Some(at) = self.client.at {
            // Nobody answers any more: it tries elsewhere.
            if !self.edges[at].bound
                && self.edges[at].asks.is_none()
                && self.edges[at].down.is_empty()
            {
                self.client_goes();
            }
            return;
        }
        let at = self.chance.below(MEMBERS);
        if !self.alive[at] {
            return;
        }
        self.client_goes();
        self.numbers += 1;
        let mut edge = Edge::new(member(at), self.numbers);
        let word = EdgeWord::Resume { secret: self.secret, h: self.client.h };
        edge.asks = Some(word.clone());
        edge.up.push_back((word, false));
        self.edges.push(edge);
        self.client.at = Some(self.edges.len() - 1);
    }

    // Members.

    /// Everything that is under way between members arrives.
    fn recover(&mut self) {
        for _ in 0..400 {
            self.step(false);
        }
        while !self.to_standby.is_empty() || self.edges.iter().any(|edge| !edge.words.is_empty()) {
            self.deliver_to_standby();
            self.deliver_to_edge();
            self.look();
        }
    }

    fn die(&mut self) {
        if self.alive.contains(&false) {
            self.recover();
            return self.come_back();
        }
        let victim = self.chance.below(MEMBERS);
        self.note(&format!("{victim} dies"));
        self.alive[victim] = false;
        self.kept[victim] = None;
        let gone = |edge: &Edge| edge.id.member == member(victim);
        if let Some(at) = self.client.at.filter(|at| gone(&self.edges[*at])) {
            let left = std::mem::take(&mut self.edges[at].down);
            self.client_goes();
            if self.chance.below(2) == 0 {
                // It stands still, and comes back as another one: its clients still hear what was on its way to them.
                self.client.left = left;
            }
        }
        let client = self.client.at.map(|at| self.edges[at].id);
        let lost: Vec<Edge> = self.edges.extract_if(.., |edge| gone(edge)).collect();
        self.client.at = client.and_then(|id| self.edges.iter().position(|edge| edge.id == id));
        if self.edges.is_empty() {
            let survivor = self.alive.iter().position(|alive| *alive).unwrap();
            self.numbers += 1;
            self.edges.push(Edge { open: false, ..Edge::new(member(survivor), self.numbers) });
        }
        if victim == self.owner {
            return self.take_over();
        }
        for (_, envelope) in lost.into_iter().flat_map(|edge| edge.words) {
            envelope.receipt.into_iter().for_each(Receipt::release);
        }
        if self.standby == Some(victim) {
            self.choose_standby();
        }
        self.hear(Body::MemberGone(member(victim)), None);
        self.look();
    }

    fn come_back(&mut self) {
        let back = self.alive.iter().position(|alive| !alive).unwrap();
        (self.alive[back], self.incarnations[back]) = (true, self.incarnations[back] + 1);
        if self.standby.is_none() {
            self.choose_standby();
        }
        self.recover();
        self.note(&format!("{back} is back"));
    }

    /// Another member keeps the copy; what was on its way to the one before is given to it.
    fn choose_standby(&mut self) {
        let able: Vec<usize> =
            (0..MEMBERS).filter(|it| self.alive[*it] && *it != self.owner).collect();
        let before = self.standby;
        self.standby = (!able.is_empty()).then(|| able[self.chance.below(able.len())]);
        self.trial.has_standby = self.standby.is_some();
        if before == self.standby {
            return;
        }
        let lost = std::mem::take(&mut self.to_standby);
        let lost = lost.into_iter().filter_map(|(_, receipt)| receipt).reduce(Receipt::both);
        if self.lacks(Mutant::GivingAnew) {
            self.copied = self.keeper();
            return lost.into_iter().for_each(Receipt::release);
        }
        let anew = self.is_anew();
        let origin = Origin::Client { session: 9, seq: 0, part: 0 };
        let played = self.trial.play(Some((origin, false, lost)), anew, |_, _| ());
        self.perform(played);
    }

    fn change_standby(&mut self) {
        self.recover();
        self.choose_standby();
        self.recover();
        self.note("another standby");
    }

    /// The owner is gone: another one goes on from what there is.
    fn take_over(&mut self) {
        self.confirmed.life.fetch_add(1, Ordering::SeqCst);
        let kept = self.standby.filter(|standby| self.alive[*standby]);
        self.owner = kept.or_else(|| self.alive.iter().position(|alive| *alive)).unwrap();
        self.epoch += 1;
        let mut copies: Vec<Copy> = self.kept.iter().flatten().cloned().collect();
        for edge in &mut self.edges {
            self.numbers += 1;
            let said = edge.announce(self.numbers, self.mutant == Some(Mutant::SayingAgain));
            let epoch = Epoch(said.as_ref().and_then(|it| it.term).map_or(0, |term| term.epoch.0));
            let whole = said.map(|it| SessionState::Live(Box::new(it)).encode());
            if self.mutant != Some(Mutant::Barrier) {
                copies.extend(whole.map(|whole| Copy { epoch, whole, changes: vec![] }));
            }
        }
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.epoch));
        self.receipts.clear();
        (self.to_standby, self.copied, self.standby) = (VecDeque::new(), None, None);
        let mut trial = trial();
        trial.acts_as(member(self.owner), Epoch(self.epoch));
        // Its clock is its own.
        trial.now.elapsed = Duration::from_secs(self.chance.below(1_000) as u64);
        trial.now.unix_micros = self.trial.now.unix_micros;
        self.trial = trial;
        // Its own copy is the entity now.
        self.kept[self.owner] = None;
        let played = self.trial.play(None, false, |it, cx| {
            it.take_over(copies, Vec::<Bytes>::new(), cx).expect("there is a copy");
        });
        self.perform(played);
        for sender in &mut self.senders {
            if self.mutant == Some(Mutant::SendingAgain) {
                sender.waiting.retain(|number| *number > sender.sent);
            }
            (sender.under_way, sender.again_until) = (0, sender.sent);
        }
        self.choose_standby();
        self.look();
        self.note("taken over");
    }

    /// The shard moves as planned, when nothing of it is under way.
    fn hand_over(&mut self) {
        self.recover();
        for _ in 0..2_000 {
            if self.trial.entity.is_settled() && self.receipts.is_empty() {
                break;
            }
            self.step(false);
        }
        self.recover();
        if !self.trial.entity.is_settled() || !self.receipts.is_empty() {
            return;
        }
        let able: Vec<usize> =
            (0..MEMBERS).filter(|it| self.alive[*it] && *it != self.owner).collect();
        if able.is_empty() {
            return;
        }
        let snapshot = self.trial.entity.snapshot(self.trial.now).unwrap();
        if !self.lacks(Mutant::KeepingHanded) {
            let (epoch, whole) = (Epoch(self.epoch), snapshot.clone());
            self.kept[self.owner] = Some(Copy { epoch, whole, changes: vec![] });
        }
        let before = self.owner;
        self.owner = able[self.chance.below(able.len())];
        self.epoch += 1;
        let now = self.trial.now;
        self.trial = trial();
        self.trial.now = now;
        self.trial.acts_as(member(self.owner), Epoch(self.epoch));
        self.copied = None;
        if self.standby == Some(self.owner) {
            self.standby = (!self.lacks(Mutant::ChangingPlaces)).then_some(before);
            self.kept[self.owner] = None;
        }
        self.trial.has_standby = self.standby.is_some();
        let anew = self.is_anew();
        let played = self.trial.play(None, anew, |it, cx| it.restore(&snapshot, cx).unwrap());
        self.perform(played);
        self.note("handed over");
    }

    // The end.

    fn come_to_rest(&mut self) {
        for _ in 0..200 {
            (0..100).for_each(|_| self.step(false));
            // A client acknowledges oftener than one connection of many has its turn.
            (0..self.edges.len() * 8).for_each(|_| self.deliver_from_edge());
            let senders = self.senders.iter().all(|it| it.waiting.is_empty());
            let edges = self.edges.iter().all(|it| it.up.is_empty() && it.words.is_empty());
            let client = self.client.resumed && self.client.unacknowledged.is_empty();
            let down = self.client.at.is_some_and(|at| self.edges[at].down.is_empty());
            if senders && edges && client && down && self.to_standby.is_empty() {
                return;
            }
        }
    }

    fn judge(&self) {
        assert!(self.client.resumed, "the client is not there in the end");
        for (name, sender) in (1..).zip(&self.senders) {
            let of = |it: &&(u64, u64)| it.0 == name;
            let received: Vec<u64> =
                self.client.received.iter().filter(of).map(|it| it.1).collect();
            let all: Vec<u64> = (1..=sender.last).collect();
            assert_eq!(received, all, "what {name} said");
            let confirmed = self.confirmed.messages.lock().unwrap();
            assert!(all.iter().all(|it| confirmed.contains(&(name, *it))), "{name} waits");
        }
        let said: Vec<u64> = self.acted.values().copied().collect();
        assert_eq!(said, (1..=self.client.said).collect::<Vec<_>>(), "what the client said");
        assert!(self.client.unacknowledged.is_empty(), "the client waits");
    }
}

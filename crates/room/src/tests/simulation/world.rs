//! What happens in the simulation of a room: who says what, what is on its way, what is kept, and the death of the owner.

use super::people::Place;
use super::*;

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let rates = Rates { enabled: false, ..Config::default().rates };
        let mut stage = Stage::absent(Config { rates, ..Config::default() });
        stage.made("<field var='muc#roomconfig_persistentroom'><value>1</value></field>");
        stage.trial.hold_writes();
        stage.trial.has_standby = true;
        let mut people: Vec<Person> = PEOPLE.map(Person::new).into();
        (people[0].place, people[0].stays) = (Place::Inside, vec![Vec::new()]);
        let mut world = Self {
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            mutant,
            stage,
            epoch: 1,
            is_copied: false,
            to_standby: VecDeque::new(),
            kept: None,
            writing: Vec::new(),
            people,
            confirmed: Arc::default(),
        };
        world.looks(Vec::new());
        world.standby_learns();
        world
    }

    fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    pub(super) fn run(mut self) {
        for _ in 0..STEPS {
            self.step(true);
            if self.chance.below(120) == 0 {
                self.owner_dies();
            }
        }
        for _ in 0..STEPS {
            self.step(false);
        }
        self.come_to_rest();
        self.judge();
    }

    fn step(&mut self, goes_on: bool) {
        self.stage.trial.now.elapsed += std::time::Duration::from_millis(1);
        self.stage.trial.now.unix_micros += 1_000;
        let who = self.chance.below(PEOPLE.len());
        match self.chance.below(12) {
            0 | 1 if goes_on => self.people[who].speaks(),
            2 if goes_on && who > 0 => self.people[who].moves(),
            3 if goes_on && who > 0 && self.chance.below(6) == 0 => {
                let nick = self.people[who].name;
                self.people[0].kicks(nick);
            }
            4 | 5 => self.room_hears(who),
            6 | 7 => self.people[who].hears(self.mutant),
            8 => self.store_answers(),
            9 | 10 => self.standby_learns(),
            11 => self.look_at_receipts(),
            _ => {}
        }
        let faults = self.confirmed.faults.load(Ordering::SeqCst);
        holds(faults == 0, Wrong::Unconfirmed, || format!("{faults} receipts were dropped"));
    }

    /// Everything that is under way arrives.
    fn come_to_rest(&mut self) {
        for _ in 0..100 {
            for who in 0..PEOPLE.len() {
                (0..20).for_each(|_| self.room_hears(who));
                while !self.people[who].inbox.is_empty() {
                    self.people[who].hears(self.mutant);
                }
            }
            self.store_answers();
            while !self.to_standby.is_empty() {
                self.standby_learns();
            }
            self.look_at_receipts();
        }
    }

    /// What was confirmed is not sent again.
    fn forget_confirmed(&mut self, who: usize) {
        let confirmed = self.confirmed.stanzas.lock().unwrap();
        let unconfirmed = &mut self.people[who].unconfirmed;
        unconfirmed.retain(|it| !confirmed.contains(&(who, it.seq)));
    }

    /// The next thing that somebody has sent reaches the room.
    fn room_hears(&mut self, who: usize) {
        self.forget_confirmed(who);
        let Some(next) = self.people[who].unconfirmed.iter_mut().find(|it| !it.sent) else {
            return;
        };
        next.sent = true;
        let (seq, again) = (next.seq, next.again);
        let body = Body::Stanza(stage::stanza(&next.xml));
        let life = self.confirmed.life.load(Ordering::SeqCst);
        let confirm = Confirm { to: Arc::clone(&self.confirmed), life, stanza: (who, seq) };
        let receipt = Receipt::new(0, Arc::new(confirm));
        let origin = Origin::Client { session: who as u64 + 1, seq, part: 0 };
        let mut envelope =
            Envelope::new(Route::Room(stage::room()), body, origin, Epoch(self.epoch));
        (envelope.again, envelope.crossed) = (again, true);
        // It waits for the copy of this turn, and of those that follow.
        let waiting = [receipt.clone(), receipt.clone()];
        let anew = !self.is_copied;
        let cause = Some((origin, again, Some(receipt)));
        let Played { mirror, receipt, sent } =
            self.stage.trial.play(cause, anew, |room, cx| room.receive(envelope, cx));
        receipt.into_iter().for_each(Receipt::release);
        let [now, later] = waiting;
        self.writing.push(later);
        self.tells_standby(mirror, vec![now]);
        self.sends(sent);
        self.looks(Vec::new());
    }

    /// A turn of the room's own, for what the turns before have left to be told.
    fn looks(&mut self, waiting: Vec<Receipt>) {
        let anew = !self.is_copied;
        let Played { mirror, receipt, sent } = self.stage.trial.play(None, anew, |_, _| ());
        receipt.into_iter().for_each(Receipt::release);
        self.tells_standby(mirror, waiting);
        self.sends(sent);
    }

    fn tells_standby(&mut self, mirror: Mirror, waiting: Vec<Receipt>) {
        self.is_copied |= matches!(mirror, Mirror::Whole(_));
        if self.lacks(Mutant::Waiting) {
            waiting.into_iter().for_each(Receipt::release);
            return self.to_standby.push_back((mirror, Vec::new()));
        }
        self.to_standby.push_back((mirror, waiting));
    }

    fn sends(&mut self, sent: Vec<Envelope>) {
        for envelope in sent {
            let Body::Stanza(stanza) = &envelope.body else { panic!("a room sends stanzas alone") };
            let to = stanza.head().to.as_ref().map(ToString::to_string);
            match self.people.iter_mut().find(|it| Some(it.jid()) == to) {
                Some(person) => person.inbox.push_back(envelope),
                // The directory, and lists of rooms.
                None => envelope.receipt.into_iter().for_each(Receipt::release),
            }
        }
    }

    /// What the room wanted to be kept is kept, and the room knows it.
    fn store_answers(&mut self) {
        let sent = self.stage.trial.let_writes_go();
        self.stage.trial.hold_writes();
        let waiting = std::mem::take(&mut self.writing);
        self.sends(sent);
        self.looks(waiting);
    }

    fn look_at_receipts(&mut self) {
        while self.stage.trial.is_woken() {
            let origin = self.stage.trial.last_origin();
            let woken =
                Envelope::new(Route::Room(stage::room()), Body::Woken, origin, Epoch(self.epoch));
            let sent = self.stage.trial.play(None, false, |room, cx| room.receive(woken, cx));
            self.tells_standby(sent.mirror, sent.receipt.into_iter().collect());
            self.sends(sent.sent);
        }
    }

    fn standby_learns(&mut self) {
        let Some((mirror, waiting)) = self.to_standby.pop_front() else { return };
        let epoch = Epoch(self.epoch);
        match (mirror, &mut self.kept) {
            (Mirror::Whole(whole), kept) => {
                *kept = Some(Copy { epoch, whole, changes: Vec::new(), of_socket: false });
            }
            (Mirror::Change(change), Some(kept)) if kept.epoch == epoch => {
                kept.changes.push(change);
            }
            (Mirror::Change(_), _) => holds(false, Wrong::Baseless, String::new),
            (Mirror::Same | Mirror::Nothing, _) => {}
        }
        waiting.into_iter().for_each(Receipt::release);
    }

    /// The owner dies, some of what it was about to do is done, and another one goes on.
    fn owner_dies(&mut self) {
        for who in 0..PEOPLE.len() {
            let arrives = self.chance.below(self.people[who].inbox.len() + 1);
            for _ in 0..arrives {
                self.people[who].hears(self.mutant);
            }
        }
        for _ in 0..self.chance.below(self.to_standby.len() + 1) {
            self.standby_learns();
        }
        (0..PEOPLE.len()).for_each(|who| self.forget_confirmed(who));
        self.confirmed.life.fetch_add(1, Ordering::SeqCst);
        self.epoch += 1;
        if self.chance.below(2) == 0 {
            // It is kept, and nobody hears of it.
            drop(self.stage.trial.let_writes_go());
        }
        for person in &mut self.people {
            person.inbox.clear();
            if self.mutant == Some(Mutant::SendingAgain) {
                person.unconfirmed.retain(|it| !it.sent);
            }
            for stanza in &mut person.unconfirmed {
                (stanza.again, stanza.sent) = (stanza.again || stanza.sent, false);
            }
        }
        (self.is_copied, self.to_standby, self.writing) = (false, VecDeque::new(), Vec::new());
        self.take_over();
    }

    fn take_over(&mut self) {
        let jid = |text: &str| xmpp::Jid::parse(text).unwrap();
        let inside = |it: &&Person| it.place == Place::Inside;
        let claim = |it: &Person| {
            mirror::claim(&jid(&it.jid()), &jid(&format!("coven@chat.x.org/{}", it.nick())))
        };
        let claims = self.people.iter().filter(inside).map(claim).collect();
        self.stage = self.stage.again();
        let trial = &mut self.stage.trial;
        trial.acts_as(MemberId(self.epoch), Epoch(self.epoch));
        trial.has_standby = true;
        trial.hold_writes();
        let copies = self.kept.iter().cloned().collect();
        let Played { mirror, receipt, sent } = trial.play(None, true, |room, cx| {
            room.take_over(copies, claims, cx).expect("it reads its copy");
        });
        self.tells_standby(mirror, receipt.into_iter().collect());
        if self.lacks(Mutant::TellingAgain) {
            return sent.into_iter().filter_map(|it| it.receipt).for_each(Receipt::release);
        }
        self.sends(sent);
        self.looks(Vec::new());
    }
}

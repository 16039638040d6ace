//! Owns what happens to members in the simulation.

use super::*;

/// How long it takes until others may act for a member that is gone.
const LEASE: Duration = Duration::from_secs(1);

/// Between a store that refuses and another fault.
const PAUSE: Duration = Duration::from_millis(500);

impl World {
    /// Everything that is under way arrives.
    pub(super) fn recover(&mut self) {
        for _ in 0..5_000 {
            if self.is_at_rest() {
                return;
            }
            self.step(false);
        }
    }

    /// Whether something is wrong already that no other death may come to.
    fn is_troubled(&self) -> bool {
        let is_cut = self.cut.iter().any(|until| *until > self.now.elapsed);
        // What came back when the store refused must be known to have come back.
        let refuses = self.refuses + PAUSE > self.now.elapsed && self.refuses > Duration::ZERO;
        self.takeover.is_some() || refuses || is_cut
    }

    pub(super) fn die(&mut self) {
        if self.is_troubled() {
            return;
        }
        if let Some(back) = self.alive.iter().position(|alive| !alive) {
            self.recover();
            self.alive[back] = true;
            return self.note(&format!("{back} is back"));
        }
        let victim = if self.chance.one_in(2) { self.owner } else { self.chance.below(MEMBERS) };
        self.alive[victim] = false;
        self.note(&format!("{victim} dies"));
        self.kept[victim] = None;
        if victim == self.owner {
            self.owner_dies();
        }
        for home in 0..self.homes.len() {
            if self.homes[home].member == victim {
                self.home_dies(home);
            }
        }
        if self.standby == Some(victim) {
            self.choose_standby();
        }
    }

    fn home_dies(&mut self, home: usize) {
        let alive: Vec<usize> = (0..MEMBERS).filter(|it| self.alive[*it]).collect();
        let to = alive[self.chance.below(alive.len())];
        self.homes[home].moves(to, self.now.elapsed + LEASE);
        for whose in self.homes[home].clients.clone() {
            if whose > 0 && (self.clients[whose].is_hasty() || self.chance.one_in(3)) {
                if !self.clients[whose].vanished {
                    self.vanishes(whose);
                }
            } else {
                self.resumes(whose);
            }
        }
    }

    fn owner_dies(&mut self) {
        // Who comes in again before he has heard that he is out takes what he hears of the time before for the answer, and
        // who was just refused may be let in when that is asked again: of these nothing is promised.
        for whose in 1..self.clients.len() {
            if self.clients[whose].is_hasty() || self.clients[whose].is_refused() {
                self.vanishes(whose);
            }
            let is_one_of_two = self.homes[self.clients[whose].home].clients.len() > 1;
            self.clients[whose].note_death(is_one_of_two);
        }
        for _ in 0..self.chance.below(self.to_standby.len() + 1) {
            self.deliver_to_standby();
        }
        let mut stage = self.stage.take().unwrap();
        let written = self.chance.below(4);
        stage.trial.dies_having_written(written);
        let heir = stage.again();
        drop(stage);
        self.to_standby.clear();
        for home in &mut self.homes {
            if self.mutant == Some(Mutant::SendingAgain) {
                home.to_room.forgets_what_arrived();
            }
            home.to_room.turns();
        }
        let (due, spoken) = (self.now.elapsed + LEASE, vec![false; self.homes.len()]);
        self.takeover = Some(Takeover { heir, due, spoken, claims: Vec::new() });
    }

    /// A home hears that the room has another owner, and says who is inside; from the former one it hears nothing more.
    pub(super) fn speak(&mut self, home: usize) {
        let (now, lacks) = (self.now.elapsed, self.lacks(Mutant::Claiming));
        let Some(takeover) = self.takeover.as_mut().filter(|it| it.due <= now) else { return };
        let of = &mut self.homes[home];
        if !takeover.spoken[home] && self.cut[of.member] <= now {
            takeover.spoken[home] = true;
            of.from_room.ends();
            // One that goes on from a copy itself is asked too early.
            if of.opens <= now && !lacks {
                takeover.claims.extend(of.claims(&self.clients));
            }
        }
        if takeover.spoken.iter().all(|it| *it) || self.mutant == Some(Mutant::Barrier) {
            self.take_over();
        }
    }

    fn take_over(&mut self) {
        let Some(Takeover { heir, claims, .. }) = self.takeover.take() else { return };
        self.homes.iter_mut().for_each(|home| home.from_room.ends());
        let standby = self.standby.take().filter(|it| self.alive[*it]);
        self.owner = standby.unwrap_or_else(|| self.alive.iter().position(|it| *it).unwrap());
        self.epoch += 1;
        let own = self.kept[self.owner].take();
        let others = self.kept.iter().flatten().cloned();
        let mut copies: Vec<Copy> = own.into_iter().chain(others).collect();
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.epoch));
        self.begin_at(heir);
        let has_standby = self.chance.one_in(2);
        if has_standby {
            self.choose_standby_for_heir();
        }
        // It asks by itself for whom nobody has claimed to be inside.
        self.homes.iter_mut().for_each(|home| home.is_new_to_room = false);
        self.turn(|stage| stage.trial.act(|room, cx| room.take_over(copies, claims, cx).unwrap()));
        if !has_standby {
            self.choose_standby();
        }
        self.note("taken over");
    }

    /// With the take-over itself.
    fn choose_standby_for_heir(&mut self) {
        let able = |it: &usize| self.alive[*it] && *it != self.owner;
        let able: Vec<usize> = (0..MEMBERS).filter(able).collect();
        self.standby = Some(able[self.chance.below(able.len())]);
        self.begin_copy();
    }

    /// Another member loads the room. Its clocks are its own.
    fn begin_at(&mut self, mut stage: Stage) {
        let skew = self.chance.below(4_000_000) as u64;
        stage.trial.now.unix_micros = self.now.unix_micros + skew - 2_000_000;
        stage.trial.now.elapsed = Duration::from_secs(self.chance.below(1_000) as u64);
        stage.trial.acts_as(proto::MemberId(self.owner as u64 + 1), Epoch(self.epoch));
        stage.trial.hold_store();
        stage.trial.is_copied(false);
        self.stage = Some(stage);
    }

    /// The room moves as planned, when nothing of it is under way.
    pub(super) fn hand_over(&mut self) {
        if self.is_troubled() {
            return;
        }
        self.closed = true;
        for _ in 0..3_000 {
            if self.is_room_at_rest() {
                break;
            }
            self.step(true);
        }
        self.closed = false;
        let able = |it: &usize| self.alive[*it] && *it != self.owner;
        let able: Vec<usize> = (0..MEMBERS).filter(able).collect();
        if !self.is_room_at_rest() {
            return;
        }
        let before = std::mem::replace(&mut self.owner, able[self.chance.below(able.len())]);
        let stage = self.stage.take().unwrap();
        let snapshot = stage.trial.entity.snapshot(stage.trial.now).unwrap();
        let (epoch, whole) = (Epoch(self.epoch), snapshot.clone());
        self.kept[self.owner] = None;
        self.kept[before] = Some(Copy { epoch, whole, changes: vec![], of_socket: false });
        self.epoch += 1;
        if self.standby == Some(self.owner) {
            self.standby = Some(before);
        }
        self.begin_at(stage.again());
        self.begin_copy();
        self.turn(|stage| stage.trial.act(|room, cx| room.restore(&snapshot, cx).unwrap()));
        self.note("handed over");
    }

    pub(super) fn change_standby(&mut self) {
        if self.is_troubled() {
            return;
        }
        self.recover();
        self.choose_standby();
        self.recover();
        self.note("another standby");
    }

    /// A member is cut off for a while.
    pub(super) fn cut_off(&mut self) {
        let member = self.chance.below(MEMBERS);
        self.cut[member] =
            self.now.elapsed + Duration::from_millis(self.chance.below(1_500) as u64);
        self.note(&format!("{member} is cut off"));
    }

    /// The store refuses for a while to write, or while a new owner begins, to be read.
    pub(super) fn refuse(&mut self) {
        let stage = self.stage.as_ref();
        let heir = self.takeover.as_ref().map(|it| &it.heir);
        let Some(memory) = stage.or(heir).map(|it| it.memory.clone()) else { return };
        let doing = || store::Error::Engine { doing: "asked", cause: "it does not answer".into() };
        match self.takeover {
            Some(_) => memory.refuse_lists(Some(doing())),
            None => memory.refuse_writes(Some(store::Error::Full("the disk"))),
        }
        self.refuses = self.now.elapsed + Duration::from_millis(self.chance.below(2_000) as u64);
        self.note("the store refuses");
    }

    pub(super) fn accept(&mut self) {
        if self.refuses > Duration::ZERO && self.refuses <= self.now.elapsed {
            let stage = self.stage.as_ref().or_else(|| self.takeover.as_ref().map(|it| &it.heir));
            let memory = &stage.unwrap().memory;
            memory.refuse_writes(None);
            memory.refuse_lists(None);
        }
    }
}

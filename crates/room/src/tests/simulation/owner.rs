//! Owns the room's shell in the simulation: what comes to the room and leaves it, and its second copy, as
//! `entity::actor` and `entity::host` see to them.

use super::*;

impl World {
    pub(super) fn lacks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// The room does something, if somebody has it; what that causes.
    pub(super) fn turn(&mut self, act: impl FnOnce(&mut Stage) -> Vec<Envelope>) {
        let Some(stage) = &mut self.stage else { return };
        let sent = act(stage);
        for (mirror, receipt) in stage.trial.take_told() {
            let waits = !self.lacks(Mutant::Waiting) && !self.lacks(Mutant::Copying);
            let (waits, over) = if waits { (receipt, None) } else { (None, receipt) };
            over.into_iter().for_each(Receipt::release);
            self.to_standby.push_back((mirror, waits));
        }
        sent.into_iter().for_each(|envelope| self.send(envelope));
    }

    fn send(&mut self, envelope: Envelope) {
        let Envelope { to, body, origin, again, receipt, .. } = envelope;
        let account = match &to {
            Route::User(account) => account.as_str(),
            _ => "",
        };
        let is_it = |(name, _): &(&str, &[&str])| account.strip_suffix("@x.org") == Some(name);
        match (ACCOUNTS.iter().position(is_it), body) {
            (Some(home), Body::Stanza(stanza)) => {
                self.homes[home].from_room.send(stanza, origin, again, receipt);
            }
            // The directory, whatever it thinks of it.
            _ => receipt.into_iter().for_each(Receipt::release),
        }
    }

    /// Whether what is between the room and a home moves.
    fn is_reached(&self, home: usize) -> bool {
        let (home, now) = (&self.homes[home], self.now.elapsed);
        [home.opens, self.cut[home.member], self.cut[self.owner]].iter().all(|it| *it <= now)
    }

    pub(super) fn arrive_at_room(&mut self, home: usize) {
        if self.stage.is_none() || self.closed || !self.is_reached(home) {
            return;
        }
        for _ in 0..=self.chance.below(4) {
            let Some(envelope) = self.homes[home].to_room.arrive(Route::Room(stage::room())) else {
                return;
            };
            self.turn(|stage| stage.trial.hear(envelope));
        }
    }

    pub(super) fn arrive_at_home(&mut self, home: usize) {
        if !self.is_reached(home) {
            return;
        }
        for _ in 0..=self.chance.below(8) {
            let to = Route::User(self.clients[self.homes[home].clients[0]].jid.bare());
            let Some(envelope) = self.homes[home].from_room.arrive(to) else { return };
            let (origin, again) = (envelope.origin, envelope.again);
            if let Body::Stanza(stanza) = &envelope.body {
                self.note_refusal(stanza);
            }
            let knows = !self.lacks(Mutant::Knowing);
            let given = self.homes[home].hear(envelope, &self.clients, knows);
            let Some((whose, stanza)) = given else { continue };
            let is_new = self.clients[whose].is_new(&stanza, origin, again);
            if is_new || !knows {
                self.client_hears(whose, &stanza);
            }
        }
    }

    /// The room hears which homes are new, and asks there for whoever is inside.
    pub(super) fn ask_new_homes(&mut self) {
        if self.stage.is_none() || self.closed {
            return;
        }
        for home in 0..self.homes.len() {
            let of = &mut self.homes[home];
            if of.opens <= self.now.elapsed && std::mem::take(&mut of.is_new_to_room) {
                let account = self.clients[of.clients[0]].jid.bare();
                self.turn(|stage| stage.trial.announce(|who| *who == account));
            }
        }
    }

    pub(super) fn confirm(&mut self, home: usize) {
        if self.stage.is_some() && self.is_reached(home) {
            self.homes[home].to_room.confirm();
            self.homes[home].from_room.confirm();
        }
    }

    pub(super) fn deliver_to_standby(&mut self) {
        let cut = self.standby.map_or(Duration::ZERO, |it| self.cut[it].max(self.cut[self.owner]));
        if cut > self.now.elapsed {
            return;
        }
        let Some((mirror, receipt)) = self.to_standby.pop_front() else { return };
        let (epoch, standby) = (Epoch(self.epoch), self.standby.unwrap());
        match mirror {
            _ if self.lacks(Mutant::Copying) => {}
            Mirror::Whole(whole) => {
                // Who kept one before forgets it.
                self.kept = Default::default();
                self.kept[standby] = Some(Copy { epoch, whole, changes: vec![], of_socket: false });
            }
            Mirror::Change(change) => {
                let kept = self.kept[standby].as_mut().filter(|kept| kept.epoch == epoch);
                holds(kept.is_some(), Wrong::Baseless, || "it has no copy".to_owned());
                kept.unwrap().changes.push(change);
            }
            Mirror::Nothing => self.kept[standby] = None,
            Mirror::Same => {}
        }
        receipt.into_iter().for_each(Receipt::release);
    }

    /// The copy begins anew, as after many changes.
    pub(super) fn begin_copy(&mut self) {
        if let Some(stage) = &mut self.stage {
            stage.trial.is_copied(self.standby.is_some());
            if self.mutant == Some(Mutant::Telling) {
                stage.trial.has_standby = false;
            }
        }
    }

    /// Another member keeps the copy, of those who can; what was on its way to the one before is given to it.
    pub(super) fn choose_standby(&mut self) {
        let able = |it: &usize| self.alive[*it] && *it != self.owner;
        let able: Vec<usize> = (0..MEMBERS).filter(able).collect();
        let before = self.standby.replace(able[self.chance.below(able.len())]);
        if before == self.standby {
            return;
        }
        let lost = std::mem::take(&mut self.to_standby);
        let lost = lost.into_iter().filter_map(|(_, receipt)| receipt).reduce(Receipt::both);
        if self.lacks(Mutant::GivingAnew) {
            return lost.into_iter().for_each(Receipt::release);
        }
        self.begin_copy();
        self.turn(|stage| stage.trial.see_to_copy(lost));
    }

    /// Nothing of the room is under way, but for what has not got in.
    pub(super) fn is_room_at_rest(&self) -> bool {
        let Some(stage) = &self.stage else { return false };
        let is_settled = stage.trial.entity.is_settled() && !stage.trial.awaits_store();
        let none = |home: &Home| home.from_room.is_empty() && home.to_room.has_none_inside();
        is_settled && self.to_standby.is_empty() && self.homes.iter().all(none)
    }
}

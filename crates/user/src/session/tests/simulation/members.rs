//! What happens to members in the simulation.

use super::edge::{Edge, Socket};
use super::*;

impl World {
    /// Everything that is under way between members arrives.
    pub(super) fn recover(&mut self) {
        for _ in 0..400 {
            self.step(false);
        }
        while !self.to_standby.is_empty() || self.edges.iter().any(|edge| !edge.inbox.is_empty()) {
            self.deliver_to_standby();
            self.deliver_to_edge();
            self.look();
        }
    }

    pub(super) fn die(&mut self) {
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
            let mut edge = Edge::new(member(survivor), self.numbers);
            edge.socket = Socket::Closed;
            self.edges.push(edge);
        }
        if victim == self.owner {
            return self.take_over();
        }
        for (_, envelope) in lost.into_iter().flat_map(|edge| edge.inbox) {
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

    pub(super) fn change_standby(&mut self) {
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
                let copy = |whole| Copy { epoch, whole, changes: vec![], of_socket: true };
                copies.extend(whole.map(copy));
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
            let taken = it.take_over(copies, Vec::<Bytes>::new(), cx);
            holds(taken.is_ok(), Wrong::Ended, || format!("there is no copy: {taken:?}"));
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
    pub(super) fn hand_over(&mut self) {
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
        let snapshot = self.trial.entity.snapshot(self.trial.now);
        holds(snapshot.is_some(), Wrong::Ended, || "there is nothing to hand over".to_owned());
        let Some(snapshot) = snapshot else { return };
        if !self.lacks(Mutant::KeepingHanded) {
            let (epoch, whole) = (Epoch(self.epoch), snapshot.clone());
            self.kept[self.owner] = Some(Copy { epoch, whole, changes: vec![], of_socket: false });
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
}

//! Owns the trial where there are other members: what comes again is known, each turn says what the second copy must learn,
//! and the store answers one question after the other, or dies with the owner before it does.

use proto::{Body, Envelope, MemberId, Receipt};
use xmpp::BareJid;

use super::Trial;
use crate::context::{Cause, Context, Effect};
use crate::entity::Entity;
use crate::mirror::{Mirror, Taken};

/// What the keeper of a second copy is to be told.
#[derive(Default)]
pub(super) struct Copying {
    is_kept: bool,
    /// The keeper has a whole one.
    known: bool,
    told: Vec<(Mirror, Option<Receipt>)>,
}

impl Copying {
    /// As the shell does at the end of each turn.
    pub(super) fn after_turn<E: Entity>(&mut self, entity: &mut E, cx: &mut Context<'_, E>) {
        let mirror = entity.mirror(self.is_kept && !self.known, cx);
        match mirror {
            Mirror::Whole(_) => self.known = self.is_kept,
            Mirror::Nothing => self.known = false,
            Mirror::Change(_) | Mirror::Same => {}
        }
        if self.is_kept && !matches!(mirror, Mirror::Same) {
            self.told.push((mirror, cx.receipt()));
        }
    }
}

impl<E: Entity> Trial<E> {
    /// From now on each turn ends with what a second copy must learn ([`Trial::take_told`]); where another member is to
    /// keep one, that begins anew.
    pub fn is_copied(&mut self, by_another: bool) {
        self.has_standby = by_another;
        let told = self.copying.take().map(|copying| copying.told).unwrap_or_default();
        self.copying = Some(Copying { is_kept: by_another, known: false, told });
    }

    /// What the keeper of the second copy is to be told, and what waits until it has learned each.
    pub fn take_told(&mut self) -> Vec<(Mirror, Option<Receipt>)> {
        self.copying.as_mut().map(|copying| std::mem::take(&mut copying.told)).unwrap_or_default()
    }

    /// An envelope comes as it was sent, unless it has come before; what follows.
    pub fn hear(&mut self, mut envelope: Envelope) -> Vec<Envelope> {
        if !self.repeats.has(&mut envelope) {
            let (receipt, again) = (envelope.receipt.take(), envelope.again);
            let cause = Cause { receipt, again, ..Cause::own(envelope.origin) };
            self.turn(cause, |entity, cx| entity.receive(envelope, cx));
        }
        std::mem::take(&mut self.sent)
    }

    /// It sees to its second copy, for which this waits; what follows.
    pub fn see_to_copy(&mut self, receipt: Option<Receipt>) -> Vec<Envelope> {
        let cause = Cause { receipt, ..Cause::own(self.next_origin()) };
        self.turn(cause, |_, _| ());
        std::mem::take(&mut self.sent)
    }

    /// Addresses of which this is so have a new owner, after a death; what it says to that.
    pub fn announce(&mut self, is_taken: impl Fn(&BareJid) -> bool) -> Vec<Envelope> {
        let owner = |jid: &BareJid| is_taken(jid).then_some(MemberId(2));
        let cause = Cause::own(self.next_origin());
        self.turn(cause, |entity, cx| entity.announce(&Taken { owner: &owner }, cx));
        std::mem::take(&mut self.sent)
    }

    /// If it was woken since it looked last, it looks; what follows.
    pub fn look(&mut self) -> Vec<Envelope> {
        if self.is_woken() {
            let origin = self.next_origin();
            let envelope = Envelope::new(self.route.clone(), Body::Woken, origin, self.fence.epoch);
            self.turn(Cause::own(origin), |entity, cx| entity.receive(envelope, cx));
        }
        std::mem::take(&mut self.sent)
    }

    /// From now on the store answers when it is told to ([`Trial::answer`]).
    pub fn hold_store(&mut self) {
        self.hold_writes();
        self.hold_answers();
    }

    /// Whether an answer of the store is awaited.
    pub fn awaits_store(&self) -> bool {
        let is_held = self.held.as_ref().is_some_and(|held| !held.is_empty());
        is_held || self.late.as_ref().is_some_and(|late| !late.is_empty())
    }

    /// The first of what was written becomes durable, and then what was read is told; what follows.
    pub fn answer(&mut self) -> Vec<Envelope> {
        let held = self.held.as_mut().filter(|held| !held.is_empty());
        if let Some(effect) = held.map(|held| held.remove(0)) {
            self.do_now(effect);
        } else if let Some(late) = self.late.as_mut().filter(|late| !late.is_empty()) {
            let answer = late.remove(0);
            answer(self);
        }
        std::mem::take(&mut self.sent)
    }

    /// The owner dies, and nobody hears any more that the first so many of its writes became durable.
    pub fn dies_having_written(&mut self, count: usize) {
        for effect in self.held.take().unwrap_or_default().into_iter().take(count) {
            if let Effect::Commit { writes, .. } = effect {
                let batch = store::Batch { fence: self.fence, writes };
                drop(self.runtime.block_on(self.store.commit(vec![batch])));
            }
        }
    }
}

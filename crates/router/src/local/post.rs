//! Owns what an arbiter does with what other threads have put into its inbox, and what it puts into theirs.

use proto::{ArbiterId, Envelope};

use super::{Local, Refusal, route};
use crate::inbox::Post;
use crate::router::Place;

impl Local {
    /// Takes one thing out of the inbox.
    pub(super) fn hear(&self, post: Post) {
        let links = self.router.links();
        match (post, links) {
            (Post::Envelopes(batch), _) => route(batch),
            (Post::LetIn(batch), _) => self.let_in(batch),
            (Post::HandOn(done), _) => {
                // Nothing is handed on by a member that may not act.
                if !self.frozen.get() {
                    self.hand_on();
                    // Whoever asked may have gone.
                    done.send(()).unwrap_or_default();
                }
            }
            (Post::Again(batch), Some(links)) => self.take_back(batch, &links),
            (Post::Refused(envelope, refusal), _) => self.refuse_each(envelope, refusal),
            (Post::Gone(member), _) => self.host.member_gone(member),
            (Post::Announced(word), _) => self.host.announced(word),
            (Post::ComponentConnected(domain), _) => self.host.component_connected(&domain),
            (Post::Look, Some(links)) => {
                self.retry(&links);
                self.host.plan_changed();
            }
            (Post::Again(_) | Post::Look, None) => {}
        }
    }

    /// What was let into a shard of this arbiter's goes in. What is for somebody else by now finds its way.
    fn let_in(&self, batch: Vec<Envelope>) {
        let (mut stay, mut rest) = (Vec::with_capacity(batch.len()), Vec::new());
        for envelope in batch {
            let is_here = self.router.place(&envelope.to) == Place::Here(self.id);
            if !is_here || !envelope.targets.is_empty() {
                rest.push(envelope);
            } else if let Some(envelope) = self.begin(envelope) {
                self.keep(envelope, &mut stay);
            }
        }
        if !stay.is_empty() {
            self.host.deliver(stay);
        }
        if !rest.is_empty() {
            route(rest);
        }
    }

    /// Gives other arbiters what is for them.
    pub(super) fn hand_on(&self) {
        let arbiters = self.outgoing.borrow().len();
        for index in 0..arbiters {
            let batch = std::mem::take(&mut self.outgoing.borrow_mut()[index]);
            if batch.is_empty() {
                continue;
            }
            let arbiter = ArbiterId(u16::try_from(index).unwrap_or(u16::MAX));
            for envelope in self.router.let_in(arbiter, batch) {
                self.host.refuse(envelope, Refusal::Full);
            }
        }
    }
}

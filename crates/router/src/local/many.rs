//! Owns envelopes that many are to get: who lives here gets a copy each, and each other member gets one envelope for
//! all who live there.
//!
//! The copy of somebody for whom the way is not free waits by itself, as if it had been sent to them alone; so does
//! every copy of an envelope that comes back. A member takes an envelope for many as a whole or not at all, and
//! confirms it when every copy is safe, whether or not somebody waits for that: until then nothing for any of its
//! recipients goes another way.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use proto::wire::Crossing;
use proto::{Envelope, Route, Target};
use xmpp::Bucket;

use super::{Departure, Local, Refusal};
use crate::held::Waiting;
use crate::link::peer::Peer;
use crate::link::sender::Why;
use crate::link::{Links, TARGETS};
use crate::router::Place;

/// So many copies are handed to the actors of this arbiter together.
const RUN: usize = 32;

/// Those who live on one member.
struct Group {
    peer: Arc<Peer>,
    targets: Vec<Target>,
    bucket: Bucket,
}

impl Local {
    pub(super) fn send_to_many(
        &self,
        mut envelope: Envelope,
        links: Option<&Links>,
        stay: &mut Vec<Envelope>,
    ) {
        let mut groups: Vec<Group> = Vec::new();
        for target in envelope.recipients() {
            let to = envelope.route_to(&target.jid, self.router.hosts());
            let Some(links) = links else {
                self.send_alone(envelope.copy_for(target, to), stay);
                self.deliver_run(stay);
                continue;
            };
            match self.way_to_all(&to, links) {
                Some((peer, bucket)) => join(&mut groups, peer, bucket, target),
                None => self.send_linked(envelope.copy_for(target, to), links, stay),
            }
            self.deliver_run(stay);
        }
        for group in groups {
            self.depart_to_all(&envelope, group);
        }
        if let Some(receipt) = envelope.receipt.take() {
            receipt.release();
        }
    }

    /// What stays here goes on in between, so that the list of it is short, and in a cache.
    fn deliver_run(&self, stay: &mut Vec<Envelope>) {
        if stay.len() >= RUN {
            self.host.deliver(std::mem::replace(stay, Vec::with_capacity(RUN)));
        }
    }

    /// The member on which an address lives, if that is another one and the way there is free: it is counted then.
    fn way_to_all(&self, to: &Route, links: &Links) -> Option<(Arc<Peer>, Bucket)> {
        // Those of other servers and of components go by the bucket of their lane or domain, each alone.
        if matches!(to, Route::Remote(_) | Route::Component(_)) {
            return None;
        }
        let (Place::Member(member), Some(bucket)) = self.router.locate(to) else { return None };
        if self.held.borrow().holds(bucket) {
            return None;
        }
        let peer = links.peer(member).filter(|peer| !peer.is_over())?;
        links.barrier.enter(bucket, peer.way).then_some((peer, bucket))
    }

    fn depart_to_all(&self, envelope: &Envelope, Group { peer, targets, bucket }: Group) {
        let Some(first) = targets.first().cloned() else { return };
        let to = envelope.route_to(&first.jid, self.router.hosts());
        let copy = envelope.copy_for(Target { part: 0, ..first }, to);
        let Some(copy) = copy.with_recipients(targets, self.router.hosts()) else { return };
        let crossing = self.router.crossing(&copy, Some(bucket));
        let crossing = Crossing { receipt: true, ..crossing };
        let lane = self.router.lane_of(&copy, Some(bucket));
        let order = self.order.replace(self.order.get() + 1);
        let sent = self.counted();
        self.depart(peer, lane, Departure { envelope: copy, crossing, from: self.id, order, sent });
    }

    /// An envelope for many has come back: from now on each copy finds its way alone.
    pub(super) fn take_back_many(
        &self,
        Departure { envelope, order, sent, .. }: Departure,
        plan: u64,
        links: &Links,
    ) -> Vec<Waiting> {
        let mut all = Vec::with_capacity(envelope.targets.len() + 1);
        for envelope in envelope.expand(self.router.hosts()) {
            let Some(bucket) = self.router.locate(&envelope.to).1 else { continue };
            links.barrier.leave(bucket);
            let (returned, sent) = (Some(order), sent.clone());
            all.push(Waiting { envelope, bucket, plan, returned, sent });
        }
        all
    }

    /// A lane did not take an envelope for many.
    pub(super) fn was_not_taken(&self, departure: Departure, why: Why, links: &Links) {
        let (order, sent) = (departure.order, departure.sent);
        for envelope in departure.envelope.expand(self.router.hosts()) {
            let Some(bucket) = self.router.locate(&envelope.to).1 else { continue };
            links.barrier.leave(bucket);
            match why {
                Why::Over => {
                    let (returned, sent) = (Some(order), sent.clone());
                    self.hold(Waiting { envelope, bucket, plan: 0, returned, sent }, links);
                }
                Why::Full => self.host.refuse(envelope, Refusal::Full),
            }
        }
    }

    pub(super) fn refuse_each(&self, envelope: Envelope, refusal: Refusal) {
        for envelope in envelope.expand(self.router.hosts()) {
            self.host.refuse(envelope, refusal);
        }
    }
}

fn join(groups: &mut Vec<Group>, peer: Arc<Peer>, bucket: Bucket, target: Target) {
    let same = |it: &&mut Group| Arc::ptr_eq(&it.peer, &peer) && it.targets.len() < TARGETS;
    match groups.iter_mut().find(same) {
        Some(group) => group.targets.push(target),
        None => groups.push(Group { peer, targets: vec![target], bucket }),
    }
}

//! Owns what members are told about second copies, beside the copies themselves.

use proto::{Announced, Body, Envelope, MemberId, Route};
use xmpp::{Epoch, Origin};

use super::{local, route};

/// Tells a member, this one too, that this arbiter has said all it holds of its shards, as they stand in this plan.
/// It arrives behind everything that was sent about copies before.
pub fn tell_announced(to: MemberId, plan: u64) {
    let Some(local) = local() else { return };
    let by = local.router.member();
    let arbiters = u16::try_from(local.outgoing.borrow().len()).unwrap_or(u16::MAX);
    let word = Announced { by, plan, arbiter: local.id, arbiters };
    if to == by {
        local.announced.borrow_mut().push(word);
        return local.flush.notify_one();
    }
    let origin = Origin::Client { session: 0, seq: plan, part: 0 };
    let body = Body::Announced(word);
    route(vec![Envelope::new(Route::Member(to), body, origin, Epoch::default())]);
}

/// Whether what is said to a member about copies waits for its turn, so that whoever can wait should; none where there
/// is no way to the member.
pub fn is_busy_with_copies(member: MemberId) -> Option<bool> {
    let local = local()?;
    if member == local.router.member() {
        return Some(false);
    }
    local.router.links()?.is_busy_with_copies(member)
}

//! Owns what becomes of what this member was about to send when it was expelled and has come back: it had the right to
//! send it as its former self alone. Whoever waits for it has asked somebody else since.

use super::Local;
use crate::link::Links;

impl Local {
    /// Forgets what a former self has left, where there was one.
    pub(super) fn forget_former(&self, links: &Links) {
        let index = self.router.plan_index();
        if self.looked_at.replace(index) == index {
            return;
        }
        let plan = self.router.plan();
        let own = plan.member(self.router.member()).map_or(0, |member| member.info.incarnation);
        let former = self.incarnation.replace(own);
        if former == 0 || former == own {
            return;
        }
        for departing in self.departing.take() {
            for departure in &departing.batch {
                links.leave(departure);
            }
        }
        drop(self.held.take());
        if self.waits.replace(false) {
            links.barrier.end_waiting();
        }
        self.outgoing.borrow_mut().iter_mut().for_each(Vec::clear);
    }
}

//! Owns what an actor tells the keeper of its entity's second copy, at the end of each turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::receipt::Settle;
use proto::snapshot::NOBODY;
use proto::{Body, CopyId, CopyUpdate, Envelope, MemberId, Receipt, Route};
use router::Router;
use xmpp::Epoch;

use crate::context::Context;
use crate::entity::Entity;
use crate::host::ArbiterContext;
use crate::mirror::Mirror;

/// A copy is begun anew after so many changes.
const CHANGES: usize = 64;
/// Or when they have so many bytes, and more than the copy had as a whole.
const BYTES: usize = 64 << 10;

/// A process that keeps copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) member: MemberId,
    pub(crate) incarnation: u64,
}

/// What a keeper was told.
pub(crate) struct Copied {
    at: Keeper,
    /// Bytes of the last whole.
    whole: usize,
    changes: usize,
    /// Bytes of them.
    bytes: usize,
    /// It may have missed something.
    void: bool,
}

impl Copied {
    /// The keeper may not know what it was told.
    pub(super) fn avoid(&mut self) {
        self.void = true;
    }

    fn must_begin_anew(&self) -> bool {
        self.void || self.changes >= CHANGES || (self.bytes > BYTES && self.bytes > self.whole)
    }
}

/// Who keeps copies until another standby has one: those that an entity has gone on from, and that of the standby before.
#[derive(Default)]
pub(super) struct Former {
    members: Arc<Mutex<Vec<MemberId>>>,
}

impl Former {
    /// Keeps in mind who they are.
    pub(super) fn keep(&self, members: Vec<MemberId>) {
        lock(&self.members).extend(members);
    }

    /// With a way to tell them.
    pub(super) fn of<'a>(&'a self, arbiter: &'a ArbiterContext) -> Formers<'a> {
        Formers { members: &self.members, arbiter }
    }
}

/// Who keeps former copies, and a way to tell them.
#[derive(Clone, Copy)]
pub(super) struct Formers<'a> {
    members: &'a Arc<Mutex<Vec<MemberId>>>,
    arbiter: &'a ArbiterContext,
}

impl Formers<'_> {
    /// Keeps in mind who had the copy before.
    fn keep(self, standby: Option<MemberId>) {
        lock(self.members).extend(standby);
    }

    /// What the keeper confirms when it has a copy: former ones may be forgotten then.
    fn receipt(self, route: &Route, keeper: MemberId, epoch: Epoch) -> Option<Receipt> {
        let mut members = std::mem::take(&mut *lock(self.members));
        members.retain(|member| *member != keeper);
        if members.is_empty() {
            return None;
        }
        let (members, back) = (Mutex::new(members), Arc::clone(self.members));
        let (router, route) = (self.arbiter.router().clone(), route.clone());
        Some(Receipt::new(0, Arc::new(Tell { members, back, router, route, epoch })))
    }
}

/// Tells former keepers when there is another copy.
struct Tell {
    members: Mutex<Vec<MemberId>>,
    /// Where they are kept in mind when there is none after all.
    back: Arc<Mutex<Vec<MemberId>>>,
    router: Router,
    route: Route,
    epoch: Epoch,
}

impl Settle for Tell {
    fn settle(&self, _: u64, faulty: bool) {
        let members = std::mem::take(&mut *lock(&self.members));
        if faulty {
            return lock(&self.back).extend(members);
        }
        let forget = |member| {
            let to = Route::Copy(CopyId { member, of: Box::new(self.route.clone()) });
            Envelope::new(to, Body::Copy(CopyUpdate::Forget), NOBODY, self.epoch)
        };
        // A control envelope is never refused.
        drop(self.router.post(members.into_iter().map(forget).collect()));
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The second copy of an entity, as its actor sees it.
pub(super) struct SecondCopy<'a> {
    pub(super) route: &'a Route,
    /// What the keeper was told.
    pub(super) copied: &'a mut Option<Copied>,
    /// Who is to keep it; none where nobody is there.
    pub(super) keeper: Option<Keeper>,
    pub(super) former: Formers<'a>,
}

/// Asks the entity what its copy must learn, and tells the keeper.
pub(super) fn after_turn<E: Entity>(entity: &mut E, cx: &mut Context<'_, E>, copy: SecondCopy<'_>) {
    let SecondCopy { route, copied, keeper, former } = copy;
    let known = copied.as_ref().filter(|known| Some(known.at) == keeper);
    let anew = keeper.is_some() && known.is_none_or(Copied::must_begin_anew);
    let mirror = entity.mirror(anew, cx);
    let before = copied.as_ref().map(|before| before.at);
    let Some(keeper) = keeper else {
        copied.take();
        return forget(route, before, cx);
    };
    match (mirror, &mut *copied) {
        (Mirror::Same, _) => {}
        (Mirror::Whole(state), _) => {
            let whole = state.len();
            *copied = Some(Copied { at: keeper, whole, changes: 0, bytes: 0, void: false });
            // A former standby keeps the only copy until another one has it.
            former.keep(before.map(|before| before.member));
            let confirms = former.receipt(route, keeper.member, cx.fence.epoch);
            also_for(confirms, cx, |cx| {
                tell(route, keeper.member, CopyUpdate::Whole(state), cx);
            });
        }
        (Mirror::Change(change), Some(known)) if !anew => {
            (known.changes, known.bytes) = (known.changes + 1, known.bytes + change.len());
            tell(route, keeper.member, CopyUpdate::Change(change), cx);
        }
        (Mirror::Change(_), _) => debug_assert!(false, "a change of what is not known was given"),
        (Mirror::Nothing, _) => {
            copied.take();
            forget(route, before, cx);
            if let Some(receipt) = former.receipt(route, former.arbiter.member(), cx.fence.epoch) {
                receipt.release();
            }
        }
    }
}

/// Does something for which this receipt waits too.
fn also_for<E: Entity>(
    own: Option<Receipt>,
    cx: &mut Context<'_, E>,
    act: impl FnOnce(&mut Context<'_, E>),
) {
    let Some(own) = own else { return act(cx) };
    let receipt = match cx.receipt() {
        Some(cause) => Receipt::both(cause, own),
        None => own,
    };
    cx.caused_by(cx.origin(), Some(receipt), act);
}

fn forget<E: Entity>(route: &Route, keeper: Option<Keeper>, cx: &mut Context<'_, E>) {
    if let Some(keeper) = keeper {
        tell(route, keeper.member, CopyUpdate::Forget, cx);
    }
}

fn tell<E: Entity>(route: &Route, member: MemberId, update: CopyUpdate, cx: &mut Context<'_, E>) {
    let to = Route::Copy(CopyId { member, of: Box::new(route.clone()) });
    cx.tell(to, Body::Copy(update));
}

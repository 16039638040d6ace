//! Owns what an actor tells the keeper of its entity's second copy, at the end of each turn.

use proto::{Body, CopyId, CopyWord, MemberId, Route};

use crate::context::Context;
use crate::entity::Entity;
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

/// Asks the entity what its copy must learn, and tells the keeper.
pub(super) fn after_turn<E: Entity>(
    entity: &mut E,
    cx: &mut Context<'_, E>,
    (route, copied, keeper): (&Route, &mut Option<Copied>, Option<Keeper>),
) {
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
            tell(route, keeper.member, CopyWord::Whole(state), cx);
            forget(route, before.filter(|before| before.member != keeper.member), cx);
        }
        (Mirror::Change(change), Some(known)) if !anew => {
            (known.changes, known.bytes) = (known.changes + 1, known.bytes + change.len());
            tell(route, keeper.member, CopyWord::Change(change), cx);
        }
        (Mirror::Change(_), _) => debug_assert!(false, "a change of what is not known was given"),
        (Mirror::Nothing, _) => {
            copied.take();
            forget(route, before, cx);
        }
    }
}

fn forget<E: Entity>(route: &Route, keeper: Option<Keeper>, cx: &mut Context<'_, E>) {
    if let Some(keeper) = keeper {
        tell(route, keeper.member, CopyWord::Forget, cx);
    }
}

fn tell<E: Entity>(route: &Route, member: MemberId, word: CopyWord, cx: &mut Context<'_, E>) {
    let to = Route::Copy(CopyId { member, of: Box::new(route.clone()) });
    cx.tell(to, Body::Copy(word));
}

//! Owns second copies: those that this member keeps as the standby of shards, and those that others bring to it as
//! the new owner. Pure; what is in them is the entities' own.

use std::collections::HashMap;

use bytes::Bytes;
use proto::{CopyUpdate, MemberId, Route};
use xmpp::Epoch;

use crate::mirror::Copy;

/// Copies of entities, by their addresses.
#[derive(Default)]
pub(super) struct Copies {
    kept: HashMap<Route, Copy>,
}

/// What a new owner was told of an entity.
#[derive(Default)]
pub(super) struct Told {
    pub(super) copies: Vec<Copy>,
    pub(super) claims: Vec<Bytes>,
    /// Who keeps copies until they are told to forget them.
    pub(super) by: Vec<MemberId>,
}

impl Copies {
    /// Takes what an owner of this epoch says. A former owner is not heard.
    pub(super) fn take(&mut self, of: Route, epoch: Epoch, update: CopyUpdate) {
        let known = self.kept.get_mut(&of).filter(|known| known.epoch <= epoch);
        match (update, known) {
            (CopyUpdate::Whole(whole), known) => {
                if known.is_some() || !self.kept.contains_key(&of) {
                    self.kept
                        .insert(of, Copy { epoch, whole, changes: Vec::new(), of_socket: false });
                }
            }
            (CopyUpdate::Change(change), Some(known)) if known.epoch == epoch => {
                known.changes.push(change);
            }
            (CopyUpdate::Forget, Some(_)) => drop(self.kept.remove(&of)),
            // What the change belongs to was never here: a whole one comes.
            (CopyUpdate::Change(_) | CopyUpdate::Forget, _) => {}
            (CopyUpdate::Kept { .. } | CopyUpdate::Claim(_), _) => {}
        }
    }

    /// Removes the copies of these entities, for whoever goes on from them.
    pub(super) fn remove(&mut self, of: impl Fn(&Route) -> bool) -> Vec<(Route, Copy)> {
        self.kept.extract_if(|route, _| of(route)).collect()
    }

    /// The entities that there are copies of.
    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.kept.keys()
    }

    /// The copy of an entity.
    pub(super) fn get(&self, of: &Route) -> Option<&Copy> {
        self.kept.get(of)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

impl Told {
    /// Takes what somebody says to a new owner.
    pub(super) fn take(&mut self, update: CopyUpdate) {
        match update {
            CopyUpdate::Kept { epoch, whole, changes, by } => {
                let older = |it: &Copy| it.epoch < epoch;
                self.insert(Copy { epoch, whole, changes, of_socket: by.is_none() }, older);
                self.by.extend(by);
            }
            CopyUpdate::Claim(what) => self.claims.push(what),
            CopyUpdate::Whole(_) | CopyUpdate::Change(_) | CopyUpdate::Forget => {}
        }
    }

    /// Adds the new owner's own copy. It was the last standby: of one epoch, others have what it was not given yet.
    pub(super) fn add(&mut self, copy: Copy) {
        let epoch = copy.epoch;
        self.insert(copy, |it| it.epoch <= epoch);
    }

    /// The newest is the first.
    fn insert(&mut self, copy: Copy, is_older: impl Fn(&Copy) -> bool) {
        let at = self.copies.iter().position(is_older);
        self.copies.insert(at.unwrap_or(self.copies.len()), copy);
    }
}

#[cfg(test)]
mod tests {
    use xmpp::BareJid;

    use super::*;

    fn route(name: &str) -> Route {
        Route::Room(BareJid::parse(&format!("{name}@rooms.x")).unwrap())
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_copy_is_the_last_whole_and_what_changed_since() {
        let mut copies = Copies::default();
        copies.take(route("a"), Epoch(1), CopyUpdate::Change(bytes("lost")));
        for whole in ["1", "2"] {
            copies.take(route("a"), Epoch(1), CopyUpdate::Whole(bytes(whole)));
            copies.take(route("a"), Epoch(1), CopyUpdate::Change(bytes("x")));
        }
        let changes = vec![bytes("x")];
        let copy = Copy { epoch: Epoch(1), whole: bytes("2"), changes, of_socket: false };
        assert_eq!(copies.get(&route("a")), Some(&copy));
        copies.take(route("a"), Epoch(1), CopyUpdate::Forget);
        assert_eq!(copies.len(), 0);
    }

    #[test]
    fn a_former_owner_is_not_heard() {
        let mut copies = Copies::default();
        copies.take(route("a"), Epoch(2), CopyUpdate::Whole(bytes("new")));
        for update in
            [CopyUpdate::Whole(bytes("old")), CopyUpdate::Change(bytes("x")), CopyUpdate::Forget]
        {
            copies.take(route("a"), Epoch(1), update);
        }
        copies.take(route("a"), Epoch(3), CopyUpdate::Change(bytes("of a whole that is lost")));
        let (whole, changes) = (bytes("new"), Vec::new());
        let copy = Copy { epoch: Epoch(2), whole, changes, of_socket: false };
        assert_eq!(copies.get(&route("a")), Some(&copy));
    }

    #[test]
    fn of_several_copies_the_newest_is_the_first() {
        let mut told = Told::default();
        for epoch in [1, 3, 2, 3] {
            let (whole, changes, by) = (Bytes::new(), vec![], None);
            told.take(CopyUpdate::Kept { epoch: Epoch(epoch), whole, changes, by });
        }
        let epochs: Vec<u64> = told.copies.iter().map(|copy| copy.epoch.0).collect();
        assert_eq!(epochs, [3, 3, 2, 1]);
        let (whole, changes) = (bytes("own"), vec![]);
        let own = Copy { epoch: Epoch(3), whole, changes, of_socket: false };
        told.add(own.clone());
        assert_eq!((told.copies[0].clone(), told.copies.len()), (own, 5));
    }
}

//! Owns which actors an arbiter has: by address, and by the shard that decides which member they belong to. So what is
//! done to a shard costs what lives in it, however many others live here.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use proto::Route;
use xmpp::Shard;

use super::Mailbox;
use super::handoff::Part;
use crate::actor::Permits;

/// The actors of an arbiter.
#[derive(Default)]
pub(super) struct Table {
    entries: HashMap<Route, Entry>,
    by_shard: HashMap<Shard, HashSet<Route>>,
}

/// One actor.
pub(super) struct Entry {
    pub(super) mailbox: Rc<dyn Mailbox>,
    pub(super) permits: Rc<Permits>,
    pub(super) used: Cell<bool>,
    /// None: it has no owner, and is of no part.
    pub(super) shard: Option<Shard>,
}

impl Table {
    pub(super) fn insert(&mut self, route: Route, entry: Entry) {
        if let Some(shard) = entry.shard {
            self.by_shard.entry(shard).or_default().insert(route.clone());
        }
        self.entries.insert(route, entry);
    }

    pub(super) fn get(&self, route: &Route) -> Option<&Entry> {
        self.entries.get(route)
    }

    pub(super) fn has(&self, route: &Route) -> bool {
        self.entries.contains_key(route)
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, route: &Route) -> bool {
        let Some(entry) = self.entries.remove(route) else { return false };
        if let Some(shard) = entry.shard
            && let Some(others) = self.by_shard.get_mut(&shard)
        {
            others.remove(route);
            if others.is_empty() {
                self.by_shard.remove(&shard);
            }
        }
        true
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.entries.keys()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The addresses of a part's actors.
    pub(super) fn routes_of(&self, part: Part) -> impl Iterator<Item = &Route> {
        let of_shard = match part {
            Part::Shard(shard) => self.by_shard.get(&shard),
            Part::Whole => None,
        };
        let of_all = (part == Part::Whole).then(|| self.by_shard.values().flatten());
        of_shard.into_iter().flatten().chain(of_all.into_iter().flatten())
    }

    /// The ways into them.
    pub(super) fn mailboxes_of(&self, part: Part) -> Vec<Rc<dyn Mailbox>> {
        let entries = self.routes_of(part).filter_map(|route| self.entries.get(route));
        entries.map(|entry| Rc::clone(&entry.mailbox)).collect()
    }
}

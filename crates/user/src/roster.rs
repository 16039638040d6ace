//! Owns an account's roster (RFC 6121 §2): its items, its version, and the subscription requests of others
//! that wait for an answer. Knows no presence; what a state of subscription means is
//! [`crate::subscription`]'s.
//!
//! | module | owns |
//! |---|---|
//! | `behind` | presence that waits until an edit is kept |
//! | `iq` | roster get and roster set |
//! | `outbox` | subscription stanzas until contacts have them |
//! | `portable` | in files of XEP-0227 |
//! | `push` | items as clients see them, pushes to interested resources |
//! | `row` | items, requests and the version as rows of the store |

mod behind;
mod iq;
pub(crate) mod outbox;
mod portable;
mod push;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use entity::refuse::store_error;
use entity::{Context, LoadError};
use proto::Now;
use store::{Key, Kind, Row, Write};
use xmpp::{BareJid, Stanza, StanzaError};

use crate::subscription::{Standing, State};
use crate::{User, pep, presence};

use behind::Behind;
pub(crate) use iq::check_room;
pub(crate) use iq::{EXTENSION, GROUP_BYTES_MAX, GROUPS_MAX, NAME_BYTES_MAX};
use outbox::Outbox;
pub use portable::shown;
pub(crate) use portable::{requests_in, row_of_request, rows_of};
pub(crate) use push::{Push, push};

/// A longer request waits without what it says, so that nobody can fill the store with them.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 10;

/// The roster of one account.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    items: BTreeMap<BareJid, Item>,
    /// Subscription requests that were neither approved nor denied, one per contact.
    requests: BTreeMap<BareJid, Stanza>,
    version: u64,
    /// The version of the last removal. A cache that is older cannot be brought up to date by pushes,
    /// since nothing is kept of removed items.
    removed: u64,
    /// What was kept of contacts before an edit that was refused while a later one is on its way.
    refused: BTreeMap<BareJid, (Option<Item>, Option<Stanza>)>,
    behind: Behind,
    /// What was said to contacts and is not known to be kept by them.
    pub(crate) outbox: Outbox,
}

/// What an account keeps of one contact (RFC 6121 §2.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// The handle that the user gave; empty: none.
    pub name: Box<str>,
    /// The groups, in the order in which the client gave them; no two are equal.
    pub groups: Vec<Box<str>>,
    /// Who sees whom.
    pub subscription: Subscription,
    /// The account has asked for a subscription and has no answer (§2.1.2.2).
    pub ask: bool,
    /// The account said yes before it was asked (§2.1.2.1).
    pub approved: bool,
    /// The roster's version when the item changed last.
    version: u64,
}

/// The `subscription` of an item (RFC 6121 §2.1.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Neither sees the other's presence.
    #[default]
    None,
    /// The account sees the contact's presence.
    To,
    /// The contact sees the account's presence.
    From,
    /// Both.
    Both,
}

/// A change of one contact, already made in memory: what must be kept, whom it must be told, and how it is
/// taken back when the store refuses.
#[must_use = "an edit must be kept"]
pub(crate) struct Edit {
    writes: Vec<Write>,
    push: Option<Push>,
    undo: Undo,
}

struct Undo {
    contact: BareJid,
    item: Option<Item>,
    request: Option<Stanza>,
    /// What the edit left: the item's version, and whether a request waits.
    left: (Option<u64>, bool),
}

impl Roster {
    /// Makes the roster from an account's rows of [`Kind::Roster`] and [`Kind::Pending`]; others are left
    /// alone.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub(crate) fn load(rows: &[Row]) -> Result<Self, LoadError> {
        let mut roster = Self::default();
        for row in rows {
            roster.take(row).ok_or(LoadError { kind: row.kind })?;
        }
        Ok(roster)
    }

    fn take(&mut self, row: &Row) -> Option<()> {
        match row.kind {
            Kind::Roster if row.item.is_empty() => {
                (self.version, self.removed) = row::read_version(&row.value)?;
            }
            Kind::Roster => {
                self.items.insert(row::read_contact(&row.item)?, row::read_item(&row.value)?);
            }
            Kind::Pending if self.outbox.take(row)? => {}
            Kind::Pending => {
                let contact = row::read_contact(&row.item)?;
                let request = row::read_request(&row.value)?;
                self.requests.insert(contact, request);
            }
            _ => {}
        }
        Some(())
    }

    /// The item of a contact.
    #[must_use]
    pub(crate) fn get(&self, contact: &BareJid) -> Option<&Item> {
        self.items.get(contact)
    }

    /// Every item, in order of addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BareJid, &Item)> {
        self.items.iter()
    }

    /// Whether a contact is in the roster.
    #[must_use]
    pub(crate) fn contains(&self, contact: &BareJid) -> bool {
        self.items.contains_key(contact)
    }

    /// How many items there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether a contact may see the account's presence: `from` or `both`.
    #[must_use]
    pub(crate) fn is_subscriber(&self, contact: &BareJid) -> bool {
        self.get(contact).is_some_and(Item::is_subscriber)
    }

    /// The contacts that may see the account's presence: `from` and `both`.
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = &BareJid> {
        self.items.iter().filter(|(_, item)| item.is_subscriber()).map(|(contact, _)| contact)
    }

    /// The requests that wait for an answer (RFC 6121 §3.1.3), as they came, without `to`.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&BareJid, &Stanza)> {
        self.requests.iter()
    }

    /// Presence of a contact, unless it must wait until an edit is kept.
    pub(crate) fn hold(&mut self, contact: &BareJid, presence: Stanza) -> Option<Stanza> {
        self.behind.hold(contact, presence)
    }

    /// How the account and a contact stand to each other.
    #[must_use]
    pub(crate) fn standing(&self, contact: &BareJid) -> Standing {
        let item = self.get(contact);
        let pending_in = self.requests.contains_key(contact);
        let flag = |of: fn(&Item) -> bool| item.is_some_and(of);
        let (to, from) = (flag(Item::is_subscribed_to), flag(Item::is_subscriber));
        Standing {
            state: State::new(to, from, flag(|item| item.ask), pending_in),
            approved: flag(|item| item.approved),
        }
    }

    /// Puts an item in, or in the place of another.
    pub(crate) fn put(&mut self, owner: &BareJid, contact: &BareJid, item: Item, now: Now) -> Edit {
        let mut edit = self.edit(contact);
        self.write_item(&mut edit, owner, Some(item), now);
        edit
    }

    /// Takes an item out. A request of the contact goes on waiting.
    pub(crate) fn remove(&mut self, owner: &BareJid, contact: &BareJid, now: Now) -> Edit {
        let mut edit = self.edit(contact);
        self.write_item(&mut edit, owner, None, now);
        edit
    }

    /// Brings item and waiting request in line with what [`crate::subscription`] decided. `request` is the
    /// stanza to keep if the contact's request begins to wait. Nothing is written where nothing changes.
    pub(crate) fn stand(
        &mut self,
        owner: &BareJid,
        contact: &BareJid,
        (after, request): (Standing, Option<&Stanza>),
        now: Now,
    ) -> Edit {
        let mut edit = self.edit(contact);
        let item = self.get(contact).cloned().unwrap_or_default().standing(after);
        if edit.undo.item.clone().unwrap_or_default() != item {
            self.write_item(&mut edit, owner, Some(item), now);
        }
        if after.state.is_pending_in() != edit.undo.request.is_some() {
            let request = request.filter(|_| after.state.is_pending_in());
            self.write_request(&mut edit, owner, request);
        }
        edit
    }

    /// By what a later edit of a contact is known.
    fn marks(&self, contact: &BareJid) -> (Option<u64>, bool) {
        let version = self.items.get(contact).map(|item| item.version);
        (version, self.requests.contains_key(contact))
    }

    fn edit(&self, contact: &BareJid) -> Edit {
        let undo = Undo {
            contact: contact.clone(),
            item: self.items.get(contact).cloned(),
            request: self.requests.get(contact).cloned(),
            left: self.marks(contact),
        };
        Edit { writes: Vec::new(), push: None, undo }
    }

    /// The next version is the time, or one more than the last where the clock has not moved on; so
    /// versions grow even over the removal and return of an account.
    fn write_item(&mut self, edit: &mut Edit, owner: &BareJid, item: Option<Item>, now: Now) {
        let contact = edit.undo.contact.clone();
        self.version = now.unix_micros.max(self.version + 1);
        edit.push = Some(Push::new(self.version, &contact, item.as_ref()));
        let key = Key::new(owner.clone(), Kind::Roster, row::write_contact(&contact));
        if let Some(mut item) = item {
            item.version = self.version;
            edit.writes.push(Write::Put(key, row::write_item(&item)));
            self.items.insert(contact, item);
        } else {
            self.removed = self.version;
            edit.writes.push(Write::Delete(key));
            self.items.remove(&contact);
        }
        let version = row::write_version(self.version, self.removed);
        let key = Key::new(owner.clone(), Kind::Roster, bytes::Bytes::new());
        edit.writes.push(Write::Put(key, version));
    }

    fn write_request(&mut self, edit: &mut Edit, owner: &BareJid, request: Option<&Stanza>) {
        let contact = edit.undo.contact.clone();
        let key = Key::new(owner.clone(), Kind::Pending, row::write_contact(&contact));
        if let Some(request) = request {
            let request = row::bounded(request, &contact);
            edit.writes.push(Write::Put(key, row::write_request(&request)));
            self.requests.insert(contact, request);
        } else {
            edit.writes.push(Write::Delete(key));
            self.requests.remove(&contact);
        }
    }

    /// Takes back an edit that was not kept. Where a later one has changed the contact meanwhile, that one
    /// stands if it is kept, since its rows are whole; if it is not, both are taken back. Clients that saw
    /// the edit hold a version that never was, so the version moves on and brings them the whole roster.
    fn undo(&mut self, undo: Undo) {
        let Undo { contact, item, request, left } = undo;
        let (item, request) = self.refused.remove(&contact).unwrap_or((item, request));
        if self.marks(&contact) != left {
            self.refused.insert(contact, (item, request));
            return;
        }
        match item {
            Some(item) => self.items.insert(contact.clone(), item),
            None => self.items.remove(&contact),
        };
        match request {
            Some(request) => self.requests.insert(contact, request),
            None => self.requests.remove(&contact),
        };
        self.version += 1;
        self.removed = self.version;
    }
}

impl Item {
    /// Whether the contact may see the account's presence.
    #[must_use]
    pub(crate) fn is_subscriber(&self) -> bool {
        matches!(self.subscription, Subscription::From | Subscription::Both)
    }

    /// Whether the account sees the contact's presence.
    #[must_use]
    pub(crate) fn is_subscribed_to(&self) -> bool {
        matches!(self.subscription, Subscription::To | Subscription::Both)
    }

    fn standing(self, after: Standing) -> Self {
        let subscription = match (after.state.is_to(), after.state.is_from()) {
            (false, false) => Subscription::None,
            (true, false) => Subscription::To,
            (false, true) => Subscription::From,
            (true, true) => Subscription::Both,
        };
        let ask = after.state.is_pending_out();
        Self { subscription, ask, approved: after.approved, ..self }
    }
}

/// Keeps an edit, in the turn in which it was made. `then` follows when it is durable, with the push that
/// clients are owed, or when it was refused and taken back.
pub(crate) fn keep(
    user: &mut User,
    edit: Edit,
    cx: &mut Context<'_, User>,
    then: impl FnOnce(&mut User, Result<Option<Push>, StanzaError>, &mut Context<'_, User>) + 'static,
) {
    let Edit { writes, push, mut undo } = edit;
    if writes.is_empty() {
        return then(user, Ok(push), cx);
    }
    undo.left = user.roster.marks(&undo.contact);
    user.roster.behind.begin(&undo.contact);
    cx.commit_then(writes, move |user, cx, kept| {
        let contact = undo.contact.clone();
        match kept {
            Ok(()) => {
                user.roster.refused.remove(&contact);
                then(user, Ok(push), cx);
                let was_subscriber = undo.item.as_ref().is_some_and(Item::is_subscriber);
                pep::stands_otherwise(user, &contact, was_subscriber, cx);
            }
            Err(error) => {
                user.roster.undo(undo);
                then(user, Err(store_error(&error)), cx);
            }
        }
        for presence in user.roster.behind.end(&contact) {
            presence::of_contact(user, presence, cx);
        }
    });
}

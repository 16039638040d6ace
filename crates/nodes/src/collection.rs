//! Owns all nodes of one address, out of their rows; what a turn may know, and what comes of it.
//!
//! Changes are made in memory at once; whoever asked keeps the rows, and tells nobody anything before they are
//! kept. Where the store refuses them, the collection is loaded again.

use std::collections::BTreeMap;

use bytes::Bytes;
use store::{Key, Kind, Row, Write};
use xmpp::rsm::ResultSet;
use xmpp::{BareJid, Element, Jid, StanzaError};

use crate::access::{Asker, People};
use crate::errors::no_node;
use crate::node::{Head, Node};
use crate::notice::Notice;
use crate::rows;

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An account's (XEP-0163).
    Account,
    /// A service's.
    Service,
}

/// How much there may be of anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Nodes of the address.
    pub nodes: usize,
    /// Nodes that one account has made here and that are still there.
    pub nodes_of_one: usize,
    /// Items of all its nodes together.
    pub items: usize,
    /// Items of a node; what `max` means.
    pub items_of_node: usize,
    /// Bytes of a payload.
    pub payload_bytes: usize,
    /// Bytes of all payloads together.
    pub bytes: usize,
    /// Subscriptions, and affiliations, of a node.
    pub people_of_node: usize,
}

/// All nodes of one address.
#[derive(Clone, Debug)]
pub struct Collection {
    /// The address; the rows are its own.
    pub owner: BareJid,
    /// Whose they are.
    pub place: Place,
    nodes: BTreeMap<String, Node>,
    /// The number given to an item last.
    last: u64,
    items: usize,
    bytes: usize,
}

/// What a turn may know.
pub struct Turn<'a> {
    /// Who asks.
    pub from: &'a Jid,
    /// Their bare address.
    pub who: BareJid,
    /// What must be known of people.
    pub people: &'a dyn People,
    /// How much there may be.
    pub limits: &'a Limits,
    /// The time, in microseconds since 1970-01-01 UTC.
    pub now: u64,
    /// Makes ids that nobody can guess.
    pub fresh: &'a mut dyn FnMut() -> String,
}

impl Turn<'_> {
    /// Who asks, as access is judged.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { who: &self.who, now: self.now, people: self.people }
    }
}

/// What comes of a request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// To be kept together, before anything else is done.
    pub writes: Vec<Write>,
    /// What the asker gets.
    pub answer: Answer,
    /// What others are told.
    pub notices: Vec<Notice>,
    /// Who listens from now on, to which node, and is to get its last item.
    pub newcomers: Vec<(String, Jid)>,
    /// Items whose payloads are held until the rows are kept: node, id, number.
    pub held: Vec<(String, String, u64)>,
}

/// What the asker gets.
#[derive(Debug, Default)]
pub enum Answer {
    /// An empty result.
    #[default]
    Done,
    /// A result.
    Result(Element),
    /// Items, whose payloads must still be read.
    Items(Fetch),
}

/// Items to be read.
#[derive(Debug)]
pub struct Fetch {
    /// Of this node.
    pub node: String,
    /// Each with its id and where its payload is.
    pub items: Vec<(String, Source)>,
    /// What a page says of itself (XEP-0059).
    pub set: Option<ResultSet>,
}

/// Where a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here, since it is not kept yet.
    Held(Bytes),
    /// In this row.
    Row(Key),
}

/// The rows that must be read for payloads.
#[must_use]
pub fn keys(sources: &[Source]) -> Vec<Key> {
    let key = |source: &Source| match source {
        Source::Row(key) => Some(key.clone()),
        Source::Held(_) => None,
    };
    sources.iter().filter_map(key).collect()
}

/// The payloads, with the rows of [`keys`] as they were read; none for an item that has gone meanwhile.
#[must_use]
pub fn payloads(sources: &[Source], rows: Vec<Option<Bytes>>) -> Vec<Option<Bytes>> {
    let mut rows = rows.into_iter();
    let payload = |source: &Source| match source {
        Source::Held(bytes) => Some(bytes.clone()),
        Source::Row(_) => rows.next().flatten(),
    };
    sources.iter().map(payload).collect()
}

/// A row of pubsub that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub Kind);

/// The kinds of rows that a collection is loaded from.
pub const KINDS: [Kind; 3] = [Kind::Node, Kind::Subscription, Kind::Item];

impl Collection {
    /// An address without nodes.
    #[must_use]
    pub fn new(owner: BareJid, place: Place) -> Self {
        Self { owner, place, nodes: BTreeMap::new(), last: 0, items: 0, bytes: 0 }
    }

    /// Out of the rows of [`KINDS`]; others are left alone.
    ///
    /// # Errors
    /// When a row cannot be read.
    pub fn load(owner: BareJid, place: Place, all: &[Row]) -> Result<Self, Unreadable> {
        let mut collection = Self::new(owner, place);
        for row in all.iter().filter(|row| row.kind == Kind::Node) {
            let read = rows::read_node(&row.value, place);
            let name = String::from_utf8(row.item.to_vec()).ok();
            let (name, node) = name.zip(read).ok_or(Unreadable(row.kind))?;
            collection.nodes.insert(name, node);
        }
        for row in all {
            collection.take(row).ok_or(Unreadable(row.kind))?;
        }
        for node in collection.nodes.values_mut() {
            node.items.sort_unstable_by_key(|head| head.number);
        }
        Ok(collection)
    }

    /// Rows of a node that is gone are left over from nothing: a node and its rows go in one batch.
    fn take(&mut self, row: &Row) -> Option<()> {
        match row.kind {
            Kind::Subscription => {
                let (node, jid) = rows::split(&row.item)?;
                let subscription = rows::read_subscription(&row.value)?;
                let node = self.nodes.get_mut(&node)?;
                node.subscriptions.insert(Jid::parse(&jid).ok()?, subscription);
            }
            Kind::Item => {
                let (node, id) = rows::split(&row.item)?;
                let head = rows::read_head(id, &row.value)?;
                self.last = self.last.max(head.number);
                self.items += 1;
                self.bytes += head.bytes;
                self.nodes.get_mut(&node)?.items.push(head);
            }
            _ => {}
        }
        Some(())
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many items and bytes of payloads there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.items, self.bytes)
    }

    /// A node.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Every node by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.nodes.iter()
    }

    /// A node that must be there.
    ///
    /// # Errors
    /// `item-not-found`.
    pub(crate) fn node(&self, name: &str) -> Result<&Node, StanzaError> {
        self.nodes.get(name).ok_or_else(no_node)
    }

    pub(crate) fn node_mut(&mut self, name: &str) -> Result<&mut Node, StanzaError> {
        self.nodes.get_mut(name).ok_or_else(no_node)
    }

    pub(crate) fn insert(&mut self, name: &str, node: Node) {
        self.nodes.insert(name.to_owned(), node);
    }

    /// Takes a node with everything of it.
    pub(crate) fn remove(&mut self, name: &str, out: &mut Outcome) -> Option<Node> {
        let ids = self.nodes.get(name)?.items.iter().map(|head| head.id.clone()).collect();
        self.remove_items(name, ids, out);
        let node = self.nodes.remove(name)?;
        for jid in node.subscriptions.keys() {
            out.writes.push(Write::Delete(self.key_of(Kind::Subscription, name, jid.as_str())));
        }
        let key = Key::new(self.owner.clone(), Kind::Node, Bytes::copy_from_slice(name.as_bytes()));
        out.writes.push(Write::Delete(key));
        Some(node)
    }

    /// Puts an item at the end of a node, in place of one of the same id.
    pub(crate) fn put_item(&mut self, name: &str, head: Head, out: &mut Outcome) {
        let (index, row) =
            (self.key_of(Kind::Item, name, &head.id), self.key_of(Kind::Payload, name, &head.id));
        let Some(node) = self.nodes.get_mut(name) else { return };
        if let Some(at) = node.items.iter().position(|before| before.id == head.id) {
            let before = node.items.remove(at);
            self.items -= 1;
            self.bytes -= before.bytes;
        }
        self.items += 1;
        self.bytes += head.bytes;
        out.writes.push(Write::Put(index, rows::write_head(&head)));
        out.writes.push(Write::Put(row, head.held.clone().unwrap_or_default()));
        out.held.push((name.to_owned(), head.id.clone(), head.number));
        node.items.push(head);
    }

    /// Takes items out of a node.
    pub(crate) fn remove_items(&mut self, name: &str, ids: Vec<String>, out: &mut Outcome) {
        for id in ids {
            let (index, row) =
                (self.key_of(Kind::Item, name, &id), self.key_of(Kind::Payload, name, &id));
            let Some(node) = self.nodes.get_mut(name) else { return };
            let Some(at) = node.items.iter().position(|head| head.id == id) else { continue };
            let head = node.items.remove(at);
            self.items -= 1;
            self.bytes -= head.bytes;
            out.writes.extend([Write::Delete(index), Write::Delete(row)]);
        }
    }

    /// Takes out the items of a node whose time is over (`pubsub#item_expire`), and the subscriptions whose lease is
    /// (§12.19).
    pub(crate) fn expire(&mut self, name: &str, now: u64, out: &mut Outcome) {
        let Some(node) = self.nodes.get(name) else { return };
        let seconds = node.config.item_expire.within(u64::MAX / 2_000_000);
        let end = now.saturating_sub(seconds.saturating_mul(1_000_000));
        let old = node.items.iter().filter(|head| head.published < end);
        let ids: Vec<String> = old.map(|head| head.id.clone()).collect();
        let over = node.subscriptions.iter().filter(|(_, it)| it.is_over(now));
        let over: Vec<Jid> = over.map(|(jid, _)| jid.clone()).collect();
        self.remove_items(name, ids, out);
        for jid in over {
            self.unsubscribe(name, &jid, out);
        }
    }

    /// Takes out a subscription; whether there was one.
    pub(crate) fn unsubscribe(&mut self, name: &str, jid: &Jid, out: &mut Outcome) -> bool {
        let node = self.nodes.get_mut(name);
        let was = node.is_some_and(|node| node.subscriptions.remove(jid).is_some());
        self.write_subscription(name, jid, out);
        was
    }

    /// The row of a node as it is now.
    pub(crate) fn write_node(&self, name: &str, out: &mut Outcome) {
        if let Some(node) = self.nodes.get(name) {
            let item = Bytes::copy_from_slice(name.as_bytes());
            let key = Key::new(self.owner.clone(), Kind::Node, item);
            out.writes.push(Write::Put(key, rows::write_node(node)));
        }
    }

    /// The row of a subscription as it is now, or that it is gone.
    pub(crate) fn write_subscription(&self, name: &str, jid: &Jid, out: &mut Outcome) {
        let key = self.key_of(Kind::Subscription, name, jid.as_str());
        let kept = self.nodes.get(name).and_then(|node| node.subscriptions.get(jid));
        out.writes.push(match kept {
            Some(subscription) => Write::Put(key, rows::write_subscription(subscription)),
            None => Write::Delete(key),
        });
    }

    /// What waited for an owner waits no more.
    pub(crate) fn approve(&mut self, name: &str, jid: &Jid, out: &mut Outcome) {
        let node = self.nodes.get_mut(name);
        if let Some(waiting) = node.and_then(|node| node.subscriptions.get_mut(jid)) {
            waiting.pending = false;
        }
        self.write_subscription(name, jid, out);
    }

    /// The number of an item that is published now.
    pub(crate) fn next_number(&mut self, now: u64) -> u64 {
        self.last = now.max(self.last + 1);
        self.last
    }

    /// The rows of a request are kept: their payloads are there.
    pub fn release(&mut self, held: &[(String, String, u64)]) {
        for (name, id, number) in held {
            let node = self.nodes.get_mut(name);
            let heads = node.into_iter().flat_map(|node| node.items.iter_mut());
            for head in heads.filter(|head| head.id == *id && head.number == *number) {
                head.held = None;
            }
        }
    }

    /// Where the payload of an item is.
    #[must_use]
    pub fn source(&self, node: &str, head: &Head) -> Source {
        match &head.held {
            Some(bytes) => Source::Held(bytes.clone()),
            None => Source::Row(self.key_of(Kind::Payload, node, &head.id)),
        }
    }

    /// What rows do not say: the number given last, where that item is gone.
    #[cfg(test)]
    pub(crate) fn catch_up(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }

    fn key_of(&self, kind: Kind, node: &str, rest: &str) -> Key {
        Key::new(self.owner.clone(), kind, rows::join(node, rest))
    }
}

impl<'a> Turn<'a> {
    /// Of somebody.
    pub fn new(
        from: &'a Jid,
        people: &'a dyn People,
        limits: &'a Limits,
        now: u64,
        fresh: &'a mut dyn FnMut() -> String,
    ) -> Self {
        Self { from, who: from.bare(), people, limits, now, fresh }
    }
}

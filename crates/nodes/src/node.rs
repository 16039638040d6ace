//! Owns one node: its configuration, its people, and the index of its items.

use std::collections::BTreeMap;

use bytes::Bytes;
use xmpp::{BareJid, Jid};

use crate::affiliation::Affiliation;
use crate::config::Config;

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its configuration.
    pub config: Config,
    /// Who made it.
    pub creator: BareJid,
    /// When, in microseconds since 1970-01-01 UTC.
    pub created: u64,
    /// Who stands to it in what way.
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// Who gets its events, or asks to.
    pub subscriptions: BTreeMap<Jid, Subscription>,
    /// Its items, the one that was published last at the end.
    pub items: Vec<Head>,
}

/// A subscription. There is one at most of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// An owner has not said yes yet.
    pub pending: bool,
    /// Whether events are sent (`pubsub#deliver`).
    pub deliver: bool,
    /// When it ends, in microseconds since 1970-01-01 UTC (`pubsub#expire`); none: never.
    pub expire: Option<u64>,
}

/// What is known of an item without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The item's id.
    pub id: String,
    /// Its place among all items of the collection; grows for ever.
    pub number: u64,
    /// When it was published, in microseconds since 1970-01-01 UTC.
    pub published: u64,
    /// Who published it.
    pub publisher: BareJid,
    /// How large the payload is.
    pub bytes: usize,
    /// The payload until it is kept.
    pub held: Option<Bytes>,
}

impl Subscription {
    /// One that is in force, or waits.
    #[must_use]
    pub fn new(pending: bool) -> Self {
        Self { pending, deliver: true, expire: None }
    }

    /// The word of the attribute (§4.2).
    #[must_use]
    pub fn state(&self) -> &'static str {
        if self.pending { "pending" } else { "subscribed" }
    }

    pub(crate) fn is_over(&self, now: u64) -> bool {
        self.expire.is_some_and(|expire| expire <= now)
    }
}

impl Node {
    /// A new one, without anything.
    #[must_use]
    pub fn new(config: Config, creator: BareJid, created: u64) -> Self {
        let (affiliations, subscriptions) = Default::default();
        Self { config, creator, created, affiliations, subscriptions, items: Vec::new() }
    }

    /// The subscriptions whose lease is not over (§12.19). Rows of others go when something is published.
    pub fn current(&self, now: u64) -> impl Iterator<Item = (&Jid, &Subscription)> {
        self.subscriptions.iter().filter(move |(_, it)| !it.is_over(now))
    }

    /// The subscription of an address, if its lease is not over.
    #[must_use]
    pub fn subscription(&self, jid: &Jid, now: u64) -> Option<&Subscription> {
        self.subscriptions.get(jid).filter(|it| !it.is_over(now))
    }

    /// Whether any address of somebody is subscribed.
    #[must_use]
    pub fn is_subscribed(&self, who: &BareJid, now: u64) -> bool {
        let mut own = self.current(now).filter(|(jid, _)| jid.bare_str() == who.as_str());
        own.any(|(_, it)| !it.pending)
    }

    /// The addresses of its owners that are written down.
    pub fn owners(&self) -> impl Iterator<Item = &BareJid> {
        let owners = self.affiliations.iter().filter(|(_, it)| **it == Affiliation::Owner);
        owners.map(|(jid, _)| jid)
    }

    /// The item of an id.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&Head> {
        self.items.iter().find(|head| head.id == id)
    }
}

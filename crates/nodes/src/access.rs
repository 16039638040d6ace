//! Owns who may read, subscribe and publish, and which error it is else (XEP-0060 §4.5, §6.1.3, §6.5.9, §7.1.3).

use xmpp::{BareJid, Element, ErrorType, StanzaCondition, StanzaError};

use crate::affiliation::Affiliation;
use crate::collection::{Collection, Turn};
use crate::config::{AccessModel, PublishModel};
use crate::errors::{error, forbidden, unsupported};
use crate::node::Node;
use crate::request::node_of;

/// What the engine must know of people beside its own rows.
pub trait People {
    /// Whether they own everything here: the account's owner, an administrator of the service.
    fn owns_all(&self, who: &BareJid) -> bool;

    /// Whether they are subscribed to the presence of the address whose nodes these are.
    fn sees_presence(&self, who: &BareJid) -> bool;

    /// Whether they are in one of these groups of its roster.
    fn is_in_group(&self, who: &BareJid, groups: &[String]) -> bool;

    /// Whether they may make nodes.
    fn may_create(&self, who: &BareJid) -> bool;
}

/// Who wants to read or publish, when, and what is known of people.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Their bare address.
    pub who: &'a BareJid,
    /// The time, in microseconds since 1970-01-01 UTC, at which subscriptions may be over.
    pub now: u64,
    /// What must be known of people.
    pub people: &'a dyn People,
}

/// How somebody stands to a node.
#[must_use]
pub fn affiliation(node: &Node, who: &BareJid, people: &dyn People) -> Affiliation {
    match people.owns_all(who) {
        true => Affiliation::Owner,
        false => node.affiliations.get(who).copied().unwrap_or_default(),
    }
}

/// Whether somebody may do what only owners may.
///
/// # Errors
/// `forbidden`.
pub fn owner(node: &Node, who: &BareJid, people: &dyn People) -> Result<(), StanzaError> {
    match affiliation(node, who, people) {
        Affiliation::Owner => Ok(()),
        _ => Err(forbidden()),
    }
}

/// The node that an owner's request is about, with its name.
///
/// # Errors
/// `bad-request` where it names none, `item-not-found`, `forbidden` to who is no owner.
pub(crate) fn owned<'c, 'v>(
    collection: &'c Collection,
    verb: &'v Element,
    turn: &Turn<'_>,
) -> Result<(&'v str, &'c Node), StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    owner(node, &turn.who, turn.people)?;
    Ok((name, node))
}

/// Whether somebody may read (§6.5.9).
///
/// # Errors
/// As the access model says.
pub fn read(node: &Node, asker: Asker<'_>) -> Result<(), StanzaError> {
    let Asker { who, now, people } = asker;
    if asks_owner(node, who, people) && !node.is_subscribed(who, now) {
        return Err(error(StanzaCondition::NotAuthorized, "not-subscribed"));
    }
    listen(node, who, people)
}

/// Whether an owner must say yes before somebody is subscribed (§6.1.4).
#[must_use]
pub fn asks_owner(node: &Node, who: &BareJid, people: &dyn People) -> bool {
    let asks = node.config.access == AccessModel::Authorize;
    asks && affiliation(node, who, people) == Affiliation::None
}

/// Whether somebody may be sent what happens to a node, once they are subscribed (§4.1, §14.3).
///
/// # Errors
/// As the access model says.
pub fn listen(node: &Node, who: &BareJid, people: &dyn People) -> Result<(), StanzaError> {
    match affiliation(node, who, people).may_read() {
        Some(true) => Ok(()),
        Some(false) => Err(forbidden()),
        None => model(node, who, people),
    }
}

/// Whether somebody may subscribe (§6.1.3); with [`AccessModel::Authorize`] an owner must still say yes.
///
/// # Errors
/// As the access model says.
pub fn subscribe(node: &Node, who: &BareJid, people: &dyn People) -> Result<(), StanzaError> {
    if !node.config.subscribe && affiliation(node, who, people) != Affiliation::Owner {
        return Err(unsupported("subscribe"));
    }
    listen(node, who, people)
}

/// Whether somebody may publish (§7.1.3.1).
///
/// # Errors
/// `forbidden`.
pub fn publish(node: &Node, asker: Asker<'_>) -> Result<(), StanzaError> {
    let Asker { who, now, people } = asker;
    let by_model = || match node.config.publish {
        PublishModel::Open => true,
        PublishModel::Subscribers => node.is_subscribed(who, now),
        PublishModel::Publishers => false,
    };
    match affiliation(node, who, people).may_publish().unwrap_or_else(by_model) {
        true => Ok(()),
        false => Err(forbidden()),
    }
}

fn model(node: &Node, who: &BareJid, people: &dyn People) -> Result<(), StanzaError> {
    let unauthorized = |detail| Err(error(StanzaCondition::NotAuthorized, detail));
    match node.config.access {
        AccessModel::Open | AccessModel::Authorize => Ok(()),
        AccessModel::Presence if people.sees_presence(who) => Ok(()),
        AccessModel::Presence => unauthorized("presence-subscription-required"),
        AccessModel::Roster if people.is_in_group(who, &node.config.roster_groups) => Ok(()),
        AccessModel::Roster => unauthorized("not-in-roster-group"),
        AccessModel::Whitelist => {
            Err(error(StanzaCondition::NotAllowed, "closed-node").with_type(ErrorType::Cancel))
        }
    }
}

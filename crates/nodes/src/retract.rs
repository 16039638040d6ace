//! Owns items taken back: one by one (XEP-0060 §7.2), and all of a node (§8.5).

use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::collection::{Collection, Outcome, Turn};
use crate::errors::{error, forbidden, unsupported};
use crate::request::node_of;
use crate::{access, notice};

/// §7.2
pub(crate) fn retract(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    let item = verb.child("item", ns::PUBSUB).and_then(|item| item.attr("id"));
    let id = item.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| error(StanzaCondition::BadRequest, "item-required"))?;
    let affiliation = access::affiliation(node, &turn.who, turn.people);
    access::publish(node, &turn.who, turn.people)?;
    if !node.config.persist_items {
        return Err(unsupported("persistent-items"));
    }
    let head = node.item(id).ok_or(StanzaCondition::ItemNotFound)?;
    if !affiliation.may_remove_all() && head.publisher != turn.who {
        return Err(forbidden());
    }
    let asked = matches!(verb.attr("notify"), Some("1" | "true"));
    let told = asked || node.config.notify_retract;
    let mut out = Outcome::default();
    collection.remove_items(name, vec![id.to_owned()], &mut out);
    if told && let Some(node) = collection.get(name) {
        let word = Element::new("retract", ns::PUBSUB_EVENT).with_attr("id", id);
        let word = notice::items(name, word);
        out.notices.extend(notice::to_all(collection, (name, node), word, turn));
    }
    Ok(out)
}

/// §8.5
pub(crate) fn purge(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    access::owner(node, &turn.who, turn.people)?;
    if !node.config.persist_items {
        return Err(unsupported("persistent-items"));
    }
    let mut out = Outcome::default();
    let ids = node.items.iter().map(|head| head.id.clone()).collect();
    collection.remove_items(name, ids, &mut out);
    if let Some(node) = collection.get(name).filter(|node| node.config.notify_retract) {
        let word = Element::new("purge", ns::PUBSUB_EVENT).with_attr("node", name);
        out.notices.extend(notice::to_all(collection, (name, node), word, turn));
    }
    Ok(out)
}

//! Owns items taken back: one by one (XEP-0060 §7.2), and all of a node (§8.5).

use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::collection::{Collection, Outcome, Turn};
use crate::errors::{error, forbidden, unsupported};
use crate::request::node_of;
use crate::{access, notice};

/// §7.2; of several items all or none (§12.11).
pub(crate) fn retract(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    let ids = ids(verb)?;
    let affiliation = access::affiliation(node, &turn.who, turn.people);
    access::publish(node, turn.asker())?;
    if !node.config.persist_items {
        return Err(unsupported("persistent-items"));
    }
    for id in &ids {
        let head = node.item(id).ok_or(StanzaCondition::ItemNotFound)?;
        if !affiliation.may_remove_all() && head.publisher != turn.who {
            return Err(forbidden());
        }
    }
    let asked = matches!(verb.attr("notify"), Some("1" | "true"));
    let told = asked || node.config.notify_retract;
    let mut out = Outcome::default();
    collection.remove_items(name, ids.clone(), &mut out);
    if told && let Some(node) = collection.get(name) {
        let word = |id: &String| Element::new("retract", ns::PUBSUB_EVENT).with_attr("id", id);
        let word = notice::items(name, ids.iter().map(word));
        out.notices.extend(notice::to_all(collection, name, node, word, turn));
    }
    Ok(out)
}

/// The items that a request names, each once; at least one.
fn ids(verb: &Element) -> Result<Vec<String>, StanzaError> {
    let mut ids: Vec<String> = Vec::new();
    for item in verb.children().filter(|child| child.is("item", ns::PUBSUB)) {
        let id = item.attr("id").filter(|id| !id.is_empty()).ok_or_else(item_required)?;
        if !ids.iter().any(|it| it == id) {
            ids.push(id.to_owned());
        }
    }
    match ids.is_empty() {
        true => Err(item_required()),
        false => Ok(ids),
    }
}

fn item_required() -> StanzaError {
    error(StanzaCondition::BadRequest, "item-required")
}

/// §8.5
pub(crate) fn purge(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    if !node.config.persist_items {
        return Err(unsupported("persistent-items"));
    }
    let mut out = Outcome::default();
    let ids = node.items.iter().map(|head| head.id.clone()).collect();
    collection.remove_items(name, ids, &mut out);
    if let Some(node) = collection.get(name).filter(|node| node.config.notify_retract) {
        let word = Element::new("purge", ns::PUBSUB_EVENT).with_attr("node", name);
        out.notices.extend(notice::to_all(collection, name, node, word, turn));
    }
    Ok(out)
}

//! Owns publishing (XEP-0060 §7.1): who may, under which conditions, and what becomes of a full node.

use xmpp::forms::Form;
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::collection::{Answer, Collection, Outcome, Turn};
use crate::config::{Config, FullNode};
use crate::errors::{bad_request, error, no_node, too_many};
use crate::node::{Head, Node};
use crate::request::node_of;
use crate::{access, form, notice, owner, rows};

/// What is published.
struct Item {
    id: Option<String>,
    payload: Option<Element>,
}

/// §7.1, with automatic creation (§7.1.4) and options (§7.1.5).
pub(crate) fn publish(
    collection: &mut Collection,
    verb: &Element,
    pubsub: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let options = options(pubsub)?;
    let item = read(verb)?;
    let mut out = Outcome::default();
    let config = match collection.get(name) {
        Some(node) => {
            access::publish(node, turn.asker())?;
            if let Some(var) = options.as_ref().and_then(|it| form::unmet(it, &node.config)) {
                let unmet = error(StanzaCondition::Conflict, "precondition-not-met");
                return Err(unmet.with_text(format!("{var} is not as demanded")));
            }
            node.config.clone()
        }
        None => new_node(collection, options.as_ref(), turn)?,
    };
    let item = check(&config, item, turn)?;
    collection.expire(name, turn.now, &mut out);
    let room = room(collection, name, &config, item.as_ref(), turn)?;
    if collection.get(name).is_none() {
        let node = owner::new_node(config, collection.place, turn);
        collection.insert(name, node);
        collection.write_node(name, &mut out);
    }
    put(collection, name, (item, room), turn, &mut out);
    Ok(out)
}

/// §7.1.4; the options are the new node's configuration (§7.1.5, rule 3).
fn new_node(
    collection: &Collection,
    options: Option<&Form>,
    turn: &Turn<'_>,
) -> Result<Config, StanzaError> {
    if !turn.people.may_create(&turn.who) {
        return Err(no_node());
    }
    owner::check_room(collection, turn)?;
    let config = Config::of(collection.place);
    let Some(options) = options else { return Ok(config) };
    let config = form::change(options, config, collection.place)?;
    match form::unmet(options, &config) {
        None => Ok(config),
        Some(var) => {
            let unmet = error(StanzaCondition::Conflict, "precondition-not-met");
            Err(unmet.with_text(format!("{var} cannot be as demanded")))
        }
    }
}

fn options(pubsub: &Element) -> Result<Option<Form>, StanzaError> {
    match pubsub.child("publish-options", ns::PUBSUB) {
        Some(options) => Form::submitted(options, ns::PUBSUB_OPTIONS),
        None => Ok(None),
    }
}

/// §7.1.3.6: at most one item, with at most one payload.
fn read(verb: &Element) -> Result<Option<Item>, StanzaError> {
    let mut items = verb.children().filter(|child| child.is("item", ns::PUBSUB));
    let Some(item) = items.next() else { return Ok(None) };
    if items.next().is_some() {
        return Err(bad_request("one item is published at a time"));
    }
    let mut payloads = item.children();
    let payload = payloads.next().cloned();
    if payloads.next().is_some() {
        return Err(error(StanzaCondition::BadRequest, "invalid-payload"));
    }
    let id = item.attr("id").filter(|id| !id.is_empty());
    if id.is_some_and(|id| id.len() > rows::NAME_BYTES) {
        return Err(bad_request("the item's id is too long"));
    }
    Ok(Some(Item { id: id.map(str::to_owned), payload }))
}

/// Whether the item is of the node's event type (§4.3, §7.1.3.7) and not too large (§7.1.3.5).
fn check(
    config: &Config,
    item: Option<Item>,
    turn: &Turn<'_>,
) -> Result<Option<Item>, StanzaError> {
    let bad = |detail| Err(error(StanzaCondition::BadRequest, detail));
    let payload = item.as_ref().and_then(|item| item.payload.as_ref());
    match (config.persist_items || config.deliver_payloads, &item) {
        (true, None) => return bad("item-required"),
        (false, Some(_)) => return bad("item-forbidden"),
        _ => {}
    }
    if config.deliver_payloads && payload.is_none() {
        return bad("payload-required");
    }
    let own = usize::try_from(config.max_payload_size).unwrap_or(usize::MAX);
    let most =
        if own == 0 { turn.limits.payload_bytes } else { own.min(turn.limits.payload_bytes) };
    match payload.map(|payload| payload.to_bytes().len()) {
        Some(bytes) if bytes > most => {
            let large = error(StanzaCondition::NotAcceptable, "payload-too-big");
            Err(large.with_text(format!("a payload has {most} bytes at most")))
        }
        _ => Ok(item),
    }
}

/// The items that must go so that this one has room (§7.1.2.5, §7.1.3.4).
fn room(
    collection: &Collection,
    name: &str,
    config: &Config,
    item: Option<&Item>,
    turn: &Turn<'_>,
) -> Result<Vec<String>, StanzaError> {
    let Some(item) = item.filter(|_| config.persist_items) else { return Ok(Vec::new()) };
    let heads = collection.get(name).map_or(&[][..], |node| &node.items);
    let is_same = |head: &&Head| item.id.as_deref() == Some(head.id.as_str());
    let same = heads.iter().find(is_same);
    let others: Vec<&Head> = heads.iter().filter(|head| !is_same(head)).collect();
    let most = config.max_items.within(turn.limits.items_of_node as u64);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let excess = (others.len() + 1).saturating_sub(most);
    if excess > 0 && same.is_none() && config.full == FullNode::Reject {
        return Err(error(StanzaCondition::Conflict, "node-full"));
    }
    let gone = &others[..excess];
    let (items, bytes) = collection.sizes();
    let freed: usize = gone.iter().copied().chain(same).map(|head| head.bytes).sum();
    let size = item.payload.as_ref().map_or(0, |payload| payload.to_bytes().len());
    let stays = items - excess - usize::from(same.is_some());
    if stays + 1 > turn.limits.items || bytes - freed + size > turn.limits.bytes {
        return Err(too_many("items"));
    }
    Ok(gone.iter().map(|head| head.id.clone()).collect())
}

/// The item is put in, and all are told of it.
fn put(
    collection: &mut Collection,
    name: &str,
    (item, gone): (Option<Item>, Vec<String>),
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) {
    let mut answer = Element::new("publish", ns::PUBSUB).with_attr("node", name);
    let mut event = Element::new("items", ns::PUBSUB_EVENT).with_attr("node", name);
    let Some(config) = collection.get(name).map(|node| node.config.clone()) else { return };
    if let Some(item) = item {
        let id = item.id.unwrap_or_else(|| (turn.fresh)());
        answer.push(Element::new("item", ns::PUBSUB).with_attr("id", &id));
        if config.persist_items {
            let payload = item.payload.as_ref().map(Element::to_bytes).unwrap_or_default();
            let head = Head {
                id: id.clone(),
                number: collection.next_number(turn.now),
                published: turn.now,
                publisher: turn.who.clone(),
                bytes: payload.len(),
                held: Some(payload.into()),
            };
            collection.put_item(name, head, out);
        }
        event.push(notice::item(&id, item.payload.filter(|_| config.deliver_payloads)));
    }
    collection.remove_items(name, gone.clone(), out);
    if let Some(node) = collection.get(name) {
        out.notices.extend(notice::to_all(collection, name, node, event, turn));
        let told = config.notify_retract && config.full == FullNode::RetractOldest;
        // An item of a node that holds one is replaced, not retracted (§12.21).
        let told = told && !is_singleton(node);
        for id in gone.iter().filter(|_| told) {
            let word = Element::new("retract", ns::PUBSUB_EVENT).with_attr("id", id);
            let word = notice::items(name, [word]);
            out.notices.extend(notice::to_all(collection, name, node, word, turn));
        }
    }
    out.answer = Answer::Result(Element::new("pubsub", ns::PUBSUB).with_child(answer));
}

fn is_singleton(node: &Node) -> bool {
    node.config.max_items == crate::config::UpTo::Number(1)
}

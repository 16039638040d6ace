//! Owns nodes made, configured and deleted by their owners (XEP-0060 §8.1 to §8.4).

use xmpp::forms::{Form, FormKind};
use xmpp::{Element, StanzaCondition, StanzaError, ns};

use crate::affiliation::Affiliation;
use crate::collection::{Answer, Collection, Outcome, Place, Turn};
use crate::config::Config;
use crate::errors::{error, too_many};
use crate::node::Node;
use crate::request::{along, node_of};
use crate::standing::bring_all_in_line;
use crate::{access, form, notice};

/// §8.1; without a name, of a node whose name is made here (`instant-nodes`).
pub(crate) fn create(
    collection: &mut Collection,
    verb: &Element,
    pubsub: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let asked = match verb.attr("node") {
        Some(_) => Some(node_of(verb)?.to_owned()),
        None => None,
    };
    if !turn.people.may_create(&turn.who) {
        return Err(StanzaCondition::Forbidden.into());
    }
    if asked.as_ref().is_some_and(|name| collection.get(name).is_some()) {
        return Err(StanzaCondition::Conflict.into());
    }
    check_room(collection, turn)?;
    let config = Config::of(collection.place);
    let configure = along(pubsub, verb, "configure")?;
    // An empty one asks for what usually holds (§8.1.2).
    let form = configure.filter(|it| it.children().next().is_some());
    let form = form.map(|it| Form::submitted(it, ns::PUBSUB_CONFIG)).transpose()?.flatten();
    let config = match form {
        Some(form) => form::change(&form, config, collection.place)?,
        None => config,
    };
    let name = asked.clone().unwrap_or_else(|| (turn.fresh)());
    let node = new_node(config, collection.place, turn);
    collection.insert(&name, node);
    let mut out = Outcome::default();
    collection.write_node(&name, &mut out);
    if asked.is_none() {
        let create = Element::new("create", ns::PUBSUB).with_attr("node", name);
        out.answer = Answer::Result(Element::new("pubsub", ns::PUBSUB).with_child(create));
    }
    Ok(out)
}

/// Whoever makes a node owns it; an account owns its own without being written down.
pub(crate) fn new_node(config: Config, place: Place, turn: &Turn<'_>) -> Node {
    let mut node = Node::new(config, turn.who.clone(), turn.now);
    if place == Place::Service {
        node.affiliations.insert(turn.who.clone(), Affiliation::Owner);
    }
    node
}

/// Whether there may be one node more.
///
/// # Errors
/// `resource-constraint`.
pub(crate) fn check_room(collection: &Collection, turn: &Turn<'_>) -> Result<(), StanzaError> {
    let own = collection.iter().filter(|(_, node)| node.creator == turn.who).count();
    match collection.len() < turn.limits.nodes && own < turn.limits.nodes_of_one {
        true => Ok(()),
        false => Err(too_many("nodes")),
    }
}

/// §8.2.2
pub(crate) fn configuration(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let form = offered(&node.config, collection.place);
    let configure =
        Element::new("configure", ns::PUBSUB_OWNER).with_attr("node", name).with_child(form);
    Ok(answered(configure))
}

/// §8.3
pub(crate) fn default_configuration(collection: &Collection) -> Outcome {
    let form = offered(&Config::of(collection.place), collection.place);
    answered(Element::new("default", ns::PUBSUB_OWNER).with_child(form))
}

fn answered(inner: Element) -> Outcome {
    let pubsub = Element::new("pubsub", ns::PUBSUB_OWNER).with_child(inner);
    Outcome { answer: Answer::Result(pubsub), ..Outcome::default() }
}

/// The form with the models that the place knows.
fn offered(config: &Config, place: Place) -> Element {
    let mut form = form::write(config, FormKind::Form);
    let access = form.fields.iter_mut().find(|field| field.var == "pubsub#access_model");
    if let Some(access) = access.filter(|_| place == Place::Service) {
        access.options.retain(|it| !matches!(it.value.as_str(), "presence" | "roster"));
    }
    form.to_element()
}

/// §8.2.4; with fewer items to be kept, the oldest go.
pub(crate) fn configure(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let Some(submitted) = Form::submitted(verb, ns::PUBSUB_CONFIG)? else {
        return Ok(Outcome::default());
    };
    let config = form::change(&submitted, node.config.clone(), collection.place)?;
    let most = config.max_items.within(turn.limits.items_of_node as u64);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let keeps = if config.persist_items { most } else { 0 };
    let gone = &node.items[..node.items.len().saturating_sub(keeps)];
    let gone: Vec<String> = gone.iter().map(|head| head.id.clone()).collect();
    let mut out = Outcome::default();
    collection.remove_items(name, gone, &mut out);
    collection.node_mut(name)?.config = config;
    collection.write_node(name, &mut out);
    bring_all_in_line(collection, name, turn, &mut out);
    if let Some(node) = collection.get(name).filter(|node| node.config.notify_config) {
        let mut word = Element::new("configuration", ns::PUBSUB_EVENT).with_attr("node", name);
        if node.config.deliver_payloads {
            word.push(form::write(&node.config, FormKind::Result).to_element());
        }
        out.notices.extend(notice::to_all(collection, name, node, word, turn));
    }
    Ok(out)
}

/// §8.4; the event may say where to go instead.
pub(crate) fn delete(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, _) = access::owned(collection, verb, turn)?;
    let redirect = verb.child("redirect", ns::PUBSUB_OWNER).map(|it| it.attr("uri"));
    if redirect.is_some_and(|uri| uri.is_none()) {
        return Err(error(StanzaCondition::BadRequest, "uri-required"));
    }
    let mut out = Outcome::default();
    let Some(node) = collection.remove(name, &mut out) else { return Ok(out) };
    if node.config.notify_delete {
        let mut word = Element::new("delete", ns::PUBSUB_EVENT).with_attr("node", name);
        if let Some(uri) = redirect.flatten() {
            word.push(Element::new("redirect", ns::PUBSUB_EVENT).with_attr("uri", uri));
        }
        // Who waits for an owner waits in vain from now on (§8.4.2).
        let waiting =
            node.current(turn.now).filter(|(_, it)| it.pending).map(|(jid, _)| jid.clone());
        let notice = notice::to_all(collection, name, &node, word, turn);
        out.notices.extend(notice.map(|mut notice| {
            notice.listeners.extend(waiting);
            notice
        }));
    }
    Ok(out)
}

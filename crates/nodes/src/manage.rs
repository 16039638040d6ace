//! Owns lists of people: one's own subscriptions and affiliations (XEP-0060 §5.6, §5.7), and those of a node,
//! read and changed by its owners (§8.8, §8.9).

use std::collections::BTreeMap;

use xmpp::{BareJid, Element, ErrorType, Jid, StanzaCondition, StanzaError, ns};

use crate::affiliation::Affiliation;
use crate::collection::{Answer, Collection, Outcome, Place, Turn};
use crate::errors::{bad_request, error, too_many};
use crate::node::{Node, Subscription};
use crate::standing::{bring_in_line, tell_state};
use crate::{access, subscribe};

/// §5.6; of one node, if it names one.
pub(crate) fn own_subscriptions(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Outcome {
    let mut list =
        Element::new("subscriptions", ns::PUBSUB).with_attr_opt("node", verb.attr("node"));
    for (name, node) in named(collection, verb) {
        let own = node.current(turn.now).filter(|(jid, _)| jid.bare_str() == turn.who.as_str());
        list = list.with_children(own.map(|(jid, it)| subscribe::word(name, jid, it)));
    }
    answered(ns::PUBSUB, list)
}

/// §5.7
pub(crate) fn own_affiliations(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Outcome {
    let mut list =
        Element::new("affiliations", ns::PUBSUB).with_attr_opt("node", verb.attr("node"));
    let everything = collection.place == Place::Account;
    for (name, node) in named(collection, verb) {
        let written = node.affiliations.get(&turn.who).copied();
        let affiliation = match everything {
            true => access::affiliation(node, &turn.who, turn.people),
            false => written.unwrap_or_default(),
        };
        if affiliation != Affiliation::None {
            let item = Element::new("affiliation", ns::PUBSUB).with_attr("node", name);
            list.push(item.with_attr("affiliation", affiliation.as_str()));
        }
    }
    answered(ns::PUBSUB, list)
}

fn named<'a>(
    collection: &'a Collection,
    verb: &'a Element,
) -> impl Iterator<Item = (&'a String, &'a Node)> {
    let wanted = verb.attr("node").filter(|node| !node.is_empty());
    collection.iter().filter(move |(name, _)| wanted.is_none_or(|wanted| wanted == name.as_str()))
}

fn answered(ns: &'static str, list: Element) -> Outcome {
    let answer = Answer::Result(Element::new("pubsub", ns).with_child(list));
    Outcome { answer, ..Outcome::default() }
}

/// §8.8.1; those that wait are not listed.
pub(crate) fn subscriptions(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let kept = node
        .current(turn.now)
        .filter(|(_, it)| !it.pending)
        .map(|(jid, it)| entry("subscription", jid, it.state()));
    let list = Element::new("subscriptions", ns::PUBSUB_OWNER).with_attr("node", name);
    Ok(answered(ns::PUBSUB_OWNER, list.with_children(kept)))
}

/// §8.8.2: all changes or none; who is subscribed or not by it is told (§8.8.4).
pub(crate) fn set_subscriptions(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let mut changes: Vec<(Jid, bool)> = Vec::new();
    let mut wrong: Vec<Element> = Vec::new();
    for item in items(verb, "subscription") {
        let jid = jid_of(item)?;
        // Whom an owner subscribes may not hear what they may not read (§4.1, §14.3).
        let may_hear = || access::listen(node, &jid.bare(), turn.people).is_ok();
        match item.attr("subscription") {
            None => {}
            Some("subscribed") if may_hear() => changes.push((jid, true)),
            Some("none") => changes.push((jid, false)),
            Some(_) => {
                let now = node.subscription(&jid, turn.now).map_or("none", Subscription::state);
                wrong.push(entry("subscription", &jid, now));
            }
        }
    }
    refuse_wrong("subscriptions", name, wrong)?;
    check_room((node.current(turn.now).count() + changes.len()).saturating_sub(1), turn)?;
    let mut out = Outcome::default();
    for (jid, wanted) in changes {
        let now = turn.now;
        let was = collection.node(name)?.subscription(&jid, now).map(|it| !it.pending);
        match (wanted, was) {
            (true, Some(true)) | (false, None) => continue,
            (true, _) => {
                let node = collection.node_mut(name)?;
                node.subscriptions.insert(jid.clone(), Subscription::new(false));
                collection.write_subscription(name, &jid, &mut out);
            }
            (false, Some(_)) => drop(collection.unsubscribe(name, &jid, &mut out)),
        }
        tell_state(collection, (name, &jid, wanted), turn, &mut out);
    }
    Ok(out)
}

/// An entry of a list of people, which says how somebody stands.
fn entry(kind: &'static str, jid: &Jid, state: &str) -> Element {
    Element::new(kind, ns::PUBSUB_OWNER).with_attr("jid", jid.as_str()).with_attr(kind, state)
}

/// Nothing is changed where an entry cannot be; those are returned as they stand (§8.8.2.4, §8.9.2.4).
///
/// # Errors
/// `not-acceptable` with these entries, if there are any.
fn refuse_wrong(list: &'static str, node: &str, entries: Vec<Element>) -> Result<(), StanzaError> {
    if entries.is_empty() {
        return Ok(());
    }
    let list = Element::new(list, ns::PUBSUB_OWNER).with_attr("node", node).with_children(entries);
    let pubsub = Element::new("pubsub", ns::PUBSUB_OWNER).with_child(list);
    let refused = StanzaError::from(StanzaCondition::NotAcceptable).with_type(ErrorType::Modify);
    Err(refused.with_payload(pubsub))
}

/// §8.9.1
pub(crate) fn affiliations(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let account = (collection.place == Place::Account).then_some(&collection.owner);
    let all = account.map(|jid| (jid, Affiliation::Owner)).into_iter();
    let all = all
        .chain(node.affiliations.iter().map(|(jid, it)| (jid, *it)))
        .map(|(jid, it)| entry("affiliation", jid, it.as_str()));
    let list = Element::new("affiliations", ns::PUBSUB_OWNER).with_attr("node", name);
    Ok(answered(ns::PUBSUB_OWNER, list.with_children(all)))
}

/// §8.9.2: all changes or none. Who may not read any more is not subscribed any more; who may is not kept waiting.
pub(crate) fn set_affiliations(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let (name, node) = access::owned(collection, verb, turn)?;
    let (after, changed) = affiliated(collection, node, name, verb)?;
    if after.len() > turn.limits.people_of_node {
        return Err(too_many("affiliations"));
    }
    let mut out = Outcome::default();
    collection.node_mut(name)?.affiliations = after;
    collection.write_node(name, &mut out);
    for who in &changed {
        bring_in_line(collection, name, who, turn, &mut out);
    }
    Ok(out)
}

/// How people stand to a node after a request, and who is named in it.
fn affiliated(
    collection: &Collection,
    node: &Node,
    name: &str,
    verb: &Element,
) -> Result<(BTreeMap<BareJid, Affiliation>, Vec<BareJid>), StanzaError> {
    let (mut after, mut changed) = (node.affiliations.clone(), Vec::new());
    let mut wrong: Vec<BareJid> = Vec::new();
    let own = Some(&collection.owner).filter(|_| collection.place == Place::Account);
    for item in items(verb, "affiliation") {
        let who = jid_of(item)?.bare();
        if changed.contains(&who) {
            return Err(bad_request("somebody is named twice"));
        }
        match item.attr("affiliation").map(Affiliation::parse) {
            None => {}
            Some(None) => wrong.push(who.clone()),
            Some(_) if own == Some(&who) => wrong.push(who.clone()),
            Some(Some(Affiliation::None)) => drop(after.remove(&who)),
            Some(Some(word)) => drop(after.insert(who.clone(), word)),
        }
        changed.push(who);
    }
    // A node has an owner (§8.9.2.4).
    if own.is_none() && after.values().all(|it| *it != Affiliation::Owner) {
        wrong.extend(node.owners().filter(|it| changed.contains(it)).cloned());
    }
    let stands = |who: &BareJid| match own == Some(who) {
        true => Affiliation::Owner,
        false => node.affiliations.get(who).copied().unwrap_or_default(),
    };
    let wrong = wrong.iter().map(|who| entry("affiliation", who, stands(who).as_str()));
    refuse_wrong("affiliations", name, wrong.collect())?;
    Ok((after, changed))
}

/// Whether a list of people has room for one more.
///
/// # Errors
/// `policy-violation` with `too-many-subscriptions` (§6.1.3.9).
pub(crate) fn check_room(people: usize, turn: &Turn<'_>) -> Result<(), StanzaError> {
    match people < turn.limits.people_of_node {
        true => Ok(()),
        false => Err(error(StanzaCondition::PolicyViolation, "too-many-subscriptions")),
    }
}

fn items<'a>(verb: &'a Element, name: &'static str) -> impl Iterator<Item = &'a Element> {
    verb.children().filter(move |child| child.is(name, ns::PUBSUB_OWNER))
}

fn jid_of(item: &Element) -> Result<Jid, StanzaError> {
    let jid = item.attr("jid").and_then(|text| Jid::parse(text).ok());
    jid.ok_or_else(|| StanzaCondition::JidMalformed.into())
}

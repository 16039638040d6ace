//! Owns lists of people: one's own subscriptions and affiliations (XEP-0060 §5.6, §5.7), and those of a node,
//! read and changed by its owners (§8.8, §8.9).

use xmpp::{BareJid, Element, Jid, StanzaCondition, StanzaError, ns};

use crate::affiliation::Affiliation;
use crate::collection::{Answer, Collection, Outcome, Place, Turn};
use crate::errors::{bad_request, error, too_many};
use crate::node::Subscription;
use crate::request::node_of;
use crate::{access, notice, subscribe};

/// §5.6; of one node, if it names one.
pub(crate) fn own_subscriptions(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Outcome {
    let mut list =
        Element::new("subscriptions", ns::PUBSUB).with_attr_opt("node", verb.attr("node"));
    for (name, node) in named(collection, verb) {
        let own = node.subscriptions.iter().filter(|(jid, _)| jid.bare_str() == turn.who.as_str());
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
) -> impl Iterator<Item = (&'a String, &'a crate::Node)> {
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
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    access::owner(node, &turn.who, turn.people)?;
    let kept = node.subscriptions.iter().filter(|(_, it)| !it.pending).map(|(jid, it)| {
        Element::new("subscription", ns::PUBSUB_OWNER)
            .with_attr("jid", jid.as_str())
            .with_attr("subscription", it.state())
    });
    let list = Element::new("subscriptions", ns::PUBSUB_OWNER).with_attr("node", name);
    Ok(answered(ns::PUBSUB_OWNER, list.with_children(kept)))
}

/// §8.8.2: all changes or none; who is subscribed or not by it is told (§8.8.4).
pub(crate) fn set_subscriptions(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    access::owner(node, &turn.who, turn.people)?;
    let mut changes: Vec<(Jid, bool)> = Vec::new();
    for item in items(verb, "subscription") {
        let wanted = match item.attr("subscription") {
            Some("subscribed") => true,
            Some("none") => false,
            _ => return Err(bad_request("a subscription is subscribed or none")),
        };
        changes.push((jid_of(item)?, wanted));
    }
    check_room((node.subscriptions.len() + changes.len()).saturating_sub(1), turn)?;
    let mut out = Outcome::default();
    for (jid, wanted) in changes {
        let node = collection.node_mut(name)?;
        let was = node.subscriptions.get(&jid).is_some_and(|it| !it.pending);
        match wanted {
            true if was => continue,
            true => drop(node.subscriptions.insert(jid.clone(), Subscription::new(false))),
            false if node.subscriptions.remove(&jid).is_none() => continue,
            false => {}
        }
        collection.write_subscription(name, &jid, &mut out);
        let state = if wanted { "subscribed" } else { "none" };
        let word = notice::subscription(name, &jid, state);
        out.notices.push(notice::to_one(collection, jid.clone(), &[word], turn));
        if wanted {
            subscribe::begun(collection, name, &jid, turn, &mut out);
        }
    }
    Ok(out)
}

/// §8.9.1
pub(crate) fn affiliations(
    collection: &Collection,
    verb: &Element,
    turn: &Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    access::owner(node, &turn.who, turn.people)?;
    let account = (collection.place == Place::Account).then_some(&collection.owner);
    let all = account.map(|jid| (jid, Affiliation::Owner)).into_iter();
    let all = all.chain(node.affiliations.iter().map(|(jid, it)| (jid, *it))).map(|(jid, it)| {
        Element::new("affiliation", ns::PUBSUB_OWNER)
            .with_attr("jid", jid.as_str())
            .with_attr("affiliation", it.as_str())
    });
    let list = Element::new("affiliations", ns::PUBSUB_OWNER).with_attr("node", name);
    Ok(answered(ns::PUBSUB_OWNER, list.with_children(all)))
}

/// §8.9.2: all changes or none. Who may not read any more is not subscribed any more; who may is not kept waiting.
pub(crate) fn set_affiliations(
    collection: &mut Collection,
    verb: &Element,
    turn: &mut Turn<'_>,
) -> Result<Outcome, StanzaError> {
    let name = node_of(verb)?;
    let node = collection.node(name)?;
    access::owner(node, &turn.who, turn.people)?;
    let mut after = node.affiliations.clone();
    let mut changed: Vec<BareJid> = Vec::new();
    for item in items(verb, "affiliation") {
        let who = jid_of(item)?.bare();
        let word = item.attr("affiliation").and_then(Affiliation::parse);
        let word = word.ok_or_else(|| bad_request("no affiliation"))?;
        if collection.place == Place::Account && who == collection.owner {
            return Err(StanzaCondition::NotAcceptable.into());
        }
        match word {
            Affiliation::None => drop(after.remove(&who)),
            word => drop(after.insert(who.clone(), word)),
        }
        changed.push(who);
    }
    // A node has an owner (§8.9.2.3).
    let owned = after.values().any(|it| *it == Affiliation::Owner);
    if collection.place == Place::Service && !owned {
        return Err(StanzaError::from(StanzaCondition::NotAcceptable).with_text("no owner is left"));
    }
    if after.len() > turn.limits.people_of_node {
        return Err(too_many("affiliations"));
    }
    let mut out = Outcome::default();
    collection.node_mut(name)?.affiliations = after;
    collection.write_node(name, &mut out);
    for who in &changed {
        bring_in_line(collection, name, who, turn, &mut out)?;
    }
    Ok(out)
}

/// §8.7.4, note: the subscriptions of somebody follow his affiliation.
fn bring_in_line(
    collection: &mut Collection,
    name: &str,
    who: &BareJid,
    turn: &mut Turn<'_>,
    out: &mut Outcome,
) -> Result<(), StanzaError> {
    let node = collection.node(name)?;
    let affiliation = access::affiliation(node, who, turn.people);
    let own = node.subscriptions.iter().filter(|(jid, _)| jid.bare_str() == who.as_str());
    let own: Vec<(Jid, bool)> = own.map(|(jid, it)| (jid.clone(), it.pending)).collect();
    let may = match affiliation.may_read() {
        Some(may) => may,
        None => access::subscribe(node, who, turn.people).is_ok(),
    };
    for (jid, pending) in own {
        let approved = pending && affiliation.may_read() == Some(true);
        if may && !approved {
            continue;
        }
        let node = collection.node_mut(name)?;
        match node.subscriptions.get_mut(&jid).filter(|_| may) {
            Some(waiting) => waiting.pending = false,
            None => drop(node.subscriptions.remove(&jid)),
        }
        collection.write_subscription(name, &jid, out);
        let word = notice::subscription(name, &jid, if may { "subscribed" } else { "none" });
        out.notices.push(notice::to_one(collection, jid.clone(), &[word], turn));
        if may {
            subscribe::begun(collection, name, &jid, turn, out);
        }
    }
    Ok(())
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

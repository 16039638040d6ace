//! XEP-0227 Portable Import/Export Format for XMPP-IM Servers, version 1.1, §4.10: the nodes of an account as its
//! file has them, out of rows and into rows.

use store::{Key, Kind, Row, Write};
use xmpp::forms::{Form, FormKind};
use xmpp::{BareJid, Element, Jid, ns};

use crate::affiliation::Affiliation;
use crate::collection::{Collection, Outcome, Place};
use crate::config::Config;
use crate::form;
use crate::node::{Head, Node, Subscription};
use crate::rows::{NAME_BYTES, join};

/// What nodes are, and whose (§4.10.1); none where there are none, or where they cannot be read.
#[must_use]
pub fn configured(owner: &BareJid, rows: &[Row]) -> Option<Element> {
    let collection = load(owner, rows).filter(|it| !it.is_empty())?;
    let word = |name: &'static str| Element::new(name, ns::PUBSUB_OWNER);
    let mut pubsub = word("pubsub");
    for (name, node) in collection.iter() {
        let of_node = |it: &'static str| word(it).with_attr("node", name);
        let config = form::write(&node.config, FormKind::Form).to_element();
        pubsub.push(of_node("configure").with_child(config));
        if !node.affiliations.is_empty() {
            let affiliation = |(jid, affiliation): (&BareJid, &Affiliation)| {
                word("affiliation")
                    .with_attr("jid", jid.as_str())
                    .with_attr("affiliation", affiliation.as_str())
            };
            pubsub.push(
                of_node("affiliations").with_children(node.affiliations.iter().map(affiliation)),
            );
        }
        if !node.subscriptions.is_empty() {
            let subscription = |(jid, subscription): (&Jid, &Subscription)| {
                word("subscription")
                    .with_attr("jid", jid.as_str())
                    .with_attr("subscription", subscription.state())
            };
            let all = node.subscriptions.iter().map(subscription);
            pubsub.push(of_node("subscriptions").with_children(all));
        }
    }
    Some(pubsub)
}

/// The items of each node in order, each with the name of the row that has its payload (§4.10.2).
#[must_use]
pub fn items(owner: &BareJid, rows: &[Row]) -> Vec<(String, Vec<(String, Key)>)> {
    let Some(collection) = load(owner, rows) else { return Vec::new() };
    let of_node = |(name, node): (&String, &Node)| {
        let key = |head: &Head| {
            let key = Key::new(owner.clone(), Kind::Payload, join(name, &head.id));
            (head.id.clone(), key)
        };
        (name.clone(), node.items.iter().map(key).collect())
    };
    collection.iter().map(of_node).collect()
}

fn load(owner: &BareJid, rows: &[Row]) -> Option<Collection> {
    Collection::load(owner.clone(), Place::Account, rows).ok()
}

/// Nodes that are being read.
#[derive(Debug)]
pub struct Incoming {
    owner: BareJid,
    now: u64,
    collection: Collection,
}

impl Incoming {
    /// None yet. `now` in microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn new(owner: BareJid, now: u64) -> Self {
        let collection = Collection::new(owner.clone(), Place::Account);
        Self { owner, now, collection }
    }

    /// Takes what nodes are. Options that make no sense here are passed over, one by one (§4.10.1).
    pub fn configure(&mut self, pubsub: &Element) {
        for child in pubsub.children() {
            let Some(name) = child.attr("node").filter(|name| is_name(name)) else { continue };
            let mut node = self.node(name);
            match child.name() {
                "configure" => node.config = configuration(child, node.config),
                "affiliations" => {
                    node.affiliations.extend(child.children().filter_map(affiliation))
                }
                "subscriptions" => {
                    node.subscriptions.extend(child.children().filter_map(subscription));
                }
                _ => {}
            }
            self.collection.insert(name, node);
        }
    }

    /// Takes items; the rows that follow.
    pub fn items(&mut self, pubsub: &Element) -> Vec<Write> {
        let mut out = Outcome::default();
        for items in pubsub.children().filter(|child| child.is("items", ns::PUBSUB)) {
            let Some(name) = items.attr("node").filter(|name| is_name(name)) else { continue };
            let node = self.node(name);
            self.collection.insert(name, node);
            for item in items.children().filter(|child| child.is("item", ns::PUBSUB)) {
                self.item(name, item, &mut out);
            }
            self.collection.release(&std::mem::take(&mut out.held));
        }
        out.writes
    }

    fn item(&mut self, name: &str, item: &Element, out: &mut Outcome) {
        let payload = item.children().next().map(Element::to_bytes).unwrap_or_default();
        let number = self.collection.next_number(self.now);
        let id = item
            .attr("id")
            .filter(|id| is_name(id))
            .map_or_else(|| number.to_string(), str::to_owned);
        let head = Head {
            id,
            number,
            published: self.now,
            publisher: self.owner.clone(),
            bytes: payload.len(),
            held: Some(payload.into()),
        };
        self.collection.put_item(name, head, out);
    }

    /// The rows of the nodes themselves.
    #[must_use]
    pub fn finish(self) -> Vec<Write> {
        let mut out = Outcome::default();
        for (name, node) in self.collection.iter() {
            self.collection.write_node(name, &mut out);
            for jid in node.subscriptions.keys() {
                self.collection.write_subscription(name, jid, &mut out);
            }
        }
        out.writes
    }

    fn node(&self, name: &str) -> Node {
        let usual = || Node::new(Config::of(Place::Account), self.owner.clone(), self.now);
        self.collection.get(name).cloned().unwrap_or_else(usual)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES
}

fn configuration(configure: &Element, usual: Config) -> Config {
    let form = configure.child("x", ns::DATA_FORMS).and_then(|x| Form::parse(x).ok());
    let fields = form.into_iter().flat_map(|form| form.fields);
    fields.fold(usual, |config, field| {
        let one = Form::new(FormKind::Submit, ns::PUBSUB_CONFIG).with(field);
        form::change(&one, config.clone(), Place::Account).unwrap_or(config)
    })
}

fn affiliation(element: &Element) -> Option<(BareJid, Affiliation)> {
    let jid = BareJid::parse(element.attr("jid")?).ok()?;
    Some((jid, Affiliation::parse(element.attr("affiliation")?)?))
}

fn subscription(element: &Element) -> Option<(Jid, Subscription)> {
    let jid = Jid::parse(element.attr("jid")?).ok()?;
    match element.attr("subscription")? {
        "subscribed" => Some((jid, Subscription::new(false))),
        "pending" => Some((jid, Subscription::new(true))),
        _ => None,
    }
}

//! Owns what is told of a node, and to whom (XEP-0060 §7.1.2, §12.14; XEP-0163 §4.3).

use std::sync::Arc;

use xmpp::{BareJid, Element, Head as StanzaHead, Jid, Kind, MessageType, Stanza, delay, ns};

use crate::access;
use crate::collection::{Collection, Turn};
use crate::config::NotificationType;
use crate::node::{Head, Node};

/// Something to be told when what caused it is kept.
#[derive(Debug)]
pub struct Notice {
    /// The message, without `to`.
    pub stanza: Stanza,
    /// Who gets it by an explicit subscription, or is meant alone.
    pub listeners: Vec<Jid>,
    /// Of an account: whoever may read the node and has asked for it by capabilities (`filtered-notifications`)
    /// gets it as well. The node's name, and the node without its items.
    pub filtered: Option<(String, Box<Node>)>,
}

/// What happened to a node, to all who listen.
pub(crate) fn to_all(
    collection: &Collection,
    name: &str,
    node: &Node,
    what: Element,
    turn: &mut Turn<'_>,
) -> Option<Notice> {
    if !node.config.deliver_notifications {
        return None;
    }
    let id = (turn.fresh)();
    let filtered = collection.place == crate::Place::Account;
    Some(Notice {
        stanza: message(&collection.owner, node, id, &[event(what)]),
        listeners: listeners(node, turn),
        filtered: filtered.then(|| (name.to_owned(), Box::new(gate(node)))),
    })
}

/// Who is subscribed, wants events now, and may still have them (§14.3).
fn listeners(node: &Node, turn: &Turn<'_>) -> Vec<Jid> {
    let wants = node.current(turn.now).filter(|(_, it)| !it.pending && it.deliver);
    let may = |jid: &&Jid| access::listen(node, &jid.bare(), turn.people).is_ok();
    wants.map(|(jid, _)| jid).filter(may).cloned().collect()
}

/// What concerns one alone: their subscription, the last item.
pub(crate) fn to_one(
    collection: &Collection,
    to: Jid,
    content: &[Element],
    turn: &mut Turn<'_>,
) -> Notice {
    let head = StanzaHead {
        kind: Kind::Message(MessageType::Headline),
        id: Some(Arc::from((turn.fresh)())),
        from: Some(collection.owner.clone().into()),
        to: None,
        lang: None,
    };
    Notice { stanza: Stanza::build(head, content), listeners: vec![to], filtered: None }
}

/// A message with an event of a node, without `to`.
fn message(from: &BareJid, node: &Node, id: String, content: &[Element]) -> Stanza {
    let ty = match node.config.notification {
        NotificationType::Normal => MessageType::Normal,
        NotificationType::Headline => MessageType::Headline,
    };
    let head = StanzaHead {
        kind: Kind::Message(ty),
        id: Some(Arc::from(id)),
        from: Some(from.clone().into()),
        to: None,
        lang: None,
    };
    Stanza::build(head, content)
}

/// What decides who may read, and no more.
fn gate(node: &Node) -> Node {
    let mut gate = Node::new(node.config.clone(), node.creator.clone(), node.created);
    gate.affiliations = node.affiliations.clone();
    gate.subscriptions = node.subscriptions.clone();
    gate
}

pub(crate) fn event(what: Element) -> Element {
    Element::new("event", ns::PUBSUB_EVENT).with_child(what)
}

/// `<items/>` of an event.
pub(crate) fn items(node: &str, inner: impl IntoIterator<Item = Element>) -> Element {
    Element::new("items", ns::PUBSUB_EVENT).with_attr("node", node).with_children(inner)
}

/// `<item/>` of an event.
pub(crate) fn item(id: &str, payload: Option<Element>) -> Element {
    Element::new("item", ns::PUBSUB_EVENT).with_attr("id", id).with_children(payload)
}

/// The last item of a node, for somebody who listens from now on (XEP-0060 §6.1.7, XEP-0163 §4.3.4): late, and
/// saying so. `payload` as it is kept.
#[must_use]
pub fn last_item(
    collection: &Collection,
    (name, node, head): (&str, &Node, &Head),
    payload: &[u8],
    id: String,
) -> Stanza {
    let payload = Element::parse(payload).ok().filter(|_| node.config.deliver_payloads);
    let content = [
        event(items(name, [item(&head.id, payload)])),
        delay::element(Some(&collection.owner), head.published),
    ];
    message(&collection.owner, node, id, &content)
}

/// A word on somebody's subscription (§12.14).
pub(crate) fn subscription(name: &str, jid: &Jid, state: &str) -> Element {
    let word = Element::new("subscription", ns::PUBSUB_EVENT)
        .with_attr("node", name)
        .with_attr("jid", jid.as_str())
        .with_attr("subscription", state);
    event(word)
}

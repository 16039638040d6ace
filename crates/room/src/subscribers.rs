//! Owns the list of those who hear a room without being inside (MUC/Sub), under nicks that are theirs meanwhile, and
//! its rows in the store: one for each bare JID, in the shape in which subscriptions are listed.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use store::{Key, Kind, Row, Write};
use xmpp::room_event::Node;
use xmpp::{BareJid, Element, ns};

use crate::nick::folded;

/// Somebody who hears the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Under which nick they speak.
    pub(crate) nick: Box<str>,
    /// What they hear of.
    pub(crate) nodes: Nodes,
}

/// A set of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes(u8);

/// Everybody who hears the room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscribers {
    list: BTreeMap<BareJid, Subscription>,
    nicks: HashMap<Box<str>, BareJid>,
}

impl Nodes {
    /// Whether a node is in the set.
    #[must_use]
    pub(crate) fn has(self, node: Node) -> bool {
        self.0 & 1 << node as u8 != 0
    }

    /// The nodes that a request names; those that the room does not have are left out.
    #[must_use]
    pub(crate) fn read(element: &Element) -> Self {
        let events = element.children().filter(|child| child.is("event", ns::MUCSUB));
        events.filter_map(|event| Node::parse(event.attr("node")?)).collect()
    }

    /// An `<event/>` for each.
    pub(crate) fn to_elements(self) -> impl Iterator<Item = Element> {
        let event = |node: Node| Element::new("event", ns::MUCSUB).with_attr("node", node.as_str());
        Node::ALL.into_iter().filter(move |node| self.has(*node)).map(event)
    }
}

impl FromIterator<Node> for Nodes {
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Self {
        Self(nodes.into_iter().fold(0, |all, node| all | 1 << node as u8))
    }
}

impl Subscription {
    /// An element of this name, with the nick and what is heard of.
    #[must_use]
    pub(crate) fn to_element(&self, name: &'static str) -> Element {
        let element = Element::new(name, ns::MUCSUB).with_attr("nick", &*self.nick);
        element.with_children(self.nodes.to_elements())
    }

    /// Out of such an element; none without a nick.
    #[must_use]
    pub(crate) fn read(element: &Element) -> Option<Self> {
        Some(Self { nick: element.attr("nick")?.into(), nodes: Nodes::read(element) })
    }

    /// What is kept of it.
    #[must_use]
    pub(crate) fn put(&self, room: &BareJid, who: &BareJid) -> Write {
        Write::Put(key(room, who), self.to_element("subscription").to_bytes().into())
    }
}

impl Subscribers {
    /// The list of a room that is loaded; none where a row cannot be read.
    #[must_use]
    pub(crate) fn load(rows: &[Row]) -> Option<Self> {
        let mut list = Self::default();
        for row in rows.iter().filter(|row| row.kind == Kind::Subscriber) {
            let who = BareJid::parse(str::from_utf8(&row.item).ok()?).ok()?;
            list.put(who, Subscription::read(&Element::parse(&row.value).ok()?)?);
        }
        Some(list)
    }

    /// Everybody, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&BareJid, &Subscription)> {
        self.list.iter()
    }

    /// Who hears of a node.
    pub(crate) fn of(&self, node: Node) -> impl Iterator<Item = &BareJid> {
        self.list.iter().filter(move |(_, it)| it.nodes.has(node)).map(|(who, _)| who)
    }

    /// How somebody hears the room, if they do.
    #[must_use]
    pub(crate) fn get(&self, who: &BareJid) -> Option<&Subscription> {
        self.list.get(who)
    }

    /// The same, by the text of their bare address.
    #[must_use]
    pub(crate) fn find(&self, who: &str) -> Option<(&BareJid, &Subscription)> {
        self.list.get_key_value(who)
    }

    /// Who has a nick that looks like this one.
    #[must_use]
    pub(crate) fn owner_of_nick(&self, nick: &str) -> Option<&BareJid> {
        if self.nicks.is_empty() {
            return None;
        }
        self.nicks.get(&folded(nick))
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Somebody hears the room like this; as they did before.
    pub(crate) fn put(&mut self, who: BareJid, subscription: Subscription) -> Option<Subscription> {
        let before = self.remove(&who);
        self.nicks.insert(folded(&subscription.nick), who.clone());
        self.list.insert(who, subscription);
        before
    }

    /// Somebody does not hear the room any more; as they did before.
    pub(crate) fn remove(&mut self, who: &BareJid) -> Option<Subscription> {
        let before = self.list.remove(who)?;
        self.nicks.remove(&folded(&before.nick));
        Some(before)
    }
}

/// What must be kept of it that somebody does not hear the room any more.
#[must_use]
pub(crate) fn delete(room: &BareJid, who: &BareJid) -> Write {
    Write::Delete(key(room, who))
}

fn key(room: &BareJid, who: &BareJid) -> Key {
    Key::new(room.clone(), Kind::Subscriber, Bytes::from(who.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    #[test]
    fn what_is_kept_reads_back() {
        let nodes = [Node::Messages, Node::Config].into_iter().collect();
        let hag = Subscription { nick: "H<ag".into(), nodes };
        let Write::Put(key, value) = hag.put(&bare("r@c.x"), &bare("hag@x")) else {
            panic!("nothing is kept")
        };
        let row = Row { kind: key.kind, item: key.item, value };
        let list = Subscribers::load(&[row]).unwrap();
        assert_eq!(list.get(&bare("hag@x")), Some(&hag));
        assert_eq!(list.of(Node::Config).collect::<Vec<_>>(), [&bare("hag@x")]);
        assert_eq!(list.of(Node::Presence).count(), 0);
    }

    #[test]
    fn a_nick_belongs_to_its_subscriber_until_he_has_another_one() {
        let mut list = Subscribers::default();
        let named = |nick: &str| Subscription { nick: nick.into(), nodes: Nodes::default() };
        list.put(bare("a@x"), named("Hag"));
        assert_eq!(list.owner_of_nick("hAG"), Some(&bare("a@x")));
        list.put(bare("a@x"), named("Crone"));
        assert_eq!((list.owner_of_nick("hag"), list.len()), (None, 1));
        list.remove(&bare("a@x"));
        assert!(list.owner_of_nick("crone").is_none() && list.is_empty());
    }

    #[test]
    fn nodes_that_nobody_knows_are_left_out() {
        let asked = "<subscribe xmlns='urn:xmpp:mucsub:0'><event node='urn:xmpp:mucsub:nodes:messages'/>\
            <event node='urn:xmpp:mucsub:nodes:system'/><event/></subscribe>";
        let nodes = Nodes::read(&Element::parse(asked.as_bytes()).unwrap());
        assert_eq!(nodes, [Node::Messages].into_iter().collect());
    }
}
